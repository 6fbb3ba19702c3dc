"""Revisions that hold secrets in a container's environment: ciphertext wherever they are kept, and what keys do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from shipyard.base.errors import StoreError
from shipyard.base.record import replace
from shipyard.base.secret import SecretBytes
from shipyard.base.trust import Trust
from shipyard.files import masterkey
from shipyard.files.config import KeySource, Options, load_settings
from shipyard.model import canonical
from shipyard.model.canonical import dumps, spec_hash, stack_digest
from shipyard.model.container import ContainerSpec, Member
from shipyard.model.hiding import hidden, looks_secret
from shipyard.model.memory import Memory, Placement, Rollout
from shipyard.model.plan import Action, KeepRevision
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision, SecretSpec, ServiceSpec, StackSpec
from shipyard.observe.kept import KeptRevision
from shipyard.reconcile import copies, revising
from shipyard.reconcile.secretcare import SecretCare
from shipyard.reconcile.session import Session
from shipyard.reconcile.vault import Vault
from shipyard.store.records import SealedSecret, SecretRow
from shipyard.store.sealing import Keyring
from shipyard.store.store import Store

CANARY = "canary-5f3a91c07d"


def key_file(folder: Path) -> Path:
    return folder / ".shipyard" / "secrets.key"


def database(folder: Path) -> Path:
    return folder / ".shipyard" / "state.db"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(database(tmp_path))) as opened:
        yield opened


@pytest.fixture
def vault(store: Store, tmp_path: Path) -> Vault:
    return opened_again(store, tmp_path)


def opened_again(store: Store, folder: Path) -> Vault:
    return Vault(store, KeySource(key_file(folder), "THE_KEY"), {}, trusted=Trust.all(), folder=folder)


def care(store: Store, folder: Path) -> SecretCare:
    return SecretCare(opened_again(store, folder), load_settings(Options(), {}, folder))


def spec(value: str = CANARY, *, image: str = "db:1", secrets: tuple[SecretSpec, ...] = ()) -> StackSpec:
    container = ContainerSpec(image, environment=(("DB_PASSWORD", value), ("MODE", "fast")))
    return StackSpec("shop", (ServiceSpec("db", container),), secrets=secrets)


def add(store: Store, stack: StackSpec) -> Revision:
    return store.add_revision(stack, author="alice@laptop", files=("shop.yml",), now=1.0)


def in_plain(store: Store, stack: StackSpec) -> Revision:
    """As a shipyard wrote it that encrypted no revisions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shipyard.model.hiding.holds_secrets", lambda _: False)
        return add(store, stack)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def body(folder: Path, number: int = 1) -> str:
    with closing(sqlite3.connect(database(folder))) as raw:
        (text,) = raw.execute("SELECT body FROM revisions WHERE number = ?", (number,)).fetchone()
        return str(text)


def set_body(folder: Path, text: str, number: int = 1) -> None:
    with closing(sqlite3.connect(database(folder))) as raw, raw:
        raw.execute("UPDATE revisions SET body = ? WHERE number = ?", (text, number))


def other_key(folder: Path) -> None:
    key_file(folder).unlink()
    masterkey.make(key_file(folder), SecretBytes(b"n" * 32))


# What counts


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "x", True),
        ("dbPassword", "x", True),
        ("PGPASSWORD", "x", True),
        ("MYSQL_PWD", "x", True),
        ("SMTP_PASS", "x", True),
        ("SSH_PASSPHRASE", "x", True),
        ("API_TOKEN", "x", True),
        ("STRIPE_SECRET_KEY", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("spring.datasource.password", "x", True),
        ("APIKEY", "x", True),
        ("PRIVATE-KEY", "x", True),
        ("REDISCLI_AUTH", "x", True),
        ("DATABASE_URL", "postgres://shop:x@db/shop", True),
        ("BROKERS", "redis://:x@cache:6379", True),
        ("DB_PASSWORD", "", False),
        ("DB_PASSWORD_FILE", "/etc/password", False),
        ("DB_PASSWORD", "/run/secrets/password", False),
        ("ALLOW_EMPTY_PASSWORD", "yes", False),
        ("BYPASS", "x", False),
        ("COMPASS_DIRECTION", "x", False),
        ("PASSENGERS", "x", False),
        ("MAX_TOKENS", "4096", False),
        ("TOKEN_TTL", "1h", False),
        ("PWD", "/srv", False),
        ("DATABASE_URL", "postgres://shop@db/shop", False),
        ("PAGE", "https://example.com/a:b@c", False),
        ("MODE", "fast", False),
    ],
)
def test_what_is_taken_for_a_secret(name: str, value: str, secret: bool) -> None:
    assert looks_secret(name, value) is secret


def test_what_is_said_to_be_hidden_is_so_and_changes_no_container() -> None:
    plain = ContainerSpec("db:1", environment=(("A", "1"), ("B", ""), ("MODE", "fast")))
    said = replace(plain, hidden=("A", "B"))
    assert hidden(said) == ("A",)
    assert spec_hash(said) == spec_hash(plain)
    beside = replace(plain, members=(Member("m", "sidecar", said),))
    assert spec_hash(beside) == spec_hash(replace(plain, members=(Member("m", "sidecar", plain),)))


# In the store


def test_no_byte_of_a_secret_is_in_the_database(store: Store, vault: Vault, tmp_path: Path) -> None:
    first = add(store, spec())
    store.save_memory(Memory(placements=(Placement("shop", "db", 1, "node1", 1, 1),)))
    assert CANARY.encode() not in on_disk(tmp_path)
    assert body(tmp_path).startswith("sealed v1 ")
    assert first.digest != stack_digest(first.spec)
    assert stack_digest(first.spec).encode() not in on_disk(tmp_path), "by which a short password could be found out"
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        assert [head.revision for head in other.heads()] == [first]
        assert add(other, spec()) == first
        later = add(other, spec("canary-later"))
        assert other.revision("shop", 1) == first
        assert (later.number, later.digest != first.digest) == (2, True)
    assert b"canary" not in on_disk(tmp_path)


def test_other_containers_and_other_nodes_count_too(store: Store, vault: Vault, tmp_path: Path) -> None:
    holding, plain = ContainerSpec("db:1", environment=(("TOKEN", CANARY),)), ContainerSpec("db:1")
    for number, service in enumerate(
        (
            ServiceSpec("db", plain, variants=(("node1", holding),)),
            ServiceSpec("db", replace(plain, members=(Member("init", "init", holding),))),
            ServiceSpec("db", replace(plain, environment=(("X", CANARY),), hidden=("X",))),
        ),
        1,
    ):
        add(store, StackSpec("shop", (service,)))
        assert body(tmp_path, number).startswith("sealed ")
    assert CANARY.encode() not in on_disk(tmp_path)


def test_without_secrets_no_key_is_made_and_nothing_of_encryption_is_imported(store: Store, tmp_path: Path) -> None:
    plain = StackSpec("shop", (ServiceSpec("db", ContainerSpec("db:1", environment=(("MODE", "fast"),))),))
    revision = add(store, plain)
    assert revision.digest == stack_digest(plain)
    assert body(tmp_path) == dumps(plain)
    assert not key_file(tmp_path).exists()
    script = (
        "import sys\nfrom shipyard.store.store import Store\n"
        f"assert Store.open({str(database(tmp_path))!r}).heads()\n"
        "print({'cryptography', 'shipyard.store.sealing', 'shipyard.model.hiding'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_secrets_that_a_sealed_revision_mentions_stay_in_the_store(store: Store, vault: Vault) -> None:
    ring = vault.sealing()
    content = SecretBytes(b"tls")
    digest = ring.digest(content)
    key, text = ring.seal("shop/key", digest, content)
    row = SealedSecret(SecretRow("shop/key", digest, key), text)
    mentioned = SecretSpec("shop/key", "key", digest)
    store.add_revision(spec(secrets=(mentioned,)), author="a", files=(), now=1.0, sealed=[row])
    add(store, spec())
    assert vault.content(mentioned) == content, "the first revision can be gone back to"


def test_going_back_to_a_sealed_revision(store: Store, vault: Vault, tmp_path: Path) -> None:
    add(store, spec("canary-one"))
    add(store, spec("canary-two"))
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        old = other.revision("shop", 1)
        assert old is not None
        assert add(other, old.spec).number == 3
        assert other.heads()[0].revision.spec == spec("canary-one")


# What an older shipyard left


def test_plain_revisions_are_read_as_they_are_and_sealed_by_the_next_apply(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    for version in (1, 2, 3):
        in_plain(store, spec(f"canary-{version}", image=f"db:{version}"))
    assert b"canary-2" in on_disk(tmp_path)
    assert not key_file(tmp_path).exists()
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        before = other.heads()[0].revision
        again = add(other, spec("canary-3", image="db:3"))
    assert (again.number, again.spec) == (3, before.spec), "the same revision, and so no new container"
    store.close()
    assert b"canary" not in on_disk(tmp_path)


@pytest.mark.parametrize("with_key", [True, False])
def test_plain_revisions_are_sealed_by_a_new_key(store: Store, vault: Vault, tmp_path: Path, *, with_key: bool) -> None:
    in_plain(store, spec())
    if with_key:
        care(store, tmp_path).put("token", SecretBytes(b"1"))
    rotated = care(store, tmp_path).rotate_key()
    assert (rotated.revisions, rotated.resealed) == (1, int(with_key))
    assert (rotated.old is not None) is with_key
    assert body(tmp_path).startswith("sealed v1 ")
    assert store.heads()[0].revision.spec == spec()
    store.close()
    assert CANARY.encode() not in on_disk(tmp_path)


def test_nothing_of_them_stays_in_pages_that_are_not_used_any_more(store: Store, vault: Vault, tmp_path: Path) -> None:
    for version in range(8):
        many = tuple((f"PASSWORD_{number}", f"{CANARY}-{number}") for number in range(100))
        container = ContainerSpec(f"db:{version}", environment=many)
        in_plain(store, StackSpec("shop", (ServiceSpec("db", container),)))
    care(store, tmp_path).rotate_key()
    store.close()
    assert CANARY.encode() not in on_disk(tmp_path)


# Keys


def test_a_new_key_seals_all_of_them_and_changes_their_digests(store: Store, vault: Vault, tmp_path: Path) -> None:
    before = [add(store, spec("canary-1")), add(store, spec("canary-2"))]
    rotated = care(store, tmp_path).rotate_key()
    assert rotated.revisions == 2
    assert rotated.old is not None
    rotated.old.unlink()
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        after = [other.revision("shop", number) for number in (1, 2)]
        assert [each.spec for each in after if each] == [each.spec for each in before]
        assert not {each.digest for each in after if each} & {each.digest for each in before}
        assert add(other, spec("canary-2")).number == 2
    assert store.heads()[0].revision.spec == before[1].spec, "a process that had the old key goes on"


def test_going_back_by_itself_passes_over_what_the_newest_says_too_whichever_key_sealed_it(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    add(store, spec("canary-1"))
    (old,) = masterkey.read_file(key_file(tmp_path))
    masterkey.replace(key_file(tmp_path), (SecretBytes(b"n" * 32), old))
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        assert add(other, spec("canary-1")).number == 1, "the same, whichever key"
        add(other, spec("canary-2"))
        assert add(other, spec("canary-1")).number == 3
        other.save_memory(Memory(rollouts=(Rollout("shop", "db", 3, "rollback_completed", undone=2),)))
        session = cast(Session, SimpleNamespace(store=other, now=lambda: 9.0))
        with pytest.raises(StoreError, match="no earlier revision to go back to"):
            revising.rollback(session, "shop", None)


def test_a_key_lost_or_another_is_told_with_what_to_do_and_never_made(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    add(store, spec())
    key = key_file(tmp_path).read_bytes()
    for gone, words in (
        (key_file(tmp_path).unlink, r"the key of secrets is gone: .*revision 1 of shop"),
        (lambda: masterkey.make(key_file(tmp_path), SecretBytes(b"n" * 32)), r"is not the one .*revision 1 of shop"),
    ):
        gone()
        with Store.open(str(database(tmp_path))) as other:
            opened_again(other, tmp_path)
            for work in (other.heads, lambda: other.revision("shop", 1), lambda: add(other, spec("x"))):
                with pytest.raises(StoreError, match=words) as caught:
                    work()
                assert "rotate-key --lost" in str(caught.value)
            assert other.has_stack("shop"), "what needs no body needs no key"
            assert [row.number for row in other.revisions("shop")] == [1]
    key_file(tmp_path).write_bytes(key)
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        assert other.heads()[0].revision.spec == spec()


@pytest.mark.parametrize("change", ["bit", "mentioned", "another's place", "an equal one's place", "cut"])
def test_a_row_that_was_changed_is_damaged(store: Store, vault: Vault, tmp_path: Path, change: str) -> None:
    for version in (1, 2, 1, 2):
        add(store, spec(f"canary-{version}"))
    head, version, key, told, text = body(tmp_path).split(" ")
    changed = {
        "bit": " ".join([head, version, key, told, text[:-8] + ("A" if text[-8] != "A" else "B") + text[-7:]]),
        "mentioned": " ".join([head, version, key, "0" * 64, text]),
        "another's place": body(tmp_path, 2),
        "an equal one's place": body(tmp_path, 3),
        "cut": " ".join([head, version, key, told]),
    }[change]
    set_body(tmp_path, changed)
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        with pytest.raises(StoreError, match="revision 1 of shop in the store is damaged") as caught:
            other.revision("shop", 1)
        assert "state restore" in str(caught.value)
        assert other.heads()[0].revision.spec == spec("canary-2")


def test_a_later_form_is_told_as_such(store: Store, vault: Vault, tmp_path: Path) -> None:
    add(store, spec())
    set_body(tmp_path, body(tmp_path).replace("sealed v1", "sealed v2"))
    with Store.open(str(database(tmp_path))) as other:
        opened_again(other, tmp_path)
        with pytest.raises(StoreError, match="in a way that this shipyard does not know"):
            other.heads()


def test_a_key_lost_for_good_forgets_what_it_sealed_and_says_so_before(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    plain = StackSpec("web", (ServiceSpec("web", ContainerSpec("web:1")),))
    add(store, plain)
    add(store, spec("canary-1"))
    add(store, spec("canary-2"))
    placed = Placement("shop", "db", 1, "node1", 1, 2)
    store.save_memory(Memory(placements=(placed,)))
    key_file(tmp_path).unlink()
    with Store.open(str(database(tmp_path))) as other:
        kept = care(other, tmp_path)
        assert kept.lost() == ("revisions 1, 2 of shop",)
        rotated = kept.rotate_key(lost=True)
        assert rotated.unread == (("shop", 1), ("shop", 2))
        assert kept.lost() == ()
        assert [head.revision.spec for head in other.heads()] == [plain]
        assert other.memory().placements == (placed,), "what runs is where it was"
        assert add(other, spec("canary-2")).number == 3


def test_a_revision_sealed_while_the_key_is_replaced_is_not_written(store: Store, vault: Vault, tmp_path: Path) -> None:
    add(store, spec("canary-1"))
    stale = vault.sealing()
    care(store, tmp_path).rotate_key()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vault, "sealing", lambda _: stale)
        with pytest.raises(StoreError, match="was replaced at this very moment"):
            add(store, spec("canary-2"))


# Copies on nodes


def kept(vault: Vault, revision: Revision) -> KeptRevision:
    """As a node has it after a pass that copied this revision there."""
    step = KeepRevision(revision.stack, revision.number, revision.digest, dumps(revision))
    wave = (Action(1, "node1", revision.stack, "Copy", "", step),)
    (action,) = copies.sealed(vault, [DesiredStack(revision)], wave)
    assert isinstance(action.step, KeepRevision)
    return KeptRevision(action.step.stack, action.step.number, action.step.digest, action.step.body)


def test_copies_are_sealed_and_read_back_with_the_key_alone(store: Store, vault: Vault, tmp_path: Path) -> None:
    revision = add(store, spec())
    copy = kept(vault, revision)
    assert copy.body.startswith("sealed v1 ")
    assert CANARY not in copy.body
    assert copies.read(opened_again(store, tmp_path), [("node1", copy)]).revisions == {"shop": revision}
    other_key(tmp_path)
    read = copies.read(opened_again(store, tmp_path), [("node1", copy)])
    assert read.revisions == {}
    number, why = read.unread["shop"]
    assert number == 1
    assert "is not the one" in why
    said = str(copies.unreadable(read.unread))
    assert "on node1" in said
    assert "rebuild --lost" in said


def test_a_copy_without_secrets_stays_as_it_was(store: Store, vault: Vault) -> None:
    revision = add(store, StackSpec("shop", (ServiceSpec("db", ContainerSpec("db:1")),)))
    copy = kept(vault, revision)
    assert copy.body == dumps(revision)
    assert copies.read(vault, [("node1", copy)]).revisions == {"shop": revision}


def test_a_damaged_copy_is_had_from_another_node_and_no_older_one_takes_its_place(store: Store, vault: Vault) -> None:
    older = add(store, spec("canary-1"))
    newer = add(store, spec("canary-2"))
    whole = kept(vault, newer)
    damaged = replace(whole, body=whole.body[:-8] + "AAAAAAA=")
    before = replace(older, digest=stack_digest(older.spec))
    plain = KeptRevision("shop", 1, before.digest, dumps(before))
    assert copies.read(vault, [("a", damaged), ("b", whole), ("c", plain)]).revisions == {"shop": newer}
    read = copies.read(vault, [("a", damaged), ("c", plain)])
    assert read.revisions == {}
    assert read.unread["shop"] == (2, "revision 2 of shop is damaged: it was changed (on a)")
    assert copies.read(vault, [("c", plain)]).revisions == {"shop": before}


def test_what_copies_give_back_is_stored_sealed(store: Store, vault: Vault, tmp_path: Path) -> None:
    revision = add(store, spec())
    plain = replace(revision, digest=stack_digest(revision.spec))
    again = tmp_path / "again" / ".shipyard" / "state.db"
    with Store.open(str(again)) as other:
        opened_again(other, tmp_path)
        other.import_state([plain], Memory(), unread=[("gone", 7)])
        assert other.heads()[0].revision == revision, "the nodes' copies are as they should be"
        assert add(other, replace(spec(), name="gone")).number == 8
    assert CANARY.encode() not in on_disk(tmp_path)


def test_digests_of_revisions_stay_what_they_are_in_later_versions() -> None:
    """Another one would write every copy on every node anew."""
    ring = Keyring([SecretBytes(b"k" * 32)], "in a test")
    (digest,) = ring.body_digests(canonical.dumps(spec("x")))
    assert digest == "407152e26e285d43520c9f6ee2cd0a18e58f7ab69a93d6bc9f12641a4e8bb27d"
