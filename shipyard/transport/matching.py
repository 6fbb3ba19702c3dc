"""The blocks of ssh_config: `Host` and `Match`, and whether they count for a host."""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.transport import lexing, names

_WITH_VALUE = frozenset({"host", "originalhost", "user", "localuser", "exec"})
_ALONE = frozenset({"final", "canonical"})
_EXEC_TOKENS = dict.fromkeys("CLdhklnprui", "")


class NeedsOpenSshError(Exception):
    """The file holds something that only ssh itself evaluates. `where`: `file:line`.

    `wrong`: an ssh of the version that this reader follows would refuse it; a later one may not.
    """

    def __init__(self, where: str, what: str, *, wrong: bool = False) -> None:
        super().__init__(f"{where}: {what}")
        self.wrong = wrong


class Subject(Struct, frozen=True):
    """Whom a lookup is about. `alias`: the name as given; `local_user`: who runs this process.

    `final`: the files are read a second time, and this is the name that the first time came to.
    """

    alias: str
    local_user: str
    final: str | None = None


class _Criterion(Struct, frozen=True):
    name: str
    value: str
    negated: bool
    known: bool = True


class Block(Struct, frozen=True):
    """`patterns` of a Host line, or `criteria` of a Match; inside `outer` where a file was included in a block."""

    where: str
    outer: Block | None
    patterns: tuple[str, ...] = ()
    criteria: tuple[_Criterion, ...] = ()

    def asks(self, criterion: str) -> bool:
        """Whether it has that criterion."""
        return any(each.name == criterion for each in self.criteria)

    def check(self) -> None:
        """Raises NeedsOpenSshError for criteria that are not known here: ssh would refuse the whole file."""
        for criterion in self.criteria:
            if not criterion.known:
                raise NeedsOpenSshError(self.where, f"Match has no criterion `{criterion.name}`", wrong=True)

    def holds(self, subject: Subject, hostname: str | None, user: str | None) -> bool:
        """Whether its lines count. `hostname`, `user`: what the lines before said. Raises NeedsOpenSshError."""
        if not self.criteria:
            return _among(subject.final or subject.alias, self.patterns)
        result = True
        for criterion in self.criteria:
            if criterion.name == "exec":
                if result:
                    raise NeedsOpenSshError(self.where, "Match exec")
                continue
            result &= _meets(criterion, subject, hostname, user) is not criterion.negated
        return result


def block_of(key: str, rest: str, where: str, outer: Block | None) -> Block:
    """The block that a `host` or `match` line begins. Raises ValueError."""
    if not rest:
        raise ValueError("a value is missing")
    words = lexing.words(rest)
    if key == "match":
        return Block(where, outer, criteria=_criteria(rest))
    if "" in words:
        raise ValueError("a word is empty")
    return Block(where, outer, patterns=words)


def _criteria(rest: str) -> tuple[_Criterion, ...]:
    found: list[_Criterion] = []
    left: str | None = rest
    while True:
        word, left = lexing.delimited(left)
        if not word or word.startswith("#"):
            break
        name, negated = word.removeprefix("!").lower(), word.startswith("!")
        if name == "all":
            following, _ = lexing.delimited(left)
            if len(found) > 1 or (following and not following.startswith("#")):
                raise ValueError("`all` stands with no other criterion")
            return (*found, _Criterion(name, "", negated))
        if name in _ALONE:
            found.append(_Criterion(name, "", negated))
            continue
        if name not in _WITH_VALUE:
            return (*found, _Criterion(name, "", negated, known=False))
        value, left = lexing.delimited(left)
        if not value or value.startswith("#"):
            raise ValueError(f"`{name}` lacks its value")
        if name == "exec":
            names.expand(value, _EXEC_TOKENS)
        found.append(_Criterion(name, value, negated))
    if not found:
        raise ValueError("a criterion is missing")
    return tuple(found)


def _meets(criterion: _Criterion, subject: Subject, hostname: str | None, user: str | None) -> bool:
    match criterion.name:
        case "all":
            return True
        case "final" | "canonical":
            return subject.final is not None
        case "host":
            name = hostname or subject.alias
            if hostname is not None and subject.final is None:
                name = names.expand(hostname, {"h": subject.alias})
            return lexing.in_list(name.lower(), criterion.value.lower())
        case "originalhost":
            return lexing.in_list(subject.alias.lower(), criterion.value.lower())
        case "user":
            return lexing.in_list(user or subject.local_user, criterion.value)
        case _:
            return lexing.in_list(subject.local_user, criterion.value)


def _among(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a Host line speaks of it; a `!` that matches rules it out whatever else does."""
    found = False
    for pattern in patterns:
        if lexing.matches(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found
