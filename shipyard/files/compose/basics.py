"""What a service runs: its image, commands, variables, and how it starts and stops."""

from __future__ import annotations

import re

from shipyard.files.compose import environment
from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import (
    anything,
    boolean,
    command,
    duration,
    label_pairs,
    pattern,
    scalars,
    text,
    text_pairs,
    texts,
    word,
)
from shipyard.files.compose.value import Value
from shipyard.model.spec import Dependency

_IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,128})?"
)


def image(value: Value) -> str:
    """A reference as the runtimes take it, or an image's id."""
    said = value.text("an image, such as nginx:1.27", empty=False)
    if _IMAGE.fullmatch(said) is None and not re.fullmatch(r"sha256:[0-9a-f]{64}", said):
        hint = "a playbook's variables are written {{ NAME }}" if "$" in said else None
        if said.lower() != said and _IMAGE.fullmatch(said.lower()):
            hint = "names of images are in lower case"
        raise value.expected("an image, such as nginx:1.27 or registry.example:5000/team/app:v2", hint=hint)
    return said


def depends_on(value: Value) -> tuple[Dependency, ...]:
    """Services of the stack, sorted by name; a list asks of each that it was started."""
    if isinstance(value.data, list):
        return tuple(Dependency(name) for name in sorted(texts(value)))
    entries = value.mapping("a list or a mapping of services")
    return tuple(Dependency(name, **DEPENDENCY.read(entry)) for name, entry in sorted(entries))


def _pull_policy(value: Value) -> str:
    said = value.text("one of always, never, missing")
    if said == "build":
        raise value.error("images are not built here", hint="build and push the image, then name it under image:")
    if said in ("daily", "weekly", "refresh") or said.startswith("every_"):
        raise value.error(f"{said} is not carried out yet; known are always, never and missing")
    return str(word("always", "never", "missing", if_not_present="missing")(value))


DEPENDENCY = Table(
    "a dependency",
    Key(
        "condition",
        "`service_started`, `service_healthy`, `service_completed_successfully`",
        "What to wait for, before the first start and before an update. What must have completed is not restarted "
        "unless it says so, and runs again when it changes.",
        word("service_started", "service_healthy", "service_completed_successfully"),
        "`service_started`",
    ),
    Key("required", "boolean", "Whether to wait for what is not declared, or has failed.", boolean, "`true`"),
    Key("restart", "boolean", "Whether an update of it restarts this service, too.", boolean, "`false`"),
)
KEYS = (
    Key("image", "text", "The image. Required.", image),
    Key(
        "command",
        "text or list",
        "Instead of the image's command. A text is split into words; no shell runs it.",
        command,
        "the image's",
    ),
    Key("entrypoint", "text or list", "Instead of the image's entrypoint; empty for none.", command, "the image's"),
    Key(
        "environment",
        "mapping or list",
        "Variables. A name without a value takes it from shipyard's own environment.",
        environment.environment,
    ),
    Key(
        "env_file",
        "path, list",
        "Files of variables: paths, or mappings of `path`, `required`, `format: raw`.",
        environment.env_files,
    ),
    Key("labels", "mapping or list", "Labels of the container.", label_pairs),
    Key("annotations", "mapping or list", "Annotations of the container.", text_pairs),
    Key("user", "text", "User, or `user:group`.", text, "the image's"),
    Key("group_add", "list", "More groups.", scalars),
    Key("working_dir", "path", "Working directory.", text, "the image's"),
    Key("init", "boolean", "An init process that reaps children.", boolean, "the runtime's"),
    Key("tty", "boolean", "A terminal.", boolean, "`false`"),
    Key("stdin_open", "boolean", "Keep standard input open.", boolean, "`false`"),
    Key(
        "stop_signal",
        "text",
        "The signal that asks it to stop.",
        pattern(r"(SIG)?[A-Z0-9+-]{1,12}", "a signal, such as SIGTERM"),
        "the image's, or `SIGTERM`",
    ),
    Key("stop_grace_period", "duration", "Time to stop in before it is killed.", duration, "`10s`"),
    Key("depends_on", "list or mapping", "Services that come first.", depends_on),
    Key(
        "platform",
        "text",
        "`linux/amd64` and the like.",
        pattern(r"[a-z0-9]+(/[a-z0-9_]+(/[a-z0-9]+)?)?", "a platform, such as linux/amd64"),
        "the node's",
    ),
    Key(
        "pull_policy",
        "`missing`, `always`, `never`",
        "When to pull; `latest` is always pulled.",
        _pull_policy,
        "`missing`",
    ),
    Key("runtime", "text", "OCI runtime.", text, "the runtime's"),
    Key("attach", "boolean", "Accepted, and of no effect.", anything),
)
