"""How a podman node is looked at: one to four processes, more where health checks are due and nothing runs them.

Podman's templates see its Go types. `%T` tells them apart, so that one `inspect` serves containers and images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipyard.base import shell
from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.observed import Container, ContainerState, Health, ObservedNetwork, ObservedVolume
from shipyard.runtime import answers, probing, strictjson, usage
from shipyard.runtime.dialect import ProbeRequest, RuntimeState

AT_ONCE = 16
"""Health checks that run side by side."""

_CONTAINER = (
    '{{$h := ""}}{{with .State.Health}}{{$h = .Status}}{{end}}{{$s := .State.Status}}'
    '["c{{if or (eq $s "dead") (eq $s "restarting") (eq $h "unhealthy")'
    ' (and (or (eq $s "exited") (eq $s "stopped")) (ne (print .State.ExitCode) "0"))@RESTARTED@}}!{{end}}",'
    "{{json .ID}},{{json .Name}},{{json .Image}},{{json .RestartCount}},"
    "[{{json $s}},{{json .State.ExitCode}},{{json .State.OOMKilled}},{{json .State.Error}},"
    "{{json .State.StartedAt}},{{json .State.FinishedAt}},{{json $h}}],"
    "{{json .Config.Labels}},"
    "[{{with .NetworkSettings}}{{range $k, $v := .Networks}}[{{json $k}},{{json $v.Aliases}},{{json $v.IPAddress}},"
    "{{json $v.MacAddress}},{{json $v.IPAMConfig}},{{json $v.GlobalIPv6Address}}],{{end}}{{end}}null],"
    "[{{range .Mounts}}{{if eq (len .Name) 64}}[{{json .Type}},{{json .Destination}},{{json .Name}}],{{end}}"
    '{{if gt (len (split .Source "/shipyard/")) 1}}["bind","",{{json .Source}}],{{end}}{{end}}'
    "null]]"
)
_RESTARTED = ' (and (eq $s "running") (ne (print .RestartCount) "0"))'
_DUE = (
    '{{if eq $s "running"}}{{if $h}}\nhealth {{.ID}} {{with .Config.Healthcheck}}{{printf "%d" .Interval}}{{end}}'
    " {{.StaticDir}}{{end}}{{end}}"
)
_PIDS = '{{if eq $s "running"}}\npid {{.State.Pid}} {{.State.ConmonPid}} {{.ID}}{{end}}'
_IMAGE = '["i",{{json .ID}},{{json .RepoDigests}}]'

_NETWORK = '{{.Name}} {{json .}} {{json (index .Network.Labels "shipyard.cluster")}}'
_VOLUME = '{{.Name}} [{{json .Name}},{{json .Driver}},{{json .Labels}}] {{json (index .Labels "shipyard.cluster")}}'

_NETFILES = r"""
sy_rt_netfile() {
  sy_rt_text=
  [ -r "$1" ] || return
  while IFS= read -r sy_rt_line || [ -n "$sy_rt_line" ]; do sy_rt_text="$sy_rt_text $sy_rt_line"; done <"$1"
  case $sy_rt_text in *'{'*'}' | *'{'*'} ') ;; *) return 1 ;; esac
}
sy_rt_netfiles() {
  [ "${sy_uid:-$(id -u)}" = 0 ] || return
  sy_rt_all=
  for sy_rt_name; do
    sy_rt_netfile "/etc/containers/networks/$sy_rt_name.json" || return
    sy_rt_all="$sy_rt_all$sy_rt_name$sy_rt_text
"
  done
  [ -z '@STRAY@' ] || sy_rt_strays || return
  printf '%s' "$sy_rt_all"
}
sy_rt_strays() {
  # which netavark makes where it keeps networks
  [ -e /etc/containers/networks/netavark.lock ] || return
  for sy_rt_file in /etc/containers/networks/*.json; do
    sy_rt_name=${sy_rt_file##*/}
    sy_rt_name=${sy_rt_name%.json}
    case "$sy_rt_all" in
      "$sy_rt_name "* | *"
$sy_rt_name "*) continue ;;
    esac
    [ -e "$sy_rt_file" ] || continue
    sy_rt_netfile "$sy_rt_file" || return
    case $sy_rt_text in *@OURS@*) sy_rt_all="$sy_rt_all$sy_rt_name$sy_rt_text
" ;; esac
  done
}
sy_rt_some_networks() { sy_rt_netfiles "$@" || sy_rt_networks; }
"""
"""Networks from where root's podman keeps them: to ask it would take a process. `@STRAY@`: others of the cluster, too.

Where one that is expected is not there, or the files are elsewhere, podman is asked.
"""

_HEALTH = r"""
sy_rt_check() {
  if command -v timeout >/dev/null 2>&1; then
    timeout @SECONDS@ podman healthcheck run "$1" >/dev/null 2>&1
  else
    podman healthcheck run "$1" >/dev/null 2>&1
  fi
  case $? in 124 | 143) printf 'hung %s\n' "$1" ;; esac
}
sy_rt_due() {
  sy_rt_now=$(date +%s)
  sed -n 's/^health //p' | while read -r sy_rt_id sy_rt_interval sy_rt_path; do
    sy_rt_last=$(stat -c %Y "$sy_rt_path/healthcheck.log" 2>/dev/null)
    sy_rt_interval=${sy_rt_interval%?????????}
    [ $((sy_rt_now - ${sy_rt_last:-0})) -lt "${sy_rt_interval:-1}" ] || printf '%s\n' "$sy_rt_id"
  done
}
sy_rt_healths() {
  [ $# != 0 ] || return 0
  sy_rt_count=0
  for sy_rt_id; do
    sy_rt_check "$sy_rt_id" &
    sy_rt_count=$((sy_rt_count + 1))
    [ $((sy_rt_count % @AT_ONCE@)) != 0 ] || wait
  done
  wait
  sy_rt_before=$sy_rt_said
  sy_rt_ask "$@"
  sy_rt_said="$sy_rt_before
$sy_rt_said"
}
case $sy_rt_said in
  *'
health '*) section health sy_rt_healths $(printf '%s\n' "$sy_rt_said" | sy_rt_due) ;;
esac
"""
"""A check is due when its interval has passed since podman last wrote down how one ended, as a timer would have it."""

_GONE = r"""
sy_rt_without_processes() {
  sy_rt_ifs=$IFS
  IFS='
'
  set -f
  for sy_rt_line in $1; do
    case $sy_rt_line in
      'pid '[1-9]*)
        sy_rt_pids=${sy_rt_line#pid }
        sy_rt_pids=${sy_rt_pids% *}
        [ -d "/proc/${sy_rt_pids% *}" ] || [ -d "/proc/${sy_rt_pids#* }" ] || printf '%s\n' "$sy_rt_line"
        ;;
    esac
  done
  set +f
  IFS=$sy_rt_ifs
}
sy_rt_gone() {
  sy_rt_first=$(sy_rt_without_processes "$sy_rt_said")
  [ -n "$sy_rt_first" ] || return 0
  [ "$(podman info --format '{{.Host.ServiceIsRemote}}' 2>/dev/null)" = false ] || return 0
  sy_rt_boxes=$(printf '%s\n' "$sy_rt_first" | sed 's/.* //')
  sy_rt_again=$(podman inspect --format "$sy_rt_template" -- $sy_rt_boxes 2>/dev/null)
  sy_rt_without_processes "$sy_rt_again" | while read -r sy_rt_line; do
    case $sy_rt_first in *"$sy_rt_line"*) printf 'gone %s\n' "${sy_rt_line##* }" ;; esac
  done
}
[ ! -d /proc/self ] || section gone sy_rt_gone
"""
"""Podman calls a container running until conmon writes down how it ended: for ever, where both were killed.

One that just ended has neither process: podman is asked a second time, and only what it says of the same two counts.
Where others' processes can't be seen (hidepid) conmon is one's own; those of a podman elsewhere can't be seen at all.
"""


def text(request: ProbeRequest) -> str:
    """The probe's shell text."""
    template = '{{if eq (len (split (printf "%T" .) "Container")) 2}}' + _CONTAINER
    template += (_DUE if request.health else "") + _PIDS + "{{else}}" + _IMAGE + "{{end}}"
    template = template.replace("@RESTARTED@", _RESTARTED if request.restarted else "")
    health = _HEALTH.replace("@SECONDS@", str(request.health_timeout)).replace("@AT_ONCE@", str(AT_ONCE))
    version = "podman --version; " if request.version else ""
    return "\n".join(
        (
            f'sy_rt_version() {{ {version}echo "uid ${{sy_uid:-$(id -u)}}"; }}',
            "section runtime-version sy_rt_version",
            probing.listing("podman", request),
            probing.pick("sy_rt_pick_networks", request.networks, request, "printf '%s\\n' \"$sy_rt_line\""),
            f"sy_rt_networks() {{ sy_rt_found=$(podman network ls --format '{_NETWORK}') && sy_rt_pick_networks; }}",
            _networks(request),
            probing.pick("sy_rt_pick_volumes", request.volumes, request, "printf '%s\\n' \"$sy_rt_line\""),
            f"sy_rt_volumes() {{ sy_rt_found=$(podman volume ls --format '{_VOLUME}') && sy_rt_pick_volumes; }}",
            "section volumes sy_rt_volumes" if request.volumes or request.stray_volumes else "section volumes true",
            probing.guessing("podman", template, request, probing.inspect("podman", template, request)),
            health if request.health else "",
            _GONE,
            probing.logs("podman"),
            usage.podman() if request.usage else "",
        )
    )


def _networks(request: ProbeRequest) -> str:
    if not request.networks and not request.stray_networks:
        return "section networks true"
    text = _NETFILES.replace("@STRAY@", "yes" if request.stray_networks else "")
    text = text.replace("@OURS@", shell.quote(f'"{labels.CLUSTER}": "{request.cluster}"'))
    return f"{text}section networks sy_rt_some_networks {shell.join(request.networks)}"


def parse(sections: Mapping[str, bytes], clock: float) -> RuntimeState:
    """What the probe printed. Raises ValueError."""
    said = [line.split() for line in answers.lines(answers.section(sections, "runtime-version"))]
    answers.section(sections, "containers")
    found = answers.read(answers.section(sections, "inspect"), clock)
    containers = found.containers
    if "health" in sections:
        containers = _checked(containers, sections["health"], clock)
    if "gone" in sections:
        containers = _without_gone(containers, sections["gone"])
    networks = (_network(line) for line in answers.lines(answers.section(sections, "networks")))
    volumes = (_volume(line) for line in answers.lines(answers.section(sections, "volumes")))
    return RuntimeState(
        version=next((words[2] for words in said if len(words) == 3 and words[1] == "version"), ""),
        rootless=any(words[0] == "uid" and words[1:] != ["0"] for words in said if words),
        containers=answers.with_logs(containers, sections),
        networks=tuple(sorted(networks, key=lambda network: network.name)),
        volumes=tuple(sorted(volumes, key=lambda volume: volume.name)),
        images=found.images,
        usage=usage.of_podman(sections.get(usage.SECTION, b"")),
    )


def _checked(before: tuple[Container, ...], body: bytes, clock: float) -> tuple[Container, ...]:
    """As they were after their checks. A check that had to be ended left nothing behind that says so: unhealthy."""
    hung = {line.removeprefix("hung ") for line in answers.lines(body) if line.startswith("hung ")}
    rest = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"hung "))
    after = {box.id: box for box in answers.read(rest, clock).containers}
    boxes = (after.get(box.id, box) for box in before)
    return tuple(replace(box, health=Health.UNHEALTHY) if box.id in hung else box for box in boxes)


def _without_gone(before: tuple[Container, ...], body: bytes) -> tuple[Container, ...]:
    gone = {line.removeprefix("gone ") for line in answers.lines(body)}
    return tuple(
        replace(box, state=ContainerState.DEAD, error="its processes are gone, though podman calls it running")
        if box.id in gone and box.state == ContainerState.RUNNING
        else box
        for box in before
    )


def _network(line: str) -> ObservedNetwork:
    said = strictjson.leading(line, "{")
    subnets = said.get("subnets")
    return answers.network(
        [
            said.get("id"),
            said.get("name"),
            said.get("driver", ""),
            said.get("labels"),
            [each.get("subnet") if isinstance(each, dict) else each for each in subnets]
            if isinstance(subnets, list)
            else subnets,
            said.get("internal"),
            said.get("network_interface"),
        ]
    )


def _volume(line: str) -> ObservedVolume:
    fields: list[Any] = strictjson.leading(line, "[")
    name, driver, marks = strictjson.fields(fields, 3)
    return ObservedVolume(strictjson.text(name), strictjson.pairs(marks), strictjson.text(driver))
