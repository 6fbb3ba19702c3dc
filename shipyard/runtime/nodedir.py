"""Shipyard's directory on a node, as shell text: the node's side of the store.

    /var/lib/shipyard/<cluster>/     of root; of any other user: $XDG_DATA_HOME (~/.local/share) in place of /var/lib
      node                           the node's random id, made at first contact
      owner                          the uuid of the store that may change things here
      epoch                          the number of the newest lease holder that was here
      lock                           held (flock) by a script that changes things
      revisions/<stack>              `<number> <digest>`, then the revision's body
      configs/<file name>            contents of configs, with the owner and mode their containers see
      secrets/<file name>            contents of secrets, likewise
      availability                   what people decided about the node (`pause 0`, `drain <until>`); none: active
      runs/<marker>                  left before a job's container is made: what has one is not begun again

The directory is its user's alone; a file that others may read is reachable only through the bind mount of the file
itself. Files are replaced whole, and are on the disk before they are relied on: containers come back after a reboot
without shipyard.
"""

from __future__ import annotations

import base64
import re

from shipyard.base.record import Struct
from shipyard.base.secret import SecretBytes
from shipyard.base.text import printable
from shipyard.model.container import ConfigMount
from shipyard.model.labels import NAME
from shipyard.model.node import Availability
from shipyard.model.observed import HeldRevision
from shipyard.model.plan import DropFiles, KeepAvailability, KeepRevision, PutConfig, PutSecret

ROOT = "/var/lib/shipyard"
"""Where root's directories are."""
SELINUX = "/sys/fs/selinux/enforce"
"""Is there where SELinux is on: containers may read only files that are labelled as theirs."""

_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_FILE = re.compile(r"[0-9a-f]{64}-[0-9]{1,10}-[0-9]{1,10}-[0-7]{1,4}")
_MARKER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,250}")
_DIGEST = re.compile(r"[0-9a-z:]{1,80}")
_DECIDED = (Availability.PAUSE.value, Availability.DRAIN.value)
_NUMBER = re.compile(r"[0-9]{1,18}")

BASE = r"""
if [ "$sy_uid" = 0 ]; then
  sy_base='@ROOT@'
else
  case ${XDG_DATA_HOME:-} in
    /*) sy_base=$XDG_DATA_HOME/shipyard ;;
    *) sy_base=${HOME:-}/.local/share/shipyard ;;
  esac
fi
"""

_MAKE = r"""
sy_flush() { sync "$1" 2>/dev/null || sync; }
sy_keep() {
  sy_new=${1%/*}/.${1##*/}.$$
  if (umask 077 && cat >"$sy_new") && sy_flush "$sy_new" && mv -f "$sy_new" "$1"; then
    sy_flush "${1%/*}"
  else
    rm -f "$sy_new"
    return 1
  fi
}
sy_make() {
  [ -s "$sy_dir/node" ] && return 0
  (
    umask 077
    mkdir -p "$sy_dir/revisions" "$sy_dir/configs" || exit
    read -r sy_id </proc/sys/kernel/random/uuid
    printf '%s\n' "$sy_id" >"$sy_dir/.node.$$" || exit
    sy_flush "$sy_dir/.node.$$"
    [ -e "$sy_dir/node" ] || ln "$sy_dir/.node.$$" "$sy_dir/node" 2>/dev/null
    [ -s "$sy_dir/node" ] || mv -f "$sy_dir/.node.$$" "$sy_dir/node"
    rm -f "$sy_dir/.node.$$"
    [ -s "$sy_dir/node" ]
  )
}
"""

_STATE = r"""
sy_state() {
  for sy_file in node owner epoch; do
    sy_word=
    [ -e "$sy_dir/$sy_file" ] && read -r sy_word <"$sy_dir/$sy_file"
    printf '%s %s\n' "$sy_file" "$sy_word"
  done
  [ -e "$sy_dir/availability" ] && read -r sy_word sy_until <"$sy_dir/availability" &&
    printf 'availability %s %s\n' "$sy_word" "$sy_until"
  for sy_file in "$sy_dir"/revisions/*; do
    sy_number= sy_digest=
    [ -e "$sy_file" ] && read -r sy_number sy_digest <"$sy_file" &&
      printf 'revision %s %s %s\n' "${sy_file##*/}" "$sy_number" "$sy_digest"
  done
  for sy_folder in config secret; do
    for sy_file in "$sy_dir/${sy_folder}s"/*; do
      [ -e "$sy_file" ] && printf '%s %s\n' "$sy_folder" "${sy_file##*/}"
    done
  done
  for sy_file in "$sy_dir"/runs/*; do
    [ -e "$sy_file" ] && printf 'run %s\n' "${sy_file##*/}"
  done
  for sy_file in "$sy_base"/*/owner; do
    sy_other=${sy_file%/owner}
    [ "$sy_other" != "$sy_dir" ] && [ -s "$sy_file" ] && read -r sy_word <"$sy_file" &&
      printf 'other %s %s\n' "${sy_other##*/}" "$sy_word"
  done
  return 0
}
"""

_PUT = r"""
sy_put() {
  command -v base64 >/dev/null 2>&1 || { echo 'base64 is not installed on this node' >&2; return 1; }
  sy_new=${1%/*}/.${1##*/}.$$
  if (umask 077 && base64 -d >"$sy_new") && chmod "$2" "$sy_new" && sy_flush "$sy_new" &&
    sy_admit "$sy_new" && sy_own "$3" "$sy_new" && mv -f "$sy_new" "$1"; then
    sy_flush "${1%/*}"
  else
    rm -f "$sy_new"
    return 1
  fi
}
sy_once() {
  if [ -e "$sy_dir/runs/$1" ]; then
    echo "this was begun here before, and is not begun twice (its marker is $sy_dir/runs/$1)" >&2
    return 1
  fi
  (umask 077 && mkdir -p "$sy_dir/runs") && sy_flush "$sy_dir" && date +%s | sy_keep "$sy_dir/runs/$1"
}
sy_admit() {
  [ ! -e @SELINUX@ ] || chcon -t container_file_t "$1" 2>/dev/null || true
}
sy_own() {
  if [ -z "$1" ]; then
    return 0
  elif [ "$sy_uid" != 0 ] && command -v podman >/dev/null 2>&1; then
    podman unshare chown "$1" "$2"
  else
    chown "$1" "$2"
  fi
}
"""


_LEFT_HALF_WRITTEN = 'rm -f "$sy_dir"/secrets/.[0-9a-f]*'
"""What a power cut left of a secret that was being written. Nobody else writes: the script holds the lock."""


class Kept(Struct, frozen=True):
    """What the directory holds. `owner`: the uuid of a store, "" for none. Revisions are sorted by stack.

    `availability`, `drain_until`: what people decided about the node.
    `others`: other clusters that have a directory of the same user here, each with its owner, sorted.
    """

    node_id: str = ""
    owner: str = ""
    epoch: int = 0
    revisions: tuple[HeldRevision, ...] = ()
    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    availability: Availability = Availability.ACTIVE
    drain_until: float = 0.0
    others: tuple[tuple[str, str], ...] = ()


def locate(cluster: str) -> str:
    """Sets `sy_dir` to this cluster's directory."""
    return f"{base()}sy_dir=$sy_base/{checked(cluster)}\n"


def checked(identity: str) -> str:
    """A cluster's or store's id, known to be plain enough for a path and for a shell. Raises ValueError."""
    if not _IDENTITY.fullmatch(identity):
        raise ValueError(f"not an id of a cluster or store: {identity!r}")
    return identity


def base() -> str:
    """Sets `sy_base` to the directory above the clusters' own."""
    return BASE.replace("@ROOT@", ROOT)


def reading() -> str:
    """`sy_make` (the directory and the node's id, unless it is there) and `sy_state`, which prints what is kept."""
    return _MAKE + _STATE


def writing() -> str:
    """`sy_make`, and what `put_config`, `keep_revision` and the fence need."""
    return _MAKE + _PUT.replace("@SELINUX@", SELINUX)


def put_config(step: PutConfig) -> str:
    """Keep a config's content with its owner and mode. Raises ValueError on what can't be a file's owner or mode."""
    return _put_file("configs", f"config {step.config.key}", step.mount, step.config.content)


def put_secret(step: PutSecret, content: SecretBytes) -> str:
    """Keep a secret's content likewise. Nodes that shipyard came to before it knew secrets have no folder for them."""
    put = _put_file("secrets", f"secret {step.secret.key}", step.mount, content.reveal())
    return f'(umask 077 && mkdir -p "$sy_dir/secrets") &&\n{_LEFT_HALF_WRITTEN} &&\n{put}'


def _put_file(folder: str, what: str, mount: ConfigMount, content: bytes) -> str:
    name = mount.file_name
    if not _FILE.fullmatch(name):
        raise ValueError(f"{what}: uid and gid are numbers, and mode is an octal number up to 7777")
    uid, gid = mount.uid or "", mount.gid or ""
    owner = f"{uid}:{gid}" if gid else uid
    return _put(folder, name, name.rpartition("-")[2], owner, content)


def drop_files(step: DropFiles) -> str:
    """Remove files that no container has. Raises ValueError on what is no name of such a file."""
    paths = [
        f"{folder}/{name}" for folder, names in (("configs", step.configs), ("secrets", step.secrets)) for name in names
    ]
    for path in paths:
        if not _FILE.fullmatch(path.partition("/")[2]):
            raise ValueError(f"not a file of shipyard's: {path!r}")
    return f"{_LEFT_HALF_WRITTEN} &&\nrm -f " + " ".join(f'"$sy_dir/{path}"' for path in paths)


def keep_revision(step: KeepRevision) -> str:
    """Keep a revision's body in place of the stack's older one."""
    name = _stack(step.stack)
    if not _DIGEST.fullmatch(step.digest):
        raise ValueError(f"not a digest: {step.digest!r}")
    content = f"{step.number:d} {step.digest}\n{step.body}\n".encode()
    return _put("revisions", name, "600", "", content)


def keep_availability(step: KeepAvailability) -> str:
    """Keep what people decided about the node; that it is active needs no file."""
    if step.availability is Availability.ACTIVE:
        return 'rm -f "$sy_dir/availability"'
    return _put("", "availability", "600", "", f"{step.availability.value} {int(step.until):d}\n".encode())


def leave_marker(name: str) -> str:
    """Note that something begins, or fail because it did before."""
    return f"sy_once {_marker(name)}"


def drop_marker(name: str) -> str:
    """Forget a marker."""
    return f'rm -f "$sy_dir/runs/{_marker(name)}"'


def drop_revision(stack: str) -> str:
    """Forget a stack that is no more."""
    return f'rm -f "$sy_dir/revisions/{_stack(stack)}"'


def read_state(body: bytes) -> Kept:
    """What `sy_state` printed. Entries that are not whole are left out: they are as good as none."""
    words = [line.split() for line in body.decode("utf-8", "replace").splitlines()]
    single = {found[0]: found[1][:80] for found in words if len(found) == 2}
    availability, until = _availability(words)
    others = [(found[1][:128], found[2][:80]) for found in words if len(found) == 3 and found[0] == "other"]
    held = [found[1:] for found in words if len(found) == 4 and found[0] == "revision"]
    return Kept(
        node_id=printable(single.get("node", "")),
        owner=printable(single.get("owner", "")),
        epoch=_count(single.get("epoch", "")),
        revisions=tuple(
            sorted(
                (HeldRevision(stack, _count(number), digest) for stack, number, digest in held if _count(number)),
                key=lambda revision: revision.stack,
            )
        ),
        configs=_files(words, "config"),
        secrets=_files(words, "secret"),
        markers=_names(words, "run"),
        availability=availability,
        drain_until=until,
        others=tuple(sorted((printable(cluster), printable(owner)) for cluster, owner in others)),
    )


def _availability(words: list[list[str]]) -> tuple[Availability, float]:
    """What can't be read is as good as none, and is written anew."""
    for found in words:
        if len(found) == 3 and found[0] == "availability" and found[1] in _DECIDED:
            return Availability(found[1]), float(_count(found[2]))
    return Availability.ACTIVE, 0.0


def _names(words: list[list[str]], kind: str) -> tuple[str, ...]:
    return tuple(sorted(printable(found[1]) for found in words if len(found) == 2 and found[0] == kind))


def _files(words: list[list[str]], kind: str) -> tuple[str, ...]:
    """What else lies there is nobody's of ours, and is not removed."""
    return tuple(name for name in _names(words, kind) if _FILE.fullmatch(name))


def _count(word: str) -> int:
    return int(word) if _NUMBER.fullmatch(word) else 0


def _stack(stack: str) -> str:
    if not NAME.fullmatch(stack):
        raise ValueError(f"not a stack's name: {stack!r}")
    return stack


def _marker(name: str) -> str:
    if not _MARKER.fullmatch(name):
        raise ValueError(f"not a marker's name: {name!r}")
    return name


def _put(folder: str, name: str, mode: str, owner: str, content: bytes) -> str:
    """Content as a here-document, so that it is in no argv. Base64 has no `_`, so nothing in it ends it early."""
    text = base64.encodebytes(content).decode()
    path = f"{folder}/{name}" if folder else name
    return f"""sy_put "$sy_dir/{path}" {mode} '{owner}' <<'_END_'\n{text}_END_"""
