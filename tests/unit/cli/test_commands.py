"""Each command over a fake fleet: what it asks for, what it prints, and what it exits with."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shipyard.base.clock import iso
from shipyard.base.errors import LeaseHeld, StoreError, Unreachable
from shipyard.cli.app import App
from shipyard.cli.job import containers
from shipyard.cli.main import run
from shipyard.model import labels
from shipyard.model.container import ContainerSpec
from shipyard.model.job import Job, JobRun, JobTask
from shipyard.model.memory import Memory
from shipyard.model.node import Node
from shipyard.model.observed import Container, ContainerState, Facts, ObservedNode, Silent
from shipyard.model.plan import Blocked, Plan
from shipyard.model.progress import Ending
from shipyard.model.request import (
    ApplyRequest,
    DrainRequest,
    HostKey,
    JobRequest,
    NodeCheck,
    ReconcileRequest,
    RemoveRequest,
)
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import JobRules, Revision, ServiceSpec, StackSpec
from shipyard.planner.job_status import job_statuses
from tests.unit.cli import cli_samples as samples
from tests.unit.cli import cli_screen
from tests.unit.cli.fake_operations import FakeOperations

Shipyard = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> FakeOperations:
    """In the place of the real one."""
    fake = FakeOperations()
    module = ModuleType("shipyard.reconcile.operations")
    module.Operations = fake  # type: ignore[attr-defined]  # a module made for the test
    monkeypatch.setitem(sys.modules, "shipyard.reconcile.operations", module)
    early = ModuleType("shipyard.reconcile.early")
    early.begin = fake.begin  # type: ignore[attr-defined]  # the same
    monkeypatch.setitem(sys.modules, "shipyard.reconcile.early", early)
    return fake


@pytest.fixture
def shipyard(fleet: FakeOperations, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shipyard:
    """Runs a command line in an empty project; exit code, standard output, standard error."""

    def call(*args: str) -> tuple[int, str, str]:
        code = run(args, App({}, tmp_path))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def lost(connected: bool = False) -> Situation:
    silent = Silent("node3", connected=connected, kind="Unreachable", message="no route to host")
    seen = ObservedNode("node1", Facts(runtime="podman"))
    spec = StackSpec("guestbook", (ServiceSpec("web", ContainerSpec("nginx")),))
    revision = Revision("guestbook", 2, spec, "d", samples.NOW, "ann@bastion")
    return Situation(
        cluster="c1",
        now=samples.NOW,
        nodes=(Node("node1"), Node("node3")),
        stacks=(DesiredStack(revision),),
        observed=(seen, silent),
    )


def test_apply_passes_on_what_was_said(shipyard: Shipyard, fleet: FakeOperations) -> None:
    options = ["-e", "a=1", "-e", "@b.yml", "--limit", "rack1", "-t", "x,y", "-t", "z", "--prune", "--no-wait"]
    code, _, _ = shipyard("apply", "site.yml", "db.yml", *options, "--timeout", "5", "--accept-empty", "g_data")
    assert code == 0
    assert fleet.last("apply") == ApplyRequest(
        files=("site.yml", "db.yml"),
        extra_vars=("a=1", "@b.yml"),
        limit="rack1",
        tags=("x", "y", "z"),
        prune=True,
        accept_empty=("g_data",),
        wait=False,
        timeout=5.0,
    )
    assert fleet.last("open")["playbooks"] == ("site.yml", "db.yml")
    assert fleet.asked[-1][0] == "close"


def test_the_time_limit_comes_from_the_settings(shipyard: Shipyard, fleet: FakeOperations, tmp_path: Path) -> None:
    (tmp_path / "shipyard.toml").write_text("[timeouts]\nconverge = 42\n")
    shipyard("apply", "site.yml")
    assert fleet.last("apply").timeout == 42.0
    shipyard("reconcile")
    assert fleet.last("reconcile").timeout == 42.0


@pytest.mark.parametrize("command", [["apply", "f.yml"], ["reconcile"], ["rm", "guestbook", "--yes"]])
@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending(converged=True), 0),
        (Ending(converged=False), 2),
        (Ending(converged=True, unreachable=("n",)), 4),
        (Ending(converged=False, unreachable=("n",)), 6),
    ],
)
def test_exit_codes(shipyard: Shipyard, fleet: FakeOperations, command: list[str], ending: Ending, code: int) -> None:
    fleet.ending = ending
    assert shipyard(*command)[0] == code


@pytest.mark.parametrize(
    ("command", "plan", "situation", "code"),
    [
        (["plan", "f.yml"], samples.plan(), None, 0),
        (["plan", "f.yml"], samples.plan(), lost(), 4),
        (["plan", "f.yml", "--check"], samples.plan(), None, 10),
        (["apply", "f.yml", "--check", "--diff"], samples.plan(), None, 10),
        (["apply", "f.yml", "--check"], samples.plan(), lost(), 14),
        (["apply", "f.yml", "--check"], samples.plan(), lost(connected=True), 10),
        (["apply", "f.yml", "--check"], Plan(), None, 0),
        (["apply", "f.yml", "--check"], Plan(blocked=(Blocked("a", "B", "c"),)), None, 2),
    ],
)
def test_a_plan_changes_nothing(
    shipyard: Shipyard, fleet: FakeOperations, command: list[str], plan: Plan, situation: Situation | None, code: int
) -> None:
    fleet.plan_ = plan
    fleet.situation = situation or fleet.situation
    assert shipyard(*command)[0] == code
    assert [name for name, _ in fleet.asked] == ["open", "plan", "close"]


def test_plan_prints_json_alone(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.plan_ = samples.plan()
    _, out, err = shipyard("plan", "f.yml", "-o", "json")
    assert json.loads(out)["changes"] == 8
    assert err == ""


def test_reconcile_passes_on_what_was_said(shipyard: Shipyard, fleet: FakeOperations) -> None:
    shipyard("reconcile", "--watch", "--interval", "30", "--limit", "rack1", "--timeout", "9")
    assert fleet.last("reconcile") == ReconcileRequest(limit="rack1", watch=True, interval=30.0, timeout=9.0)
    shipyard("reconcile", "--once")
    assert fleet.last("reconcile").once


def test_reconcile_check_shows_the_plan(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.plan_, fleet.ending = samples.plan(), Ending(converged=False, pending=8)
    code, out, err = shipyard("reconcile", "--check", "-o", "json")
    assert (code, json.loads(out)["changes"], err) == (10, 8, "")


def test_another_pass_at_work(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.error = LeaseHeld("ann@laptop is at work since 10:00")
    assert shipyard("reconcile")[0::2] == (75, "error: ann@laptop is at work since 10:00\n")


def test_cron_says_nothing_of_another_pass(
    shipyard: Shipyard, fleet: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: object) -> Ending:
        raise LeaseHeld("ann@laptop is at work")

    monkeypatch.setattr(fleet, "reconcile", held)
    assert shipyard("reconcile", "--cron") == (75, "", "")


def test_cron_says_what_changed(shipyard: Shipyard, fleet: FakeOperations) -> None:
    assert shipyard("reconcile", "--cron") == (0, "", "")
    fleet.ending = Ending(converged=True, passes=1, changed=1)
    assert "guestbook/web.1" in shipyard("reconcile", "--cron")[1]


def test_status(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.situation = lost()
    code, out, _ = shipyard("status")
    assert code == 4
    assert "guestbook/web  0/1" in out
    assert "node3  Unreachable: no route to host" in out
    code, out, _ = shipyard("status", "-o", "json")
    assert (code, json.loads(out)["stacks"][0]["name"]) == (4, "guestbook")


@pytest.mark.parametrize("command", ["ps", "services"])
def test_ps_and_services(shipyard: Shipyard, fleet: FakeOperations, command: str) -> None:
    fleet.situation = lost()
    assert "guestbook/web" in shipyard(command)[1]
    (row,) = json.loads(shipyard(command, "guestbook", "-o", "json")[1])
    assert row["stack"] == "guestbook"
    assert "replicas" not in row
    code, _, err = shipyard(command, "shop")
    assert (code, err) == (5, "error: there is no stack 'shop'; there are: guestbook\n")


def test_events(shipyard: Shipyard, fleet: FakeOperations) -> None:
    _, out, _ = shipyard("events", "guestbook", "-n", "5")
    assert fleet.last("events") == ("guestbook", 0, 5)
    assert out == (
        "2026-11-18T11:06:40Z  Created  guestbook/web.1 on node1: made [31mred[0m 2Jtxet in two lines "
        "(3 times since 2026-11-18T11:05:40Z)\n"
    )
    (event,) = json.loads(shipyard("events", "-o", "json")[1])
    assert (event["id"], event["reason"], event["count"], event["at"]) == (7, "Created", 3, "2026-11-18T11:06:40Z")


def test_events_are_followed_from_the_last_one_on(
    shipyard: Shipyard, fleet: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("shipyard.base.clock.sleep", sleep)
    code, out, _ = shipyard("events", "-f", "-o", "json")
    assert code == 130
    assert len(out.splitlines()) == 1
    assert [argument[1] for name, argument in fleet.asked if name == "events"] == [0, 7, 7]


def test_history_and_diff(shipyard: Shipyard) -> None:
    assert "ann@bastion" in shipyard("history", "guestbook")[1]
    assert json.loads(shipyard("history", "guestbook", "-o", "json")[1])[0]["revision"] == 1
    assert shipyard("diff", "guestbook")[1] == "Revisions 1 and 2 of guestbook declare the same.\n"
    alone = "There is nothing to compare revision 2 of guestbook with but itself.\n"
    assert shipyard("diff", "guestbook", "2")[1] == alone


def test_a_stack_without_events_is_told_from_one_that_never_was(
    shipyard: Shipyard, fleet: FakeOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "events", lambda **_: ())
    assert shipyard("events") == (0, "Nothing has happened yet.\n", "")
    assert shipyard("events", "guestbook") == (0, "No event tells of guestbook.\n", "")
    assert shipyard("events", "-o", "json") == (0, "[]\n", "")
    code, out, err = shipyard("events", "shop")
    assert (code, out) == (5, "")
    assert err == "error: there is no stack 'shop', and no event tells of one; there are: guestbook\n"


def test_history_keeps_times_whole_on_narrow_terminals(
    shipyard: Shipyard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "DIGEST" in shipyard("history", "guestbook")[1]
    screen = cli_screen.terminal(60)
    monkeypatch.setattr(App, "out", property(lambda app: screen[0]))
    shipyard("history", "guestbook")
    assert iso(samples.NOW) in screen[1].getvalue()
    assert "DIGEST" not in screen[1].getvalue()


def test_rm_asks_first(shipyard: Shipyard, fleet: FakeOperations) -> None:
    code, _, err = shipyard("rm", "guestbook")
    assert (code, "nothing was removed" in err) == (5, True)
    assert "remove" not in [name for name, _ in fleet.asked]
    assert shipyard("rm", "guestbook", "--volumes", "data", "--yes")[0] == 0
    assert fleet.last("remove") == RemoveRequest("guestbook", ("data",), 600.0)


@pytest.mark.parametrize(
    ("words", "call", "asked"),
    [
        (("rollback", "guestbook"), "rollback", ("guestbook", None, 600.0)),
        (("rollback", "guestbook", "4", "--timeout", "5"), "rollback", ("guestbook", 4, 5.0)),
        (("restart", "guestbook/web"), "restart", ("guestbook", "web", 600.0)),
        (("scale", "a/web=5", "b/db=0"), "scale", ({("a", "web"): 5, ("b", "db"): 0}, 600.0)),
        (("resume", "guestbook"), "resume", ("guestbook", 600.0)),
    ],
)
def test_updates_without_a_file(
    shipyard: Shipyard, fleet: FakeOperations, words: tuple[str, ...], call: str, asked: object
) -> None:
    assert shipyard(*words)[0] == 0
    assert fleet.last(call) == asked
    fleet.ending = Ending(converged=False)
    assert shipyard(*words)[0] == 2


@pytest.mark.parametrize(
    "words",
    [("restart", "web"), ("restart", "guestbook/"), ("scale", "a/web"), ("scale", "a/web=-1"), ("scale", "web=2")],
)
def test_what_is_no_service_is_told_so(shipyard: Shipyard, fleet: FakeOperations, words: tuple[str, ...]) -> None:
    code, _, err = shipyard(*words)
    assert (code, "expected STACK/SERVICE" in err) == (5, True)
    assert fleet.asked == []


def test_pause_says_what_it_holds(shipyard: Shipyard, fleet: FakeOperations) -> None:
    assert "its update is held. `shipyard resume guestbook` goes on" in shipyard("pause", "guestbook")[1]
    fleet.under_way = False
    assert "the next one waits" in shipyard("pause", "guestbook")[1]
    told = json.loads(shipyard("pause", "guestbook", "-o", "json")[1])
    assert told == {"stack": "guestbook", "paused": True, "under_way": False}


def test_nodes(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.situation = lost()
    code, out, _ = shipyard("nodes")
    assert code == 4
    assert "node3  Unreachable: no route to host" in out
    assert [each["name"] for each in json.loads(shipyard("nodes", "list", "-o", "json")[1])] == ["node1", "node3"]


def test_nodes_check(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.checks = [
        NodeCheck("node1", True, "podman", "4.3.1", (("cpus", "2"),)),
        NodeCheck("node2", False, problems=(("sudo refused \x1b[2J", "give ansible_become_password"),)),
    ]
    code, out, _ = shipyard("nodes", "check", "rack1")
    assert fleet.last("check_nodes") == "rack1"
    assert (code, "\x1b" in out) == (2, False)
    assert "to mend it:  give ansible_become_password" in out
    assert out.endswith("1 of 2 nodes are ready for shipyard.\n")
    assert json.loads(shipyard("nodes", "check", "-o", "json")[1])[1]["problems"][0]["remedy"]


def test_nodes_trust_records_only_what_is_new_and_only_on_a_yes(shipyard: Shipyard, fleet: FakeOperations) -> None:
    same = HostKey("node1", "10.0.0.11", "ssh-ed25519", "SHA256:a", "same")
    new = HostKey("node2", "10.0.0.12", "ssh-ed25519", "SHA256:b", "new")
    fleet.keys = [same, new]
    code, out, err = shipyard("nodes", "trust")
    assert (code, "SHA256:b" in out, "nothing was recorded" in err) == (5, True, True)
    code, out, _ = shipyard("nodes", "trust", "--yes")
    assert code == 0
    assert fleet.last("record_host_keys") == (new,)
    fleet.keys = [same]
    assert "known already" in shipyard("nodes", "trust")[1]


def test_nodes_trust_goes_on_without_those_that_can_not_be_reached(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.silent = [Unreachable("node3", "no route to host")]
    new = HostKey("node2", "10.0.0.12", "ssh-ed25519", "SHA256:b", "new")
    fleet.keys = [new]
    code, out, err = shipyard("nodes", "trust", "--yes")
    assert (code, "SHA256:b" in out, "node3: no route to host" in err) == (4, True, True)
    assert fleet.last("record_host_keys") == (new,)
    fleet.keys = []
    assert shipyard("nodes", "trust")[:2] == (4, "There are no keys to record.\n")


def test_nodes_check_tells_the_unreachable_from_the_unfit_by_its_exit_code(
    shipyard: Shipyard, fleet: FakeOperations
) -> None:
    good = NodeCheck("node1", True)
    unfit, gone = NodeCheck("node2", False, problems=(("no runtime", ""),)), NodeCheck("node3", False, reached=False)
    for checks, code in (([good], 0), ([good, unfit], 2), ([good, gone], 4), ([unfit, gone], 6)):
        fleet.checks = checks
        assert shipyard("nodes", "check")[0] == code


@pytest.mark.parametrize(
    ("command", "call"), [("remove", "remove_node"), ("confirm-dead", "confirm_dead"), ("repin", "repin")]
)
def test_decisions_about_a_node(shipyard: Shipyard, fleet: FakeOperations, command: str, call: str) -> None:
    if command != "repin":
        assert shipyard("nodes", command, "node3")[0] == 5
        assert call not in [name for name, _ in fleet.asked]
        code, _, err = shipyard("nodes", command, "nope")
        assert (code, err) == (5, "error: nope is not a known node\n")
    assert shipyard("nodes", command, "node3", "--yes")[0] == 0
    assert fleet.last(call) == "node3"


def test_what_is_left_on_a_node_that_is_forgotten_by_force_is_named(shipyard: Shipyard) -> None:
    assert "left" not in shipyard("nodes", "remove", "node3", "--yes")[1]
    assert "What was left on it runs on there" in (said := shipyard("nodes", "remove", "node3", "--force", "--yes")[1])
    assert "shop/db.1" in said


def test_backup_never_overwrites(shipyard: Shipyard, fleet: FakeOperations, tmp_path: Path) -> None:
    code, out, _ = shipyard("state", "backup", "copy.db")
    assert (code, f"keep a copy of {tmp_path / '.shipyard' / 'secrets.key'}" in out) == (0, True)
    assert fleet.last("backup") == tmp_path / "copy.db"
    code, _, err = shipyard("state", "backup", "copy.db")
    assert (code, "never overwrites" in err) == (5, True)


def test_a_backup_where_nobody_may_look_is_left_to_the_store_to_refuse(
    shipyard: Shipyard, fleet: FakeOperations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def refuse(path: Any, **more: Any) -> os.stat_result:
        if str(path).endswith("copy.db"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **more)

    monkeypatch.setattr(os, "stat", refuse)
    shipyard("state", "backup", "copy.db")
    assert fleet.last("backup") == tmp_path / "copy.db"


def test_volume_adopt(shipyard: Shipyard, fleet: FakeOperations) -> None:
    assert shipyard("volume", "adopt", "guestbook", "data", "--node", "node1")[0] == 0
    assert fleet.last("adopt_volume") == ("guestbook", "data", "node1")
    assert shipyard("volume", "adopt", "guestbook", "gone")[0] == 5


def test_errors_of_the_store_are_words(shipyard: Shipyard, fleet: FakeOperations) -> None:
    fleet.error = StoreError("the disk is full", hint="make room")
    assert shipyard("status") == (1, "", "error: the disk is full\n  hint: make room\n")


def test_config_shows_values_with_their_origin(shipyard: Shipyard, tmp_path: Path) -> None:
    (tmp_path / "shipyard.toml").write_text("forks = 3\n")
    values = json.loads(shipyard("config", "-o", "json")[1])
    assert values["file"] == str(tmp_path / "shipyard.toml")
    assert values["settings"]["forks"] == {"value": 3, "origin": str(tmp_path / "shipyard.toml")}
    lines = [line.split() for line in shipyard("config")[1].splitlines()]
    assert ["forks", "3", str(tmp_path / "shipyard.toml")] in lines
    assert ["timeouts.converge", "600", "default"] in lines


@pytest.mark.parametrize("command", ["cordon", "activate"])
def test_nodes_are_told_whether_to_take_work(fleet: FakeOperations, shipyard: Shipyard, command: str) -> None:
    code, said, _ = shipyard(command, "rack1")
    assert code == 0
    assert fleet.last(command) == "rack1"
    assert "node1 takes " in said


def test_a_drain_waits_for_its_deadline_and_says_what_is_left(fleet: FakeOperations, shipyard: Shipyard) -> None:
    code, said, _ = shipyard("drain", "node2", "--deadline", "60")
    assert (code, fleet.last("drain")) == (0, DrainRequest("node2", 60.0, wait=True, timeout=660.0))
    assert "no replica is left" in said
    fleet.left = (("shop/db.1", "node2"),)
    code, said, _ = shipyard("drain", "node2", "--no-wait")
    assert (code, fleet.last("drain").wait) == (2, False)
    assert "shop/db.1" in said


def job_of(fleet: FakeOperations, *members: tuple[str, str]) -> None:
    """A job with one run that failed, its containers on node1. `members`: names and roles; none: one of its own."""
    name = labels.container_name("c1", "guestbook", "job", 4, 1)
    said = ((labels.SERVICE, "job"), (labels.SLOT, "4"), (labels.STACK, "guestbook"))
    boxes = tuple(
        Container(
            f"{index:064x}",
            labels.member_name(name, member),
            ContainerState.EXITED,
            (*((labels.MEMBER, member), (labels.ROLE, role)), *said) if member else said,
            exit_code=3,
        )
        for index, (member, role) in enumerate(members or (("", ""),))
    )
    task = JobTask(4, 0, "failed", "node1", started=samples.NOW - 60, reason="Failed", message="exit code 3")
    run_ = JobRun(4, "due-60", "schedule", "ab", 1, 1, samples.NOW - 60, state="failed", tasks=(task,))
    late = JobRun(5, "due-90", "schedule", "ab", 1, 1, samples.NOW - 30, state="skipped", reason="JobSkipped")
    service = ServiceSpec("job", ContainerSpec("nginx"), mode="replicated-job", job=JobRules(schedule="@yearly"))
    revision = Revision("guestbook", 2, StackSpec("guestbook", (service,)), "d", samples.NOW, "ann@bastion")
    memory = Memory(jobs=(Job("guestbook", "job", numbers=5, runs=(run_, late)),))
    seen = ObservedNode("node1", Facts(runtime="podman"), containers=boxes)
    stacks = (DesiredStack(revision),)
    fleet.situation = Situation("c1", samples.NOW, (Node("node1"),), stacks, (seen,), memory=memory)
    fleet.plan_ = Plan(memory=memory)


def test_job_list(shipyard: Shipyard, fleet: FakeOperations) -> None:
    assert "no job" in shipyard("job", "list")[1]
    job_of(fleet)
    code, out, _ = shipyard("job", "list", "-o", "json")
    (job,) = json.loads(out)
    assert (code, job["service"], job["schedule"], job["next_due"][5:10]) == (0, "job", "@yearly", "01-01")
    assert [(each["run"], each["state"]) for each in job["runs"]] == [(5, "skipped"), (4, "failed")]
    assert (job["last_run"]["run"], job["last_run"]["tasks"][0]["exit_code"]) == (4, 3)
    assert "@yearly" in shipyard("job", "list", "guestbook")[1]


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 2), ("unknown", 2), ("active", 2)])
def test_job_run(shipyard: Shipyard, fleet: FakeOperations, state: Any, code: int) -> None:
    fleet.run = JobRun(3, "asked-1", "request", "", 1, state=state)
    ended, out, _ = shipyard("job", "run", "guestbook/job", "--timeout", "9")
    assert (ended, out.splitlines()[-1]) == (code, f"Run 3 of guestbook/job: {state}")
    assert fleet.last("run_job") == JobRequest("guestbook", "job", wait=True, timeout=9.0)
    assert json.loads(shipyard("job", "run", "guestbook/job", "-o", "json")[1])["state"] == state
    assert shipyard("job", "run", "guestbook")[0] == 5


def test_job_logs_says_what_there_is_instead(shipyard: Shipyard, fleet: FakeOperations) -> None:
    job_of(fleet)
    assert "it has: 4" in shipyard("job", "logs", "guestbook/job", "9")[2]
    assert "there are: guestbook/job" in shipyard("job", "logs", "guestbook/web")[2]
    assert "they have one container each" in shipyard("job", "logs", "guestbook/job", "-c", "seed")[2]


def test_job_logs_of_a_run_of_several_containers(shipyard: Shipyard, fleet: FakeOperations) -> None:
    job_of(fleet, ("holder", "holder"), ("seed", "init"))
    task = json.loads(shipyard("job", "list", "-o", "json")[1])[0]["last_run"]["tasks"][0]
    assert (task["exit_code"], task["container"]) == (None, None)
    assert [(each["name"], each["kind"], each["exit_code"]) for each in task["members"]] == [("seed", "init", 3)]
    code, _, said = shipyard("job", "logs", "guestbook/job")
    assert code == 5
    assert "run 4 of guestbook/job (failed) has no main container now" in said
    assert "--container shows another one: seed" in said
    assert "beside their main one they have: seed" in shipyard("job", "logs", "guestbook/job", "-c", "seeed")[2]
    (found,) = containers(job_statuses(fleet.situation, fleet.plan_)[0], None, "seed")
    assert (found.name, found.node, found.id) == ("job.4/seed", "node1", f"{1:064x}")
