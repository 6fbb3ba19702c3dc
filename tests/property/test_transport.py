"""What goes in as data comes out of a real shell byte for byte, and what was cut short does nothing."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from shipyard.base import shell
from shipyard.transport.local import LocalConnection
from shipyard.transport.program import frame, script_runner

SHELLS = [name for name in ("sh", "dash", "bash", "busybox") if shutil.which(name)]
BYTES = st.binary(max_size=300).map(lambda data: data.replace(b"\0", b""))
# Every byte a file name or an argument can have, as Python hands them on.
WORDS = BYTES.map(lambda data: data.decode(errors="surrogateescape"))
TRICKY = [
    "",
    "-n",
    "$(touch /tmp/x)`id`",
    "a'b\"c\\d",
    "\n\n",
    "!!",
    "*?[",
    "~",
    "}\n{",
    "\x01\x7f\x81\x82\x88",
    "é\udcff",
    "#",
    "\r",
]


def answered(name: str, framed: bytes) -> tuple[int, bytes, bytes]:
    """What the node's side of a run says, in this shell, behind the line that says that it began."""
    argv = script_runner(None, "").argv
    words = (*(("busybox",) if name == "busybox" else ()), *(argv if name == "busybox" else (name, *argv[1:])))
    done = subprocess.run(words, input=framed, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.partition(b"shipyard-ready\n")[2], done.stderr.partition(b"shipyard-ready\n")[2]


@pytest.mark.parametrize("name", SHELLS)
@settings(max_examples=15)
@given(st.lists(WORDS, max_size=6))
@example(TRICKY)
def test_arguments_arrive_as_they_were(name: str, words: list[str]) -> None:
    script = "printf '%s\\0' " + shell.join(["", *words])
    expected = b"".join(word.encode(errors="surrogateescape") + b"\0" for word in ["", *words])
    assert answered(name, frame(script.encode(errors="surrogateescape"))) == (0, expected, b"")


@pytest.mark.parametrize("name", SHELLS)
@settings(max_examples=15)
@given(BYTES)
def test_a_here_document_arrives_as_it_was(name: str, data: bytes) -> None:
    # dash loses a byte above 127 behind a line's beginning that could become the delimiter, whoever hands it the text
    assume(not any(line.startswith(b"=") for line in data.split(b"\n")))
    assert answered(name, frame(b"cat <<'==='\n" + data + b"\n===\n")) == (0, data + b"\n", b"")


@settings(max_examples=15)
@given(st.lists(WORDS, max_size=6))
def test_a_local_node_is_no_exception(words: list[str]) -> None:
    script = "printf '%s\\0' " + shell.join(["", *words])
    expected = b"".join(word.encode(errors="surrogateescape") + b"\0" for word in ["", *words])
    done = LocalConnection("here", None).run(script.encode(errors="surrogateescape"), timeout=30)
    assert (done.status, done.stdout) == (0, expected)


@pytest.mark.parametrize("name", SHELLS)
def test_a_script_cut_short_anywhere_is_not_run_at_all(name: str) -> None:
    framed = frame(b"echo ran\ncat <<'end'\n}\nend\nif true; then echo ran\nfi\n")
    for length in range(len(framed) - len("}\n") + 1):
        assert answered(name, framed[:length])[1] == b"", framed[:length]
    assert answered(name, framed) == (0, b"ran\n}\nran\n", b"")
