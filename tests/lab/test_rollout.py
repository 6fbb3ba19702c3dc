"""Updates on real nodes: nobody notices a good one, and a bad one is taken back and says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab.fleet import Fleet
from tests.lab.stacks import ids, replicas

SERVED = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, 'trap "sleep 3; exit 0" TERM; httpd -f -p 8080 -h / & wait']
      environment: {VERSION: one}
      x-shipyard: {probes: {readiness: {tcp: {port: 8080}, period: 1s}}}
      deploy:
        replicas: 3
        update_config: {order: start-first, monitor: 1s, parallelism: 2, failure_action: rollback}
        rollback_config: {order: start-first, monitor: 1s, parallelism: 0}
"""
REQUESTS = 10_000

CLIENT = """
import json, socket, subprocess, sys, threading, time
runtime, wanted = sys.argv[1], int(sys.argv[2])
said = {"requests": 0, "failures": [], "servers": []}

def ask(address):
    with socket.create_connection((address, 8080), timeout=2) as server:
        server.sendall(b"GET /etc/hostname HTTP/1.0\\r\\n\\r\\n")
        head = server.recv(12)
        while server.recv(4096):
            pass
    if head != b"HTTP/1.1 200" and head != b"HTTP/1.0 200":
        raise OSError(f"answered {head!r}")

def discovered():
    # newest first: what a proxy with health checks of its own would send requests to
    names = subprocess.run([runtime, "ps", "-q", "--filter", "label=shipyard.service=web"], capture_output=True)
    found = subprocess.run([runtime, "inspect", *names.stdout.decode().split()], capture_output=True)
    boxes = sorted(json.loads(found.stdout or b"[]"), key=lambda box: box["Created"], reverse=True)
    for box in boxes:
        for network in box["NetworkSettings"]["Networks"].values():
            try:
                ask(network["IPAddress"])
                return network["IPAddress"]
            except OSError:
                continue

target, stop = discovered(), threading.Event()

def watch():
    global target
    while not stop.is_set():
        target = discovered() or target
        stop.wait(0.3)

threading.Thread(target=watch, daemon=True).start()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set() or said["requests"] < wanted:
    address = target
    if said["servers"][-1:] != [address]:
        said["servers"].append(address)
    try:
        ask(address)
    except OSError as error:
        said["failures"].append(f"{address}: {error}")
    said["requests"] += 1
    time.sleep(0.002)
print(json.dumps(said))
"""
"""A client in a closed loop: the next request begins when the last has ended, and none is tried a second time.

Where to send them it finds as a proxy does: by asking, three times a second, which containers run, and whether they
answer. It never looks at what shipyard is about to do.
"""


@contextmanager
def clients(fleet: Fleet) -> Iterator[list[dict[str, Any]]]:
    """One on each node, until the block ends; what they came to is in the list then."""
    told: list[dict[str, Any]] = []
    each = str(REQUESTS // len(fleet.names) + 1)
    started = [
        subprocess.Popen(
            fleet.lab.node(name).command(("python3", "-c", CLIENT, fleet.runtime(name), each)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in fleet.names
    ]
    try:
        yield told
        for client in started:
            out, words = client.communicate(timeout=60)
            assert client.returncode == 0, words.decode()
            told.append(json.loads(out))
    finally:
        for client in started:
            with client:
                client.kill()


def version(fleet: Fleet) -> set[str]:
    return {
        fleet.runtime_cli(each["node"], "exec", each["container"], "sh", "-c", "echo $VERSION").strip()
        for each in replicas(fleet).values()
    }


def test_a_client_in_a_closed_loop_sees_no_failure_in_an_update_and_a_rollback(fleet: Fleet) -> None:
    fleet.write("shop.yml", SERVED)
    fleet.shipyard("apply", "shop.yml").expect(0)
    with clients(fleet) as told:
        fleet.write("shop.yml", SERVED.replace("one", "two"))
        fleet.shipyard("apply", "shop.yml").expect(0)
        assert version(fleet) == {"two"}
        fleet.shipyard("rollback", "shop").expect(0)
        assert version(fleet) == {"one"}
    assert [client["failures"] for client in told] == [[], [], []]
    assert sum(client["requests"] for client in told) >= REQUESTS
    assert all(len(client["servers"]) >= 2 for client in told), "each met the old container and the new one"
    assert len(ids(fleet)) == 3
    (service,) = fleet.shipyard("status", "-o", "json").json["stacks"][0]["services"]
    assert (service["update"], service["runs"]) == ("rollback_completed", [3])


def test_a_failed_update_is_taken_back_and_says_which_revision_runs(fleet: Fleet) -> None:
    fleet.write("shop.yml", SERVED)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    fleet.write("shop.yml", SERVED.replace("trap", "echo no database; exit 3; trap"))
    ran = fleet.shipyard("apply", "shop.yml").expect(2)
    said = " ".join((ran.stdout + ran.stderr).split())
    assert "revision 2 failed, and revision 3 runs instead, with web as in revision 1: shop/web.1 failed on" in said
    assert "no database" in said
    assert ids(fleet) == before, "with start-first what served has never stopped"
    stack = fleet.shipyard("status", "-o", "json").json["stacks"][0]
    assert (stack["revision"], stack["services"][0]["update"]) == (3, "rollback_completed")
    assert "no database" in fleet.shipyard("events").stdout
    assert fleet.shipyard("history", "shop", "-o", "json").json[0]["note"] == "rolled back from 2: web as in revision 1"
    fleet.shipyard("reconcile", "--check").expect(0)
