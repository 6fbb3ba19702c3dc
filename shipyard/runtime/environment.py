"""A container's environment on the runtime's command line, with the values kept out of it.

`-e NAME` makes the client take the value from its own environment, which only root and the same user can read, while
any user can read an argument list. It also is exact: newlines, `=`, quotes and empty values arrive as they are, which
`--env-file` can't do. Names that the client itself, or the shell that starts it, would listen to are written out.
"""

from __future__ import annotations

import re

from shipyard.base.shell import IDENTIFIER
from shipyard.model.container import Pairs

_HEARD_BY_THE_CLIENT = re.compile(
    r"""
      PATH | HOME | USER | LOGNAME | SHELL | PWD | OLDPWD | TERM | TZ | ZONEINFO | TMPDIR | HOSTNAME
    | LANG | LANGUAGE | LC_\w+ | LOCPATH | NLSPATH | NO_COLOR
    | GO\w* | GLIBC_TUNABLES | MALLOC_\w+ | GCONV_PATH | LD_\w+ | RES_OPTIONS | LOCALDOMAIN | HOSTALIASES
    | SSL_CERT_\w+ | SSH_\w+ | NOTIFY_SOCKET | LISTEN_\w+ | DBUS_\w+ | XDG_\w+ | SUDO_\w+ | KRB5\w+
    | DOCKER_\w+ | BUILDKIT_\w+ | COMPOSE_\w+ | CONTAINER\w* | _CONTAINERS_\w+ | PODMAN_\w+ | BUILDAH_\w+ | CNI_\w+
    | NETAVARK_\w+ | CONMON_\w+ | STORAGE_\w+ | REGISTRY_\w+ | REGISTRIES_\w+ | DISABLE_HC_SYSTEMD | NERDCTL_\w+
    | CNI\w* | IPFS_\w+ | RUNC_\w+ | CRUN_\w+
    """,
    re.VERBOSE,
)
"""A proxy is not among them, since its value often holds a password: the clients talk to a socket or to no one."""

_HEARD_BY_THE_SHELL = re.compile(
    r"""
      _ | IFS | ENV | CDPATH | PS[0-9] | PPID | E?UID | GROUPS | OPT(?:IND|ARG|ERR) | LINENO | S?RANDOM
    | SECONDS | EPOCH\w+ | SHLVL | SHELLOPTS | FUNCNAME | DIRSTACK | FUNCTIONS_\w+ | BASH\w* | POSIXLY_CORRECT | HIST\w*
    | KSH_\w+ | FPATH | MAIL\w* | COLUMNS | LINES | COMP_\w+ | COMPREPLY | READLINE_\w+ | REPLY | PIPESTATUS
    | TIMEFORMAT | sy_\w*
    """,
    re.VERBOSE,
)


def options(environment: Pairs) -> tuple[tuple[str, ...], Pairs]:
    """The options for the client, and what must be in its own environment."""
    argv: list[str] = []
    own: list[tuple[str, str]] = []
    for name, value in environment:
        if _quiet(name):
            argv.append(f"--env={name}")
            own.append((name, value))
        else:
            argv.append(f"--env={name}={value}")
    return tuple(argv), tuple(own)


def _quiet(name: str) -> bool:
    return bool(
        IDENTIFIER.fullmatch(name)
        and not _HEARD_BY_THE_CLIENT.fullmatch(name)
        and not _HEARD_BY_THE_SHELL.fullmatch(name)
    )
