"""Logging in: keys first, then the password; at last without any, for hosts that know their users otherwise."""

from __future__ import annotations

import paramiko

from shipyard.base.errors import AuthFailed, NodeError, TimedOut
from shipyard.base.text import one_line
from shipyard.transport.credentials import Keyring
from shipyard.transport.target import Target

_PATIENCE = 30.0
"""Seconds for an answer to one key or password: PAM may ask a directory service."""


def log_in(
    node: str, target: Target, transport: paramiko.Transport, keyring: Keyring, *, password_allowed: bool
) -> None:
    """Raises AuthFailed, which names what was offered."""
    transport.auth_timeout = max(target.timeout, _PATIENCE)
    attempt = _Attempt(target, transport)
    try:
        if attempt.keys(keyring) or (password_allowed and attempt.password()):
            return
        if not attempt.tried and attempt.nothing():
            return
    except (EOFError, OSError, paramiko.SSHException) as error:
        if "timeout" in str(error).lower() and transport.is_active():
            raise TimedOut(node, f"sshd of {target.shown} did not answer a login in time") from None
        attempt.problems.append(one_line(str(error)) or "the connection was closed")
    raise attempt.failed(node)


class _Attempt:
    """One login. `tried`: what was offered. `problems`: what could not be, and what was said."""

    def __init__(self, target: Target, transport: paramiko.Transport) -> None:
        self._target = target
        self._transport = transport
        self._wants_password = False
        self.tried: list[str] = []
        self.problems: list[str] = []

    def keys(self, keyring: Keyring) -> bool:
        """Offer them; True when logged in."""
        for offer in keyring.offers(self._target, self.problems):
            self.tried.append(offer.shown)
            try:
                further = self._transport.auth_publickey(self._target.user, offer.key)
            except paramiko.BadAuthenticationType as error:
                self.problems.append(f"sshd takes no keys, only {', '.join(error.allowed_types)}")
                return False
            except paramiko.AuthenticationException:
                if not self._transport.is_active():
                    raise
                continue
            if self._transport.is_authenticated():
                return True
            if further:  # the key was right, and sshd wants a password too
                self._wants_password = True
                return False
        return False

    def password(self) -> bool:
        """Offer it, where there is one; True when logged in."""
        if self._target.password is None:
            if self._wants_password:
                self.problems.append("sshd wants a password besides the key")
            return False
        self.tried.append("the password")
        try:
            self._transport.auth_password(self._target.user, self._target.password)
        except paramiko.BadAuthenticationType as error:
            self.problems.append(f"sshd takes no passwords, only {', '.join(error.allowed_types)}")
        except paramiko.AuthenticationException:
            if not self._transport.is_active():
                raise
        return self._transport.is_authenticated()

    def nothing(self) -> bool:
        """Ask without a key: some sshds know the user already, the others say what they take."""
        try:
            self._transport.auth_none(self._target.user)
        except paramiko.BadAuthenticationType as error:
            self.problems.append(f"there is nothing to offer; sshd takes {', '.join(error.allowed_types)}")
        return self._transport.is_authenticated()

    def failed(self, node: str) -> NodeError:
        """What was tried, and what to do."""
        offered = f"offered {', '.join(self.tried)}" if self.tried else "nothing was offered"
        why = "".join(f"; {one_line(problem)}" for problem in self.problems)
        hint = "name the key (ansible_ssh_private_key_file), load it into the agent (ssh-add), or check ansible_user"
        if len(self.tried) > 4:
            hint = "sshd takes six attempts at most: set ansible_ssh_private_key_file, or IdentitiesOnly in ssh_config"
        return AuthFailed(node, f"login as {self._target.shown} was refused: {offered}{why}", hint=hint)
