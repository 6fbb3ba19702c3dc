"""How a docker node is looked at: one to four processes, and what they print.

Docker's generic `inspect` falls back to the API's own JSON when a template does not suit its types; `index` makes it
do so from the start, and one template then serves containers, networks and images, for all versions.
"""

from __future__ import annotations

from collections.abc import Mapping

from shipyard.model import labels
from shipyard.model.observed import ObservedVolume
from shipyard.runtime import answers, probing, strictjson, usage
from shipyard.runtime.dialect import ProbeRequest, RuntimeState

_MARKS = (labels.CLUSTER, labels.STACK, labels.SERVICE, labels.SLOT, labels.REVISION, labels.SPEC)

_CONTAINER = (
    '{{$h := ""}}{{with index . "Health"}}{{$h = .Status}}{{end}}'
    '["c{{if or (eq .Status "dead") (eq .Status "restarting") (eq $h "unhealthy")'
    ' (and (eq .Status "exited") (ne (print .ExitCode) "0"))@RESTARTED@}}!{{end}}",'
    '{{json (index $x "Id")}},{{json (index $x "Name")}},{{json (index $x "Image")}},'
    '{{json (index $x "RestartCount")}},'
    "[{{json .Status}},{{json .ExitCode}},{{json .OOMKilled}},{{json .Error}},{{json .StartedAt}},"
    "{{json .FinishedAt}},{{json $h}}],"
    '{{json (index $x "Config" "Labels")}},'
    '[{{range $k, $v := index $x "NetworkSettings" "Networks"}}[{{json $k}},{{json (index $v "Aliases")}},'
    '{{json (index $v "IPAddress")}},{{json (index $v "MacAddress")}},{{json (index $v "IPAMConfig")}},'
    '{{json (index $v "GlobalIPv6Address")}}],{{end}}null],'
    '[{{range index $x "Mounts"}}{{if eq (len (print (index . "Name"))) 64}}'
    '[{{json (index . "Type")}},{{json (index . "Destination")}},{{json (index . "Name")}}],{{end}}'
    '{{if gt (len (split (print (index . "Source")) "/shipyard/")) 1}}'
    '["bind","",{{json (index . "Source")}}],{{end}}{{end}}null]]'
)
_RESTARTED = ' (and (eq .Status "running") (ne (print (index $x "RestartCount")) "0"))'
_NETWORK = (
    '["n",{{json (index $x "Id")}},{{json (index $x "Name")}},{{json (index $x "Driver")}},'
    '{{json (index $x "Labels")}},'
    '[{{range index . "Config"}}{{json (index . "Subnet")}},{{end}}null],{{json (index $x "Internal")}},'
    '{{json (index (index $x "Options") "com.docker.network.bridge.name")}}]'
)
_IMAGE = '["i",{{json (index $x "Id")}},{{json (index $x "RepoDigests")}}]'

_TEMPLATE = (
    '{{$x := .}}{{with index . "State"}}' + _CONTAINER + '{{else}}{{with index . "IPAM"}}' + _NETWORK + "{{else}}"
) + (_IMAGE + "{{end}}{{end}}")

_VERSION = "{{.Server.Version}}{{range .Server.Components}} {{.Name}}{{end}}"
_OURS = '{{json (.Label "shipyard.cluster")}}'
_NETWORKS = "{{.Name}} {{.ID}} " + _OURS
_VOLUMES = (
    "{{.Name}} [{{json .Name}},{{json .Driver}}"
    + "".join(f',{{{{json (.Label "{mark}")}}}}' for mark in _MARKS)
    + f"] {_OURS}"
)
_TAKE_ID = 'sy_rt_rest=${sy_rt_line#* }; sy_rt_ids="$sy_rt_ids ${sy_rt_rest%% *}"'


def text(request: ProbeRequest, program: str = "docker") -> str:
    """The probe's shell text."""
    return "\n".join(
        (
            f"sy_rt_version() {{ {program} version --format '{_VERSION}'; }}\nsection runtime-version sy_rt_version"
            if request.version
            else "",
            probing.listing(program, request),
            probing.pick("sy_rt_pick_volumes", request.volumes, request, "printf '%s\\n' \"$sy_rt_line\""),
            f"sy_rt_volumes() {{ sy_rt_found=$({program} volume ls --format '{_VOLUMES}') && sy_rt_pick_volumes; }}",
            "section volumes sy_rt_volumes" if request.volumes or request.stray_volumes else "section volumes true",
            _inspect(request, program),
            probing.logs(program),
            usage.docker(program) if request.usage else "",
        )
    )


def _inspect(request: ProbeRequest, program: str) -> str:
    """Containers, networks and images."""
    template = _TEMPLATE.replace("@RESTARTED@", _RESTARTED if request.restarted else "")
    listed = "\n".join(
        (
            probing.pick("sy_rt_pick_networks", request.networks, request, _TAKE_ID),
            f"sy_rt_networks() {{ sy_rt_found=$({program} network ls --no-trunc --format '{_NETWORKS}')"
            " && sy_rt_pick_networks; }",
            "section networks sy_rt_networks",
            probing.inspect(program, template, request),
        )
    )
    return probing.guessing(program, template, request, listed, networks=True)


def parse(sections: Mapping[str, bytes], clock: float) -> RuntimeState:
    """What the probe printed. Raises ValueError."""
    version, *components = sections.get("runtime-version", b"").decode("utf-8", "replace").split() or [""]
    answers.section(sections, "containers")
    answers.section(sections, "networks")
    found = answers.read(answers.section(sections, "inspect"), clock)
    return RuntimeState(
        version,
        "rootlesskit" in components,
        answers.with_logs(found.containers, sections),
        found.networks,
        tuple(
            sorted(map(_volume, answers.lines(answers.section(sections, "volumes"))), key=lambda volume: volume.name)
        ),
        found.images,
        usage.of_docker(sections.get(usage.SECTION, b"")),
    )


def _volume(line: str) -> ObservedVolume:
    """Only the labels that shipyard itself gives: `volume ls` has no exact form of all of them."""
    name, driver, *marks = strictjson.fields(strictjson.leading(line, "["), 2 + len(_MARKS))
    said = ((mark, strictjson.text(value)) for mark, value in zip(_MARKS, marks, strict=True))
    return ObservedVolume(strictjson.text(name), tuple(sorted((m, v) for m, v in said if v)), strictjson.text(driver))
