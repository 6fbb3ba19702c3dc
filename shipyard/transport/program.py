"""The fixed commands that run on a node, and the frame in which a script reaches them.

A script goes over standard input only, so that nothing of it is in an argument list. The node's side reads its
length, then exactly that many bytes, and gives them to `eval` inside braces: what was cut short on the way is a
syntax error and runs not even in part. Standard input stays open behind it: a line there (`STOP`) ends the script
with everything it started, also when it runs as another user, whom a signal from sshd could not reach.

The programs hold no single quotes, backslashes, exclamation marks or line breaks, so that a login shell that is no
POSIX shell (fish, csh) passes them on unchanged too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shipyard.base import shell
from shipyard.model.inventory import Become

READY = b"shipyard-ready"
"""Printed when the script is about to be read: what came before is the login shell's own noise."""

PROMPT = b"shipyard-sudo-password:"
"""What sudo is told to ask with, so that its question is known in every language."""

STOP = b"stop\n"

# `_shipyard_` names: an exported variable of the same name would put the script into every child's environment.
# The script itself stays in the foreground: a background job ignores SIGINT, and containers started by it would too.
_READ = (
    "exec 3<&0 </dev/null; LC_ALL=C; export LC_ALL; echo shipyard-ready; echo shipyard-ready >&2; "
    "IFS= read -r _shipyard_size <&3 || exit 125; "
    '_shipyard_script=$(head -c "$_shipyard_size" <&3); '
)
# Who watches for STOP ends by itself when the channel is closed.
_RUN = '(eval "$_shipyard_script") 3<&-; exit $?'
# Of a pass: ends on request. When the connection breaks it runs to its end; the fence on the node keeps order.
_UNTIL_STOPPED = _READ + "(read -r _shipyard_word <&3 && kill -TERM 0) >/dev/null 2>&1 & " + _RUN
# Of `logs -f`: nobody listens any more when the connection breaks, and it would never end by itself.
_WHILE_CONNECTED = _READ + "(read -r _shipyard_word <&3; kill -TERM 0) >/dev/null 2>&1 & " + _RUN
_ATTACHED = 'echo shipyard-ready; exec "$@"'

# sudo starts in the login user's directory, which another user may not even read.
_HOME = "cd 2>/dev/null || cd /; "


@dataclass(frozen=True, slots=True)
class Program:
    """`argv` to run on the node. `password`: what to answer when sudo asks; `sudo`: whether sudo is on the way.

    `split`: it says that it is ready on both outputs, so that what a login shell prints is cut off both.
    """

    argv: tuple[str, ...]
    split: bool = True
    sudo: bool = False
    password: str | None = field(default=None, repr=False)

    @property
    def command(self) -> str:
        """One line for the login shell."""
        return shell.join(self.argv)


def frame(script: bytes) -> bytes:
    """The script as the node's side reads it. Raises ValueError on NUL, which no shell can hold."""
    if b"\0" in script:
        raise ValueError("a script can't hold a NUL byte")
    body = b"{ :; " + script + b"\n}\n"
    return b"%d\n" % len(body) + body


def script_runner(become: Become | None, user: str, *, follow: bool = False) -> Program:
    """What reads a framed script and runs it. `user`: who is logged in, so that sudo is left out where it adds nothing.

    `follow`: the script ends when the connection does.
    """
    return _become(become, user, _WHILE_CONNECTED if follow else _UNTIL_STOPPED, (), split=True)


def attached(argv: tuple[str, ...], become: Become | None, user: str) -> Program:
    """What runs `argv` with the caller's own input and output."""
    return _become(become, user, _ATTACHED, ("sh", *argv), split=False)


def _become(become: Become | None, user: str, text: str, arguments: tuple[str, ...], *, split: bool) -> Program:
    if become is None or become.user == user:
        return Program(("sh", "-c", text, *arguments), split)
    asking = ("-n",) if become.password is None else ("-S", "-p", PROMPT.decode())
    sudo = ("env", "LC_ALL=C", "sudo", "-H", *asking, "-u", become.user, "--")
    return Program((*sudo, "sh", "-c", _HOME + text, *arguments), split, sudo=True, password=become.password)
