"""Images from a registry that asks who is there: a real one, and real runtimes that pull from it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

HOST = "127.0.0.1:5000"
REPOSITORY = f"{HOST}/team/app"
USER, PASSWORD = "deployer", "correct-horse-battery"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "{host}"}}
auth: {{htpasswd: {{realm: lab, path: {folder}/users}}}}
"""
APP = """
- hosts: lab
  stack: shop
  services:
    web:
      image: 127.0.0.1:5000/team/app:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      deploy: {replicas: 3, placement: {max_replicas_per_node: 1}}
"""
# Podman asks for TLS everywhere; docker does not on a loopback address.
PLAIN = f'[[registry]]\nlocation = "{HOST}"\ninsecure = true\n'
PLAIN_FILE = "/etc/containers/registries.conf.d/test.conf"
FORGET = f"""
rm -f {PLAIN_FILE}
found=$($0 images --format '{{{{.ID}}}} {{{{.Repository}}}}' | sed -n 's! {REPOSITORY}$!!p')
for image in $found; do
  $0 images --digests --format '{{{{.Repository}}}}:{{{{.Tag}}}}@{{{{.Digest}}}}' | grep '^{REPOSITORY}:' |
    while read -r name; do
      $0 rmi "${{name%@*}}" || $0 rmi "{REPOSITORY}@${{name#*@}}"
    done
done >/dev/null 2>&1
"""


@pytest.fixture
def digest(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image in a registry that each node sees on its own loopback address: one of its processes a node."""
    assert shutil.which("docker-registry"), "docker-registry is not installed: scripts/bootstrap does it"
    folder = tmp_path_factory.mktemp("registry")
    (folder / "users").write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    config = folder / "config.yml"
    config.write_text(CONFIG.format(folder=folder, host=HOST))
    with ExitStack() as running:
        for node in fleet.names:
            _serve(fleet, node, config, running)
            running.callback(fleet.lab.run, node, ["sh", "-c", FORGET, fleet.runtime(node)])
            if fleet.runtime(node) == "podman":
                script = f"mkdir -p {Path(PLAIN_FILE).parent} && printf %s '{PLAIN}' >{PLAIN_FILE}"
                fleet.run(node, "sh", "-c", script)
        yield _push(fleet, next(node for node in fleet.names if fleet.runtime(node) == "podman"))


def _serve(fleet: Fleet, node: str, config: Path, running: ExitStack) -> None:
    """Begin, and end with the test, however that ends."""
    pid = fleet.lab.node(node).pid()
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    log = config.parent / f"{node}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *inside, "docker-registry", "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    running.callback(process.wait)
    running.callback(process.terminate)
    deadline = time.monotonic() + 30
    port = f":{int(HOST.rpartition(':')[2]):04X} "
    while not any(port in line and " 0A " in line for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _push(fleet: Fleet, node: str) -> str:
    """An image that no node has; returns the digest that the registry has it by."""
    push = f"podman push -q --authfile /dev/stdin --digestfile /run/digest {REPOSITORY}:1 && cat /run/digest"
    made = fleet.run(node, "podman", "create", "shipyard.test/busybox:1").strip()
    fleet.run(node, "podman", "commit", "-q", "--change", "LABEL made=by-this-test", made, f"{REPOSITORY}:1")
    done = fleet.lab.run(node, ["sh", "-c", push], input=_logins().encode())
    assert done.returncode == 0, done.stderr.decode()
    fleet.run(node, "podman", "rm", made)
    fleet.run(node, "podman", "rmi", f"{REPOSITORY}:1")
    return done.stdout.decode().split()[-1]


def _logins() -> str:
    return json.dumps({"auths": {HOST: {"auth": AUTH}}})


def test_an_image_is_pulled_by_whoever_logged_in_here(fleet: Fleet, digest: str) -> None:
    fleet.write("shop.yml", APP)
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "8").expect(2)
    assert "ImagePullFailed" in ran.stdout + ran.stderr
    assert "unauthorized" in ran.stdout + ran.stderr or "no basic auth" in ran.stdout + ran.stderr
    assert ids(fleet) == {}

    fleet.write(".docker/config.json", _logins())
    said = [fleet.shipyard("apply", "-vv", "shop.yml", "--timeout", "30").expect(0)]
    made = ids(fleet)
    assert {replica["node"] for replica in replicas(fleet).values()} == set(fleet.names)
    for replica in replicas(fleet).values():
        config = fleet.inspect(replica["node"], replica["container"])["Config"]
        assert config["Image"] == f"{REPOSITORY}@{digest}"
    again = fleet.shipyard("apply", "shop.yml").expect(0)
    assert "Nothing to do" in again.stdout + again.stderr
    assert ids(fleet) == made

    said += [fleet.shipyard(*words) for words in (["events"], ["history", "shop"], ["status", "-o", "json"])]
    everything = "".join(ran.stdout + ran.stderr for ran in said)
    stored = b"".join(path.read_bytes() for path in fleet.project.rglob("*.db*"))
    assert stored
    for secret in (PASSWORD, AUTH):
        assert secret not in everything
        assert secret.encode() not in stored
        for node in fleet.names:
            places = "/root /home /run /tmp /var/lib/shipyard /etc"
            found = fleet.run(node, "sh", "-c", f"grep -rlsF -e {secret} --devices=skip {places} || :")
            assert found == "", node
    for node in fleet.names:
        assert "shipyard." not in fleet.run(node, "ls", "/run")
