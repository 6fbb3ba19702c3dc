"""Which kind of files were given, by what is in them, and who reads that kind.

A list of plays is a playbook, a mapping with `services` a Compose file, a mapping with `apiVersion` and `kind` a
Kubernetes manifest. Whoever reads a kind is one entry of `LOADERS`, and gives what `playbook.load` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from shipyard.base.errors import UsageError
from shipyard.base.record import Struct
from shipyard.files import playbook
from shipyard.files.ansiblevault import Keys
from shipyard.files.yamldialects import LOADERS as YAML
from shipyard.files.yamldoc import MAX_BYTES
from shipyard.model.inventory import Inventory

Kind = Literal["playbook", "compose", "kubernetes"]
_SHOWN = {"playbook": "a playbook", "compose": "a Compose file", "kubernetes": "a Kubernetes manifest"}
STDIN = "-"
_MANIFESTS = (".json", ".yaml", ".yml")
_BUILT = (
    ("kustomization.yaml", "a kustomization", "kubectl kustomize"),
    ("kustomization.yml", "a kustomization", "kubectl kustomize"),
    ("Kustomization", "a kustomization", "kubectl kustomize"),
    ("Chart.yaml", "a Helm chart", "helm template"),
)
_PIPED = "shipyard apply -"
_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


class Wish(Struct, frozen=True):
    """What the command line says of files that don't say it themselves.

    `hosts`: the pattern of where they run; "" for all. `stack`: its name; "" for the file's own. `strict`: what is only
    worth knowing is an error. `env_files`, `profiles`: Compose's.
    """

    hosts: str = ""
    stack: str = ""
    strict: bool = False
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


def _compose(paths: Sequence[Path], wish: Wish, **around: Any) -> playbook.LoadedFiles:
    from shipyard.files import composefile

    around.pop("extra_vars")  # templates are a playbook's, and so is what Ansible encrypted
    around.pop("keys")
    return composefile.load(paths, wish, **around)


def _kubernetes(paths: Sequence[Path], wish: Wish, **around: Any) -> playbook.LoadedFiles:
    from shipyard.files import kubernetes

    around.pop("extra_vars")
    around.pop("keys")
    return kubernetes.load(paths, wish, **around)


def _playbooks(paths: Sequence[Path], _wish: Wish, **around: Any) -> playbook.LoadedFiles:
    return playbook.load(paths, **around)


Loader = Callable[..., playbook.LoadedFiles]
LOADERS: dict[Kind, Loader] = {"playbook": _playbooks, "compose": _compose, "kubernetes": _kubernetes}
"""Called with the paths, the wish, and inventory, project, extra_vars, tags, environ, untrusted, keys by name."""


def load(
    paths: Sequence[Path],
    wish: Wish = Wish(),
    *,
    inventory: Inventory,
    project: Path,
    extra_vars: Mapping[str, Any] = MappingProxyType({}),
    tags: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    untrusted: bool = False,
    keys: Keys | None = None,
) -> playbook.LoadedFiles:
    """What the files declare, whatever their kind, which is one for all. Raises UsageError, FileErrors."""
    paths = [file for path in paths for file in _files(path)]
    found: dict[Kind, Path] = {}
    for path in paths:
        found.setdefault(kind_of(path), path)
    if len(found) > 1:
        shown = " and ".join(f"{path} is {_SHOWN[kind]}" for kind, path in found.items())
        raise UsageError(f"{shown}; files of one kind are taken at a time", hint="apply them one after the other")
    kind: Kind = next(iter(found), "playbook")
    _check_options(kind, wish, extra_vars)
    return LOADERS[kind](
        paths,
        wish,
        inventory=inventory,
        project=project,
        extra_vars=extra_vars,
        tags=tags,
        environ=environ,
        untrusted=untrusted,
        keys=keys,
    )


def foreign(paths: Sequence[Path]) -> tuple[Kind, list[Path]]:
    """The files and their kind, which has to be one that is no playbook. Raises UsageError."""
    files = [file for path in paths for file in _files(path)]
    kind: Kind = "kubernetes" if kind_of(files[0]) == "kubernetes" else "compose"
    return kind, only(kind, files)


def only(kind: Kind, paths: Sequence[Path]) -> list[Path]:
    """The files, which have to be of this kind. Raises UsageError."""
    files = [file for path in paths for file in _files(path)]
    for file in files:
        found = kind_of(file) if file.is_file() else kind
        if found != kind:
            raise UsageError(f"{file} is {_SHOWN[found]}; {_SHOWN[kind]} is expected")
    return files


def _check_options(kind: Kind, wish: Wish, extra_vars: Mapping[str, Any]) -> None:
    """An option that means nothing for this kind would change nothing without a word."""
    if kind == "playbook" and wish != Wish():
        raise UsageError(
            "--hosts, --stack, --strict, --env-file and --profile are for files that are no playbooks",
            hint="a playbook says hosts: and stack: itself",
        )
    if kind != "compose" and (wish.env_files or wish.profiles):
        raise UsageError("--env-file and --profile are for Compose files")
    if kind != "playbook" and extra_vars:
        takes = "takes variables from the environment and --env-file" if kind == "compose" else "has no variables"
        raise UsageError("-e is for playbooks", hint=f"{_SHOWN[kind]} {takes}")


def _files(path: Path) -> list[Path]:
    """A folder's Compose file with its override, or else all its manifests; a file, and `-`, as it is."""
    if str(path) == STDIN or not path.is_dir():
        return [path]
    for name in _COMPOSE_NAMES:
        if (path / name).is_file():
            stem = name.rpartition(".")[0]
            overrides = [path / f"{stem}.override{end}" for end in (".yml", ".yaml")]
            return [path / name, *[file for file in overrides if file.is_file()][:1]]
    for name, what, build in _BUILT:
        if (path / name).is_file():
            raise UsageError(
                f"the folder {path} holds {what}, which is no manifest yet", hint=f"{build} {path} | {_PIPED}"
            )
    found = sorted(file for file in path.iterdir() if file.suffix in _MANIFESTS and file.is_file() and not _blank(file))
    if not found:
        known = f"{', '.join(_COMPOSE_NAMES)}; a manifest's ends with {', '.join(_MANIFESTS)}"
        raise UsageError(f"the folder {path} holds no Compose file and no manifest", hint=f"known names are {known}")
    return found


def _blank(path: Path) -> bool:
    """Whether there is nothing in a file but comments, so that it is of no kind; what can't be read is told later."""
    try:
        lines = path.read_bytes()[:MAX_BYTES].splitlines()
    except OSError:
        return False
    return all(not line.strip() or line.lstrip().startswith((b"#", b"---")) for line in lines)


def kind_of(path: Path) -> Kind:
    """By what stands at the top of the file; what can't be read is left to the playbook's reader, which says why.

    Standard input, which is read once, is taken for manifests.
    """
    if str(path) == STDIN:
        return "kubernetes"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return "playbook"
    return kind_of_text(text, path.name)


def kind_of_text(text: bytes, name: str = "") -> Kind:
    """The same of a text. Only the top of the first document is looked at. `name`: counts where that says nothing."""
    try:
        keys = _top_keys(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return "playbook"
    if "apiVersion" in keys and "kind" in keys:
        return "kubernetes"
    if keys & {"services", "include"} and "hosts" not in keys:
        return "compose"
    if keys & {"networks", "volumes", "configs", "secrets"} and "hosts" not in keys:
        return "compose"
    return "compose" if keys and "hosts" not in keys and name in _COMPOSE_NAMES else "playbook"


def _top_keys(text: bytes) -> set[str]:
    """The keys of the first document that has any, from the stream of events, no values made.

    Those before a place that can't be read count: whoever reads files of that kind says what is wrong with it.
    """
    loader = YAML["1.2"](text)
    keys: set[str] = set()
    depth, key_next = 0, True
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.DocumentEndEvent) and keys:
                break
            if isinstance(event, yaml.DocumentStartEvent):
                depth, key_next = 0, True
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if depth == 0 and isinstance(event, yaml.SequenceStartEvent):
                    break
                depth += 1
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                depth -= 1
                key_next = key_next or depth == 1
            elif depth == 1 and isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                if key_next and isinstance(event, yaml.ScalarEvent):
                    keys.add(event.value)
                key_next = not key_next
    except yaml.YAMLError:
        if not keys:
            raise
    finally:
        loader.dispose()
    return keys
