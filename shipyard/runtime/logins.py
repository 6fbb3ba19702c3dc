"""Registry credentials for one command on a node: a file that only its user can read, which is gone when it has ended.

The runtimes' own `login` would keep them in the node's home directory, for whoever comes next. The file is made from
a here-document of the script, which travels over stdin, so that no argv and no environment holds a secret.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from shipyard.model.image import HUB, RegistryAuth

FUNCTIONS = r"""
sy_login() {
  command -v base64 >/dev/null 2>&1 || { echo 'base64 is not installed on this node' >&2; return 1; }
  rm -rf "$sy_place/login" && (umask 077 && mkdir "$sy_place/login" && base64 -d >"$sy_place/login/config.json")
}
sy_logout() { rm -rf "$sy_place/login"; }
"""
"""`sy_login` keeps what it reads; `sy_logout` removes it. `$sy_place` is the script's own directory."""

_FOLDER = '"$sy_place/login"'
_FILE = '"$sy_place/login/config.json"'


@dataclass(frozen=True, slots=True)
class Login:
    """`variable`: what tells the client where to look, and `place`, quoted for the shell: where that is."""

    content: bytes = field(repr=False)
    variable: str
    place: str

    def begin(self) -> str:
        """Shell text. Base64 has no `_`, so nothing in it ends the here-document early."""
        return f"sy_login <<'_END_'\n{base64.encodebytes(self.content).decode()}_END_"

    def export(self) -> str:
        """Shell text for the process that is to use it."""
        return f"export {self.variable}={self.place}; "


def docker(auth: RegistryAuth) -> Login:
    """Docker and nerdctl read `config.json` in a directory, and call Docker Hub by its old address."""
    key = "https://index.docker.io/v1/" if auth.registry == HUB else auth.registry
    return Login(_config(key, auth), "DOCKER_CONFIG", _FOLDER)


def podman(auth: RegistryAuth) -> Login:
    """Podman is told the file itself."""
    return Login(_config(auth.registry, auth), "REGISTRY_AUTH_FILE", _FILE)


def _config(key: str, auth: RegistryAuth) -> bytes:
    entry = {"auth": base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()}
    if auth.identity_token:
        entry["identitytoken"] = auth.identity_token
    return json.dumps({"auths": {key: entry}}).encode()
