"""Top-level `secrets`: where the content of each comes from. What it is, is said in no error and no notice."""

from __future__ import annotations

from shipyard.base.secret import SecretBytes
from shipyard.files.compose import nearby
from shipyard.files.compose.declared import DeclaredSecret
from shipyard.files.compose.keys import OWN, Key, Table, refused
from shipyard.files.compose.resources import external, stored_name
from shipyard.files.compose.scalars import duration, label_pairs, text
from shipyard.files.compose.value import Value

SOURCES = ("file", "content", "environment", "command", "external")
TIMEOUT = 60.0


def _hidden(value: Value) -> str:
    """A text, of which an error says nothing."""
    if not isinstance(value.data, str):
        raise value.error("expected a text, found something else (it is not shown)", hint="quote it")
    return value.checked(value.data, empty=True)


def _argv(value: Value) -> tuple[str, ...]:
    argv = tuple(item.text("a text", empty=True) for item in value.items("a list: a program and its arguments"))
    if not argv or not argv[0]:
        raise value.error("names no program")
    return argv


SHIPYARD = Table(
    "x-shipyard of a secret",
    Key(
        "command",
        "list",
        "A program and its arguments, run without a shell by `plan` and `apply` on the control machine: what it prints,"
        " less one line break at the end, is the content.",
        _argv,
    ),
    Key("timeout", "duration", "How long the program may take.", duration, "`60s`"),
)
SECRET = Table(
    "a secret",
    Key("name", "text", "What an external one was called when it was set.", text, "its key"),
    Key("file", "path", "Its content, from a file of the project.", text),
    Key("content", "text", "Its content; a template that takes it from somewhere else.", _hidden),
    Key("environment", "name", "Its content, from a variable of shipyard's own environment.", text),
    Key("external", "boolean", "It was stored by `shipyard secret set`.", external, "`false`"),
    Key("labels", "mapping or list", "Accepted, and of no effect.", label_pairs),
    Key(OWN, "mapping", "What Compose has no word for: `command`, `timeout`.", SHIPYARD.read),
    refused("driver", "is Swarm's", "x-shipyard.command asks a password manager"),
    refused("driver_opts", "is Swarm's", "x-shipyard.command asks a password manager"),
    refused("template_driver", "is not known", "content is a Jinja template already"),
)


def secret(value: Value, stack: str, key: str) -> DeclaredSecret | None:
    """None where its content could not be read, which is noted."""
    if value.data is None:
        raise value.error("has no content", hint="give it file:, environment: or external: true")
    before = len(value.reading.problems)
    got = SECRET.read(value)
    if len(value.reading.problems) > before:
        return None
    own = got.get(OWN, {})
    outside = got.get("external") or {"external": False}
    said = {**got, "command": own.get("command"), "external": outside["external"] or None}
    sources = [source for source in SOURCES if said.get(source) is not None]
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        raise value.error(f"takes exactly one of file, content, environment, command and external, found {found}")
    mark = value.error("")
    match sources[0]:
        case "external":
            return DeclaredSecret(stored_name(value, {**got, **outside}, key, "secret"), key, external=True, mark=mark)
        case "command":
            if value.reading.untrusted:
                raise value.error("runs a program, which files applied with --untrusted may not")
            timeout = own.get("timeout", TIMEOUT)
            return DeclaredSecret(f"{stack}/{key}", key, command=own["command"], timeout=timeout, mark=mark)
        case source:
            content = nearby.content(value.child(source, None), source, said[source], nearby.MAX_SECRET)
            return DeclaredSecret(f"{stack}/{key}", key, content=SecretBytes(content), mark=mark)
