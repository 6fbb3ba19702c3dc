"""The words of ansible_ssh_common_args and ansible_ssh_extra_args: the options of `ssh` that mean something here."""

from __future__ import annotations

import difflib

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.transport import keywords, lexing

WHERE = "ansible_ssh_common_args"

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
    "-b": "bindaddress",
    "-i": "identityfile",
    "-p": "port",
    "-l": "user",
}
_FLAGS = {"-4": ("addressfamily", "inet"), "-6": ("addressfamily", "inet6")}
_IGNORED_FLAGS = frozenset("qvCxaTkKntA")


class Arguments(Struct, frozen=True):
    """`options`: keyword in lower case and the text behind it, in order. `config`: the file of `-F`, or `none`."""

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
                raise ConfigError(f"{WHERE}: `{word}` lacks its value")
            if word.startswith("-o"):
                options += _option(value)
            elif word.startswith("-F"):
                config = value
            else:
                key = _WITH_VALUE[word[:2]]
                options += _checked(key, value if key == "proxyjump" else quoted(value))
        elif not (word.startswith("-") and len(word) > 1 and set(word[1:]) <= _IGNORED_FLAGS):
            raise ConfigError(
                f"{WHERE}: `{word}` is not understood",
                hint="understood are -o, -J, -F, -b, -i, -p, -l, -4 and -6",
            )
    return Arguments(tuple(options), config)


def quoted(word: str) -> str:
    """One word of ssh_config, with quotes only where it needs them."""
    if word and not set(word) & set(" \t\"'\\#="):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _option(text: str) -> list[tuple[str, str]]:
    """`Key=Value` or `Key Value`; nothing for what has no effect here."""
    key, value = lexing.keyword(text) or ("", "")
    if key not in keywords.SHOWN and key not in _WITHOUT_EFFECT:
        near = difflib.get_close_matches(key, keywords.SHOWN, 1)
        meant = f"did you mean {keywords.SHOWN[near[0]]}? " if near else ""
        known = ", ".join(keywords.SHOWN.values())
        raise ConfigError(f"{WHERE}: option `{key}` is not understood", hint=f"{meant}understood are {known}")
    return _checked(key, value)


def _checked(key: str, text: str) -> list[tuple[str, str]]:
    shown = keywords.shown(key)
    if not text:
        raise ConfigError(f"{WHERE}: option `{shown}` lacks its value")
    try:
        keywords.read(key, text)
    except ValueError as error:
        raise ConfigError(f"{WHERE}: {shown}: {error}") from None
    return [(key, text)] if key in keywords.SHOWN else []
