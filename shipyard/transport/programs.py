"""What of a project's own files may run programs when a node is connected to, as it has to be trusted."""

from __future__ import annotations

import shlex
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.transport import names
from shipyard.transport.arguments import WHERE, Arguments
from shipyard.transport.options import SshOptions
from shipyard.transport.sshconfig import SshConfig

_PLAIN: dict[str, str] = {"": "%"}


def named(given: Arguments, options: SshOptions) -> list[tuple[str, ...]]:
    """The programs that these arguments name: each one's words. Raises ConfigError for a file that can't be read."""
    return [words for words in (command(given), config(given, options)) if words]


def command(given: Arguments) -> tuple[str, ...]:
    """ProxyCommand among the arguments themselves; () where it is not."""
    value = next((value for key, value in given.options if key == "proxycommand"), None)
    if value is None:
        return ()
    try:
        return ("ProxyCommand", *shlex.split(value))
    except ValueError:
        return ("ProxyCommand", value)


def config(given: Arguments, options: SshOptions) -> tuple[str, ...]:
    """The file given by -F, with those it includes; () where there is none, or it is the user's or the system's own."""
    if given.config is None or given.config.lower() == "none":
        return ()
    home = options.home
    path = config_path(given.config, home).resolve()
    if any(path.parent.is_relative_to(place.resolve()) for place in (home / ".ssh", options.system_config.parent)):
        return ()
    return (str(path), "as ssh -F", *map(str, SshConfig(path, home / ".ssh", home).files[1:]))


def config_path(said: str, home: Path) -> Path:
    """The file that -F means. Raises ConfigError."""
    try:
        return Path(names.expand(names.tilde(said, home), _PLAIN, variables=True))
    except ValueError as error:
        raise ConfigError(f"{WHERE}: -F: {error}") from None
