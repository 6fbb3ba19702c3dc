"""From playbook files to what they declare, with everything that is wrong in them said at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shipyard.base.errors import FileError, FileErrors, UsageError
from shipyard.base.record import Struct, field
from shipyard.files.ansiblevault import Keys
from shipyard.files.compose import tags as tagging
from shipyard.files.compose.declared import DeclaredSecret, Resources
from shipyard.files.compose.value import Reading
from shipyard.files.playbook import play as plays
from shipyard.files.playbook.assemble import Assembly
from shipyard.files.playbook.play import Play
from shipyard.files.values import ansible_tags
from shipyard.files.yamldoc import MAX_BYTES, Document, Marks, load_one
from shipyard.files.yamldoc import Path as Place
from shipyard.model.inventory import Inventory
from shipyard.model.spec import StackSpec


class LoadedFiles(Struct, frozen=True):
    """What a set of files declares together.

    `stacks`: sorted by name. `files`: as services remember them, relative to the project. `patterns`: of the plays.
    `notices`: what is allowed but worth knowing, for people. `tags`: as asked for with `--tags`. `secrets`: by stack,
    where the contents of those come from that services use; the stacks have no digests of them yet. `outside`: by stack
    and key, where external configs are declared that services use; the stacks have no contents of them yet.
    """

    stacks: tuple[StackSpec, ...]
    files: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    secrets: Mapping[str, tuple[DeclaredSecret, ...]] = field(default_factory=dict)
    outside: Mapping[tuple[str, str], FileError] = field(default_factory=dict)

    def stack(self, name: str) -> StackSpec:
        """What the files declare of this stack; nothing of one that they don't name."""
        return next((stack for stack in self.stacks if stack.name == name), StackSpec(name))


def load(
    paths: Sequence[Path],
    *,
    inventory: Inventory,
    project: Path,
    extra_vars: Mapping[str, Any] = MappingProxyType({}),
    tags: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    untrusted: bool = False,
    keys: Keys | None = None,
) -> LoadedFiles:
    """Read playbooks. Raises FileErrors with all that is wrong; a set of files is taken whole or not at all.

    `project`: nothing outside of it is read. `environ`: what variables without a value are taken from. `tags`: only
    checked here, for one that nothing has; `merge` goes by them. `untrusted`: what gives a container power over its
    node is an error, where otherwise it is a notice. `keys`: what opens what is encrypted with ansible-vault.
    """
    keys = Keys() if keys is None else keys
    problems: list[FileError] = []
    notices: list[str] = []
    read: dict[str, list[Play]] = {}
    for path in paths:
        reading = Reading(Marks(str(path)), Resources(""), project, path.parent, environ, problems, notices, untrusted)
        with reading.collect():
            name = inside(path, project)
            if name not in read:
                read[name] = []
                read[name] = _plays(path, reading, inventory, extra_vars, keys)
    assembly = Assembly(inventory, problems)
    stacks = assembly.stacks([(play, name) for name, plays in read.items() for play in plays])
    if problems:
        raise FileErrors(ordered(problems, paths))
    check_tags(stacks, tags)
    patterns = dict.fromkeys(play.pattern for plays in read.values() for play in plays)
    return LoadedFiles(
        stacks, tuple(read), tuple(patterns), tuple(notices), tuple(tags), assembly.secrets(), assembly.outside()
    )


def ordered(problems: list[FileError], paths: Sequence[Path]) -> tuple[FileError, ...]:
    """Errors by file as given, then by place."""
    order = {str(path): number for number, path in enumerate(paths)}
    return tuple(
        sorted(problems, key=lambda error: (order.get(error.file, len(order)), error.line or 0, error.column or 0))
    )


def check_tags(stacks: tuple[StackSpec, ...], wanted: Sequence[str]) -> None:
    """A tag that no service has is a slip of the pen, and would change nothing without a word."""
    known = {tag for stack in stacks for service in stack.services for tag in service.tags}
    unknown = [tag for tag in wanted if tag not in known and tag not in tagging.SPECIAL]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"tags there are: {', '.join(sorted(known)) or 'none'}"
        raise UsageError(f"--tags {','.join(unknown)}: no service in these files has this tag", hint=hint)


def inside(path: Path, project: Path) -> str:
    """The file's name relative to the project, symbolic links followed."""
    try:
        return path.resolve().relative_to(project.resolve()).as_posix()
    except ValueError:
        raise FileError(
            "is outside the project", file=str(path), hint=f"the project is {project}; files of a stack live in it"
        ) from None
    except (OSError, RuntimeError) as error:
        raise FileError(f"can't be followed: {error}", file=str(path)) from error


def _plays(path: Path, reading: Reading, inventory: Inventory, extra_vars: Mapping[str, Any], keys: Keys) -> list[Play]:
    document = _document(path, keys)
    reading.marks = document.marks
    if isinstance(document.data, dict) and "services" in document.data:
        raise document.marks.error(
            (),
            "is a Compose file; a playbook is a list of plays",
            hint="put its keys into a play: '- hosts: PATTERN', '  stack: NAME', and the rest beneath",
        )
    if not document.data:
        raise document.marks.error((), "holds no play", hint="a playbook is a list of mappings with hosts: and stack:")
    found = []
    for value in reading.root(document.data).items("a list of plays"):
        with reading.collect():
            play = plays.read(value, inventory, extra_vars, keys)
            if play is not None:
                found.append(play)
    return found


def _document(path: Path, keys: Keys) -> Document:
    shown = str(path)
    try:
        if not path.is_file():
            raise FileError("is no regular file" if path.exists() else "there is no such file", file=shown)
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=shown) from error
    return load_one(keys.plain(text, shown), shown, "1.2", ansible_tags(keys), _variables)


def _variables(path: Place) -> bool:
    """A play's variables are Ansible's, and so YAML 1.1."""
    return len(path) == 2 and path[1] == "vars"
