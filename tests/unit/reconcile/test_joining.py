"""Hosts that join after an apply: what they get, what is written down of it, and what they are refused for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from shipyard.base.record import replace
from shipyard.base.secret import SecretBytes
from shipyard.files import kinds, masterkey, playbook
from shipyard.files.config import Options, load_settings
from shipyard.files.playbook.variants import with_nodes
from shipyard.model import canonical
from shipyard.model.event import Event
from shipyard.model.job import Job, JobRun
from shipyard.model.memory import Memory, Rollout
from shipyard.model.progress import Unwatched
from shipyard.model.situation import Situation
from shipyard.model.spec import Revision, ServiceSpec
from shipyard.planner import revising
from shipyard.planner.job_watch import job_hash
from shipyard.planner.turns import target
from shipyard.reconcile import copies, early, images, joining, outside
from shipyard.reconcile.session import Session
from shipyard.store.records import ConfigRow
from shipyard.store.store import Store
from tests import rolling
from tests.simulated import SimulatedFleet, SimulatedNode

KNOWN = {"nginx:1": "nginx@sha256:" + "1" * 64}
NAMED = """
- hosts: all
  stack: shop
  services:
    web:
      image: nginx:1
      deploy: {mode: global}
      environment: {NAME: "{{ inventory_hostname }}"}
"""
RACKS = NAMED.replace("inventory_hostname", "rack")


class Leased:
    """A lease that nobody takes away; how often somebody asked."""

    asked = 0

    def check(self) -> None:
        self.asked += 1


@dataclass
class Told(Unwatched):
    """Remembers the events it was told."""

    events: list[Event] = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class Project:
    """A project folder with an inventory and playbooks, and its store; no node is ever asked."""

    folder: Path
    keeper: Leased = field(default_factory=Leased)
    told: Told = field(default_factory=Told)
    _sessions: list[Session] = field(default_factory=list)

    def hosts(self, **hosts: dict[str, object]) -> None:
        """Write the inventory: each host with its variables."""
        lines = (" ".join([name, *(f"{key}={value}" for key, value in said.items())]) for name, said in hosts.items())
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")

    def write(self, text: str, name: str = "site.yml") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def session(self) -> Session:
        """As a command of its own has it: with the inventory as it is now."""
        settings = load_settings(Options(inventory=(str(self.folder / "hosts"),)), {}, self.folder)
        session = Session.open(settings, early.begin(settings), create=True)
        self._sessions.append(session)
        return session

    def apply(self, name: str = "site.yml", wish: kinds.Wish = kinds.Wish(), **extra: object) -> Revision:
        """Store what the file says of its first stack, as `apply` does."""
        session = self.session()
        opening = early.begin(session.settings, playbooks=(name,))
        loaded = kinds.load(
            [self.folder / name],
            wish,
            inventory=opening.inventory,
            project=self.folder,
            extra_vars=extra,
            environ={},
        )
        loaded, sealed = session.vault.resolved(outside.resolved(session.store, loaded), make=True)
        heads = {head.revision.stack: head.revision.spec for head in session.store.heads()}
        stack = loaded.stacks[0]
        merged = playbook.merge(heads.get(stack.name), stack, files=loaded.files).stack
        return session.store.add_revision(
            revising.followed(images.resolve(merged, KNOWN)),
            author="me",
            files=loaded.files,
            now=session.now(),
            sealed=sealed[stack.name],
        )

    def look(self, *, limit: frozenset[str] | None = None, store: bool = True) -> Situation:
        """What a pass of a command of its own begins with; or a plan, which stores nothing."""
        session = self.session()
        situation = session.situation(session.membership(), session.stacks(), limit)
        if not store:
            return joining.foreseen(session, situation)
        return joining.welcome(session, situation, cast(Any, self.keeper), self.told)

    @property
    def store(self) -> Store:
        return self.session().store

    def close(self) -> None:
        for session in self._sessions:
            session.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    yield made
    made.close()


def service(situation: Situation, name: str = "web") -> ServiceSpec:
    found = situation.stacks[0].revision.spec.service(name)
    assert found is not None
    return found


def value(spec: ServiceSpec, node: str) -> str:
    return spec.container_on(node).environment[0][1]


def why(situation: Situation) -> dict[str, str]:
    return {each.node: each.why for each in situation.lacking}


def test_one_host_alone_is_no_reason_to_take_its_name_for_everybodys(project: Project) -> None:
    """Nothing differed when this was applied, and the next host would have been called like the first."""
    project.hosts(n1={})
    project.write(NAMED)
    applied = project.apply()
    project.hosts(n1={}, n2={})
    spec = service(project.look())
    assert [value(spec, node) for node in ("n1", "n2")] == ["n1", "n2"]
    assert spec.container_on("n2").image == KNOWN["nginx:1"], "as it was resolved when it was applied"
    (row,) = project.store.revisions("shop")
    assert (row.number, row.files) == (applied.number, ("site.yml",))
    (head,) = project.store.heads()
    assert head.revision.digest == canonical.stack_digest(head.revision.spec) != applied.digest
    assert service(project.look(), "web") == head.revision.spec.services[0]
    assert project.keeper.asked == 1, "the second pass had nothing to do"
    (event,) = project.told.events
    assert (event.reason, event.target, event.node) == ("NodeRendered", "shop/web", "n2")
    assert event.message == "n2 has its own container of it, as site.yml says; revision 1 has that from now on"
    assert [(each.event.reason, each.event.node) for each in project.store.events()] == [("NodeRendered", "n2")]


def test_applying_the_same_after_a_host_joined_is_no_other_revision(project: Project) -> None:
    project.write(NAMED)
    project.hosts(n2={}, n3={})
    project.apply()
    project.hosts(n1={}, n2={}, n3={})
    project.look()
    assert project.apply().number == 1


def test_a_host_that_agrees_gets_what_was_applied_and_no_file_is_read(project: Project) -> None:
    project.write(RACKS)
    project.hosts(n1={"rack": "a"}, n2={"rack": "b"})
    project.apply()
    (project.folder / "site.yml").unlink()
    project.hosts(n1={"rack": "a"}, n2={"rack": "b"}, n3={"rack": "b"}, n4={"rack": "c"})
    situation = project.look()
    assert value(service(situation), "n3") == "b"
    assert service(situation).rendered == ("n1", "n2", "n3")
    assert project.told.events[0].message == (
        "n3 has what n2 has of it, whose variables are the same; revision 1 has that from now on"
    )
    assert why(situation) == {"n4": "there is no file site.yml any more; apply what declares it"}
    assert [(each.stack, each.service) for each in situation.lacking] == [("shop", "web")]


def test_a_variable_that_changed_for_all_counts_with_the_next_apply(project: Project) -> None:
    project.write(RACKS)
    project.write("rack: old\n", "group_vars/all")
    project.hosts(n1={})
    project.apply()
    project.write("rack: new\n", "group_vars/all")
    project.hosts(n1={}, n2={})
    assert [value(service(project.look()), node) for node in ("n1", "n2")] == ["old", "old"]
    assert project.apply().number == 2
    assert [value(service(project.look()), node) for node in ("n1", "n2")] == ["new", "new"]


def test_variables_beside_the_playbook_tell_hosts_apart_too(project: Project) -> None:
    project.write(RACKS.replace("rack", "rack | default('none')"), "plays/site.yml")
    project.write("rack: one\n", "plays/host_vars/n1")
    project.write("rack: two\n", "plays/host_vars/n2")
    project.hosts(n1={})
    project.apply("plays/site.yml")
    project.hosts(n1={}, n2={})
    assert [value(service(project.look()), node) for node in ("n1", "n2")] == ["one", "two"]


def test_variables_beside_the_playbook_that_can_not_be_read_stop_no_pass(project: Project) -> None:
    project.write(NAMED, "plays/site.yml")
    project.hosts(n1={})
    project.apply("plays/site.yml")
    project.write("a: [", "plays/group_vars/all")
    project.hosts(n1={}, n2={})
    (said,) = why(project.look()).values()
    assert "group_vars/all:2:1: can't be read as YAML" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("nginx:1", "nginx:2"), "that, or its variables, say something else by now (image, on n1); apply it"),
        (("global", "replicated"), "that says something else by now (mode); apply it"),
        (("    web:", "    other:"), "that does not declare it any more; apply it"),
        (
            ("NAME:", "NAME: {{"),
            "site.yml:9:1: can't be read as YAML: did not find expected ',' or '}' (while parsing a flow mapping);"
            " apply that again",
        ),
    ],
)
def test_a_file_that_says_something_else_by_now_is_not_believed(
    project: Project, change: tuple[str, str], says: str
) -> None:
    project.write(NAMED)
    project.hosts(n1={})
    applied = project.apply()
    project.write(NAMED.replace(*change))
    project.hosts(n1={}, n2={})
    situation = project.look()
    assert why(situation) == {"n2": says}
    assert project.store.heads()[0].revision == applied
    assert project.told.events == []


def test_what_was_given_on_the_command_line_is_not_kept(project: Project) -> None:
    project.write(NAMED.replace("inventory_hostname", "inventory_hostname ~ version"))
    project.hosts(n1={})
    project.apply(version="1")
    project.hosts(n1={}, n2={})
    (said,) = why(project.look()).values()
    assert said.startswith("site.yml:8:")
    assert "the variable 'version' is not defined" in said
    assert said.endswith(", and what was given with -e is not kept; apply that again")


def test_a_host_for_which_the_revision_has_no_image_waits_for_an_apply(project: Project) -> None:
    project.write(NAMED.replace("nginx:1", "'nginx:{{ version }}'"))
    project.hosts(n1={"version": 1})
    project.apply()
    project.hosts(n1={"version": 1}, n2={"version": 2})
    assert why(project.look()) == {
        "n2": "it would have the image nginx:2, which no host had when that was applied; apply it again"
    }


@pytest.mark.parametrize("store", [True, False])
def test_a_limited_run_gives_to_the_hosts_that_it_is_about(project: Project, store: bool) -> None:
    project.write(NAMED)
    project.hosts(n1={})
    project.apply()
    project.hosts(n1={}, n2={}, n3={})
    limited = project.look(limit=frozenset({"n2"}), store=store)
    assert why(limited) == {"n3": "a run without --limit gives it its own"}
    assert value(service(limited), "n2") == "n2"
    assert why(project.look()) == {}


def test_a_plan_stores_nothing(project: Project) -> None:
    project.write(NAMED)
    project.hosts(n1={})
    applied = project.apply()
    project.hosts(n1={}, n2={})
    assert value(service(project.look(store=False)), "n2") == "n2"
    assert project.store.heads()[0].revision == applied
    assert project.store.events() == ()
    assert project.told.events == []


def test_in_one_run_it_is_tried_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(NAMED)
    project.hosts(n1={})
    project.apply()
    project.write("nothing: [")
    project.hosts(n1={}, n2={})
    session, read = project.session(), []
    load = kinds.load
    monkeypatch.setattr(kinds, "load", lambda *args, **options: read.append(1) or load(*args, **options))

    def look() -> Situation:
        situation = session.situation(session.membership(), session.stacks())
        return joining.welcome(session, situation, cast(Any, project.keeper), project.told)

    assert why(look()) == why(look()) != {}
    assert read == [1]
    session.holds(7)
    look()
    assert read == [1, 1], "the next round of a watch tries again"


@pytest.mark.parametrize("state", ["paused", "completed", "updating", "rollback_paused"])
def test_a_join_begins_no_update_and_ends_no_pause(project: Project, state: Any) -> None:
    """The image is resolved, and the network (which spans the nodes) is not: what a pass compares is neither."""
    project.write(NAMED)
    project.hosts(n1={}, n3={})
    project.apply()
    before = planned_target(project.look())
    rollouts = tuple(
        Rollout("shop", name, 1, state, 5.0, "why", target=to, failed=(1,))
        for name, to in (("other", "x"), ("web", before))
    )
    project.store.save_memory(Memory(rollouts=rollouts))
    project.hosts(n1={}, n2={}, n3={})
    situation = project.look()
    after = planned_target(situation)
    assert before != after
    kept = project.store.memory().rollouts
    assert kept == situation.memory.rollouts == (rollouts[0], replace(rollouts[1], target=after))


def planned_target(situation: Situation) -> str:
    from shipyard.planner.network.spanning import resolved

    spec = service(resolved(situation))
    assert spec.container.hosts
    return target(spec)


def test_an_update_that_failed_stays_paused_when_a_host_joins() -> None:
    """As passes go on from there: what it has not reached stays as it was, and nothing is tried again."""

    def each(image: str, *nodes: str) -> ServiceSpec:
        named = rolling.service(image, mode="global", reached=("inventory_hostname",))
        return with_nodes(named, {node: replace(named.container, environment=(("NAME", node),)) for node in nodes})

    control = rolling.Control(SimulatedFleet(("n1", "n2")))
    control.apply(each("app:1", "n1", "n2"))
    control.run()
    control.bad.add("app:2")
    control.apply(each("app:2", "n1", "n2"))
    for _ in range(20):
        control.step()
    before, (stack,) = control.rollout(), control.stacks
    assert (before.state, control.images()) == ("paused", {"app:1": 1})
    control.fleet.nodes["n3"] = SimulatedNode("n3")
    amended = replace(control.head.spec, services=(each("app:2", "n1", "n2", "n3"),))
    control.revisions[-1] = replace(control.head, spec=amended)
    control.fleet.memory = joining._carried(control.fleet.situation((stack,)), stack, control.stacks[0])
    for _ in range(20):
        control.step()
    after = control.rollout()
    assert (after.state, after.since, after.message) == ("paused", before.since, before.message)
    assert control.images() == {"app:1": 1}
    assert "n3" in {node for node, _ in control.boxes()}


def test_a_job_is_not_run_again_for_a_host_that_joins(project: Project) -> None:
    project.write(NAMED.replace("global", "global-job"))
    project.hosts(n1={})
    spec = project.apply().spec.services[0]
    run = JobRun(1, "rev-1", "spec", job_hash(spec), 1, state="succeeded")
    project.store.save_memory(Memory(jobs=(Job("shop", "web", runs=(run,)),)))
    project.hosts(n1={}, n2={})
    situation = project.look()
    (job,) = project.store.memory().jobs
    assert job.runs[0].spec == job_hash(service(situation)) != run.spec


def test_a_secret_and_a_restart_stay_what_they_were(project: Project) -> None:
    """Contents changed since are for the next apply; the stamp of a restart makes no other container."""
    text = NAMED + "      secrets: [key]\n  secrets: {key: {file: key.txt}}\n"
    project.write(text)
    project.write("one", "key.txt")
    project.hosts(n1={})
    applied = project.apply()
    restarted = revising.restarted(applied.spec, "web", "now")
    project.store.add_revision(restarted, author="me", files=applied.files, now=9.0)
    project.write("two", "key.txt")
    project.hosts(n1={}, n2={})
    one, two = (service(project.look()).container_on(node) for node in ("n1", "n2"))
    assert two.secrets == one.secrets == applied.spec.services[0].container.secrets
    assert two.stamps == one.stamps == (("restarted", "now"),)


def test_a_revision_that_holds_secrets_is_sealed_again(project: Project) -> None:
    project.write(NAMED.replace("NAME:", "API_TOKEN: canary-5f3a, NAME:"))
    project.hosts(n1={})
    masterkey.make(project.session().settings.secrets.file, SecretBytes(b"k" * 32))
    applied = project.apply()
    project.hosts(n1={}, n2={})
    spec = service(project.look())
    database = project.folder / ".shipyard" / "state.db"
    with closing(sqlite3.connect(database)) as raw:
        ((body, digest),) = raw.execute("SELECT body, digest FROM revisions").fetchall()
    assert body.startswith("sealed v1 ")
    assert digest != applied.digest
    (head,) = project.store.heads()
    assert head.revision.spec.services == (spec,)
    assert digest != canonical.stack_digest(head.revision.spec)


def test_of_two_copies_of_one_number_that_of_more_hosts_is_read_back(project: Project) -> None:
    """A node that was away when a host joined keeps the copy of before."""
    project.write(NAMED)
    project.hosts(n1={})
    before = project.apply()
    project.hosts(n1={}, n2={})
    project.look()
    (head,) = project.store.heads()
    session = project.session()

    def copy(revision: Revision) -> Any:
        from shipyard.observe.kept import KeptRevision

        return KeptRevision(revision.stack, revision.number, revision.digest, canonical.dumps(revision))

    for order in ((before, head.revision), (head.revision, before)):
        found = copies.read(session.vault, [(f"n{at}", copy(each)) for at, each in enumerate(order)])
        assert found.revisions == {"shop": head.revision}
        assert found.unread == {}


def test_an_older_shipyard_left_no_names_so_the_file_decides(project: Project) -> None:
    project.write(RACKS)
    project.hosts(n1={"rack": "a"}, n2={"rack": "b"})
    applied = project.apply()
    old = tuple(replace(each, reached=()) for each in applied.spec.services)
    project.store.add_revision(replace(applied.spec, services=old), author="me", files=applied.files, now=9.0)
    project.hosts(n1={"rack": "a"}, n2={"rack": "b"}, n3={"rack": "b"})
    spec = service(project.look())
    assert value(spec, "n3") == "b"
    assert spec.reached == ("rack",)
    assert "as site.yml says" in project.told.events[0].message


def test_a_stack_that_is_being_removed_welcomes_nobody(project: Project) -> None:
    project.write(NAMED)
    project.hosts(n1={})
    project.apply()
    project.store.mark_removing("shop", 9.0)
    project.hosts(n1={}, n2={})
    assert project.look().lacking == ()
    assert project.told.events == []


def test_what_restarts_with_another_service_is_not_restarted_by_a_host_that_joins_both(project: Project) -> None:
    text = NAMED + "      depends_on: {db: {condition: service_started, restart: true}}\n    db:\n"
    project.write(text + '      {image: "nginx:1", environment: {NAME: "{{ inventory_hostname }}"}}\n')
    project.hosts(n1={})
    project.apply()
    before = project.store.heads()[0].revision.spec.services
    project.hosts(n1={}, n2={})
    situation = project.look()
    assert situation.lacking == ()
    for old in before:
        now = service(situation, old.name)
        assert now.container_on("n1") == old.container
        assert now.container_on("n2").stamps == old.container.stamps


def test_what_is_kept_outside_of_stacks_stays_what_it_was(project: Project) -> None:
    project.write(NAMED + "      configs: [motd]\n  configs: {motd: {external: true}}\n")
    project.hosts(n1={})
    store = project.store
    for content in (b"one", b"two"):
        store.keep_config(ConfigRow("motd", content, canonical.digest(content)))
        if content == b"one":
            applied = project.apply()
    project.hosts(n1={}, n2={})
    spec = service(project.look())
    (config,) = spec.container_on("n2").configs
    assert config.digest == canonical.digest(b"one")
    assert spec.container_on("n1") == applied.spec.services[0].container


MANIFEST = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: each, namespace: shop}
spec:
  selector: {matchLabels: {app: each}}
  template:
    metadata: {labels: {app: each}}
    spec:
      containers:
        - name: each
          image: nginx:1
          env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
"""


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        (MANIFEST, kinds.Wish()),
        (MANIFEST, kinds.Wish("n1,n2", "named")),
        (MANIFEST + "---" + MANIFEST.replace("shop", "zoo"), kinds.Wish()),
    ],
    ids=["namespace", "--hosts --stack", "namespaces"],
)
def test_a_manifest_that_names_its_node_is_read_again_too(project: Project, text: str, wish: kinds.Wish) -> None:
    project.write(text)
    project.hosts(n1={})
    project.apply(wish=wish)
    project.hosts(n1={}, n2={})
    situation = project.look()
    assert why(situation) == {}
    spec = service(situation, "each")
    assert [dict(spec.container_on(node).environment)["NAME"] for node in ("n1", "n2")] == ["n1", "n2"]
