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

_INSPECT = r"""
sy_rt_ask() {
  sy_rt_said=$(@PROGRAM@ inspect --format "$sy_rt_template" -- "$@" 2>&1)
  sy_rt_status=$?
  printf '%s\nended %s\n' "$sy_rt_said" "$sy_rt_status"
}
sy_rt_inspect() {
  @ASKED@
  [ $# = 0 ] || sy_rt_ask "$@"
}
section inspect sy_rt_inspect $sy_rt_ids @IMAGES@
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
    text = _INSPECT.replace("@PROGRAM@", program)
    text = text.replace("@ASKED@", f"printf 'asked %s\\n' {words}" if asked else ":")
    text = text.replace("@IMAGES@", shell.join(name for _, name in asked))
    return f"sy_rt_said=''\nsy_rt_template={shell.quote(template)}\n{text}"


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
