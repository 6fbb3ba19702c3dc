"""The holder's program and image: what is written out byte by byte does what it says."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import signal
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from shipyard.model.image import HOLDER
from shipyard.runtime import holder

MACHINES = ("x86_64", "aarch64")


def opened(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]  # files only


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="there is no holder for this machine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_until_it_is_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    program = tmp_path / "holder"
    program.write_bytes(holder.program(platform.machine()))
    program.chmod(0o755)
    with subprocess.Popen([program]) as process:
        status = Path(f"/proc/{process.pid}/status")
        while "State:\tS" not in status.read_text():  # there is but one thing that it sleeps in
            assert process.poll() is None
        process.send_signal(signal.SIGCONT)  # an interruption is not the end
        process.send_signal(number)
        try:
            assert process.wait(timeout=5) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_it_is_an_executable_of_its_machine(machine: str, number: int) -> None:
    program = holder.program(machine)
    assert program[:5] == b"\x7fELF\x02"
    kind, found, _, entry, table = struct.unpack_from("<HHIQQ", program, 16)
    assert (kind, found) == (2, number)
    load, flags, offset, address, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", program, table)
    assert (load, flags, offset, in_file, in_memory) == (1, 5, 0, len(program), len(program))
    assert address <= entry < address + len(program)
    assert program.endswith(struct.pack("<Q", 1 << (signal.SIGTERM - 1) | 1 << (signal.SIGINT - 1)))


def test_arm_code_names_its_system_calls_and_its_signals() -> None:
    """Decoded here by the tables of the instruction set: this machine may not be able to run it."""
    program = holder.program("aarch64")
    (entry,) = struct.unpack_from("<Q", program, 24)
    words = struct.unpack_from("<16I", program, entry - 0x400000)
    calls = [word >> 5 & 0xFFFF for word in words if word & 0xFFE0001F == 0xD2800008]  # movz x8, imm
    assert calls == [135, 137, 93]  # rt_sigprocmask, rt_sigtimedwait, exit
    assert [index for index, word in enumerate(words) if word == 0xD4000001] == [5, 11, 15]  # svc 0
    for index, word in enumerate(words):
        if word & 0x9F000000 == 0x10000000:  # adr: of the signals, which follow the code
            assert index + (word >> 5 & 0x7FFFF) == len(words)
    back = words[12]
    assert back & 0xFFF8001F == 0x37F80000  # tbnz w0, 31: a negative number
    assert 12 + (back >> 5 & 0x3FFF) - 0x4000 == 6


@pytest.mark.parametrize(("machine", "named"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64")])
def test_its_image_is_whole(machine: str, named: str) -> None:
    files = opened(holder.archive(machine))
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == [HOLDER]
    config = json.loads(files[manifest["Config"]])
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"
    assert (config["architecture"], config["config"]["Entrypoint"]) == (named, ["/holder"])
    (layer,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}"]
    assert opened(files[layer]) == {"holder": holder.program(machine)}
    assert holder.archive(machine) == holder.archive(machine)


def test_a_shell_sends_it_byte_for_byte(tmp_path: Path) -> None:
    """To a client that does not have it yet."""
    client = tmp_path / "client"
    client.write_text('#!/bin/sh\n[ "$1" = load ] && cat >"$0.got"\n')
    client.chmod(0o755)
    subprocess.run(["sh", "-c", holder.load(str(client), "x86_64")], check=True)
    assert Path(f"{client}.got").read_bytes() == holder.archive("x86_64")


def test_other_machines_are_told() -> None:
    with pytest.raises(ValueError, match="no holder for machines of the kind riscv64"):
        holder.program("riscv64")
