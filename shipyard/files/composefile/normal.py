"""Compose's own normal form of a project: long forms, absolute paths, env files read, as its `config` writes it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError, FileErrors
from shipyard.files.compose import dotenv, units, words
from shipyard.files.composefile.nodes import ManyMarks, Node, plain
from shipyard.files.composefile.normal_forms import device, go_duration, mount, ports, requests
from shipyard.files.composefile.reading import text_of

_PAIRS = ("labels", "sysctls", "annotations")
_WORDS = ("dns", "dns_search", "dns_opt", "tmpfs")
_SIZES = ("mem_limit", "mem_reservation", "memswap_limit", "shm_size")
_SOMETIMES = ("tty", "stdin_open", "privileged", "read_only", "oom_kill_disable")
"""Booleans that Compose leaves out when they are false."""


class Normal:
    """One project. `home`, `folder`: what `~` and relative paths begin with."""

    def __init__(self, name: str, folder: Path, project: Path, environ: Mapping[str, str]) -> None:
        self.name, self.folder, self.project, self.environ = name, folder.resolve(), project, environ

    def form(self, whole: Node, profiles: Mapping[str, Node]) -> dict[str, Any]:
        """The whole project. `profiles`: those of services that have some. Raises FileErrors."""
        problems: list[FileError] = []
        made: dict[str, Any] = {"name": self.name}
        made["services"] = {
            name: self._service(name, service, profiles.get(name), problems)
            for name, service in whole.data["services"].entries().items()
        }
        if problems:
            raise FileErrors(tuple(problems))
        used = {key for service in made["services"].values() for key in service.get("networks") or {}}
        for section in ("networks", "volumes", "configs", "secrets"):
            found = whole.get(section)
            entries = found.entries() if found else {}
            if section == "networks":
                entries = {"default": Node(None, whole.mark), **entries}
                entries = {key: node for key, node in entries.items() if key in used}
            if entries:
                made[section] = {
                    key: self._read(node, (section, key), partial(self._declared, section, key), problems)
                    for key, node in entries.items()
                }
        for key, node in whole.data.items():
            if str(key).startswith("x-"):
                made[key] = _bare(node)
        if problems:
            raise FileErrors(tuple(problems))
        escaped: dict[str, Any] = _escaped(made)
        return escaped

    def _read(self, node: Node, path: tuple[str, ...], read: Callable[[Any], Any], problems: list[FileError]) -> Any:
        """A value by its reader; what is of a shape that no reader takes is an error at its place."""
        try:
            return read(_bare(node))
        except FileError as error:  # of an env file that can't be read: said where it is named
            problems.append(node.error(f"{error.file}: {error.message}", path=path, hint=error.hint))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            why = f": {error}" if type(error) is ValueError else ""
            hint = "shipyard plan says more of what is wrong with it"
            problems.append(node.error(f"is not of a form that Compose knows{why}", path=path, hint=hint))
        return None

    def _service(self, name: str, node: Node, profiles: Node | None, problems: list[FileError]) -> dict[str, Any]:
        made: dict[str, Any] = {"command": None, "entrypoint": None}
        for key, value in node.entries().items():
            if key.startswith("x-") or key in ("env_file", "environment", "label_file", "labels"):
                continue
            got = self._read(value, ("services", name, key), partial(self._key, key), problems)
            if got not in (None, [], {}, "") or key in ("command", "entrypoint", "deploy"):
                made[key] = got
        for key in _SOMETIMES:
            if made.get(key) is False:
                del made[key]
        for key, file in (("environment", "env_file"), ("labels", "label_file")):
            place = node.get(key) or node.get(file) or node
            read = partial(self._with_files, node, key, file)
            if found := self._read(place, ("services", name, key), read, problems):
                made[key] = found
        if files := node.get("label_file"):
            paths = self._read(files, ("services", name, "label_file"), self._paths, problems)
            made["label_file"] = paths
        if profiles is not None and (named := _list(_bare(profiles))):
            made["profiles"] = named
        if not made.get("networks") and "network_mode" not in made and "provider" not in made:
            made["networks"] = {"default": None}
        made |= self._read(node, ("services", name), lambda _: _needs(made), problems) or {}
        return made

    def _key(self, key: str, said: Any) -> Any:
        if said is None:
            return None
        if key in _PAIRS:
            return _pairs(said)
        if key in ("command", "entrypoint"):
            return list(words.split(said)) if isinstance(said, str) else [str(each) for each in said]
        if key in _SIZES:
            return str(said) if str(said) == "-1" else str(units.size(str(said)))
        if key in _WORDS:
            return _list(said)
        if key in ("expose", "group_add"):
            return [units.number_text(each) for each in said]
        return _READERS[key](self, said) if key in _READERS else _without(said)

    def _with_files(self, node: Node, key: str, file: str, _: Any) -> dict[str, Any]:
        own = node.get(key)
        written = _pairs(_bare(own), empty=None if key == "environment" else "") if own else {}
        found: dict[str, str] = {}
        for item in _list(_bare(node.data[file])) if node.get(file) else ():
            how = item if isinstance(item, dict) else {"path": item}
            path = self.folder / str(how["path"])
            if how.get("required") is False and not path.exists():
                continue
            parse = dotenv.parse_raw if how.get("format") == "raw" else dotenv.parse
            parse(text_of(path, self.project).decode("utf-8-sig"), found, self.environ.get)
        if key == "environment":
            written = {name: self.environ.get(name) if value is None else value for name, value in written.items()}
        return {**found, **written}

    def _path(self, said: str) -> str:
        if said.startswith("~"):
            return posixpath.normpath(self.environ.get("HOME", "~") + said[1:])
        return os.path.normpath(self.folder / said)

    def _paths(self, said: Any) -> list[str]:
        return [self._path(each) for each in _list(said)]

    def _declared(self, section: str, key: str, said: Any) -> dict[str, Any]:
        made = dict(_without(said or {}))
        external = made.pop("external", None)
        if isinstance(external, dict):
            made["name"], external = external.get("name", key), True
        made["name"] = made.get("name") or (key if external else f"{self.name}_{key}")
        if external:
            made["external"] = True
        if section == "networks":
            made["ipam"] = made.get("ipam") or {}
            made = {name: value for name, value in made.items() if value is not False or name.startswith("enable_")}
        if "labels" in made:
            made["labels"] = _pairs(made["labels"])
        for name in ("driver_opts",):
            if name in made:
                made[name] = {one: units.number_text(two) for one, two in made[name].items()}
        options = made.get("driver_opts", {})
        if (
            section == "volumes"
            and made.get("driver") == "local"
            and options.get("o") == "bind"
            and "device" in options
        ):
            options["device"] = self._path(options["device"])  # a folder under another name
        if "file" in made:
            made["file"] = self._path(str(made["file"]))
        return {name: value for name, value in made.items() if value is not None}

    def _networks(self, said: Any) -> Any:
        return dict.fromkeys(said) if isinstance(said, list) else {key: _network(value) for key, value in said.items()}

    def _volumes(self, said: Any) -> Any:
        return [mount(each, self._path) for each in said]

    def _build(self, said: Any) -> Any:
        made = _without({"context": said} if isinstance(said, str) else dict(said))
        context = str(made.get("context", "."))
        made["context"] = context if "://" in context or context.startswith("git@") else self._path(context)
        if "dockerfile_inline" not in made:
            made.setdefault("dockerfile", "Dockerfile")
        if "args" in made:
            args = {
                name: self.environ.get(name) if value is None else value
                for name, value in _pairs(made["args"], empty=None).items()
            }
            made["args"] = {name: value for name, value in args.items() if value is not None}
        if "labels" in made:
            made["labels"] = _pairs(made["labels"])
        if "shm_size" in made:
            made["shm_size"] = str(units.size(str(made["shm_size"])))
        if "secrets" in made:
            made["secrets"] = [{"source": each} if isinstance(each, str) else each for each in made["secrets"]]
        for name, value in made.get("additional_contexts", {}).items():
            made["additional_contexts"][name] = value if ":" in value else self._path(value)
        return {name: value for name, value in made.items() if value is not False}

    def _develop(self, said: Any) -> Any:
        watch = [
            {"exec": {"command": None}, **each, "path": self._path(each["path"])} for each in said.get("watch", ())
        ]
        return {"watch": watch} if watch else {}

    def _references(self, said: Any) -> Any:
        return [_reference(each) for each in said]

    def _secret_references(self, said: Any) -> Any:
        made = [_reference(each) for each in said]
        return [{**each, "target": each.get("target") or f"/run/secrets/{each['source']}"} for each in made]

    def _blkio(self, said: Any) -> Any:
        def rate(each: Any) -> Any:
            return {"Path": each["path"], "Rate": str(units.size(str(each["rate"])))}

        made = dict(said)
        for name, value in said.items():
            if name == "weight_device":
                made[name] = [{"Path": each["path"], "Weight": each["weight"]} for each in value]
            elif name != "weight":
                made[name] = [rate(each) for each in value]
        return made


def _needs(made: dict[str, Any]) -> dict[str, Any]:
    """What a service refers to is started before it: links, namespaces, volumes_from."""
    needs = dict(made.get("depends_on") or {})
    again = [str(each).partition(":")[0] for each in made.get("links", ())]
    for key in ("network_mode", "ipc", "pid"):
        if str(made.get(key, "")).startswith("service:"):
            again.append(made[key].partition(":")[2])
    for other in again:
        needs.setdefault(other, {"condition": "service_started", "restart": True, "required": True})
    for each in made.get("volumes_from", ()):
        if not str(each).startswith("container:"):
            needs.setdefault(str(each).partition(":")[0], {"condition": "service_started", "required": True})
    return {"depends_on": needs} if needs else {}


def _depends(said: Any) -> Any:
    entries = said if isinstance(said, dict) else dict.fromkeys(said)
    made = {}
    for name, how in entries.items():
        one = {"condition": "service_started", "required": True, **_without(how or {})}
        made[name] = {key: value for key, value in one.items() if (key, value) != ("restart", False)}
    return made


def _health(said: Any) -> Any:
    made = {name: value for name, value in _without(said).items() if value is not None}
    if isinstance(made.get("test"), str):
        made["test"] = ["CMD-SHELL", made["test"]]
    for key in ("interval", "timeout", "start_period", "start_interval"):
        if key in made:
            made[key] = go_duration(str(made[key]))
    if "retries" in made:
        made["retries"] = int(made["retries"])
    if made.get("disable") is False:
        del made["disable"]
    return made


def _deploy(said: Any) -> Any:
    made = {"resources": {}, "placement": {}, **_without(said)}
    if "labels" in made:
        made["labels"] = _pairs(made["labels"])
    for key in ("update_config", "rollback_config", "restart_policy"):
        if key in made:
            made[key] = {
                name: go_duration(str(value)) if name in ("delay", "monitor", "window") else value
                for name, value in made[key].items()
                if (name, value) != ("max_failure_ratio", 0)
            }
    resources = {}
    for key, kind in made["resources"].items():
        one = dict(kind)
        if "cpus" in one:
            one["cpus"] = float(one["cpus"])
        if "memory" in one:
            one["memory"] = str(units.size(str(one["memory"])))
        if "devices" in one:
            one["devices"] = requests(one["devices"])
        resources[key] = one
    made["resources"] = resources
    return made


def _logging(said: Any) -> Any:
    made = _without(said)
    if made.get("options"):
        made["options"] = {name: units.number_text(value) for name, value in made["options"].items()}
    return made


def _provider(said: Any) -> Any:
    made = _without(said)
    options = made.get("options") or {}
    if options:
        made["options"] = {name: [units.number_text(each) for each in _list(value)] for name, value in options.items()}
    return made


def _network(said: Any) -> Any:
    made = _without(said)
    if made and made.get("driver_opts"):
        made["driver_opts"] = {name: units.number_text(value) for name, value in made["driver_opts"].items()}
    return made


def _hosts(said: Any) -> Any:
    made = []
    entries = said.items() if isinstance(said, dict) else [each.replace("=", ":", 1).split(":", 1) for each in said]
    for name, where in entries:
        for each in where if isinstance(where, list) else [where]:
            made.append(f"{name}={str(each).removeprefix('[').removesuffix(']')}")
    return sorted(made)


def _ulimits(said: Any) -> Any:
    return {name: int(value) if not isinstance(value, dict) else value for name, value in said.items()} | {
        name: {} for name, value in said.items() if value == 0
    }


def _hooks(said: Any) -> Any:
    made = []
    for each in said:
        one = dict(each)
        one["command"] = list(words.split(one["command"])) if isinstance(one["command"], str) else one["command"]
        if "environment" in one:
            one["environment"] = _pairs(one["environment"], empty=None)
        made.append(one)
    return made


def _reference(said: Any) -> dict[str, Any]:
    made = {"source": said} if isinstance(said, str) else dict(_without(said))
    if "mode" in made:
        mode = made["mode"]
        made["mode"] = f"0{mode if isinstance(mode, int) else int(str(mode), 8):o}"
    return made


_READERS: Mapping[str, Callable[[Normal, Any], Any]] = {
    "networks": Normal._networks,
    "volumes": Normal._volumes,
    "build": Normal._build,
    "develop": Normal._develop,
    "configs": Normal._references,
    "secrets": Normal._secret_references,
    "blkio_config": Normal._blkio,
    "ports": lambda _, said: [each for one in said for each in ports(one)],
    "devices": lambda _, said: [device(each) for each in said],
    "gpus": lambda _, said: requests([{"count": -1}] if said == "all" else said),
    "depends_on": lambda _, said: _depends(said),
    "healthcheck": lambda _, said: _health(said),
    "deploy": lambda _, said: _deploy(said),
    "extra_hosts": lambda _, said: _hosts(said),
    "ulimits": lambda _, said: _ulimits(said),
    "post_start": lambda _, said: _hooks(said),
    "pre_stop": lambda _, said: _hooks(said),
    "logging": lambda _, said: _logging(said),
    "provider": lambda _, said: _provider(said),
    "mem_swappiness": lambda _, said: units.number_text(said),
    "storage_opt": lambda _, said: {name: units.number_text(value) for name, value in said.items()},
    "cpus": lambda _, said: float(said),
    "stop_grace_period": lambda _, said: go_duration(str(said)),
}


def _bare(node: Node) -> Any:
    return plain(node, ManyMarks(node.mark.file))


def _list(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def _pairs(said: Any, empty: str | None = "") -> dict[str, str | None]:
    if isinstance(said, list):
        parts = [str(each).partition("=") for each in said]
        return {name: value if equals else empty for name, equals, value in parts}
    return {name: empty if value is None else units.number_text(value) for name, value in said.items()}


def _without(said: Any) -> Any:
    """Without the extensions inside, which Compose's JSON leaves out."""
    if isinstance(said, dict):
        return {key: _without(value) for key, value in said.items() if not str(key).startswith("x-")}
    return [_without(each) for each in said] if isinstance(said, list) else said


def _escaped(said: Any) -> Any:
    if isinstance(said, dict):
        return {_escaped(key): _escaped(value) for key, value in said.items()}
    if isinstance(said, list):
        return [_escaped(each) for each in said]
    return str(said).replace("$", "$$") if isinstance(said, str) else said
