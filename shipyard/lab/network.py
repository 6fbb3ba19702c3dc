"""The switch and the cables: a bridge of this machine, and a veth pair to each node."""

from __future__ import annotations

from pathlib import Path

from shipyard.base.errors import LabError
from shipyard.lab.command import attempt, run
from shipyard.lab.layout import Record

_FILTERED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def make_bridge(record: Record) -> None:
    """The lab's bridge, up and with this machine's address; nothing is done where it is so already."""
    bridge, doing = record.bridge, f"making the bridge {record.bridge}"
    if not _exists(bridge):
        # With an address of its own, a bridge does not change it with the nodes that come and go.
        run(["ip", "link", "add", "name", bridge, "address", _mac(record, 0), "type", "bridge"], doing=doing)
    run(["ip", "address", "replace", f"{record.gateway}/24", "dev", bridge], doing=doing)
    run(["ip", "link", "set", bridge, "up"], doing=doing)
    # Where bridged traffic passes the machine's firewall, this lab's own must not depend on what that says.
    if _FILTERED.exists() and _FILTERED.read_text().strip() == "1" and not _has_rule(record):
        run(["iptables", "-w", "-I", "FORWARD", "1", *_rule(record)], doing="letting the nodes' traffic through")


def remove_bridge(record: Record) -> None:
    """The bridge and the rule, as far as they are there."""
    while _has_rule(record):
        run(["iptables", "-w", "-D", "FORWARD", *_rule(record)], doing="removing the firewall rule")
    _remove_link(record.bridge)


def plug(record: Record, number: int, pid: int, *, up: bool) -> None:
    """A new cable between the bridge and the node whose first process is `pid`."""
    cable, doing = record.cable(number), f"node{number}: plugging its network cable in"
    _remove_link(cable)
    # The same card after every boot, as on a server: its neighbours remember it.
    far = ["peer", "name", "eth0", "address", _mac(record, number), "netns", str(pid)]
    run(["ip", "link", "add", "name", cable, "type", "veth", *far], doing=doing)
    run(["ip", "link", "set", cable, "master", record.bridge, "up" if up else "down"], doing=doing)
    inside = f"address add {record.address(number)}/24 dev eth0\nlink set eth0 up\n"
    run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"], input=inside.encode(), doing=doing)


def is_plugged(record: Record, number: int, pid: int) -> bool:
    """The node has a network card, with an address, at the end of the cable."""
    done = attempt(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-4", "-brief", "address", "show", "dev", "eth0"])
    words = done.stdout.decode().split()
    return _exists(record.cable(number)) and f"{record.address(number)}/24" in words and words[1] != "DOWN"


def set_cable(record: Record, number: int, *, up: bool) -> None:
    """Cut or join."""
    state = "up" if up else "down"
    run(["ip", "link", "set", record.cable(number), state], doing=f"node{number}: taking its network cable {state}")


def unplug(record: Record, number: int) -> None:
    """Remove the cable. The kernel does so too when the node's last process is gone, but only some time later."""
    _remove_link(record.cable(number))


def used_indexes() -> set[int]:
    """Of bridges that are there, of whichever lab, and of addresses that this machine has routes to already."""
    names = {path.name for path in Path("/sys/class/net").iterdir()}
    used = {int(rest) for name in names if (rest := name.removeprefix("sylab")).isdigit() and rest != name}
    for line in run(["ip", "-4", "route", "show"], doing="reading the routes").stdout.decode().splitlines():
        parts = line.split()[0].split(".")
        if parts[:2] == ["198", "18"]:
            used.add(int(parts[2]))
    return used


def _mac(record: Record, number: int) -> str:
    return f"02:53:59:{record.index:02x}:00:{number:02x}"


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _remove_link(link: str) -> None:
    if not _exists(link):
        return
    done = attempt(["ip", "link", "delete", link])
    if done.returncode != 0 and _exists(link):
        raise LabError(f"the network link {link} can't be removed: {done.stderr.decode(errors='replace').strip()}")


def _rule(record: Record) -> list[str]:
    comment = ["-m", "comment", "--comment", f"shipyard lab {record.name}"]
    return ["-i", record.bridge, "-o", record.bridge, *comment, "-j", "ACCEPT"]


def _has_rule(record: Record) -> bool:
    return attempt(["iptables", "-w", "-C", "FORWARD", *_rule(record)]).returncode == 0
