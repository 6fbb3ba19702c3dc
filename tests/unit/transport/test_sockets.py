"""The byte streams under ssh."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from shipyard.transport import sockets


def read_all(stream: sockets.Stream) -> bytes:
    pieces = []
    while piece := stream.recv(100):
        pieces.append(piece)
    stream.close()
    return b"".join(pieces)


def test_a_proxycommand_runs_in_the_users_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "$1|$2"\n')
    shell.chmod(0o755)
    monkeypatch.setenv("SHELL", str(shell))
    assert read_all(sockets.by_command("relay a 'b c'")) == b"-c|exec relay a 'b c'\n"
    monkeypatch.setenv("SHELL", "")
    assert read_all(sockets.by_command("echo a 'b  c'")) == b"a b  c\n"


def test_a_connection_comes_from_the_address_that_is_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        stream = sockets.dial("127.0.0.1", port, 5, bind="127.0.0.2")
        accepted, (address, _) = listener.accept()
        accepted.close()
        stream.close()
    assert address == "127.0.0.2"
    with pytest.raises(OSError, match="assign"):
        sockets.dial("127.0.0.1", port, 5, bind="192.0.2.1")
