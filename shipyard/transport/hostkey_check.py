"""Whether the host that answered is the one it should be."""

from __future__ import annotations

import paramiko

from shipyard.base.errors import HostKeyChanged, HostKeyUnknown
from shipyard.base.record import Struct
from shipyard.transport import hostcerts
from shipyard.transport.hostkey import HostKey, fingerprint, remember
from shipyard.transport.knownhosts import KnownHosts, Verdict, without_port
from shipyard.transport.revocations import why_refused
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


class Judgement(Struct, frozen=True):
    """What known_hosts says of a host, `where` (`file:line`), and why its certificate, if it has one, did not count."""

    verdict: Verdict
    where: str
    certificate: str = ""


def key_order(target: Target, known_hosts: KnownHosts) -> tuple[str, ...]:
    """Host key algorithms in the order to ask for: those of known keys first, the rest behind.

    Where an authority is trusted, a certificate is asked for before any key.
    """
    known_types = known_hosts.types(target.known_hosts, target.known_as)
    first = [name for type_ in known_types for name in _ALGORITHMS.get(type_, (type_,)) if name in KEY_TYPES]
    plain = (*first, *(name for name in KEY_TYPES if name not in first))
    return (*certified(target, known_hosts, plain), *plain)


def certified(target: Target, known_hosts: KnownHosts, algorithms: tuple[str, ...]) -> tuple[str, ...]:
    """The certificates' names of these algorithms, where known_hosts trusts an authority for this host."""
    trusted = known_hosts.authorities(target.known_hosts, target.known_as)
    return tuple(f"{name}{hostcerts.SUFFIX}" for name in algorithms) if trusted else ()


def judge(target: Target, key: paramiko.PKey, known_hosts: KnownHosts) -> Judgement:
    """A certificate counts if it is good; else the key in it is looked up like any other, as in ssh."""
    files, name = target.known_hosts, target.known_as
    trusted = known_hosts.authorities(files, name)
    why = "it shows no certificate, and known_hosts has a @cert-authority for it" if trusted else ""
    if key.public_blob is not None:
        shown = hostcerts.read(key.public_blob.key_blob, without_port(name) or name)
        by = next((line for line in trusted if shown is not None and line.blob == shown.authority), None)
        if shown is not None and (revoked := known_hosts.revoked(files, name, shown.authority)):
            return Judgement(Verdict.REVOKED, revoked)
        if shown is None or by is None:
            why = "its certificate is signed by nobody who is trusted for it"
        elif shown.problem:
            why = f"its certificate {shown.problem}"
        elif not known_hosts.revoked(files, name, key.asbytes()):
            return Judgement(Verdict.KNOWN, by.where)
    return Judgement(*known_hosts.verdict(files, name, key.get_name(), key.asbytes()), why)


def check_host_key(node: str, target: Target, key: paramiko.PKey, known_hosts: KnownHosts) -> Accepted:
    """Raises HostKeyUnknown or HostKeyChanged; records a new key where the user said `accept-new` or `no`."""
    type_, blob = key.get_name(), key.asbytes()
    shown = f"{type_} {fingerprint(blob)}"
    if target.revoked is not None:
        certificate = None if key.public_blob is None else key.public_blob.key_blob
        if refused := why_refused(target.revoked, type_, blob, certificate):
            raise HostKeyChanged(node, f"the key that {target.known_as} shows {refused}: {shown}")
    judged = judge(target, key, known_hosts)
    besides = f" ({judged.certificate})" if judged.certificate else ""
    match judged.verdict:
        case Verdict.KNOWN:
            return Accepted()
        case Verdict.REVOKED:
            raise HostKeyChanged(node, f"{target.known_as} shows a key that {judged.where} revokes: {shown}")
        case Verdict.CHANGED if target.checking is not Checking.NO:
            raise HostKeyChanged(
                node,
                f"{target.known_as} shows another host key than {judged.where} has{besides}: {shown}",
                hint=f"somebody may be listening in; if the host was reinstalled: shipyard nodes trust {node}",
            )
        case Verdict.CHANGED:
            return Accepted(password_allowed=False)
        case Verdict.UNKNOWN if target.checking is Checking.YES:
            raise HostKeyUnknown(
                node,
                f"the host key of {target.known_as} is not known{besides}: {shown}",
                hint=f"shipyard nodes trust {node}",
            )
        case Verdict.UNKNOWN:
            if target.record_in is not None:
                remember(target.record_in, [HostKey(target.known_as, type_, blob, hashed=target.hashed)])
            return Accepted()
