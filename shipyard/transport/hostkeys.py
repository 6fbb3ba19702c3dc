"""Which keys hosts show, for `shipyard nodes trust`: a person compares the fingerprints before they are recorded."""

from __future__ import annotations

from pathlib import Path

from shipyard.base.errors import HostKeyChanged, HostKeyUnknown, NotObserved
from shipyard.model.inventory import Connection
from shipyard.transport.dialer import Dialer, handshake_failed, refused
from shipyard.transport.handshake import DroppedError, HandshakeError, exchange_keys
from shipyard.transport.hostkey import HostKey, fingerprint, record, remember
from shipyard.transport.hostkey_check import certified, judge
from shipyard.transport.options import SshOptions
from shipyard.transport.resolve import Resolver
from shipyard.transport.target import Target

__all__ = ["HostKey", "fingerprint", "known_hosts_of", "record", "remember", "scan"]

_ALGORITHMS = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


def scan(
    node: str, connection: Connection, options: SshOptions | None = None, *, timeout: float = 10.0
) -> tuple[HostKey, ...]:
    """The keys this node shows, one of each type, without logging in to it.

    Behind a jump host whose own key is not known yet, they are the jump host's (`host` says so): record those first,
    then scan again. Raises NodeError's children.
    """
    options = options or SshOptions()
    target = Resolver(options).target(node, connection)
    dialer = Dialer(options)
    try:
        return _scan(dialer, node, target, timeout)
    finally:
        dialer.close()


def known_hosts_of(node: str, connection: Connection, options: SshOptions | None = None) -> Path:
    """The file in which a new key of this node is recorded."""
    options = options or SshOptions()
    target = Resolver(options).target(node, connection)
    return Path(target.record_in or options.home / ".ssh" / "known_hosts")


def _scan(dialer: Dialer, node: str, target: Target, timeout: float) -> tuple[HostKey, ...]:
    found: list[HostKey] = []
    problem: HandshakeError | None = None
    for algorithms in _ALGORITHMS:
        try:
            found.append(_key(dialer, node, target, algorithms, timeout))
        except (HostKeyUnknown, HostKeyChanged):
            if target.via is None:
                raise
            return _scan(dialer, node, target.via, timeout)
        except HandshakeError as error:
            if not error.incompatible:
                raise handshake_failed(node, target, error) from None
            problem = error
        except DroppedError as error:
            raise refused(node, target, error) from None
    if not found and problem is not None:
        raise handshake_failed(node, target, problem)
    if not found:
        raise NotObserved(node, f"{target.host} shows no host key")
    return tuple(found)


def _key(dialer: Dialer, node: str, target: Target, algorithms: tuple[str, ...], timeout: float) -> HostKey:
    wanted = (*certified(target, dialer.known_hosts, algorithms), *algorithms)
    handshake = dialer.begin(node, target, wanted)
    try:
        exchange_keys(handshake, timeout)
        key = handshake.transport.get_remote_server_key()
    finally:
        dialer.forget(handshake.transport)
    verdict = judge(target, key, dialer.known_hosts).verdict
    return HostKey(target.known_as, key.get_name(), key.asbytes(), verdict, target.record_in, target.hashed)
