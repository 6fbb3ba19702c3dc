"""Secrets in the store: ciphertext that opens with its key alone, kept for as long as a revision mentions it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.base.secret import SecretBytes
from shipyard.model.spec import SecretSpec, StackSpec
from shipyard.store.records import SealedSecret, SecretRow
from shipyard.store.sealing import Keyring, new_key
from shipyard.store.store import Store

KEY = SecretBytes(b"k" * 32)
RING = Keyring([KEY], "in a test")
CONTENT = SecretBytes(b"correct horse battery staple")


def sealed(name: str, content: bytes = CONTENT.reveal(), *, current: bool = True, ring: Keyring = RING) -> SealedSecret:
    secret = SecretBytes(content)
    digest = ring.digest(secret)
    key, text = ring.seal(name, digest, secret)
    return SealedSecret(SecretRow(name, digest, key, current, 5.0, "alice@laptop"), text)


def opened(each: SealedSecret, ring: Keyring = RING) -> bytes:
    row = each.row
    return ring.open(row.name, row.digest, row.key, each.sealed).reveal()


def mentioning(*rows: SealedSecret, stack: str = "shop", image: str = "") -> StackSpec:
    specs = tuple(SecretSpec(each.row.name, each.row.name.partition("/")[2], each.row.digest) for each in rows)
    return StackSpec(f"{stack}{image}" if image else stack, secrets=specs)


def kept(store: Store) -> list[tuple[str, str]]:
    return [(row.name, row.digest) for row in store.secrets()]


# Sealing


def test_what_was_sealed_is_opened_and_never_the_same_text_twice() -> None:
    first, second = sealed("a"), sealed("a")
    assert opened(first) == opened(second) == CONTENT.reveal()
    assert first.sealed != second.sealed
    assert first.sealed not in repr(first)


def test_one_key_and_content_have_one_digest_and_another_key_has_another() -> None:
    again = Keyring([SecretBytes(b"k" * 32)], "elsewhere")
    assert again.digest(CONTENT) == RING.digest(CONTENT)
    assert RING.digest(SecretBytes(b"x")) != RING.digest(CONTENT)
    assert Keyring([new_key()], "").digest(CONTENT) != RING.digest(CONTENT)


def test_these_digests_and_ids_stay_what_they_are_in_later_versions() -> None:
    """Another one would be another file on every node, and so a new container of everything that has a secret."""
    assert RING.ids == ("cdbc5aa08fa14654",)
    assert RING.digest(CONTENT) == "1e24bb12381049bdb122988c8357a5caa6ac690ee27aea1526ca5ec8152ad9c8"


@pytest.mark.parametrize("change", ["name", "digest", "cut", "bit", "no base64", "empty"])
def test_a_row_that_was_changed_does_not_open(change: str) -> None:
    each = sealed("shop/password")
    whole = base64.b64decode(each.sealed)
    changed = {
        "name": SealedSecret(replace(each.row, name="shop/other"), each.sealed),
        "digest": SealedSecret(replace(each.row, digest="0" * 64), each.sealed),
        "cut": SealedSecret(each.row, base64.b64encode(whole[:-1]).decode()),
        "bit": SealedSecret(each.row, base64.b64encode(whole[:-1] + bytes([whole[-1] ^ 1])).decode()),
        "no base64": SealedSecret(each.row, "ä"),
        "empty": SealedSecret(each.row, ""),
    }[change]
    with pytest.raises(StoreError, match="is damaged: it was changed there") as caught:
        opened(changed)
    assert "shipyard secret set" in str(caught.value)


def test_another_key_does_not_open_it_and_says_which_is_needed() -> None:
    other = Keyring([new_key()], "in other.key")
    with pytest.raises(StoreError, match=rf"the key in other.key \({other.ids[0]}\) is not the one .*{RING.ids[0]}"):
        opened(sealed("a"), other)


def test_each_key_of_several_opens_what_it_sealed_and_the_first_seals() -> None:
    ring = Keyring([new_key(), KEY], "both")
    assert opened(sealed("a"), ring) == CONTENT.reveal()
    assert sealed("a", ring=ring).row.key == ring.ids[0]


# Rows


def test_a_new_content_takes_the_place_of_the_old_one(store: Store) -> None:
    old, new = sealed("token", b"1"), sealed("token", b"2")
    store.keep_secret(old)
    store.keep_secret(new)
    assert kept(store) == [("token", new.row.digest)]
    assert store.sealed("token", old.row.digest) is None
    assert store.sealed("token", new.row.digest) == new


def test_what_a_revision_mentions_stays_and_goes_with_the_last_that_does(store: Store) -> None:
    old, new = sealed("token", b"1"), sealed("token", b"2")
    store.keep_secret(old)
    store.add_revision(mentioning(old), author="a", files=(), now=1.0)
    store.keep_secret(new)
    assert len(kept(store)) == 2
    for number in range(12):
        spec = replace(
            mentioning(new), services=(), configs=(), secrets=(SecretSpec("token", f"k{number}", new.row.digest),)
        )
        store.add_revision(spec, author="a", files=(), now=2.0 + number)
    assert kept(store) == [("token", new.row.digest)]


def test_a_stacks_own_are_stored_with_its_revision_and_go_with_the_stack(store: Store) -> None:
    own, other = sealed("shop/a", current=False), sealed("shopping/a", current=False)
    store.add_revision(mentioning(own), author="a", files=(), now=1.0, sealed=(own,))
    store.add_revision(mentioning(other, stack="shopping"), author="a", files=(), now=1.0, sealed=(other,))
    set_by_hand = sealed("shop/hand")
    store.keep_secret(set_by_hand)
    store.forget_stack("shop")
    assert [name for name, _ in kept(store)] == ["shop/hand", "shopping/a"]


def test_resealing_is_all_or_nothing(store: Store) -> None:
    for name in "abc":
        store.keep_secret(sealed(name))
    ring = Keyring([new_key(), KEY], "both")

    def anew(each: SealedSecret) -> SealedSecret | None:
        if each.row.name == "c":
            raise StoreError("no")
        key, text = ring.seal(each.row.name, each.row.digest, CONTENT)
        return SealedSecret(replace(each.row, key=key), text)

    with pytest.raises(StoreError, match="no"):
        store.reseal(anew, ring, lost=False)
    assert {row.key for row in store.secrets()} == {*RING.ids}
    assert store.reseal(lambda each: None if each.row.name == "b" else each, ring, lost=True).dropped == ("b",)
    assert [name for name, _ in kept(store)] == ["a", "c"]


def test_neither_the_store_nor_its_backup_holds_it(store: Store, path: Path, tmp_path: Path) -> None:
    store.keep_secret(sealed("token"))
    store.backup(tmp_path / "copy.db")
    for file in (*path.parent.iterdir(), tmp_path / "copy.db"):
        assert b"battery" not in file.read_bytes(), file
