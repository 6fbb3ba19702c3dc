"""Whether the host that answered is the one it should be."""

from __future__ import annotations

import paramiko

from shipyard.base.errors import HostKeyChanged, HostKeyUnknown
from shipyard.base.record import Struct
from shipyard.transport.hostkey import HostKey, fingerprint, remember
from shipyard.transport.knownhosts import KnownHosts, Verdict
from shipyard.transport.target import Checking, Target

KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class Accepted(Struct, frozen=True):
    """The connection may go on. `password_allowed`: not to a host that is only accepted because nobody checks."""

    password_allowed: bool = True


def key_order(known_types: tuple[str, ...]) -> tuple[str, ...]:
    """Host key algorithms in the order to ask for: those of known keys first, the rest behind."""
    first = [name for type_ in known_types for name in _ALGORITHMS.get(type_, (type_,)) if name in KEY_TYPES]
    return (*first, *(name for name in KEY_TYPES if name not in first))


def check_host_key(node: str, target: Target, key: paramiko.PKey, known_hosts: KnownHosts) -> Accepted:
    """Raises HostKeyUnknown or HostKeyChanged; records a new key where the user said `accept-new` or `no`."""
    type_, blob = key.get_name(), key.asbytes()
    verdict, where = known_hosts.verdict(target.known_hosts, target.known_as, type_, blob)
    shown = f"{type_} {fingerprint(blob)}"
    match verdict:
        case Verdict.KNOWN:
            return Accepted()
        case Verdict.REVOKED:
            raise HostKeyChanged(node, f"{target.known_as} shows a key that {where} revokes: {shown}")
        case Verdict.CHANGED if target.checking is not Checking.NO:
            raise HostKeyChanged(
                node,
                f"{target.known_as} shows another host key than {where} has: {shown}",
                hint=f"somebody may be listening in; if the host was reinstalled: shipyard nodes trust {node}",
            )
        case Verdict.CHANGED:
            return Accepted(password_allowed=False)
        case Verdict.UNKNOWN if target.checking is Checking.YES:
            authority = known_hosts.only_authority(target.known_hosts, target.known_as)
            why = " (known_hosts has only a @cert-authority, which is not supported)" if authority else ""
            raise HostKeyUnknown(
                node,
                f"the host key of {target.known_as} is not known{why}: {shown}",
                hint=f"shipyard nodes trust {node}",
            )
        case Verdict.UNKNOWN:
            if target.record_in is not None:
                remember(target.record_in, [HostKey(target.known_as, type_, blob)])
            return Accepted()
