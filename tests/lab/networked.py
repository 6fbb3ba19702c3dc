"""A shop on a network across nodes, and how it is asked from inside its containers and from outside."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.lab.fleet import Fleet

SHOP = """
- hosts: lab
  stack: shop
  services:
    web:
      image: shipyard.test/busybox:1
      command: [sh, -c, 'mkdir /www; hostname >/www/name; exec httpd -f -p "[::]:8080" -h /www']
      init: true
      stop_grace_period: 2s
      ports: ["8000:8080"]
      x-shipyard: {service_ports: ["80:8080"]}
      deploy: {replicas: 2, placement: {max_replicas_per_node: 1, constraints: ["node.hostname != node1"]}}
    client:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
    hidden:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "9000", -h, /]
      init: true
      stop_grace_period: 0s
      networks: [back]
      deploy: {mode: global}
  networks:
    default: {driver: DRIVER}
    back: {driver: DRIVER, internal: true}
"""

CROSSED = """
- hosts: lab
  stack: shop
  services:
    client:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      init: true
      stop_grace_period: 0s
      networks: [one, two, three]
      deploy: {mode: global}
    web-one: &web
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "8080", -h, /]
      init: true
      stop_grace_period: 0s
      networks: [one]
      deploy: {mode: global}
    web-two: {<<: *web, networks: [two]}
    web-three: {<<: *web, networks: [three]}
  networks:
    one: {driver: vxlan}
    two: {driver: routed}
    three: {driver: wireguard}
"""
"""Clients on networks of three drivers, and servers on one of them each."""


ECHO = """
- hosts: lab
  stack: echo
  services:
    echo:
      image: shipyard.test/guestbook:1
      command:
        - python3
        - -c
        - |
          import socket
          own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
          own.bind(("", 9999))
          while True:
              own.sendto(socket.gethostname().encode(), own.recvfrom(100)[1])
      init: true
      stop_grace_period: 0s
      ports: ["9998:9999/udp"]
  networks:
    default: {driver: routed}
"""
"""Answers each datagram with its host name."""


def shop(driver: str = "vxlan") -> str:
    """The playbook, with this driver."""
    return SHOP.replace("DRIVER", driver)


def guarded_shop(allow: str = "allow: [{service: client, ports: [8080]}]") -> str:
    """Of whose web, now on every node, only the client may ask, while a stranger shares its network on every node."""
    stranger = """
    stranger:
      image: shipyard.test/busybox:1
      command: [httpd, -f, -p, "[::]:9001", -h, /]
      init: true
      stop_grace_period: 0s
      deploy: {mode: global}
  networks:
    default"""
    everywhere = shop().replace("replicas: 2", "replicas: 3").replace(', constraints: ["node.hostname != node1"]', "")
    return everywhere.replace('service_ports: ["80:8080"]', allow).replace("\n  networks:\n    default", stranger)


def asked(fleet: Fleet, node: str, url: str, *, client: str) -> str:
    """What a client container of a node is answered; "" for nothing."""
    # busybox's wget can't be given a time limit on every kernel
    done = fleet.inside(node, client, "timeout", "3", "wget", "-q", "-O", "-", url)
    return done.stdout.decode().strip()


def always_asked(fleet: Fleet, node: str, url: str, *, client: str, times: int = 20, seconds: int = 3) -> bool:
    """Whether a client is answered so many times in a row; so one of three replicas is not passed over by chance."""
    return len(asked_often(fleet, node, url, client=client, times=times, seconds=seconds)) == times


def asked_often(fleet: Fleet, node: str, url: str, *, client: str, times: int, seconds: int = 3) -> list[str]:
    """What a client is answered so many times in a row, until it is not answered within some seconds."""
    script = 'for i in $(seq "$2"); do said=$(timeout "$3" wget -q -O - "$1") || exit; echo "$said"; done'
    words = ("sh", "-c", script, "sh", url, str(times), str(seconds))
    return fleet.inside(node, client, *words).stdout.decode().split()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a container of a node asks, and who may answer: nobody where that is empty.

    `where`: a URL; or an address and a port, of whose first words three bytes are read. `why`: for the failure.
    """

    node: str
    box: str
    where: str
    by: Collection[str] = ()
    why: str = ""

    @property
    def command(self) -> str:
        return f"wget -q -O - '{self.where}'" if "://" in self.where else f"nc {self.where} | head -c 3"


_ASKING = """
    vain=$1 seconds=$2 number=0; shift 2
    asks() { said=$(eval "timeout $seconds $2" </dev/null 2>/dev/null | head -n 1); echo "$1 $said"; }
    for each in "$@"; do
        number=$((number + 1))
        if [ "$number" -le "$vain" ]; then asks "$number" "$each" & else asks "$number" "$each"; fi
    done
    wait
"""


def amiss(fleet: Fleet, asks: Iterable[Ask], *, broken: bool = False) -> list[str]:
    """Which of these end otherwise than they should, in words.

    Containers ask side by side. What must not be answered is waited for together; what must be is asked one after
    the other meanwhile, so that no crowd makes it late. `broken`: some will not be answered though they should: no
    answer is waited for long then, and all of them together.
    """
    seconds = 1 if broken else 3
    of: dict[tuple[str, str], list[Ask]] = defaultdict(list)
    for ask in asks:
        of[ask.node, ask.box].append(ask)

    def ask_all(mine: list[Ask]) -> list[str]:
        mine.sort(key=lambda ask: bool(ask.by))
        node, box, vain = mine[0].node, mine[0].box, len(mine) if broken else sum(not ask.by for ask in mine)
        words = ("sh", "-c", _ASKING, "sh", str(vain), str(seconds), *(ask.command for ask in mine))
        done = fleet.inside(node, box, *words)
        said = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
        assert len(said) == len(mine), f"{box} on {node} could not ask: {done}"
        return [word for number, ask in enumerate(mine, 1) if (word := _judged(ask, said[str(number)].strip()))]

    with ThreadPoolExecutor(len(of)) as pool:
        return [word for words in pool.map(ask_all, of.values()) for word in words]


def _judged(ask: Ask, answer: str) -> str:
    if answer in ask.by or not (answer or ask.by):
        return ""
    wanted = f"one of {sorted(ask.by)}" if ask.by else "nobody"
    who = f"{ask.box} on {ask.node}"
    return f"{who}: {ask.where} is answered by {answer or 'nobody'}, not by {wanted} {ask.why}".strip()


def only_clients_connect(fleet: Fleet) -> set[str]:
    """In a `guarded_shop`, a client gets to each of web's, by its own address and the name, and a stranger to none.

    Returns who serves.
    """
    found = network(fleet)["services"]
    serving = {each["container"]: each["address"] for each in replicas_of(found, "shop/web")}
    asks = []
    for name in ("client", "stranger"):
        for each in replicas_of(found, f"shop/{name}"):
            who = (each["node"], each["container"])
            may = name == "client"
            asks.append(Ask(*who, "http://web:8080/name", serving if may else ()))
            for server, address in serving.items():
                asks.append(Ask(*who, f"http://{address}:8080/name", (server,) if may else ()))
    assert not (wrong := amiss(fleet, asks)), "\n".join(wrong)
    return set(serving)


def only_who_is_on_both_crosses(fleet: Fleet) -> None:
    """Where `CROSSED` runs, each client gets to each server of each network, and no server to those of the others."""
    asks = []
    addresses: dict[str, dict[str, tuple[str, str]]] = {}  # of each service by node: container and address
    for name in ("one", "two", "three"):
        addresses[name] = _on_each(fleet, f"shop_{name}", f"shop/web-{name}")
    for node, (client, _) in _on_each(fleet, "shop_one", "shop/client").items():
        for there in addresses.values():
            for server, address in there.values():
                asks.append(Ask(node, client, f"http://{address}:8080/etc/hostname", (server,)))
    for name, there in addresses.items():
        for node, (box, _) in there.items():
            others = [found for other, found in addresses.items() if other != name]
            for _, address in (each for found in others for at, each in found.items() if at != node):
                asks.append(Ask(node, box, f"http://{address}:8080/etc/hostname", why="in another network"))
    assert not (wrong := amiss(fleet, asks)), "\n".join(wrong)


def _on_each(fleet: Fleet, name: str, service: str) -> dict[str, tuple[str, str]]:
    found = replicas_of(network(fleet, name)["services"], service)
    return {each["node"]: (each["container"], each["address"]) for each in found}


def planned_and_mended(fleet: Fleet, file: str = "shop.yml", *, passes: int = 1) -> tuple[list[str], str]:
    """The lines of the plan, but for those that arm a node; and what went wrong where so many passes did not do it.

    The pass after those has to find nothing to do.
    """
    ran = fleet.shipyard("apply", file, "--diff", "-v")  # -v: also what people need not hear of
    lines = [line for line in ran.stdout.splitlines() if line.startswith("  ") and "arm-revert" not in line]
    done = ran.code == 0 and "The fleet is as declared: " in ran.stdout and f" in {passes + 1} passes." in ran.stdout
    return lines, "" if done else f"passes that mend it: not {passes}; exit {ran.code}: {ran.stdout}{ran.stderr}"


def replicas_of(services: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Of one of the services that `network inspect` tells."""
    return next(each["replicas"] for each in services if each["name"] == name)


def of_link(fleet: Fleet, node: str, container: str) -> str:
    """A container's address of IPv6 on its link, as a neighbour of its asks it; "" where it has none."""
    script = "ip -6 address show dev eth0 scope link | sed -n 's#.*inet6 \\(fe80[^/]*\\)/.*#\\1%eth0#p'"
    return fleet.runtime_cli(node, "exec", container, "sh", "-c", script).strip()


def clients(fleet: Fleet) -> dict[str, str]:
    """The client container of each node, by its name."""
    found = next(each for each in network(fleet)["services"] if each["name"] == "shop/client")
    return {replica["node"]: replica["container"] for replica in found["replicas"]}


def from_outside(fleet: Fleet, node: str, port: int = 8000, path: str = "/name", seconds: int = 3) -> str:
    """What the machine itself is answered by a node's port."""
    address = fleet.lab.node(node).address
    done = subprocess.run(
        ["curl", "-s", "-m", str(seconds), f"http://{address}:{port}{path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


@contextmanager
def sending(fleet: Fleet, port: int) -> Iterator[Callable[[float], dict[str, str]]]:
    """One socket for each node sends datagrams to a port all the while.

    Yields what waits some seconds for an answer of all, and tells those that came.
    """
    answers: dict[str, str] = {}
    over = threading.Event()

    def send(name: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(0.1)
            while not over.is_set():
                own.sendto(b"?", (fleet.lab.node(name).address, port))
                with suppress(TimeoutError):
                    answers[name] = own.recv(100).decode()

    def told(seconds: float) -> dict[str, str]:
        answers.clear()
        end = time.monotonic() + seconds
        while len(answers) < len(fleet.names) and time.monotonic() < end:
            time.sleep(0.1)
        return dict(answers)

    threads = [threading.Thread(target=send, args=(name,)) for name in fleet.names]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


def names(fleet: Fleet, service: str) -> set[str]:
    """Names of a service's containers, which are their host names, too."""
    found = next(each for each in network(fleet)["services"] if each["name"] == service)
    return {replica["container"] for replica in found["replicas"]}


def spread(answers: list[str]) -> Counter[str]:
    """How often each answered."""
    return Counter(answers)


def network(fleet: Fleet, name: str = "shop_default") -> dict[str, Any]:
    """`network inspect` of it."""
    found: dict[str, Any] = json.loads(fleet.shipyard("network", "inspect", name, "-o", "json").expect(0).stdout)
    return found
