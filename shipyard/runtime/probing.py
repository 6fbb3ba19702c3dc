"""Shell text that docker's and podman's probes share.

Starting a process costs more than what it does (30 to 60 ms each), so one `inspect` tells about containers, images and
whatever else it can, and prints only the fields that are read. What it says of things that are not there is kept with
its output: a container that went away between two commands, or an image not pulled yet, is no failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipyard.base import shell
from shipyard.model import labels
from shipyard.runtime.dialect import ProbeRequest

LOGS = 20
"""Failed containers of which the last lines are read, in one probe."""
LOG_LINES = 10
LOG_BYTES = 4096

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_REFERENCE = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?)/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)

_SHARED = r"""
sy_rt_pick() {
  sy_rt_ifs=$IFS
  IFS='
'
  set -f
  for sy_rt_line in $sy_rt_found; do
    case $sy_rt_line in
      @WANTED@) @PICKED@ ;;
    esac
  done
  set +f
  IFS=$sy_rt_ifs
}
"""

_ASK = r"""
sy_rt_ask() {
  sy_rt_said=$(@PROGRAM@ inspect --format "$sy_rt_template" -- "$@" 2>&1)
  sy_rt_status=$?
  printf '%s\nended %s\n' "$sy_rt_said" "$sy_rt_status"
}
"""

_INSPECT = r"""
sy_rt_inspect() {
  @ASKED@
  [ $# = 0 ] || sy_rt_ask "$@"
}
section inspect sy_rt_inspect $sy_rt_ids @IMAGES@
"""

_GUESS = r"""
sy_rt_guess() {
  sy_rt_boxes=$1
  shift
  sy_rt_said=$(@PROGRAM@ inspect --format "$sy_rt_template" -- "$@" 2>&1)
  sy_rt_status=$?
  sy_rt_ifs=$IFS
  IFS='
'
  set -f
  sy_rt_count=0 sy_rt_nets=0
  for sy_rt_line in $sy_rt_said; do
    case $sy_rt_line in
      '["n",'*) sy_rt_nets=$((sy_rt_nets + 1)) ;;
      '["c",'* | '["c!",'*) sy_rt_count=$((sy_rt_count + 1)) ;;
    esac
  done
  set +f
  IFS=$sy_rt_ifs
  [ $sy_rt_nets = @NETWORKS@ ] && { [ -z "$sy_rt_boxes" ] || [ $sy_rt_count = "$sy_rt_boxes" ]; }
}
sy_rt_guessed() { printf '%s\nended %s\n' "$sy_rt_said" "$sy_rt_status"; }
"""
"""What is expected to be there is inspected by name, without a look at what there is: a process less for each kind.

Where something is missing, or a name is another thing's too, nothing is lost: all is asked as if for the first time.
"""

_RUNNING = r"""
sy_running() {
  [ $# != 0 ] || return 0
  @PROGRAM@ container inspect --format '{{.Name}} {{.State.Pid}}' -- "$@" 2>/dev/null | while read -r sy_name sy_pid; do
    [ "${sy_pid:-0}" = 0 ] || printf '%s %s\n' "${sy_name#/}" "$sy_pid"
  done
}
"""

_LOGS = r"""
sy_rt_log() {
  @PROGRAM@ logs --tail @LINES@ "$1" 2>&1 | tail -c @BYTES@
  return 0
}
case $sy_rt_said in
  *'["c!"'*)
    sy_rt_failed=$(printf '%s\n' "$sy_rt_said" | sed -n 's/^\["c!","\([0-9a-f]*\)".*/\1/p' | sort -u | head -n @LOGS@)
    for sy_rt_id in $sy_rt_failed; do
      section "log-$sy_rt_id" sy_rt_log "$sy_rt_id"
    done
    ;;
esac
"""


def own(request: ProbeRequest) -> str:
    """The label that all of this cluster's things carry, quoted."""
    return shell.quote(f"label={labels.CLUSTER}={request.cluster}")


def pick(name: str, wanted: Iterable[str], request: ProbeRequest, picked: str) -> str:
    """A shell function that goes through `$sy_rt_found`, lines of `NAME … "CLUSTER"`, and does `picked` with some."""
    ours = shell.quote(f' "{request.cluster}"')
    patterns = [f"*{ours}", *(f"{shell.quote(f'{each} ')}*" for each in wanted)]
    text = _SHARED.replace("sy_rt_pick", name).replace("@WANTED@", " | ".join(patterns))
    return text.replace("@PICKED@", picked)


def inspect(program: str, template: str, request: ProbeRequest) -> str:
    """The section `inspect`: of the containers in `$sy_rt_ids`, and of the images."""
    asked = [(image, name) for image in request.images if (name := lookup(image))]
    words = " ".join(shell.quote(image) for image, _ in asked)
    text = (_ASK + _INSPECT).replace("@PROGRAM@", program)
    text = text.replace("@ASKED@", f"printf 'asked %s\\n' {words}" if asked else ":")
    text = text.replace("@IMAGES@", shell.join(name for _, name in asked))
    return f"sy_rt_said=''\nsy_rt_template={shell.quote(template)}\n{text}"


def listing(program: str, request: ProbeRequest) -> str:
    """A shell function that lists the cluster's containers in `$sy_rt_ids`."""
    return f"sy_rt_ps() {{ sy_rt_ids=$({program} ps --all --quiet --no-trunc --filter {own(request)}); }}"


def guessing(program: str, template: str, request: ProbeRequest, listed: str, *, networks: bool = False) -> str:
    """The sections `containers` and `inspect`, and of what `listed` has beside. `listed`: text that needs `$sy_rt_ids`.

    `networks`: these are inspected, too. A lookup of images is no ordinary pass: then nothing is guessed.
    """
    found = "section containers sy_rt_ps\n"
    if request.stray_networks or request.images:
        return found + listed
    names = request.networks if networks else ()
    nets = "section networks true\n" if networks else ""
    if names:
        listed = (
            f"if sy_rt_guess '' $sy_rt_ids {shell.join(names)}; then\n{nets}"
            f"section inspect sy_rt_guessed\nelse\n{listed}\nfi"
        )
    listed = found + listed
    boxes = request.containers if all(_ID.fullmatch(each) for each in request.containers) else ()
    if boxes:
        listed = (
            f"if sy_rt_guess {len(boxes)} {shell.join((*boxes, *names))}; then\nsection containers true\n{nets}"
            f"section inspect sy_rt_guessed\nelse\n{listed}\nfi"
        )
    if not names and not boxes:
        return listed
    # what comes later may ask once more, also where the guess was right
    guess = (_ASK + _GUESS).replace("@PROGRAM@", program).replace("@NETWORKS@", str(len(names)))
    return f"sy_rt_template={shell.quote(template)}\n{guess}{listed}"


def running(program: str) -> str:
    """A shell function that prints `NAME PID` of those of the containers named that run, by one process for all."""
    return _RUNNING.replace("@PROGRAM@", program)


def logs(program: str) -> str:
    """A section for each of the failed containers that `$sy_rt_said` tells of."""
    text = _LOGS.replace("@PROGRAM@", program).replace("@LINES@", str(LOG_LINES))
    return text.replace("@BYTES@", str(LOG_BYTES)).replace("@LOGS@", str(LOGS))


def lookup(image: str) -> str:
    """How an image is asked for so that no container or network can be meant; "" when it is no name of an image.

    A digest goes before a tag: not all runtimes look up a name that has both.
    """
    if _ID.fullmatch(image):
        return image
    match = _REFERENCE.fullmatch(image)
    if match is None:
        return ""
    tag, digest = match["tag"] or "", match["digest"] or ""
    if digest:
        return image.removesuffix(tag + digest) + digest
    return image if tag else f"{image}:latest"
