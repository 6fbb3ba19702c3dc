"""Bodies of revisions that hold secrets in containers' environments: encrypted in the store and in the nodes' copies.

    sealed v1 <id of the key> <digests of secrets that it mentions, or -> <base64>

A plain body begins with `{`, so one can be told from the other, and rows of older stores are read as they are. What
stands before the ciphertext is bound to it, with the stack, the number, and the revision's digest; the digests of
mentioned secrets are HMACs, and let the store see which of them are still in use.

The digest of such a revision is an HMAC of its body, too: the files that a stack is made from are often known to many,
and a plain sha256 would let each of them try out passwords. A new key thus means new digests, by which passes see
that the nodes' copies have to be written anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from shipyard.base.errors import StoreError
from shipyard.base.record import Struct

if TYPE_CHECKING:
    from shipyard.model.spec import StackSpec
    from shipyard.store.sealing import Keyring

_HEAD = "sealed "
_VERSION = "v1"
KEY_AT = len(f"{_HEAD}{_VERSION} ")
"""Where the id of the key begins, which has `KEY_LENGTH` characters."""
KEY_LENGTH = 16
PATTERN = f"{_HEAD}{_VERSION} %"
"""By which SQL's LIKE finds sealed bodies."""


class Keys(Protocol):
    """Who has the keys. Asked outside of transactions, since a key may be told by a program."""

    def sealing(self) -> Keyring:
        """The keys; a new one where there was none. StoreError where the one that the store needs is not here."""

    def opening(self, key: str, what: str) -> Keyring:
        """Keys with this one among them. StoreError where it is not here. `what` is to be opened, in words."""


class Place(Struct, frozen=True):
    """What a body is bound to. `kind`: `row` of the store, or `copy` on a node."""

    kind: str
    stack: str
    number: int
    digest: str

    def __str__(self) -> str:
        return f"revision {self.number} of {self.stack}"


def is_sealed(body: str) -> bool:
    """Whether it can be read only with a key."""
    return body.startswith(_HEAD)


def key_of(body: str) -> str:
    """The id of the key that opens it; "" for a plain one, and for one that a newer shipyard wrote."""
    return body[KEY_AT:].partition(" ")[0] if body.startswith(f"{_HEAD}{_VERSION} ") else ""


def mentioned(spec: StackSpec) -> tuple[str, ...]:
    """Digests of the secrets that a stack has."""
    return tuple(sorted({secret.digest for secret in spec.secrets if secret.digest}))


def seal(ring: Keyring, place: Place, body: str, digests: Iterable[str] = ()) -> str:
    """The body as it is kept at this place. `digests`: what is to be found in it without a key."""
    told = ",".join(digests) or "-"
    key, text = ring.encrypt(_bound(place, told), body.encode())
    return f"{_HEAD}{_VERSION} {key} {told} {text}"


def unseal(ring: Keyring, place: Place, sealed: str) -> str | None:
    """The body; None where it was changed, or put in another's place. `ring` has `key_of` this."""
    words = sealed.split(" ")
    if len(words) != 5:
        return None
    _, _, key, told, text = words
    content = ring.decrypt(_bound(place, told), key, text)
    return None if content is None else content.decode()


def read(keys: Keys | None, place: Place, body: str) -> str:
    """A row's body in plain text. Raises StoreError: the key is lost or another, or the row is damaged."""
    if not is_sealed(body):
        return body
    key = key_of(body)
    if not key:
        raise StoreError(f"{place} was encrypted in a way that this shipyard does not know", hint="use a newer one")
    if keys is None:
        raise StoreError(f"{place} is encrypted, and no key was given")
    return opened(keys.opening(key, str(place)), place, body)


def opened(ring: Keyring, place: Place, sealed: str) -> str:
    """A sealed row's body. Raises StoreError: it needs another key, or the row is damaged."""
    from shipyard.store.sealing import wrong_key

    key = key_of(sealed)
    if key not in ring.ids:
        raise wrong_key([str(place)], key, ring)
    plain = unseal(ring, place, sealed)
    if plain is None:
        raise StoreError(
            f"{place} in the store is damaged: it was changed there, or put in the place of another",
            hint="`shipyard state restore` a backup, or move the store away and `shipyard state rebuild` it",
        )
    return plain


def _bound(place: Place, told: str) -> bytes:
    return f"shipyard revision v1\n{place.kind}\n{place.stack}\n{place.number}\n{place.digest}\n{told}".encode()
