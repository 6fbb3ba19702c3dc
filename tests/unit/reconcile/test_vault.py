"""Secrets between files, store and key: what each declaration comes to, and every way in which a key can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError, FileErrors, ShipyardError, StoreError, UsageError
from shipyard.base.secret import SecretBytes
from shipyard.base.trust import NOTHING, Trust
from shipyard.files import masterkey
from shipyard.files.config import KeySource, Options, load_settings
from shipyard.model.spec import StackSpec
from shipyard.reconcile.secretcare import SecretCare
from shipyard.reconcile.vault import Vault, missing
from shipyard.store.records import SealedSecret
from shipyard.store.store import Store
from tests.playbook_project import Project, wrap

HELLO = """
    secrets: [a, b]
secrets:
  a: {content: hello}
  b: {environment: GREETING}
"""
EXTERNAL = """
    secrets: [a, b]
secrets:
  a: {external: true}
  b: {external: true, name: token}
"""
TOLD = """
    secrets: [a]
secrets:
  a: {x-shipyard: {command: [sh, -c, "echo told"]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / ".shipyard" / "state.db")) as opened:
        yield opened


@pytest.fixture
def vault(store: Store, tmp_path: Path) -> Vault:
    return opened_again(store, tmp_path)


def opened_again(store: Store, folder: Path, *, trusted: bool = True, environ: dict[str, str] | None = None) -> Vault:
    """As another process would."""
    source = KeySource(key_file(folder), "THE_KEY")
    return Vault(
        store, source, environ or {"PATH": "/usr/bin:/bin"}, trusted=Trust.all() if trusted else NOTHING, folder=folder
    )


def key_file(folder: Path) -> Path:
    return folder / ".shipyard" / "secrets.key"


def care(vault: Vault, folder: Path) -> SecretCare:
    return SecretCare(vault, load_settings(Options(), {}, folder))


def applied(project: Project, vault: Vault, text: str, *, make: bool = True) -> tuple[StackSpec, list[SealedSecret]]:
    """The stack as it would be stored, and stored."""
    loaded, sealed = vault.resolved(project.load(wrap("t", text.strip("\n").replace("    ", "    ", 1))), make=make)
    (stack,) = loaded.stacks
    if make:
        vault.store.add_revision(stack, author="a", files=(), now=1.0, sealed=sealed["shop"])
    return stack, list(sealed["shop"])


def contents(vault: Vault, stack: StackSpec) -> dict[str, bytes]:
    return {secret.key: vault.content(secret).reveal() for secret in stack.secrets}


def test_what_files_declare_is_stored_and_opened_again(project: Project, vault: Vault, tmp_path: Path) -> None:
    stack, sealed = applied(project, vault, HELLO)
    assert contents(opened_again(vault.store, tmp_path), stack) == {"a": b"hello", "b": b"hello"}
    assert [each.row.name for each in sealed] == ["shop/a", "shop/b"]
    mounted = stack.services[0].container.secrets
    assert [mount.digest for mount in mounted] == [secret.digest for secret in stack.secrets]
    assert len({secret.digest for secret in stack.secrets}) == 1
    assert missing(vault.store, [stack]) == ()


def test_the_same_again_is_the_same_revision_and_writes_nothing(project: Project, vault: Vault) -> None:
    first, _ = applied(project, vault, HELLO)
    before = [vault.store.sealed(secret.name, secret.digest) for secret in first.secrets]
    again, sealed = applied(project, vault, HELLO)
    assert (again, sealed) == (first, [])
    assert [vault.store.sealed(secret.name, secret.digest) for secret in first.secrets] == before


def test_a_plan_makes_no_key_and_stores_nothing(project: Project, vault: Vault, tmp_path: Path) -> None:
    stack, sealed = applied(project, vault, HELLO, make=False)
    assert sealed == []
    assert all(secret.digest for secret in stack.secrets)
    assert not key_file(tmp_path).exists()


def test_a_plan_of_what_was_applied_has_the_same_digests(project: Project, vault: Vault) -> None:
    assert applied(project, vault, HELLO)[0] == applied(project, vault, HELLO, make=False)[0]


def test_a_changed_content_has_another_digest_and_the_old_one_can_be_rolled_back_to(
    project: Project, vault: Vault
) -> None:
    old, _ = applied(project, vault, HELLO)
    new, _ = applied(project, vault, HELLO.replace("content: hello", "content: other"))
    assert new.secrets[0].digest != old.secrets[0].digest
    assert (contents(vault, old)["a"], contents(vault, new)["a"]) == (b"hello", b"other")


def test_external_ones_are_the_stacks_own_before_everybodys(project: Project, vault: Vault, tmp_path: Path) -> None:
    kept = care(vault, tmp_path)
    for name, content in (("a", b"all"), ("token", b"all"), ("shop/token", b"own"), ("other/a", b"no")):
        kept.put(name, SecretBytes(content))
    stack, _ = applied(project, vault, EXTERNAL)
    assert contents(vault, stack) == {"a": b"all", "b": b"own"}


def test_external_ones_that_were_never_set_are_all_named_with_their_place(project: Project, vault: Vault) -> None:
    with pytest.raises(FileErrors) as caught:
        applied(project, vault, EXTERNAL)
    first, second = caught.value.errors
    assert "play.yml:8:" in str(first)
    assert "no secret a (nor shop/a)" in str(first)
    assert "shipyard secret set token" in str(second)


def test_setting_an_external_one_says_who_has_to_be_applied_again(
    vault: Vault, project: Project, tmp_path: Path
) -> None:
    kept = care(vault, tmp_path)
    for name in ("a", "token"):
        assert kept.put(name, SecretBytes(b"1")) == (True, ())
    applied(project, vault, EXTERNAL)
    assert kept.put("a", SecretBytes(b"1")) == (False, ())
    assert kept.put("a", SecretBytes(b"2")) == (True, ("shop",))
    applied(project, vault, EXTERNAL)
    assert kept.put("a", SecretBytes(b"2")) == (False, ())


def test_a_password_manager_is_not_told_the_key(project: Project, vault: Vault, tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "THE_KEY": "b2xk" * 10 + "b2w="}
    keyed = opened_again(vault.store, tmp_path, environ=environ)
    stack, _ = applied(project, keyed, TOLD.replace("echo told", "echo ${THE_KEY-none}"))
    assert contents(keyed, stack) == {"a": b"none"}


def test_a_password_manager_is_asked_in_a_trusted_project_alone(project: Project, vault: Vault, tmp_path: Path) -> None:
    stack, _ = applied(project, vault, TOLD)
    assert contents(vault, stack) == {"a": b"told"}
    stranger = opened_again(vault.store, tmp_path, trusted=False)
    with pytest.raises(
        FileErrors, match=r"runs a program \(\S+\): it is a program of this project, and those are not run"
    ):
        applied(project, stranger, TOLD)
    for script, words in (("exit 3", "ended with status 3"), (":", "printed nothing")):
        with pytest.raises(FileErrors, match=rf"play.yml:8:.*{words}"):
            applied(project, vault, TOLD.replace("echo told", script))
    with pytest.raises(FileErrors, match="may not"):
        project.load(wrap("t", TOLD.strip("\n")), untrusted=True)


# Keys


def test_a_lost_key_is_never_replaced_unasked(project: Project, vault: Vault, tmp_path: Path) -> None:
    stack, _ = applied(project, vault, HELLO)
    key_file(tmp_path).unlink()
    again = opened_again(vault.store, tmp_path)
    for work in (
        lambda: applied(project, again, HELLO),
        lambda: contents(again, stack),
        lambda: care(again, tmp_path).put("x", SecretBytes(b"x")),
        lambda: care(again, tmp_path).rotate_key(),
    ):
        with pytest.raises(StoreError, match=r"the key of secrets is gone: .*shop/a, shop/b") as caught:
            work()
        assert "rotate-key --lost" in str(caught.value)
    assert not key_file(tmp_path).exists()


def test_another_key_is_told_from_a_damaged_row(project: Project, vault: Vault, tmp_path: Path) -> None:
    stack, _ = applied(project, vault, HELLO)
    key_file(tmp_path).unlink()
    masterkey.make(key_file(tmp_path), SecretBytes(b"n" * 32))
    again = opened_again(vault.store, tmp_path)
    with pytest.raises(StoreError, match="is not the one that these secrets were sealed with"):
        contents(again, stack)
    with pytest.raises(StoreError, match="is not the one that these secrets were sealed with"):
        applied(project, again, HELLO)


def test_a_row_put_in_anothers_place_is_damaged_and_applying_mends_it(project: Project, vault: Vault) -> None:
    stack, _ = applied(project, vault, HELLO)
    a, b = (vault.store.sealed(secret.name, secret.digest) for secret in stack.secrets)
    assert a is not None
    assert b is not None
    vault.store.keep_secret(SealedSecret(a.row, b.sealed))
    with pytest.raises(StoreError, match="the secret shop/a in the store is damaged"):
        vault.content(stack.secrets[0])
    assert applied(project, vault, HELLO)[0] == stack
    assert contents(vault, stack)["a"] == b"hello"


def test_a_new_key_changes_no_digest_and_a_process_that_has_the_old_one_goes_on(
    project: Project, vault: Vault, tmp_path: Path
) -> None:
    stack, _ = applied(project, vault, HELLO)
    old = masterkey.read_file(key_file(tmp_path))
    rotated = care(opened_again(vault.store, tmp_path), tmp_path).rotate_key()
    assert (rotated.resealed, rotated.dropped) == (2, ())
    assert rotated.old is not None
    assert masterkey.read_file(rotated.old) == old
    assert masterkey.read_file(key_file(tmp_path)) != old
    assert contents(vault, stack) == {"a": b"hello", "b": b"hello"}
    assert applied(project, opened_again(vault.store, tmp_path), HELLO)[0] == stack


def test_a_rotation_that_was_killed_leaves_both_keys_and_can_be_run_again(
    project: Project, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, _ = applied(project, vault, HELLO)
    for method, sealed_with in (("reseal", 1), ("add_events", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(Store, method, _die)
            with pytest.raises(KeyboardInterrupt):
                care(opened_again(vault.store, tmp_path), tmp_path).rotate_key()
        assert len(masterkey.read_file(key_file(tmp_path))) == 1 + sealed_with
        assert contents(opened_again(vault.store, tmp_path), stack) == {"a": b"hello", "b": b"hello"}


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_key_that_was_lost_for_good_takes_with_it_only_what_it_sealed(
    project: Project, vault: Vault, tmp_path: Path
) -> None:
    care(vault, tmp_path).put("token", SecretBytes(b"1"))
    key_file(tmp_path).unlink()
    again = opened_again(vault.store, tmp_path)
    assert care(again, tmp_path).rotate_key(lost=True).dropped == ("token",)
    assert care(again, tmp_path).put("token", SecretBytes(b"1")) == (True, ())
    stack, _ = applied(project, again, HELLO)
    assert contents(again, stack)["a"] == b"hello"


def test_a_key_in_a_variable_is_replaced_there(project: Project, vault: Vault, tmp_path: Path) -> None:
    old, new = "b2xk" * 10 + "b2w=", "bmV3" * 10 + "bmU="
    stack, _ = applied(project, opened_again(vault.store, tmp_path, environ={"THE_KEY": old}), HELLO)
    with pytest.raises(ConfigError, match="which shipyard can't write to"):
        care(opened_again(vault.store, tmp_path, environ={"THE_KEY": old}), tmp_path).rotate_key()
    both = opened_again(vault.store, tmp_path, environ={"THE_KEY": f"{new} {old}"})
    assert care(both, tmp_path).rotate_key().resealed == 2
    assert contents(opened_again(vault.store, tmp_path, environ={"THE_KEY": new}), stack)["a"] == b"hello"
    assert not key_file(tmp_path).exists()


# By hand


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a b", b"x", "can't be a secret's name"),
        ("a/b/c", b"x", "can't be a secret's name"),
        ("../a", b"x", "can't be a secret's name"),
        ("token", b"", "is empty"),
        ("token", b"x" * (500 * 1024 + 1), "larger than 500 KiB"),
        ("shop/a", b"x", "is declared with its content by a playbook"),
    ],
)
def test_what_can_not_be_set(
    project: Project, vault: Vault, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    applied(project, vault, HELLO)
    with pytest.raises(UsageError, match=message):
        care(vault, tmp_path).put(name, SecretBytes(content))


def test_what_a_stack_uses_is_removed_by_force_alone(project: Project, vault: Vault, tmp_path: Path) -> None:
    kept = care(vault, tmp_path)
    for name in ("a", "token", "unused"):
        kept.put(name, SecretBytes(b"1"))
    stack, _ = applied(project, vault, EXTERNAL)
    with pytest.raises(UsageError, match="token is used by shop"):
        kept.remove(["unused", "token"])
    kept.remove(["unused"])
    with pytest.raises(UsageError, match="there is no secret unused"):
        kept.remove(["unused"])
    kept.remove(["token"], force=True)
    assert [(info.name, info.contents, info.used_by) for info in kept.infos()] == [
        ("a", 1, ("shop",)),
        ("token", 0, ("shop",)),
    ]
    assert [secret.name for secret in missing(vault.store, [stack])] == ["token"]
    with pytest.raises(ShipyardError, match=r"token .*is not in the store") as caught:
        contents(vault, stack)
    assert "shipyard secret set token" in str(caught.value)
    kept.put("token", SecretBytes(b"1"))
    assert contents(vault, stack)["b"] == b"1"
