"""A pass over hundreds of real SSH connections: one sshd that answers on as many loopback addresses.

Only the runtime behind it is a FAKE (`fake/docker`). Runs in network and mount namespaces of its own, entered by
`measure`: nothing outside can reach that sshd, and the user it serves is in no other /etc/passwd.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from bench.ground import PROGRAM, playbook
from bench.process import Cost, measured, together
from bench.sample import Row, figure
from shipyard.lab.command import run

PORT = 2222
USER = "nobody"
STATUS = "docker ps -aq | xargs docker inspect"
HERE = Path(__file__).parent


def measure(hosts: int, repeat: int) -> list[Row]:
    """Rows of the table. As root."""
    inside = [sys.executable, "-m", "bench.many", str(hosts), str(repeat)]
    done = subprocess.run(["unshare", "--net", "--mount", *inside], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    costs = json.loads(done.stdout)
    passes, plain, first, alone = ([Cost(**each) for each in costs[name]] for name in ("pass", "ssh", "apply", "alone"))
    beside = f"{hosts} `ssh` at once"
    middle = statistics.median(cost.wall for cost in plain)
    what = f"no-op `reconcile --once` over {hosts} connections"
    start = statistics.median(cost.cpu for cost in alone)
    return [
        Row(f"{what}: peak memory", tuple(cost.peak / 1e6 for cost in passes), "MB", target=250),
        Row(
            f"{what}: client CPU per connection, beyond a pass over one ({figure(start)} s)",
            tuple((cost.cpu - start) / (hosts - 1) * 1000 for cost in passes),
            "ms",
            target=14,
        ),
        Row(what, tuple(cost.wall for cost in passes), reference=(beside, middle)),
        Row(f"{what}: client CPU", tuple(cost.cpu for cost in passes)),
        Row(beside, tuple(cost.wall for cost in plain)),
        Row(f"{beside}: CPU", tuple(cost.cpu for cost in plain)),
        Row(f"first deploy of {5 * hosts} fake containers: peak memory", (first[0].peak / 1e6,), "MB"),
    ]


def addresses(hosts: int) -> list[str]:
    return [f"127.0.{1 + number // 200}.{1 + number % 200}" for number in range(hosts)]


def inside(hosts: int, repeat: int) -> dict[str, Any]:
    """In the namespaces: the costs of every run, by what was run."""
    with tempfile.TemporaryDirectory(prefix="shipyard-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the user behind the addresses reads in it
        _prepare(folder)
        with _sshd(folder):
            *fleet, single = addresses(hosts + 1)
            many, one = _project(folder, "many", fleet), _project(folder, "one", [single])
            found = {"apply": [_shipyard(many, "apply", "site.yml")], "pass": [], "ssh": [], "alone": []}
            _shipyard(one, "apply", "site.yml")
            ssh = [[*_ssh(folder), f"{USER}@{address}", STATUS] for address in fleet]
            for _ in range(repeat):
                found["pass"].append(_shipyard(many, "reconcile", "--once"))
                found["ssh"].append(together(ssh, cwd=folder, env=_env(folder)))
                found["alone"].append(_shipyard(one, "reconcile", "--once"))
    return {what: [asdict(cost) for cost in costs] for what, costs in found.items()}


def _shipyard(project: Path, *args: str) -> Cost:
    return measured([PROGRAM, "-i", "hosts.yml", *args], cwd=project, env=_env(project))


def _env(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}


def _prepare(folder: Path) -> None:
    """Loopback up, keys, the fakes, and a passwd in which the user has the fake login shell."""
    run(["ip", "link", "set", "lo", "up"], doing="setting loopback up")
    for key in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], doing="making keys")
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "bin").mkdir()
    shutil.copy(HERE / "fake" / "docker", folder / "bin")
    shutil.copy(HERE / "fake" / "login", folder)
    (folder / "nodes").mkdir()
    (folder / "nodes").chmod(0o777)
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith(f"{USER}:")]
    user = f"{USER}:x:65534:65534::{folder / 'nodes'}:{folder / 'login'}"
    (folder / "passwd").write_text("\n".join([*others, user]) + "\n")
    run(["mount", "--bind", str(folder / "passwd"), "/etc/passwd"], doing="mounting the passwd")


@contextmanager
def _sshd(folder: Path) -> Iterator[None]:
    config = [
        f"Port {PORT}",
        "ListenAddress 0.0.0.0",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        f"SetEnv FAKE={folder}",
        f"AllowUsers {USER}",
        "MaxStartups 2000",
        *("StrictModes no", "UsePAM no", "PasswordAuthentication no", "PidFile none", "LogLevel ERROR"),
    ]
    (folder / "sshd_config").write_text("".join(f"{line}\n" for line in config))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    daemon = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], stdin=subprocess.DEVNULL
    )
    try:
        while f"{PORT:04X} " not in Path("/proc/net/tcp").read_text():
            if daemon.poll() is not None:
                raise RuntimeError("sshd did not start")
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        daemon.wait()


def _project(folder: Path, name: str, hosts: list[str]) -> Path:
    """A project of its own over these addresses."""
    place = folder / name
    place.mkdir()
    key_type, key = (folder / "host.pub").read_text().split()[:2]
    with (folder / "known").open("a") as known:
        known.writelines(f"[{address}]:{PORT} {key_type} {key}\n" for address in hosts)
    inventory = {
        "lab": {
            "hosts": {f"node{number}": {"ansible_host": address} for number, address in enumerate(hosts, 1)},
            "vars": {
                "ansible_user": USER,
                "ansible_port": PORT,
                "ansible_ssh_private_key_file": str(folder / "user"),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder / 'known'}",
                "shipyard_runtime": "docker",
            },
        }
    }
    (place / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    (place / "site.yml").write_text(playbook(len(hosts)))
    return place


def _ssh(folder: Path) -> list[str]:
    return [
        *("ssh", "-F", "/dev/null", "-i", str(folder / "user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "KexAlgorithms=curve25519-sha256", "-p", str(PORT)),
    ]


if __name__ == "__main__":
    try:
        print(json.dumps(inside(int(sys.argv[1]), int(sys.argv[2]))))
    except RuntimeError as error:
        sys.exit(str(error))
