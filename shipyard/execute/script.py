"""One script for all that one node has to do in one wave: fenced, in order, with an outcome framed for each action.

The script outlives its reader only by the action under way: when the connection is gone it ends that one properly,
begins no other, and lets go of the lock. What people wrote is in it only as quoted words, as values exported to one
process alone, or as here-documents.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from shipyard.base import shell
from shipyard.base.errors import ConfigError, ShipyardError
from shipyard.base.record import Struct
from shipyard.execute import steps
from shipyard.model.image import RegistryAuth
from shipyard.model.plan import WIRING, Action, PullImage
from shipyard.runtime import logins, netdir, nodedir, nodefence, nodescript
from shipyard.runtime.dialect import Command, Dialect
from shipyard.runtime.logins import Login

Auths = Mapping[str, RegistryAuth | ConfigError]
"""What to pull images with, by reference; an error: why that could not be found out."""

SAID = 4096
"""Bytes that are kept of what a command printed, of each of its two outputs: the last ones."""
SPARE = 60
"""Seconds that a node has for everything else in a script."""
KILL_AFTER = 30
"""Seconds that a command has to end after its deadline, before it is killed."""

# A command runs in a process group of its own (coreutils' timeout makes one), so that what ends this script, when
# the connection breaks or by request, does not end the command half-way.
_RUN = r"""
sy_gone=''
trap 'sy_gone=1' HUP PIPE TERM INT
sy_uptime() { read -r sy_up sy_skip </proc/uptime; }
sy_uptime
sy_began=$sy_up
sy_enter
for sy_place in /run "${XDG_RUNTIME_DIR:-}" "$sy_dir"; do
  [ -n "$sy_place" ] && [ -w "$sy_place" ] && break
done
sy_place=$sy_place/shipyard.${sy_dir##*/}
trap 'rm -rf "$sy_place"' EXIT
(umask 077 && mkdir -p "$sy_place") || sy_stop broken "$sy_place can not be made"
sy_out=$sy_place/out sy_err=$sy_place/err sy_failed=' '
sy_apart=''
case $(timeout --version 2>&1 9>&-) in
  *coreutils*) sy_limit() { exec timeout -k @KILL@ "$@"; } ;;
  *)
    if command -v setsid >/dev/null 2>&1; then sy_apart=setsid; fi
    if timeout -k 1 1 true >/dev/null 2>&1 9>&-; then
      sy_limit() { exec $sy_apart timeout -k @KILL@ "$@"; }
    else
      sy_limit() { shift; exec $sy_apart "$@"; }
    fi
    ;;
esac
sy_begin() {
  sy_id=$1
  shift
  for sy_need; do
    case $sy_failed in
      *" $sy_need "*)
        sy_failed="$sy_failed$sy_id "
        sy_frame skipped "$sy_id" "$sy_need"
        return 1
        ;;
    esac
  done
  sy_check
  true >"$sy_out" && true >"$sy_err" || sy_stop broken "$sy_place can not be written"
  sy_uptime
  sy_frame started "$sy_id" "$sy_up" || exit 0
  [ -z "$sy_gone" ] || exit 0
}
sy_settle() {
  sy_code=$1
  case " $2 " in *" $sy_code "*) return 0 ;; esac
  shift 2
  [ $# -gt 0 ] || return "$sy_code"
  sy_said=$(cat "$sy_err")
  for sy_text; do
    case $sy_said in *"$sy_text"*) return 0 ;; esac
  done
  return "$sy_code"
}
sy_end() {
  sy_uptime
  [ "$1" = 0 ] || sy_failed="$sy_failed$sy_id "
  sy_frame ended "$sy_id" "$1" "$sy_up" || exit 0
  [ ! -s "$sy_out" ] || tail -c @SAID@ "$sy_out"
  [ "$1" = 0 ] || { sy_frame said "$sy_id"; tail -c @SAID@ "$sy_err"; }
}
sy_frame entered "$sy_began" || exit 0
"""


class Fence(Struct, frozen=True):
    """Who acts. `epoch`: the lease holder's number. `take_over`: make the node ours, whoever owns it (`state rebuild`).

    `wait`: seconds for a script of an earlier holder to let go of the lock; it does so after its present action.
    """

    cluster: str
    store_uuid: str
    epoch: int
    take_over: bool = False
    wait: int = 60


@dataclass(frozen=True, slots=True)
class Script:
    """`timeout`: seconds within which it ends by itself. `deadlines`: of each action's commands, by the action's id.

    `rejected`: why an action, by id, could not be put into it.
    """

    text: bytes = field(repr=False)
    nonce: str
    timeout: float
    deadlines: Mapping[int, int]
    rejected: Mapping[int, str]


def build(
    actions: Sequence[Action],
    dialect: Dialect,
    fence: Fence,
    auths: Auths | None = None,
    contents: steps.Contents = MappingProxyType({}),
    *,
    pull: float = steps.PULL,
) -> Script:
    """The script for these actions of one node and wave, in their order. `contents`: of the secrets in them.

    `pull`: seconds for an image to come.
    """
    directory = f"/shipyard-{secrets.token_hex(16)}"
    parts: list[str] = []
    deadlines: dict[int, int] = {}
    rejected: dict[int, str] = {}
    seconds = 0
    for action in actions:
        try:
            work = steps.work(action.step, dialect, directory, contents, pull=pull)
            text = _action(action, work, directory, _login(action, dialect, auths or {}))
            text.encode()
        except (ValueError, ShipyardError) as error:
            rejected[action.id] = str(error)
            text = f'sy_failed="${{sy_failed}}{action.id} "\n'
        else:
            deadlines[action.id] = work.deadline
            seconds += max(1, len(work.commands)) * (work.deadline + KILL_AFTER)
        parts.append(text)
    wired = any(isinstance(action.step, WIRING) for action in actions)
    return _assemble("".join(parts), fence, seconds, deadlines, rejected, wired=wired)


def confirm(fence: Fence) -> Script:
    """A script that says, over a fresh connection, that the last change of the node's network may stay."""
    nonce = secrets.token_hex(16)
    return Script(nodescript.whole(nodedir.locate(fence.cluster) + netdir.CONFIRM, nonce), nonce, float(SPARE), {}, {})


def claim(fence: Fence) -> Script:
    """A script that only makes the node ours, or says why it can't."""
    return _assemble("", fence, 0, {}, {})


def _assemble(
    work: str,
    fence: Fence,
    seconds: int,
    deadlines: Mapping[int, int],
    rejected: Mapping[int, str],
    *,
    wired: bool = False,
) -> Script:
    nonce = secrets.token_hex(16)
    text = (
        nodedir.locate(fence.cluster)
        + nodedir.writing()
        + nodefence.fencing(fence.store_uuid, fence.epoch, take_over=fence.take_over, wait=fence.wait)
        + _RUN.replace("@KILL@", str(KILL_AFTER)).replace("@SAID@", str(SAID))
        + logins.FUNCTIONS
        + (netdir.FUNCTIONS if wired else "")
        + work
    )
    return Script(nodescript.whole(text, nonce), nonce, float(fence.wait + seconds + SPARE), deadlines, rejected)


def _login(action: Action, dialect: Dialect, auths: Auths) -> Login | None:
    """Raises ConfigError where that could not be found out."""
    auth = auths.get(action.step.image) if isinstance(action.step, PullImage) else None
    if isinstance(auth, ConfigError):
        raise auth
    return None if auth is None else dialect.login(auth)


def _action(action: Action, work: steps.Work, directory: str, login: Login | None) -> str:
    parts = [_command(command, work.deadline, directory, login) for command in work.commands]
    if work.text:
        parts.insert(0, f'{{\n{work.text}\n}} >>"$sy_out" 2>"$sy_err" 9>&-{" || return" if parts else ""}\n')
    body = "".join(parts)
    words = " ".join(str(number) for number in (action.id, *action.needs))
    name = f"sy_action_{action.id}"
    if login is None:
        return f"{name}() {{\n{body}}}\nsy_begin {words} && {{ {name}; sy_end $?; }}\n"
    body = f'{{\n{login.begin()}\n}} 2>"$sy_err" 9>&- || return\n{body}'
    return f"{name}() {{\n{body}}}\nsy_begin {words} && {{ {name}; sy_code=$?; sy_logout; sy_end $sy_code; }}\n"


def _command(command: Command, deadline: int, directory: str, login: Login | None) -> str:
    """One process, and the judgement on how it ended.

    It does not inherit the lock: what a runtime leaves running (podman's conmon) would hold it for ever.
    """
    exports = "".join(f"export {_name(name)}={shell.quote(value)}; " for name, value in command.env)
    exports += login.export() if login is not None else ""
    argv = " ".join(_word(word, directory) for word in command.argv)
    settled = shell.join([" ".join(str(code) for code in command.ok), *command.already])
    return f'( {exports}sy_limit {deadline} {argv} ) >>"$sy_out" 2>"$sy_err" 9>&-\nsy_settle $? {settled} || return\n'


def _word(word: str, directory: str) -> str:
    """One quoted word, in which shipyard's directory, known only on the node, is filled in there."""
    return '"$sy_dir"'.join(shell.quote(part) if part else "" for part in word.split(directory)) or "''"


def _name(name: str) -> str:
    if not shell.IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of an environment variable")
    return name
