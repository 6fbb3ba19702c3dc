"""External configs between people, store and files: what a declaration comes to, and what is said where it can't be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipyard.base.errors import FileErrors, UsageError
from shipyard.base.record import replace
from shipyard.base.trust import Trust
from shipyard.files.config import KeySource
from shipyard.files.playbook import merge
from shipyard.model.canonical import spec_hash, stack_digest
from shipyard.model.spec import Revision, StackSpec
from shipyard.planner import revising
from shipyard.reconcile import applying, outside
from shipyard.reconcile.configcare import ConfigCare, ConfigInfo
from shipyard.reconcile.vault import Vault
from shipyard.store.records import ConfigRow
from shipyard.store.store import Store
from tests.playbook_project import Project, wrap

EXTERNAL = """
    configs: [motd, {source: page, target: /srv/page, uid: "101", mode: 0400}, local]
configs:
  motd: {external: true}
  page: {external: true, name: index.html}
  local: {content: mine, name: motd}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / ".shipyard" / "state.db")) as opened:
        yield opened


@pytest.fixture
def care(store: Store) -> ConfigCare:
    return ConfigCare(store)


def vault(store: Store, folder: Path) -> Vault:
    source = KeySource(folder / ".shipyard" / "secrets.key", "THE_KEY")
    return Vault(store, source, {}, trusted=Trust.all(), folder=folder)


def read(project: Project, store: Store, text: str = EXTERNAL, *, make: bool = True) -> StackSpec:
    """The stack as it would be stored."""
    loaded, _ = applying.contents(vault(store, project.folder), project.load(wrap("t", text.strip("\n"))), make=make)
    (stack,) = loaded.stacks
    return stack


def applied(project: Project, store: Store, text: str = EXTERNAL) -> StackSpec:
    stack = read(project, store, text)
    before = next((head.revision.spec for head in store.heads() if head.revision.stack == stack.name), None)
    merged = merge(before, stack, files=("playbooks/play.yml",)).stack
    store.add_revision(merged, author="a", files=(), now=1.0)
    return merged


def contents(stack: StackSpec) -> dict[str, bytes]:
    """By the place in the container."""
    by_digest = {spec.digest: spec.content for spec in stack.configs}
    return {mount.target: by_digest[mount.digest] for mount in stack.services[0].container.configs}


def set_all(care: ConfigCare, **more: bytes) -> None:
    for name, content in {"motd": b"hello", "index.html": b"\0\xff", **more}.items():
        care.put(name, content)


def test_a_container_gets_what_was_set(project: Project, store: Store, care: ConfigCare) -> None:
    set_all(care)
    stack = applied(project, store)
    assert contents(stack) == {"/motd": b"hello", "/srv/page": b"\0\xff", "/local": b"mine"}
    assert {spec.digest for spec in stack.configs} == {
        hashlib.sha256(content).hexdigest() for content in (b"hello", b"\0\xff", b"mine")
    }
    page = next(mount for mount in stack.services[0].container.configs if mount.target == "/srv/page")
    assert (page.name, page.uid, page.mode) == ("index.html", "101", 0o400)
    (head,) = store.heads()
    assert head.revision.spec == stack


def test_every_container_of_a_service_gets_it(project: Project, store: Store, care: ConfigCare) -> None:
    set_all(care)
    stack = read(
        project,
        store,
        """
    labels: {n: "{{ count }}"}
    configs: [motd]
  side:
    image: busybox
    network_mode: service:web
    configs: [motd]
configs:
  motd: {external: true}
""",
    )
    (web,) = stack.services
    assert web.variants
    assert web.container.members
    mounts = [mount for spec in web.containers() for mount in spec.configs]
    assert len(mounts) == len(web.containers())
    assert {mount.digest for mount in mounts} == {hashlib.sha256(b"hello").hexdigest()}


def test_the_same_again_is_the_same_revision_and_another_content_is_another_container(
    project: Project, store: Store, care: ConfigCare
) -> None:
    set_all(care)
    first = applied(project, store)
    assert stack_digest(applied(project, store)) == stack_digest(first)
    assert read(project, store, make=False) == first
    set_all(care, motd=b"bye")
    (head,) = store.heads()
    assert head.revision.spec == first, "setting alone changes nothing"
    second = applied(project, store)
    assert spec_hash(second.services[0].container) != spec_hash(first.services[0].container)
    assert contents(second)["/motd"] == b"bye"
    assert b"hello" not in {spec.content for spec in second.configs}


def test_a_rollback_brings_the_old_content_back_whatever_the_store_has(
    project: Project, store: Store, care: ConfigCare
) -> None:
    set_all(care)
    first = applied(project, store)
    set_all(care, motd=b"bye")
    second = applied(project, store)
    care.remove(["motd", "index.html"], force=True)
    assert contents(revising.undone(second, first, ["web"])) == contents(first)


def test_the_stacks_own_comes_before_everybodys(project: Project, store: Store, care: ConfigCare) -> None:
    set_all(care, **{"shop/motd": b"own", "other/index.html": b"no"})
    stack = applied(project, store)
    assert contents(stack) == {"/motd": b"own", "/srv/page": b"\0\xff", "/local": b"mine"}
    assert [(info.name, info.used_by) for info in care.infos()] == [
        ("index.html", ("shop",)),
        ("motd", ()),
        ("other/index.html", ()),
        ("shop/motd", ("shop",)),
    ]


def test_those_that_were_never_set_are_all_named_with_their_place_secrets_too(project: Project, store: Store) -> None:
    with pytest.raises(FileErrors) as caught:
        read(
            project,
            store,
            f"{EXTERNAL}  unused: {{external: true}}\nsecrets: {{key: {{external: true}}}}\n".replace(
                "    configs", "    secrets: [key]\n    configs", 1
            ),
        )
    said = [str(error).replace(f"{project.folder}/playbooks/", "") for error in caught.value.errors]
    assert said == [
        "play.yml:9:5: [0].configs.motd: is external, and the store has no config motd (nor shop/motd)\n"
        "  hint: shipyard configs set motd FILE",
        "play.yml:10:5: [0].configs.page: is external, and the store has no config index.html (nor shop/index.html)\n"
        "  hint: shipyard configs set index.html FILE",
        "play.yml:13:13: [0].secrets.key: is external, and the store has no secret key (nor shop/key)\n"
        "  hint: shipyard secret set key",
    ]
    assert not (project.folder / ".shipyard" / "secrets.key").exists()


def test_setting_one_says_who_has_to_be_applied_again(project: Project, store: Store, care: ConfigCare) -> None:
    assert care.put("motd", b"hello") == (True, ())
    assert care.put("motd", b"hello") == (False, ())
    assert care.put("index.html", b"x") == (True, ())
    applied(project, store)
    assert care.put("motd", b"hello") == (False, ())
    assert care.put("motd", b"bye") == (True, ("shop",))
    assert care.put("motd", b"bye") == (False, ("shop",))
    assert care.info("motd").outdated == ("shop",)
    applied(project, store)
    assert care.put("motd", b"bye") == (False, ())
    assert care.info("motd").outdated == ()
    assert care.put("shop/motd", b"own") == (True, ("shop",)), "it will be the one that is meant"
    assert care.put("voting/motd", b"own") == (True, ())


def test_what_was_set_is_remembered_with_who_and_when(care: ConfigCare, store: Store) -> None:
    care.put("motd", b"hello")
    row = care.info("motd").row
    assert row is not None
    assert "@" in row.author
    care.put("motd", b"hello")
    assert care.info("motd").row == row, "the same content is no news"
    care.remove(["motd"])
    assert [each.event.reason for each in store.events()] == ["ConfigSet", "ConfigRemoved"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a b", b"x", "can't be a config's name"),
        ("a/b/c", b"x", "can't be a config's name"),
        ("../a", b"x", "can't be a config's name"),
        ("Shop/a", b"x", "can't be a config's name"),
        ("a" * 64, b"x", "can't be a config's name"),
        ("motd", b"", "is empty"),
        ("motd", b"x" * (1000 * 1024 + 1), "larger than 1000 KiB"),
    ],
)
def test_what_can_not_be_set(care: ConfigCare, store: Store, name: str, content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        care.put(name, content)
    assert store.configs() == ()


def test_the_largest_that_swarm_takes_is_taken(care: ConfigCare) -> None:
    assert care.put("a" * 63, b"x" * 1000 * 1024) == (True, ())


def test_what_a_stack_uses_is_removed_by_force_alone(project: Project, store: Store, care: ConfigCare) -> None:
    set_all(care, unused=b"x")
    applied(project, store)
    with pytest.raises(UsageError, match="motd is used by shop"):
        care.remove(["unused", "motd"])
    care.remove(["unused"])
    with pytest.raises(UsageError, match="there is no config unused"):
        care.remove(["unused"])
    care.remove(["motd"], force=True)
    assert [(info.name, info.row is None, info.used_by) for info in care.infos()] == [
        ("index.html", False, ("shop",)),
        ("motd", True, ("shop",)),
    ]
    with pytest.raises(UsageError, match="there is no config motd"):
        care.info("motd")
    with pytest.raises(FileErrors, match="no config motd"):
        applied(project, store)
    care.put("motd", b"hello")
    applied(project, store)


def test_one_that_files_declare_with_its_content_is_no_use(project: Project, store: Store, care: ConfigCare) -> None:
    """Two names that happen to be the same."""
    care.put("motd", b"hello")
    applied(
        project,
        store,
        EXTERNAL.replace("{external: true}", "{content: x, name: other}").replace(
            "{external: true, name: index.html}", "{content: y}"
        ),
    )
    assert care.info("motd") == ConfigInfo("motd", care.info("motd").row)
    care.remove(["motd"])


def test_revisions_give_them_back_the_newest_first(project: Project, store: Store, care: ConfigCare) -> None:
    set_all(care)
    shop = applied(project, store)
    set_all(care, motd=b"bye")
    voting = replace(applied(project, store), name="voting")
    revisions = [
        Revision("voting", 1, voting, "", 20.0, "bob@desk"),
        Revision("shop", 4, shop, "", 10.0, "alice@laptop"),
    ]
    for given in (revisions, revisions[::-1]):
        assert outside.read_back(given) == (
            ConfigRow("index.html", b"\0\xff", hashlib.sha256(b"\0\xff").hexdigest(), 20.0, "bob@desk"),
            ConfigRow("motd", b"bye", hashlib.sha256(b"bye").hexdigest(), 20.0, "bob@desk"),
        )
    assert [row.content for row in outside.read_back(revisions[1:])] == [b"\0\xff", b"hello"]
