"""What `docker login` and `podman login` left on this machine, and the programs that keep passwords for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError
from shipyard.files import registryhelper
from shipyard.files.registries import Credentials
from shipyard.model.image import RegistryAuth

HELPER = """#!/bin/sh
[ "$1" = get ] || exit 9
read -r server || [ -n "$server" ]
echo "$server" >>"$HOME/asked"
case $server in
  token.example) printf '{"ServerURL":"%s","Username":"<token>","Secret":"t0ken"}' "$server" ;;
  none.example) echo 'credentials not found in native keychain'; exit 1 ;;
  locked.example) echo 'the keychain is locked' >&2; exit 1 ;;
  odd.example) echo '{"Username":"s3cret"}' ;;
  *) printf '{"ServerURL":"%s","Username":"kept","Secret":"s3cret"}' "$server" ;;
esac
"""


def encoded(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


class Home:
    """A home directory, and the environment of its user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {"HOME": str(path), "PATH": f"{path}/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR": str(path / "run")}

    def write(self, name: str, content: object) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def docker(self, **content: object) -> Path:
        return self.write(".docker/config.json", content)

    def helper(self, name: str = "test") -> None:
        self.write(f"bin/docker-credential-{name}", HELPER).chmod(0o755)

    def asked(self) -> list[str]:
        file = self.path / "asked"
        return file.read_text().split() if file.exists() else []

    def auth_for(self, image: str) -> RegistryAuth | None:
        return Credentials(self.environ).auth_for(image)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_nobody_logged_in_is_no_error(home: Home) -> None:
    assert home.auth_for("registry.example/app:1") is None
    assert Credentials({}).auth_for("registry.example/app:1") is None


def test_a_login_is_for_its_registry_only(home: Home) -> None:
    home.docker(auths={"registry.example:5000": encoded("me", "p:w")})
    assert home.auth_for("registry.example:5000/team/app:1@sha256:ab") == RegistryAuth(
        "registry.example:5000", "me", "p:w"
    )
    for other in ("registry.example/app", "registry.example:5001/app", "app", "sha256:abcd"):
        assert home.auth_for(other) is None, other


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
@pytest.mark.parametrize("image", ["redis", "redis:7", "team/app", "docker.io/library/redis", "index.docker.io/a/b"])
def test_docker_hub_has_many_names(home: Home, key: str, image: str) -> None:
    home.docker(auths={key: encoded("me", "pw")})
    assert home.auth_for(image) == RegistryAuth("docker.io", "me", "pw")


@pytest.mark.parametrize("key", ["registry.example", "https://registry.example", "http://registry.example/v2/"])
def test_keys_of_older_clients(home: Home, key: str) -> None:
    home.docker(auths={key: encoded("me", "pw")})
    assert home.auth_for("registry.example/app") == RegistryAuth("registry.example", "me", "pw")


def test_plain_user_and_password_and_identity_token(home: Home) -> None:
    home.docker(
        auths={
            "plain.example": {"username": "me", "password": "pw"},
            "token.example": {**encoded("me", ""), "identitytoken": "t0ken"},
            "bare.example": {"identitytoken": "t0ken"},
            "empty.example": {},
        }
    )
    assert home.auth_for("plain.example/a") == RegistryAuth("plain.example", "me", "pw")
    assert home.auth_for("token.example/a") == RegistryAuth("token.example", "me", "", "t0ken")
    assert home.auth_for("bare.example/a") == RegistryAuth("bare.example", "<token>", "", "t0ken")
    assert home.auth_for("empty.example/a") is None


def test_the_longest_key_wins_over_all_files(home: Home) -> None:
    home.docker(auths={"quay.example": encoded("docker", "1")})
    home.write("run/containers/auth.json", {"auths": {"quay.example/team": encoded("team", "2")}})
    home.write(
        ".config/containers/auth.json",
        {"auths": {"quay.example/team/app": encoded("app", "3"), "quay.example": encoded("later", "4")}},
    )
    found = {
        name: auth.username
        for name in ("quay.example/x", "quay.example/team/x", "quay.example/team/app/y", "quay.example/teams/x")
        if (auth := home.auth_for(name)) is not None
    }
    assert list(found.values()) == ["docker", "team", "app", "docker"]


def test_variables_name_the_files(home: Home) -> None:
    home.docker(auths={"a.example": encoded("home", "1")})
    home.write("run/containers/auth.json", {"auths": {"b.example": encoded("run", "1")}})
    home.write("elsewhere/config.json", {"auths": {"a.example": encoded("named", "1")}})
    named = home.write("named.json", {"auths": {"c.example": encoded("file", "1")}})
    home.environ |= {"DOCKER_CONFIG": str(home.path / "elsewhere"), "REGISTRY_AUTH_FILE": str(named)}
    credentials = Credentials(home.environ)
    users = [
        auth and auth.username for auth in map(credentials.auth_for, ("a.example/x", "b.example/x", "c.example/x"))
    ]
    assert users == ["named", None, "file"]
    named.unlink()
    with pytest.raises(ConfigError, match=r"REGISTRY_AUTH_FILE: .*named\.json is not there"):
        home.auth_for("a.example/x")


def test_helpers_are_asked_by_the_registrys_name_and_once(home: Home) -> None:
    home.helper()
    home.docker(credHelpers={"registry.example": "test", "token.example": "test", "docker.io": "test"})
    credentials = Credentials(home.environ)
    for _ in range(2):
        assert credentials.auth_for("registry.example/app") == RegistryAuth("registry.example", "kept", "s3cret")
    assert credentials.auth_for("token.example/a") == RegistryAuth("token.example", "<token>", "", "t0ken")
    assert credentials.auth_for("redis:7") == RegistryAuth("docker.io", "kept", "s3cret")
    assert credentials.auth_for("other.example/a") is None
    assert home.asked() == ["registry.example", "token.example", "https://index.docker.io/v1/"]


def test_a_store_keeps_all_that_has_no_helper_of_its_own(home: Home) -> None:
    home.helper("store")
    home.docker(credsStore="store", auths={"none.example": encoded("written", "pw"), "registry.example": {}})
    assert home.auth_for("registry.example/a/b") == RegistryAuth("registry.example", "kept", "s3cret")
    assert home.auth_for("none.example/a") == RegistryAuth("none.example", "written", "pw")
    assert home.asked() == ["registry.example", "none.example"]


def test_a_store_that_is_missing_matters_where_somebody_logged_in(home: Home) -> None:
    file = home.docker(credsStore="nowhere", auths={"registry.example": {}})
    assert home.auth_for("public.example/a") is None
    with pytest.raises(ConfigError, match=r"docker-credential-nowhere.*is not on PATH") as caught:
        home.auth_for("registry.example/a")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("server", "says"),
    [("locked.example", "the keychain is locked"), ("odd.example", "what is no user name and secret")],
)
def test_a_helper_that_fails_says_why_and_no_secret(home: Home, server: str, says: str) -> None:
    home.helper()
    home.docker(credHelpers={server: "test"})
    with pytest.raises(ConfigError, match=says) as caught:
        home.auth_for(f"{server}/a")
    assert "s3cret" not in str(caught.value)


def test_a_helper_that_hangs_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registryhelper, "TIMEOUT", 0.1)
    home.write("bin/docker-credential-slow", "#!/bin/sh\nexec sleep 60\n").chmod(0o755)
    home.docker(credHelpers={"a.example": "slow"})
    with pytest.raises(ConfigError, match=r"did not answer about a\.example"):
        home.auth_for("a.example/x")


def test_a_helpers_name_is_no_path(home: Home) -> None:
    home.docker(credHelpers={"a.example": "x/../../evil"})
    with pytest.raises(ConfigError, match="can't be the name of a credential helper"):
        home.auth_for("a.example/x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"auths": {"a.example": {"auth": "c2VjcmV0"}', "not JSON"),
        ("[]", "no JSON object"),
        ('{"auths": ["s3cret"]}', "auths is no object"),
        ('{"auths": {"a.example": "s3cret"}}', "auths: a.example is no object"),
        ('{"auths": {"a.example": {"auth": "s3cret!"}}}', "not the base64 of user:password"),
        ('{"auths": {"a.example": {"auth": 5}}}', "auth is no text"),
        ('{"credHelpers": {"a.example": ["x"]}}', "a.example is no text"),
        ('{"credsStore": {}, "credHelpers": 4}', "credHelpers is no object"),
    ],
)
def test_a_file_that_is_wrong_is_named_and_not_quoted(home: Home, text: str, says: str) -> None:
    file = home.write(".docker/config.json", text)
    with pytest.raises(ConfigError) as caught:
        home.auth_for("a.example/x")
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_file_that_is_none_is_an_error(home: Home) -> None:
    (home.path / ".docker/config.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="can't be read"):
        home.auth_for("a.example/x")


def test_secrets_are_not_shown(home: Home) -> None:
    home.docker(auths={"a.example": {**encoded("me", "s3cret"), "identitytoken": "t0ken"}})
    credentials = Credentials({**home.environ, "PASSWORD": "s3cret"})
    auth = credentials.auth_for("a.example/x")
    shown = f"{auth!r} {auth} {credentials!r}"
    assert "me" in shown
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert encoded("me", "s3cret")["auth"] not in shown
