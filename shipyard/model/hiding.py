"""Which variables of a container hold secrets: what a revision is encrypted for, and what a diff does not show.

Told by name and value where nothing else tells it; never part of a spec's hash, so that what counts as a secret can
change without any container being another.
"""

from __future__ import annotations

import re

from shipyard.model.container import ContainerSpec
from shipyard.model.spec import StackSpec

_NAME = re.compile(
    r"(?<!BY)(?<!COM)PASS(?![A-Z])|PASSW|PASSPHRASE|_PWD$|SECRET|TOKEN(?![A-Z])|CREDENTIAL"
    r"|(PRIVATE|API|ACCESS|AUTH|ENCRYPTION|SIGNING|MASTER)[_.-]?KEY(?![A-Z])|_AUTH$"
)
_ABOUT = re.compile(
    r"[_.-](FILE|FILENAME|PATH|DIR|EXPIRY|EXPIRES|EXPIRATION|EXPIRE|EXPIRES_IN|TTL|LIFETIME|MINUTES|SECONDS|HOURS|DAYS|TIMEOUT"
    r"|LENGTH|NAME|HEADER|ALGORITHM|TYPE|ENABLED|POLICY|COUNT|LIMIT|REQUIRED|PREFIX|ISSUER|AUDIENCE)$"
)
"""Names that end so tell something about a secret, and not what it is."""
_SWITCH = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})
_MOUNTED = "/run/secrets/"
_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@]*:[^/?#\s@]+@")


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable is called like a secret and has a value, or its value is a URL with a password in it."""
    if _IN_URL.search(value):
        return True
    told = name.upper()
    if _NAME.search(told) is None or _ABOUT.search(told) is not None:
        return False
    return value.strip().lower() not in _SWITCH and not value.startswith(_MOUNTED)


def hidden(spec: ContainerSpec) -> tuple[str, ...]:
    """The names of this one container's variables that hold secrets, as they stand there."""
    return tuple(
        name for name, value in spec.environment if (value and name in spec.hidden) or looks_secret(name, value)
    )


def holds_secrets(spec: StackSpec) -> bool:
    """Whether any container of the stack has such a variable, on any node."""
    return any(hidden(container) for service in spec.services for container in service.containers())
