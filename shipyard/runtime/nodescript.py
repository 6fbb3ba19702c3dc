"""What every script on a node begins with, and how its answer is framed.

An answer is told apart from everything else that may be printed on the way (a login banner, a `.bashrc`, a
container's log) by lines that begin with a random word made for this one script: nothing on the node that could
print something knows it. Bodies between such lines are raw bytes. The last line says `done`: without it the answer
was cut short.

Plain POSIX sh, tried with dash, bash and busybox; variables and functions of ours begin with `sy_`.
"""

from __future__ import annotations

from shipyard.base.record import Struct

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
"""Where commands are looked for beside what the connection's own PATH names."""

PRELUDE = r"""
LC_ALL=C
PATH=${PATH:+$PATH:}@SEARCHED@
export LC_ALL PATH
sy_uid=
while read -r sy_key sy_skip sy_uid sy_skip; do
  [ "$sy_key" = Uid: ] && break
done </proc/self/status
[ -n "$sy_uid" ] || sy_uid=$(id -u)
if [ "$sy_uid" != 0 ]; then
  if [ -z "${XDG_RUNTIME_DIR:-}" ] && [ -d "/run/user/$sy_uid" ]; then
    XDG_RUNTIME_DIR=/run/user/$sy_uid
    export XDG_RUNTIME_DIR
  fi
  if [ -z "${DOCKER_HOST:-}" ] && [ ! -w /var/run/docker.sock ] && [ -S "${XDG_RUNTIME_DIR:-}/docker.sock" ]; then
    DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock
    export DOCKER_HOST
  fi
fi
""".replace("@SEARCHED@", SEARCHED)
"""Surroundings that make a runtime's CLI work in a shell that is no login shell, rootless ones included.

Messages are in English, as the dialects expect them. Sets `sy_uid` without starting a process.
"""


class Frame(Struct, frozen=True):
    """One framed line, its words, and the bytes up to the next one."""

    words: tuple[str, ...]
    body: bytes


def framing(nonce: str) -> str:
    """The shell function `sy_frame WORD…`, which prints a framed line; it fails when nobody reads any more."""
    return f"sy_frame() {{ printf '\\n{_checked(nonce)} %s\\n' \"$*\"; }}\n"


def whole(text: str, nonce: str) -> bytes:
    """The script as it is sent: a shell reads up to the closing brace before it does anything,

    so a script that was cut short on the way is a syntax error and not half of the work.
    """
    return f"{{\n{PRELUDE}{framing(nonce)}{text}\nsy_frame done\nexit 0\n}}\n".encode()


def frames(output: bytes, nonce: str) -> tuple[Frame, ...]:
    """All frames of an answer, in order. What was printed before the first is noise and left out."""
    parts = output.split(f"\n{_checked(nonce)} ".encode())[1:]
    return tuple(_frame(part) for part in parts)


def ended(found: tuple[Frame, ...]) -> bool:
    """Whether the answer is whole."""
    return bool(found) and found[-1].words == ("done",)


def _frame(part: bytes) -> Frame:
    line, _, body = part.partition(b"\n")
    return Frame(tuple(line.decode("utf-8", "replace").split()), body)


def _checked(nonce: str) -> str:
    if not (nonce.isalnum() and nonce.isascii()):
        raise ValueError("a nonce is made of letters and digits")
    return nonce
