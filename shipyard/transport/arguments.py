"""The words of ansible_ssh_common_args and ansible_ssh_extra_args: the options of `ssh` that mean something here."""

from __future__ import annotations

import difflib

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct

CARRIED_OUT = {
    "addressfamily": "AddressFamily",
    "globalknownhostsfile": "GlobalKnownHostsFile",
    "hostkeyalias": "HostKeyAlias",
    "hostname": "HostName",
    "identitiesonly": "IdentitiesOnly",
    "identityagent": "IdentityAgent",
    "identityfile": "IdentityFile",
    "port": "Port",
    "proxycommand": "ProxyCommand",
    "proxyjump": "ProxyJump",
    "stricthostkeychecking": "StrictHostKeyChecking",
    "user": "User",
    "userknownhostsfile": "UserKnownHostsFile",
}
"""Options of ssh_config that are read here, in the spelling of its manual."""

_WITHOUT_EFFECT = {
    "addkeystoagent": "keys are never added",
    "batchmode": "nothing but a passphrase is ever asked",
    "checkhostip": "",
    "ciphers": "",
    "compression": "",
    "connectionattempts": "",
    "connecttimeout": "ansible_ssh_timeout says it",
    "controlmaster": "one connection is shared anyway",
    "controlpath": "",
    "controlpersist": "",
    "escapechar": "",
    "exitonforwardfailure": "",
    "forwardagent": "the agent is never forwarded",
    "forwardx11": "",
    "forwardx11trusted": "",
    "gssapiauthentication": "",
    "gssapidelegatecredentials": "",
    "hashknownhosts": "",
    "hostbasedauthentication": "",
    "hostkeyalgorithms": "",
    "ipqos": "",
    "kbdinteractiveauthentication": "",
    "challengeresponseauthentication": "",
    "kexalgorithms": "",
    "loglevel": "",
    "macs": "",
    "numberofpasswordprompts": "",
    "passwordauthentication": "",
    "preferredauthentications": "",
    "pubkeyauthentication": "",
    "pubkeyacceptedalgorithms": "",
    "pubkeyacceptedkeytypes": "",
    "requesttty": "",
    "sendenv": "",
    "serveralivecountmax": "",
    "serveraliveinterval": "",
    "tcpkeepalive": "",
    "updatehostkeys": "",
    "verifyhostkeydns": "",
    "visualhostkey": "",
}
"""Accepted, since inventories are full of them, and changing nothing here that could surprise."""

_WITH_VALUE = {
    "-J": "proxyjump",
    "-i": "identityfile",
    "-p": "port",
    "-l": "user",
}
_FLAGS = {"-4": ("addressfamily", "inet"), "-6": ("addressfamily", "inet6")}
_IGNORED_FLAGS = frozenset("qvCxaTkKntA")


class Arguments(Struct, frozen=True):
    """`options`: keyword in lower case and value, in order. `config`: the file of `-F`, `none` included."""

    options: tuple[tuple[str, str], ...] = ()
    config: str | None = None


def parse(words: tuple[str, ...]) -> Arguments:
    """Raises ConfigError for what is not understood: dropped in silence it could send a connection elsewhere."""
    options: list[tuple[str, str]] = []
    config: str | None = None
    left = list(words)
    while left:
        word = left.pop(0)
        if word in _FLAGS:
            options.append(_FLAGS[word])
        elif word[:2] in {"-o", "-F", *_WITH_VALUE}:
            value = word[2:] or (left.pop(0) if left else "")
            if not value:
                raise ConfigError(f"ansible_ssh_common_args: `{word}` lacks its value")
            if word.startswith("-o"):
                options += _option(value)
            elif word.startswith("-F"):
                config = value
            else:
                options.append((_WITH_VALUE[word[:2]], value))
        elif not (word.startswith("-") and len(word) > 1 and set(word[1:]) <= _IGNORED_FLAGS):
            raise ConfigError(
                f"ansible_ssh_common_args: `{word}` is not understood",
                hint="understood are -o, -J, -F, -i, -p, -l, -4 and -6",
            )
    return Arguments(tuple(options), config)


def _option(text: str) -> list[tuple[str, str]]:
    """`Key=Value` or `Key Value`; nothing for what has no effect here."""
    key, value = split_option(text)
    if key in _WITHOUT_EFFECT:
        return []
    if key not in CARRIED_OUT:
        near = difflib.get_close_matches(key, CARRIED_OUT, 1)
        meant = f"did you mean {CARRIED_OUT[near[0]]}? " if near else ""
        known = ", ".join(CARRIED_OUT.values())
        raise ConfigError(
            f"ansible_ssh_common_args: option `{key}` is not understood",
            hint=f"{meant}understood are {known}",
        )
    if not value:
        raise ConfigError(f"ansible_ssh_common_args: option `{CARRIED_OUT[key]}` lacks its value")
    return [(key, value)]


def split_option(text: str) -> tuple[str, str]:
    """A keyword in lower case and the rest, as a line of ssh_config has them."""
    text = text.strip()
    end = next((index for index, char in enumerate(text) if char in " \t="), len(text))
    rest = text[end:].strip()
    if rest.startswith("="):
        rest = rest[1:].strip()
    return text[:end].lower(), rest
