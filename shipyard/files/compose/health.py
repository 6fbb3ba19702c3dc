"""`healthcheck`, `logging`, `restart`: how a container is watched and what becomes of it when it ends."""

from __future__ import annotations

import re
from typing import Any

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import boolean, duration, options, text, whole
from shipyard.files.compose.value import Value
from shipyard.model.container import Healthcheck, Logging, RestartPolicy

NO_CHECK = ("NONE",)
_RESTART = re.compile(r"(no|always|unless-stopped|on-failure)(?::([0-9]{1,9}))?")


def _test(value: Value) -> tuple[str, ...]:
    if isinstance(value.data, str):
        said = value.text(empty=False)
        if said == "NONE":
            raise value.error("would run a command called NONE", hint='write ["NONE"], or disable: true')
        return ("CMD-SHELL", said)
    words = tuple(item.text(empty=True) for item in value.items("a text, or a list that begins with CMD"))
    if not words:
        return ()
    if words[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise value.error(f'begins with "{words[0]}"; the first word must be CMD, CMD-SHELL or NONE')
    if words[0] == "CMD" and len(words) < 2:
        raise value.error("has no command after CMD")
    if words[0] == "CMD-SHELL" and len(words) != 2:
        raise value.error("takes one text after CMD-SHELL")
    return NO_CHECK if words[0] == "NONE" else words


def _interval(value: Value) -> float | None:
    seconds = duration(value)
    if 0 < seconds < 0.001:
        raise value.error("must be at least 1ms")
    return seconds or None


HEALTHCHECK = Table(
    "a healthcheck",
    Key(
        "test",
        "text or list",
        'A shell command, or `["CMD", …]`, `["CMD-SHELL", text]`, `["NONE"]`.',
        _test,
        "the image's",
    ),
    Key("interval", "duration", "Time between checks.", _interval, "`30s`"),
    Key("timeout", "duration", "How long a check may take.", _interval, "`30s`"),
    Key("retries", "number", "Failures in a row that make it unhealthy.", whole(0, 1_000_000), "`3`"),
    Key("start_period", "duration", "Time to start in, when failures don't count.", _interval, "`0s`"),
    Key(
        "start_interval",
        "duration",
        "Time between checks while it starts; podman and nerdctl have no option for it.",
        _interval,
        "`5s`",
    ),
    Key("disable", "boolean", "No check, not the image's either.", boolean, "`false`"),
)


def healthcheck(value: Value) -> Healthcheck:
    got = HEALTHCHECK.read(value)
    if got.pop("disable", False):
        if got.get("test", NO_CHECK) not in ((), NO_CHECK):
            raise value.error("is disabled, but has a test")
        return Healthcheck(NO_CHECK)
    if got.get("retries") == 0:
        del got["retries"]
    return Healthcheck(**got)


def _log_options(value: Value) -> Any:
    return options(value)


LOGGING = Table(
    "logging",
    Key("driver", "text", "The runtime's log driver.", text, "the runtime's"),
    Key("options", "mapping", "Its options.", _log_options, "rotation at a bounded size"),
)


def logging(value: Value) -> Logging:
    return Logging(**LOGGING.read(value))


def restart(value: Value) -> RestartPolicy:
    """`no`, `always`, `unless-stopped`, `on-failure[:N]`; with N 0 as often as need be, as docker has it."""
    if value.data is False:
        raise value.expected('one of "no", always, on-failure[:N], unless-stopped', hint='write "no"')
    said = value.text("one of no, always, on-failure[:N], unless-stopped")
    match = _RESTART.fullmatch(said)
    if match is None or (match[2] and match[1] != "on-failure"):
        raise value.expected("one of no, always, on-failure[:N], unless-stopped")
    match match[1]:
        case "no":
            return RestartPolicy("none")
        case "always":
            return RestartPolicy("any")
        case "unless-stopped":
            return RestartPolicy("unless-stopped")
        case _:
            return RestartPolicy("on-failure", max_attempts=int(match[2] or 0) or None)


KEYS = (
    Key("healthcheck", "mapping", "How the runtime watches it.", healthcheck, "the image's"),
    Key(
        "restart",
        "`no`, `always`, `unless-stopped`, `on-failure[:N]`",
        "When the runtime restarts it.",
        restart,
        "`always`",
    ),
    Key("logging", "mapping", "`driver`, `options`.", logging, "rotated"),
)
