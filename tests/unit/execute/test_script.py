"""Generated scripts, run by real shells: order, outcomes, and what keeps two masters apart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from shipyard.base.errors import StoreError
from shipyard.base.secret import SecretBytes
from shipyard.execute import answer, steps
from shipyard.execute.script import Fence, Script, build, claim
from shipyard.model.container import ConfigMount, ContainerSpec
from shipyard.model.node import Availability
from shipyard.model.plan import (
    Action,
    CreateContainer,
    DropFiles,
    DropMarker,
    DropRevision,
    KeepAvailability,
    KeepRevision,
    PullImage,
    PutConfig,
    PutSecret,
    Status,
)
from shipyard.model.spec import ConfigSpec, SecretSpec
from shipyard.runtime import nodedir, nodescript
from shipyard.runtime.dialect import Command
from shipyard.transport.connection import Completed
from tests.shellnode import SHELLS, FakeDialect, ShellNode, action, call, is_root

STORE = "5f3c2a90-1111-4222-8333-444455556666"
OTHER = "77777777-1111-4222-8333-444455556666"


@pytest.fixture
def fence() -> Fence:
    return Fence(cluster=uuid.uuid4().hex, store_uuid=STORE, epoch=7, wait=20)


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellNode:
    """Of each shell, where the shell matters."""
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var lib"))
    return ShellNode("n1", tmp_path / "node", shell=request.param, extra={"XDG_DATA_HOME": str(tmp_path / "share")})


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellNode:
    """Of this machine's own sh, where what is built does not depend on the shell."""
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var lib"))
    return ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})


def directory(node: ShellNode, fence: Fence) -> Path:
    above = Path(nodedir.ROOT) if is_root() else Path(node.extra["XDG_DATA_HOME"]) / "shipyard"
    return above / fence.cluster


def act(node: ShellNode, fence: Fence, dialect: FakeDialect, *actions: Action) -> answer.Answer:
    script = build(actions, dialect, fence)
    return answer.read(node.node, actions, script, node.run(script.text, timeout=30), time.time())


def finish(script: Script, actions: list[Action], process: subprocess.Popen[bytes]) -> answer.Answer:
    out, err = process.communicate(timeout=30)
    return answer.read("n1", actions, script, Completed(process.returncode, out, err), time.time())


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)


def statuses(said: answer.Answer) -> list[str]:
    return [outcome.status.value for outcome in said.outcomes]


def test_actions_run_in_order_and_each_has_its_outcome(node: ShellNode, fence: Fence) -> None:
    number = "ab" * 32
    dialect = FakeDialect((call("say", f"Trying…\\n{number}\\n"), call("say", "web\\n")), (call("one"), call("two")))
    said = act(node, fence, dialect, action(1), action(2, 1))
    assert statuses(said) == ["done", "done"]
    assert said.outcomes[0].output == number
    assert said.outcomes[1].output == ""
    assert abs(said.outcomes[0].started - time.time()) < 30
    assert [words[0] for words in node.calls()] == ["say", "say", "one", "two"]


def test_a_failure_has_the_runtimes_words_and_skips_only_what_needs_it(node: ShellNode, fence: Fence) -> None:
    dialect = FakeDialect(
        (call("fail", "125", "no such image"), call("never")), (call("a"),), (call("b"),), (call("c"),)
    )
    said = act(node, fence, dialect, action(1), action(2, 1), action(3), action(4, 2))
    assert statuses(said) == ["failed", "skipped", "done", "skipped"]
    assert said.outcomes[0].message == "no such image"
    assert said.outcomes[1].message == "start-container web/app.1, which it needs, failed"
    assert [words[0] for words in node.calls()] == ["fail", "b"]


def test_a_failure_without_words_says_at_least_its_status(plain: ShellNode, fence: Fence) -> None:
    said = act(plain, fence, FakeDialect((call("fail", "3", ""),)), action(1))
    assert said.outcomes[0].message == "exit status 3, and not a word about why"


def test_only_the_last_of_a_long_complaint_is_kept(plain: ShellNode, fence: Fence) -> None:
    (plain.root / "long").write_text("i=0; while [ $i -lt 3000 ]; do echo line$i >&2; i=$((i+1)); done; exit 1")
    said = act(plain, fence, FakeDialect((call("script", "long"),)), action(1))
    assert said.outcomes[0].message.endswith("line2998\nline2999")
    assert len(said.outcomes[0].message) < 4096


def test_what_is_so_already_is_done(node: ShellNode, fence: Fence) -> None:
    text = "it's already * in [network]"
    dialect = FakeDialect(
        (call("fail", "1", f"Error: {text}!", already=("nothing", text)), call("after")),
        (call("fail", "3", "x", ok=(0, 3)),),
        (call("fail", "1", "Error: it's already in network", already=(text,)),),
    )
    assert statuses(act(node, fence, dialect, action(1), action(2), action(3))) == ["done", "done", "failed"]
    assert ("after",) in node.calls()


def test_a_value_reaches_one_process_by_its_environment_only(node: ShellNode, fence: Fence) -> None:
    value = "s3cret $HOME `id` \"'\n é"
    dialect = FakeDialect((call("with", env=(("TOKEN", value),)),), (call("without"),))
    act(node, fence, dialect, action(1))
    assert node.environs()[-1][b"TOKEN"] == value.encode()
    act(node, fence, dialect, action(1), action(2))
    assert node.calls()[-1] == ("without",)
    assert b"TOKEN" not in node.environs()[-1]


@pytest.mark.parametrize("name", ["my-key", "1A", "A B", "x;id"])
def test_a_name_that_no_shell_can_export_fails_that_action(plain: ShellNode, fence: Fence, name: str) -> None:
    said = act(plain, fence, FakeDialect((call("x", env=((name, "1"),)),), (call("y"),)), action(1), action(2, 1))
    assert statuses(said) == ["failed", "skipped"]
    assert "environment variable" in said.outcomes[0].message


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_what_can_not_be_an_argument_fails_that_action_alone(plain: ShellNode, fence: Fence, word: str) -> None:
    said = act(plain, fence, FakeDialect((call(word),), (call("other"),)), action(1), action(2))
    assert statuses(said) == ["failed", "done"]


def test_a_command_that_does_not_end_is_stopped(node: ShellNode, fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "work", lambda step, dialect, *_, **__: steps.Work(dialect.start(step.id), deadline=1))
    (node.root / "hang").write_text("exec sleep 60")
    said = act(node, fence, FakeDialect((call("script", "hang"),), (call("next"),)), action(1), action(2))
    assert statuses(said) == ["failed", "done"]
    assert said.outcomes[0].message == "it did not end in time and was stopped"


def test_an_image_that_does_not_come_is_given_up_in_the_time_that_it_has(plain: ShellNode, fence: Fence) -> None:
    class Registry(FakeDialect):
        def pull(self, *_: object) -> tuple[Command, ...]:
            return (call("script", "hang"),)

    (plain.root / "hang").write_text("exec sleep 60")
    pull = Action(1, "n1", "app:1", "Missing", "", PullImage("app:1"))
    script = build((pull,), Registry(), fence, pull=1)
    said = answer.read("n1", (pull,), script, plain.run(script.text, timeout=30), time.time())
    assert [outcome.message for outcome in said.outcomes] == ["it did not end in time and was stopped"]


def test_what_a_command_prints_can_not_pass_for_an_outcome(node: ShellNode, fence: Fence) -> None:
    forged = "\\n" + "0" * 32 + " ended 2 0 1.0\\n\\nshipyard ended 2 0 1\\n\\n done\\n"
    dialect = FakeDialect((call("say", forged),), (call("fail", "1", "really failed"),))
    said = act(node, fence, dialect, action(1), action(2))
    assert statuses(said) == ["done", "failed"]


def test_nothing_but_the_directory_is_left_behind(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("a"),)), action(1))
    home = directory(node, fence)
    assert sorted(path.name for path in home.iterdir()) == ["configs", "epoch", "lock", "node", "owner", "revisions"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert not Path(f"/run/shipyard.{fence.cluster}").exists()


# The fence


def test_a_node_that_nobody_owns_is_claimed(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("a"),)), action(1))
    home = directory(node, fence)
    assert (home / "owner").read_text() == STORE + "\n"
    assert (home / "epoch").read_text() == "7\n"


def test_another_stores_node_is_refused_and_nothing_is_done(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("first"),)), action(1))
    intruder = Fence(fence.cluster, OTHER, 99)
    said = act(node, intruder, FakeDialect((call("second"),)), action(1))
    assert statuses(said) == ["failed"]
    assert said.refused is not None
    assert STORE in said.refused.message
    assert "state rebuild" in (said.refused.hint or "")
    assert node.calls() == [("first",)]
    assert (directory(node, fence) / "owner").read_text() == STORE + "\n"
    assert (directory(node, fence) / "epoch").read_text() == "7\n"


def test_an_older_holder_is_refused(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("new"),)), action(1))
    said = act(node, Fence(fence.cluster, STORE, 6), FakeDialect((call("old"),)), action(1))
    assert said.refused is not None
    assert "newer pass was here (number 7)" in said.refused.message
    assert node.calls() == [("new",)]


def test_a_newer_holder_is_remembered(plain: ShellNode, fence: Fence) -> None:
    act(plain, fence, FakeDialect((call("a"),)), action(1))
    act(plain, Fence(fence.cluster, STORE, 10), FakeDialect((call("b"),)), action(1))
    assert (directory(plain, fence) / "epoch").read_text() == "10\n"


def test_a_damaged_epoch_lets_nobody_in(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("a"),)), action(1))
    (directory(node, fence) / "epoch").write_text("7; id\n")
    said = act(node, fence, FakeDialect((call("b"),)), action(1))
    assert said.refused is not None
    assert node.calls() == [("a",)]


def test_taking_over_makes_the_node_ours_and_shuts_the_old_store_out(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect((call("a"),)), action(1))
    script = claim(Fence(fence.cluster, OTHER, 2, take_over=True))
    answer.claimed("n1", script, node.run(script.text, timeout=30))
    home = directory(node, fence)
    assert (home / "owner").read_text() == OTHER + "\n"
    assert (home / "epoch").read_text() == "2\n"
    assert act(node, fence, FakeDialect((call("b"),)), action(1)).refused is not None
    assert statuses(act(node, Fence(fence.cluster, OTHER, 2), FakeDialect((call("c"),)), action(1))) == ["done"]


@pytest.mark.parametrize(("name", "content"), [("owner", OTHER), ("epoch", "8")])
def test_the_fence_is_checked_again_before_every_action(node: ShellNode, fence: Fence, name: str, content: str) -> None:
    home = directory(node, fence)
    (node.root / "usurp").write_text(f"echo {content} >'{home}/{name}'")
    said = act(node, fence, FakeDialect((call("script", "usurp"),), (call("b"),)), action(1), action(2))
    assert statuses(said) == ["done", "failed"]
    assert said.refused is not None
    assert node.calls() == [("script", "usurp")]


def test_a_successor_waits_for_the_action_under_way_and_for_no_more(node: ShellNode, fence: Fence) -> None:
    (node.root / "slow").write_text('touch "$FAKE/began"; until [ -e "$FAKE/go" ]; do sleep 0.05; done')
    dialect = FakeDialect((call("script", "slow"),), (call("old-second"),))
    actions = [action(1), action(2)]
    script = build(actions, dialect, fence)
    with node.start(script.text) as first:
        wait_for(node.root / "began")
        successor = Fence(fence.cluster, STORE, 8, wait=20)
        later = [action(1)]
        second_script = build(later, FakeDialect((call("new"),)), successor)
        with node.start(second_script.text) as second:
            try:
                deadline = time.monotonic() + 10
                while (directory(node, fence) / "epoch").read_text() != "8\n":
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                assert ("new",) not in node.calls()
            finally:
                (node.root / "go").touch()
            old = finish(script, actions, first)
            new = finish(second_script, later, second)
    assert statuses(old) == ["done", "failed"]
    assert old.refused is not None
    assert statuses(new) == ["done"]
    assert node.calls() == [("script", "slow"), ("new",)]


def test_a_lock_that_does_not_come_free_is_said(node: ShellNode, fence: Fence) -> None:
    (node.root / "slow").write_text('touch "$FAKE/began"; until [ -e "$FAKE/go" ]; do sleep 0.05; done')
    actions = [action(1)]
    script = build(actions, FakeDialect((call("script", "slow"),)), fence)
    with node.start(script.text) as first:
        wait_for(node.root / "began")
        said = act(node, Fence(fence.cluster, STORE, 7, wait=0), FakeDialect((call("b"),)), action(1))
        (node.root / "go").touch()
        finish(script, actions, first)
    assert statuses(said) == ["skipped"]
    assert "still at work" in said.outcomes[0].message
    assert ("b",) not in node.calls()


def test_what_a_runtime_leaves_running_does_not_hold_the_lock(node: ShellNode, fence: Fence) -> None:
    (node.root / "daemon").write_text('sleep 60 & echo $! >"$FAKE/pid"')
    try:
        assert statuses(act(node, fence, FakeDialect((call("script", "daemon"),)), action(1))) == ["done"]
        after = act(node, Fence(fence.cluster, STORE, 7, wait=0), FakeDialect((call("b"),)), action(1))
        assert statuses(after) == ["done"]
    finally:
        os.kill(int((node.root / "pid").read_text()), signal.SIGKILL)


# Killed masters, cut scripts


def test_without_its_reader_a_script_ends_the_action_under_way_and_begins_no_other(
    node: ShellNode, fence: Fence
) -> None:
    (node.root / "slow").write_text(
        'touch "$FAKE/began"; until [ -e "$FAKE/go" ]; do sleep 0.05; done; touch "$FAKE/end"'
    )
    actions = [action(1), action(2)]
    script = build(actions, FakeDialect((call("script", "slow"),), (call("never"),)), fence)
    with node.start(script.text) as process:
        wait_for(node.root / "began")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        (node.root / "go").touch()
        process.wait(30)
    assert (node.root / "end").exists()
    assert node.calls() == [("script", "slow")]
    assert statuses(act(node, fence, FakeDialect((call("b"),)), action(1))) == ["done"]


def test_a_hang_up_lets_the_action_under_way_end(node: ShellNode, fence: Fence) -> None:
    (node.root / "slow").write_text(
        'touch "$FAKE/began"; until [ -e "$FAKE/go" ]; do sleep 0.05; done; touch "$FAKE/end"'
    )
    actions = [action(1), action(2)]
    script = build(actions, FakeDialect((call("script", "slow"),), (call("never"),)), fence)
    with node.start(script.text) as process:
        wait_for(node.root / "began")
        os.killpg(process.pid, signal.SIGHUP)
        (node.root / "go").touch()
        said = finish(script, actions, process)
    assert (node.root / "end").exists()
    assert node.calls() == [("script", "slow")]
    assert said.outcomes[1].status in (Status.SKIPPED, Status.UNKNOWN)


def test_a_script_cut_short_does_nothing_at_all(node: ShellNode, fence: Fence) -> None:
    script = build([action(1)], FakeDialect((call("a"),)), fence)
    cuts = [*range(1, len(script.text) - 2, len(script.text) // 10), len(script.text) - 2]
    for cut in cuts:
        output = node.run(script.text[:cut], timeout=30)
        said = answer.read("n1", [action(1)], script, output, 0.0)
        assert statuses(said) == ["skipped"], cut
    assert node.calls() == []
    assert not directory(node, fence).exists()


def test_an_answer_cut_short_leaves_what_began_unknown(plain: ShellNode, fence: Fence) -> None:
    actions = [action(1), action(2)]
    script = build(actions, FakeDialect((call("a"),), (call("b"),)), fence)
    whole = plain.run(script.text, timeout=30).stdout
    cut = whole.index(b"ended 2")
    said = answer.read("n1", actions, script, Completed(255, whole[:cut], b""), 0.0)
    assert statuses(said) == ["done", "unknown"]


# Files of ours


def config(content: bytes, uid: str | None = None, gid: str | None = None, mode: int | None = None) -> PutConfig:
    digest = "c" * 64
    return PutConfig(ConfigSpec("s_c", "c", content, digest), ConfigMount("s_c", digest, "/c", uid, gid, mode))


def test_a_config_arrives_byte_for_byte_with_its_mode(node: ShellNode, fence: Fence) -> None:
    content = bytes(range(256)) * 500 + b"_END_\n_END_"
    step = config(content, mode=0o400)
    assert statuses(act(node, fence, FakeDialect(), action(1, step=step))) == ["done"]
    path = directory(node, fence) / "configs" / step.mount.file_name
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o7777 == 0o400
    empty = config(b"")
    assert statuses(act(node, fence, FakeDialect(), action(1, step=empty))) == ["done"]
    assert (path.parent / empty.mount.file_name).read_bytes() == b""


def test_a_config_is_labelled_for_containers_where_selinux_is_on(
    plain: ShellNode, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = plain.root / "bin" / "chcon"
    tool.write_text('#!/bin/sh\necho "$1 $2" >>"$SAID"\nexit 1\n')
    tool.chmod(0o755)
    plain.extra |= {"SAID": str(tmp_path / "said"), "PATH": f"{plain.root}/bin:/usr/bin:/bin"}
    assert statuses(act(plain, fence, FakeDialect(), action(1, step=config(b"x")))) == ["done"]
    assert not (tmp_path / "said").exists()
    monkeypatch.setattr(nodedir, "SELINUX", "/proc/self/status")
    assert statuses(act(plain, fence, FakeDialect(), action(1, step=config(b"x")))) == ["done"]
    assert (tmp_path / "said").read_text() == "-t container_file_t\n"


def test_a_config_has_the_owner_that_the_container_wants(plain: ShellNode, fence: Fence) -> None:
    step = config(b"x", uid="1234", gid="5678")
    said = act(plain, fence, FakeDialect(), action(1, step=step))
    if is_root():
        stat = (directory(plain, fence) / "configs" / step.mount.file_name).stat()
        assert (stat.st_uid, stat.st_gid, stat.st_mode & 0o777) == (1234, 5678, 0o444)
    else:
        assert statuses(said) == ["failed"]


@pytest.mark.parametrize("uid", ["../x", "root", "1 2", "$(id)", "-1"])
def test_an_owner_that_is_no_number_is_an_error(plain: ShellNode, fence: Fence, uid: str) -> None:
    said = act(plain, fence, FakeDialect(), action(1, step=config(b"x", uid=uid)))
    assert statuses(said) == ["failed"]
    assert "uid and gid are numbers" in said.outcomes[0].message


def test_a_disk_that_takes_nothing_is_a_failure_with_its_words(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect(), action(1, step=DropRevision("web")))
    (directory(node, fence) / "configs").rmdir()
    said = act(node, fence, FakeDialect(), action(1, step=config(b"x")))
    assert statuses(said) == ["failed"]
    assert "configs" in said.outcomes[0].message


PASSWORD = SecretSpec("shop/password", "password", "e" * 64)
KEY = (PASSWORD.name, PASSWORD.digest)


def secret(uid: str | None = None, mode: int | None = None) -> PutSecret:
    return PutSecret(PASSWORD, ConfigMount("password", PASSWORD.digest, "/run/secrets/password", uid, None, mode))


def test_a_secret_arrives_byte_for_byte_in_a_folder_of_its_user_alone(node: ShellNode, fence: Fence) -> None:
    act(node, fence, FakeDialect(), action(1, step=DropRevision("web")))
    content = bytes(range(256)) * 500
    step = secret(mode=0o400)
    script = build([action(1, step=step)], FakeDialect(), fence, contents={KEY: SecretBytes(content)})
    assert b"/secrets/" in script.text
    assert "secrets/" not in repr(script)
    said = answer.read(node.node, [action(1, step=step)], script, node.run(script.text, timeout=30), time.time())
    assert statuses(said) == ["done"]
    folder = directory(node, fence) / "secrets"
    path = folder / step.mount.file_name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (content, 0o400)
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_what_a_power_cut_left_of_a_secret_goes_with_the_next_one(plain: ShellNode, fence: Fence) -> None:
    act(plain, fence, FakeDialect(), action(1, step=DropRevision("web")))
    folder = directory(plain, fence) / "secrets"
    folder.mkdir()
    half, whole, kept = (
        folder / f".{'d' * 64}-0-0-444.77",
        folder / f"{'d' * 64}-0-0-444",
        folder / f"{'e' * 64}-0-0-444",
    )
    for path in (half, whole, kept):
        path.write_text("x")
    said = act(plain, fence, FakeDialect(), action(1, step=DropFiles(secrets=(whole.name,))))
    assert statuses(said) == ["done"]
    assert list(folder.iterdir()) == [kept]


@pytest.mark.parametrize("name", ["../owner", "a", f"{'d' * 64}-0-0-444 x", f"{'d' * 64}-0-0-$(id)"])
def test_what_is_no_file_of_a_content_is_not_dropped(plain: ShellNode, fence: Fence, name: str) -> None:
    said = act(plain, fence, FakeDialect(), action(1, step=DropFiles(configs=(name,))))
    assert statuses(said) == ["failed"]


def test_a_secret_that_can_not_be_opened_fails_alone_and_says_why(plain: ShellNode, fence: Fence) -> None:
    actions = [action(1, step=secret()), action(2, step=DropRevision("web"))]
    script = build(actions, FakeDialect(), fence, contents={KEY: StoreError("it is damaged")})
    said = answer.read(plain.node, actions, script, plain.run(script.text, timeout=30), time.time())
    assert statuses(said) == ["failed", "done"]
    assert said.outcomes[0].message == "it is damaged"


def test_a_stacks_revision_replaces_its_older_one_and_is_dropped(node: ShellNode, fence: Fence) -> None:
    body = '{"name":"wéb","x":"$(id) \'\\n\\" _END_"}'
    folder = directory(node, fence) / "revisions"
    for number in (3, 4):
        said = act(node, fence, FakeDialect(), action(1, step=KeepRevision("web", number, "ab" * 32, body)))
        assert statuses(said) == ["done"]
        assert (folder / "web").read_text() == f"{number} {'ab' * 32}\n{body}\n"
    act(node, fence, FakeDialect(), action(1, step=DropRevision("web")))
    assert list(folder.iterdir()) == []


def test_what_was_decided_about_a_node_is_kept_on_it_until_it_is_active(node: ShellNode, fence: Fence) -> None:
    def told() -> tuple[str, float]:
        text = "sy_uid=$(id -u)\n" + nodedir.locate(fence.cluster) + nodedir.reading() + "sy_state\n"
        kept = nodedir.read_state(node.run(text.encode(), timeout=30).stdout)
        return kept.availability.value, kept.drain_until

    for availability, until in ((Availability.PAUSE, 0.0), (Availability.DRAIN, 1_700_000_000.0)):
        said = act(node, fence, FakeDialect(), action(1, step=KeepAvailability(availability, until)))
        assert statuses(said) == ["done"]
        assert told() == (availability.value, until)
    (directory(node, fence) / "availability").write_text("gone mad\n")
    assert told() == ("active", 0.0), "nonsense is no decision"
    said = act(node, fence, FakeDialect(), action(1, step=KeepAvailability(Availability.ACTIVE)))
    assert statuses(said) == ["done"]
    assert not (directory(node, fence) / "availability").exists()


def test_what_has_a_marker_is_not_begun_again_until_the_marker_is_dropped(node: ShellNode, fence: Fence) -> None:
    dialect = FakeDialect((call("run"),))
    begin = action(1, step=CreateContainer("web-app-1-abcdef", ContainerSpec("nginx"), (), once="web.app.due-60.0.1"))
    assert statuses(act(node, fence, dialect, begin)) == ["done"]
    assert [path.name for path in (directory(node, fence) / "runs").iterdir()] == ["web.app.due-60.0.1"]
    again = act(node, fence, dialect, begin)
    assert statuses(again) == ["failed"]
    assert "not begun twice" in again.outcomes[0].message
    assert [words[0] for words in node.calls()] == ["run"]
    assert nodedir.read_state(b"run web.app.due-60.0.1\n").markers == ("web.app.due-60.0.1",)
    drop, more = action(1, step=DropMarker("web.app.due-60.0.1")), action(2, step=begin.step)
    assert statuses(act(node, fence, dialect, drop, more)) == ["done", "done"]


@pytest.mark.parametrize("name", ["../x", "a b", "", "a;id", "$(id)"])
def test_a_marker_that_is_no_name_reaches_no_path(plain: ShellNode, fence: Fence, name: str) -> None:
    assert statuses(act(plain, fence, FakeDialect(), action(1, step=DropMarker(name)))) == ["failed"]


@pytest.mark.parametrize("stack", ["../../x", "a b", "", "A", "a;id"])
def test_a_stack_that_is_no_name_reaches_no_path(plain: ShellNode, fence: Fence, stack: str) -> None:
    said = act(plain, fence, FakeDialect(), action(1, step=DropRevision(stack)))
    assert statuses(said) == ["failed"]


def test_a_node_without_flock_says_so(tmp_path: Path, fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    node = ShellNode("n1", tmp_path / "node", shell=(shutil.which("sh") or "/bin/sh",))
    for tool in ("cat", "id", "rm"):
        (node.root / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    node.extra = {"PATH": f"{node.root}/bin"}
    script = build([action(1)], FakeDialect((call("a"),)), fence)
    text = script.text.replace(nodescript.SEARCHED.encode(), b"")
    said = answer.read("n1", [action(1)], script, node.run(text, timeout=30), 0.0)
    assert statuses(said) == ["failed"]
    assert "flock is not installed" in said.outcomes[0].message
