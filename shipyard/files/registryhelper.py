"""Credential helpers: the programs `docker-credential-NAME`, which keep registry passwords in a keychain or make them.

They run here, on the control machine, as the user's own `docker pull` would run them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping

from shipyard.base.errors import ConfigError
from shipyard.base.text import last_words

TIMEOUT = 60.0
"""Seconds that a helper has: it may have to ask a cloud, or a person who must unlock a keychain."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NONE_KNOWN = "credentials not found in native keychain"


class MissingError(ConfigError):
    """The helper is not on this machine."""


def get(name: str, server: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """User name and secret for a registry; None where the helper has none. Raises MissingError, ConfigError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} can't be the name of a credential helper")
    program = f"docker-credential-{name}"
    path = shutil.which(program, path=environ.get("PATH", ""))
    if path is None:
        hint = f"install it, or log in to {server} without it on this machine"
        raise MissingError(f"{program}, which keeps the credentials of {server}, is not on PATH", hint=hint)
    try:
        done = subprocess.run(
            [path, "get"],
            input=server.encode(),
            capture_output=True,
            check=False,
            env=dict(environ),
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{program} did not answer about {server} in {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise ConfigError(f"{program} can't be run: {error.strerror}") from None
    if done.returncode != 0:
        said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
        if _NONE_KNOWN in said:
            return None
        raise ConfigError(f"{program} failed for {server}: {last_words(said) or f'exit status {done.returncode}'}")
    return _answer(done.stdout, program, server)


def _answer(said: bytes, program: str, server: str) -> tuple[str, str] | None:
    """Its words are not repeated in an error: they may hold the secret."""
    try:
        found = json.loads(said)
        user, secret = found["Username"], found["Secret"]
    except (ValueError, KeyError, TypeError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise ConfigError(f"{program} said about {server} what is no user name and secret")
    return (user, secret) if user and secret else None
