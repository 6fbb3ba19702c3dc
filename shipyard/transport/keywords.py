"""The keywords of ssh_config (those of OpenSSH 9.2, and later ones that change no connection) and what may follow each.

OpenSSH refuses a whole file for one word that it does not understand, in a block for another host as well; so does
this. What means nothing to shipyard is checked for its form, not for what it would do: names of algorithms and
addresses of forwardings are ssh's business.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from shipyard.transport import lexing
from shipyard.transport.names import env_words, port, split_jumps

Words = tuple[str, ...]
Check = Callable[[Words], Words]
"""Takes the words behind a keyword, gives those that it uses, and raises ValueError for what can't be."""

SHOWN = {
    "addressfamily": "AddressFamily",
    "bindaddress": "BindAddress",
    "certificatefile": "CertificateFile",
    "globalknownhostsfile": "GlobalKnownHostsFile",
    "hashknownhosts": "HashKnownHosts",
    "hostkeyalias": "HostKeyAlias",
    "hostname": "HostName",
    "identitiesonly": "IdentitiesOnly",
    "identityagent": "IdentityAgent",
    "identityfile": "IdentityFile",
    "ignoreunknown": "IgnoreUnknown",
    "port": "Port",
    "proxycommand": "ProxyCommand",
    "proxyjump": "ProxyJump",
    "revokedhostkeys": "RevokedHostKeys",
    "stricthostkeychecking": "StrictHostKeyChecking",
    "user": "User",
    "userknownhostsfile": "UserKnownHostsFile",
}
"""Those that are carried out here, in the spelling of the manual."""

_LINES = frozenset({"proxycommand", "proxyjump", "localcommand", "remotecommand", "knownhostscommand"})
"""Take the line as it stands, quotes and `#` included."""

_FLAGS = """
batchmode canonicalizefallbacklocal checkhostip clearallforwardings enableescapecommandline enablesshkeysign
exitonforwardfailure forkafterauthentication forwardx11 forwardx11trusted gatewayports gssapiauthentication
gssapidelegatecredentials gssapikeyexchange gssapirenewalforcesrekey gssapitrustdns hashknownhosts
hostbasedauthentication identitiesonly kbdinteractiveauthentication nohostauthenticationforlocalhost
passwordauthentication permitlocalcommand proxyusefdpass stdinnull streamlocalbindunlink tcpkeepalive visualhostkey
"""
_TEXTS = """
bindaddress bindinterface casignaturealgorithms certificatefile ciphers controlpath gssapiclientidentity
gssapikexalgorithms gssapiserveridentity hostbasedacceptedalgorithms hostkeyalgorithms hostkeyalias hostname
identityfile ignoreunknown kbdinteractivedevices kexalgorithms macs pkcs11provider preferredauthentications
pubkeyacceptedalgorithms revokedhostkeys securitykeyprovider user xauthlocation
"""
_UNREAD = """
afstokenpassing channeltimeout cipher compressionlevel fallbacktorsh globalknownhostsfile2 kerberosauthentication
kerberostgtpassing obscurekeystroketiming protocol rhostsauthentication rhostsrsaauthentication rsaauthentication
tag useblacklistedkeys userknownhostsfile2 useprivilegedport useroaming usersh warnweakcrypto
"""

_SAME = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "identityfile2": "identityfile",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
    "smartcarddevice": "pkcs11provider",
    "tisauthentication": "kbdinteractiveauthentication",
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST = 2**31 - 1
_FILES = 32
_CHECKED_BY_READER = frozenset({"host", "match", "include"})


def shown(key: str) -> str:
    """In the spelling of the manual where that is known."""
    return key.capitalize() if key in _CHECKED_BY_READER else SHOWN.get(key, key)


def is_keyword(key: str) -> bool:
    """Whether ssh_config has it."""
    return key in _SAME or key in _CHECKS or key in _LINES or key in _CHECKED_BY_READER


def read(key: str, rest: str) -> tuple[str, Words]:
    """The keyword by its present name, and its words. Raises ValueError, which says what is wrong."""
    if not rest:
        raise ValueError("a value is missing")
    found = lexing.words(rest)
    key = _SAME.get(key, key)
    if key in _LINES:
        line = rest.lstrip(" \t=")
        if key == "proxyjump":
            split_jumps(line)
        return key, (line,)
    return key, _CHECKS[key](found)


def _one(found: Words) -> str:
    if not found or not found[0]:
        raise ValueError("a value is missing")
    if len(found) > 1:
        raise ValueError(f"`{found[1]}` is one word too many")
    return found[0]


def _text(found: Words) -> Words:
    return (_one(found),)


def _anything(found: Words) -> Words:
    return found


def _choice(*allowed: str) -> Check:
    def check(found: Words) -> Words:
        word = _one(found).lower()
        if word not in allowed:
            raise ValueError(f"`{found[0]}` is none of {', '.join(allowed)}")
        return (word,)

    return check


_flag = _choice("yes", "no", "true", "false")


def number(word: str, least: int = 0, most: int = _MOST) -> int:
    """As ssh reads a number. Raises ValueError."""
    if not re.fullmatch(r"\s*[+-]?[0-9]+", word) or not least <= int(word) <= most:
        raise ValueError(f"`{word}` is no number from {least} to {most}")
    return int(word)


def seconds(word: str) -> int:
    """`90`, `1h30m`. Raises ValueError."""
    total, rest = 0, word
    while rest:
        part = re.match(r"\s*\+?([0-9]+)([smhdw]?)", rest, re.IGNORECASE)
        if part is None:
            raise ValueError(f"`{word}` is no time (90, 10s, 1h30m)")
        total += int(part[1]) * _SECONDS[part[2].lower()]
        rest = rest[part.end() :]
    if not word or total > _MOST:
        raise ValueError(f"`{word}` is no time (90, 10s, 1h30m)")
    return total


def _number(found: Words) -> Words:
    return (str(number(_one(found))),)


def _time(found: Words) -> Words:
    word = _one(found)
    return (word if word == "none" else str(seconds(word)),)


def _port(found: Words) -> Words:
    return (str(port(_one(found))),)


def _files(found: Words) -> Words:
    """A later line counts where this one names none."""
    if "" in found:
        raise ValueError("a word is empty")
    if len(found) > 1 and any(word.lower() == "none" for word in found):
        raise ValueError("`none` must stand alone")
    if len(found) > _FILES:
        raise ValueError(f"more than {_FILES} files")
    return found


def _agent(found: Words) -> Words:
    word = _one(found)
    env_words(word)
    if word.startswith("$") and not word.startswith("${") and not re.fullmatch(r"\$[A-Za-z0-9_]+", word):
        raise ValueError(f"`{word}` is no name of a variable")
    return (word,)


def _forward_agent(found: Words) -> Words:
    word = _one(found)
    return (word,) if word.lower() in ("yes", "no", "true", "false") else _agent(found)


def _add_keys(found: Words) -> Words:
    if len(found) > 2 or not found or not found[0]:
        raise ValueError("a value is missing" if len(found) < 3 else f"`{found[2]}` is one word too many")
    if found[0].lower() in ("yes", "no", "true", "false", "ask", "confirm"):
        if len(found) == 2 and found[0].lower() != "confirm":
            raise ValueError(f"`{found[1]}` is one word too many")
        if len(found) == 2:
            seconds(found[1])
        return found
    seconds(_one(found))
    return found


def _rekey(found: Words) -> Words:
    if not found or not re.fullmatch(r"default|[0-9]+(\.[0-9]*)?[KMGTPEkmgtpe]?", found[0]):
        raise ValueError(f"`{found[0] if found else ''}` is no amount of data")
    if found[1:] and found[1:] != ("none",):
        _time(found[1:])
    return found


def _persist(found: Words) -> Words:
    word = _one(found)
    if word not in ("yes", "no", "true", "false"):
        seconds(word)
    return (word,)


def _escape(found: Words) -> Words:
    word = _one(found)
    if word != "none" and len(word) != 1 and not (len(word) == 2 and word[0] == "^" and 64 <= ord(word[1]) < 128):
        raise ValueError(f"`{word}` is no escape character")
    return (word,)


def _mask(found: Words) -> Words:
    if not re.fullmatch(r"[0-7]{1,4}", _one(found)):
        raise ValueError(f"`{found[0]}` is no octal mask")
    return found


def _forward(least: int) -> Check:
    def check(found: Words) -> Words:
        if len(found) < least or "" in found:
            raise ValueError("a value is missing")
        if len(found) > 2:
            raise ValueError(f"`{found[2]}` is one word too many")
        return found

    return check


def _sent(found: Words) -> Words:
    for word in found:
        if not word or "=" in word:
            raise ValueError(f"`{word}` is no name of a variable")
    return found


def _set(found: Words) -> Words:
    for word in found:
        if "=" not in word:
            raise ValueError(f"`{word}` is not NAME=VALUE")
    return found


def _service(found: Words) -> Words:
    if not 1 <= len(found) <= 2:
        raise ValueError("one or two classes are expected")
    return found


_CHECKS: dict[str, Check] = {
    "addkeystoagent": _add_keys,
    "addressfamily": _choice("any", "inet", "inet6"),
    "canonicaldomains": _files,
    "canonicalizehostname": _choice("yes", "no", "true", "false", "always"),
    "canonicalizemaxdots": _number,
    "canonicalizepermittedcnames": _anything,
    "compression": _choice("yes", "no"),
    "connectionattempts": _number,
    "connecttimeout": _time,
    "controlmaster": _choice("yes", "no", "true", "false", "ask", "auto", "autoask"),
    "controlpersist": _persist,
    "dynamicforward": _forward(1),
    "escapechar": _escape,
    "fingerprinthash": _choice("md5", "sha1", "sha256", "sha384", "sha512"),
    "forwardagent": _forward_agent,
    "forwardx11timeout": _time,
    "globalknownhostsfile": _files,
    "identityagent": _agent,
    "ipqos": _service,
    "localforward": _forward(2),
    "loglevel": _choice("silent", "quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"),
    "logverbose": _files,
    "numberofpasswordprompts": _number,
    "permitremoteopen": _files,
    "port": _port,
    "pubkeyauthentication": _choice("yes", "no", "true", "false", "unbound", "host-bound"),
    "rekeylimit": _rekey,
    "remoteforward": _forward(1),
    "requesttty": _choice("yes", "no", "true", "false", "force", "auto"),
    "requiredrsasize": _number,
    "sendenv": _sent,
    "serveralivecountmax": _number,
    "serveraliveinterval": _time,
    "protocolkeepalives": _time,
    "setuptimeout": _time,
    "sessiontype": _choice("none", "subsystem", "default"),
    "setenv": _set,
    "streamlocalbindmask": _mask,
    "stricthostkeychecking": _choice("yes", "no", "true", "false", "ask", "off", "accept-new"),
    "syslogfacility": _choice("daemon", "user", "auth", "authpriv", *(f"local{number}" for number in range(8))),
    "tunnel": _choice("yes", "no", "true", "false", "ethernet", "point-to-point"),
    "tunneldevice": _text,
    "updatehostkeys": _choice("yes", "no", "true", "false", "ask"),
    "userknownhostsfile": _files,
    "verifyhostkeydns": _choice("yes", "no", "true", "false", "ask"),
}
_CHECKS |= dict.fromkeys(_FLAGS.split(), _flag)
_CHECKS |= dict.fromkeys(_TEXTS.split(), _text)
_CHECKS |= dict.fromkeys(_UNREAD.split(), _anything)


def family(word: str) -> int:
    """What AddressFamily says, as the socket module has it."""
    return {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(word, socket.AF_UNSPEC)
