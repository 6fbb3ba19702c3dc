"""The probe, run by real shells, and its answer, whole or spoilt in every way that can be thought of."""

from __future__ import annotations

import os
import platform
import time
import uuid
from pathlib import Path

import pytest

from shipyard.base.errors import NotObserved, RuntimeBroken, Truncated
from shipyard.model.observed import Container, ContainerState, ObservedNode
from shipyard.observe import facts, probe
from shipyard.observe.probe import NodeRequest, Probe
from shipyard.runtime import nodedir
from shipyard.runtime.dialect import RuntimeState
from shipyard.transport.connection import Completed
from tests.shellnode import SHELLS, FakeDialect, ShellNode

SECTIONS = """
section ps fakectl say 'web\\n'
sy_two() { printf 'no newline at the end'; echo 'a warning' >&2; }
section two sy_two
"""


def parse(sections: dict[str, bytes], clock: float) -> RuntimeState:
    assert sections == {"ps": b"web\n", "two": b"no newline at the end"}
    return RuntimeState(version="1.2", rootless=True, containers=(Container("1", "web", ContainerState.RUNNING),))


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellNode:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    return ShellNode("n1", tmp_path / "node", shell=request.param, extra={"XDG_DATA_HOME": str(tmp_path / "share")})


def asked(monkeypatch: pytest.MonkeyPatch, dialect: FakeDialect, cluster: str = "c1") -> Probe:
    monkeypatch.setattr(probe.dialects, "by_name", lambda _: dialect)
    return probe.build(NodeRequest("n1", cluster), "fakectl")


def observed(node: ShellNode, question: Probe) -> ObservedNode:
    return probe.read("n1", node.run(question.script, timeout=30), question)


@pytest.mark.parametrize(
    ("said", "clock"),
    [("1795922931.251443098", 1795922931.251443), ("1795922931.%N", 1795922931.0), ("1795922931", 1795922931.0)],
)
def test_a_clock_without_fractions_of_seconds_is_a_clock_too(said: str, clock: float) -> None:
    """Ages of containers are as exact as that; busybox may know whole seconds only."""
    assert facts.clock({"clock": said}) == pytest.approx(clock)


def test_facts_are_those_of_the_machine(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    found = observed(node, asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))).facts
    assert found.hostname == platform.node()
    assert found.kernel == platform.release()
    assert found.arch == platform.machine()
    assert found.cpus == os.cpu_count()
    assert found.memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert abs(found.clock - time.time()) < 30
    assert found.uptime > 0
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found.systemd == Path("/run/systemd/system").is_dir()
    assert found.platform == platform.system()
    assert found.os.startswith(platform.freedesktop_os_release()["PRETTY_NAME"])
    assert (found.runtime, found.runtime_version, found.rootless) == ("fakectl", "1.2", True)


def test_the_first_contact_makes_the_nodes_id_and_no_owner(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    first, second = observed(node, question), observed(node, question)
    assert uuid.UUID(first.facts.node_id)
    assert second.facts.node_id == first.facts.node_id
    assert (first.owner, first.epoch, first.revisions, first.configs) == ("", 0, (), ())


def test_what_is_kept_is_read_and_what_is_broken_is_passed_over(
    node: ShellNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    observed(node, question)
    (home,) = {path.parent for path in tmp_path.rglob("node") if path.is_file()}
    (home / "owner").write_text("some-store\n")
    (home / "epoch").write_text("12\n")
    (home / "revisions" / "web").write_text("3 abc\n{}\n")
    (home / "revisions" / "cut").write_text("")
    (home / "revisions" / "odd").write_text("x y\n{}\n")
    first, second = f"{'a' * 64}-0-0-444", f"{'b' * 64}-12-0-400"
    (home / "configs" / second).write_text("")
    (home / "configs" / first).write_text("")
    (home / "configs" / f".{first}.123").write_text("left by a power cut")
    (home / "configs" / "mine").write_text("nobody's but a person's")
    (home / "secrets").mkdir(exist_ok=True)
    (home / "secrets" / second).write_text("")
    found = observed(node, question)
    assert (found.owner, found.epoch) == ("some-store", 12)
    assert [(held.stack, held.number, held.digest) for held in found.revisions] == [("web", 3, "abc")]
    assert found.configs == (first, second)
    assert found.secrets == (second,)


def test_noise_before_the_answer_is_passed_over(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    output = node.run(question.script, timeout=30)
    noisy = Completed(0, b"Welcome!\n\ndone\n" + output.stdout, b"bash: warning\n" + output.stderr)
    assert probe.read("n1", noisy, question).containers[0].name == "web"


def test_a_log_can_not_end_the_answer_or_forge_a_section(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    nonce = "a" * 32
    forged = rf"x\n{nonce} end ps 0\n\n{nonce} begin ps\nnothing\n\n{nonce} end ps 0\n\n{nonce} done\n"
    text = f"section ps fakectl say '{forged}'\nsection two false\n"
    question = asked(monkeypatch, FakeDialect(probe=text, parse=parse))
    with pytest.raises(RuntimeBroken, match=r"\(two\): exit status 1"):
        observed(node, question)


def test_a_part_that_failed_is_said_in_the_runtimes_words(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "section ps fakectl say ok\nsection two fakectl fail 125 'Error: \x1b[31mbad storage'\nsection three true\n"
    question = asked(monkeypatch, FakeDialect(probe=text, parse=parse))
    with pytest.raises(RuntimeBroken) as caught:
        observed(node, question)
    assert caught.value.message == "fakectl could not say what is there (two): Error: [31mbad storage"
    assert "nothing is moved" in (caught.value.hint or "")


def test_a_runtime_that_is_gone_is_broken_and_not_empty(node: ShellNode, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    (node.root / "bin" / "fakectl").unlink()
    with pytest.raises(RuntimeBroken, match="fakectl"):
        observed(node, question)


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), KeyError("Id"), TypeError("list"), AttributeError("get"), IndexError(), RecursionError("deep")],
    ids=lambda error: type(error).__name__,
)
def test_nonsense_is_an_error_of_that_node_alone(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def confused(sections: object, clock: float) -> RuntimeState:
        raise error

    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    node = ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})
    with pytest.raises(RuntimeBroken, match="can't be understood"):
        observed(node, asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=confused)))


def test_half_an_answer_is_never_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    node = ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    whole = node.run(question.script, timeout=30).stdout
    end = whole.rindex(b"done") + len(b"done")
    for cut in range(end):
        with pytest.raises(Truncated):
            probe.read("n1", Completed(0, whole[:cut], b""), question)
    assert probe.read("n1", Completed(0, whole[:end], b""), question).name == "n1"


def test_an_answer_that_lost_its_middle_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    node = ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    whole = node.run(question.script, timeout=30).stdout
    nonce = question.nonce.encode()
    cut = whole.index(b"\n" + nonce + b" end facts")
    for until in (b" begin kept", b" begin ps", b" begin two", b" done"):
        with pytest.raises(NotObserved):
            spoilt = whole[:cut] + whole[whole.index(b"\n" + nonce + until) :]
            probe.read("n1", Completed(0, spoilt, b""), question)


def test_a_probe_cut_short_asks_nothing(node: ShellNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    question = asked(monkeypatch, FakeDialect(probe=SECTIONS, parse=parse))
    for cut in range(1, len(question.script) - 2, len(question.script) // 12):
        with pytest.raises(Truncated):
            probe.read("n1", node.run(question.script[:cut], timeout=30), question)
    assert node.calls() == []
    assert not (tmp_path / "var").exists()


def test_a_runtime_that_hangs_is_given_up_on_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var"))
    node = ShellNode("n1", tmp_path / "node", extra={"XDG_DATA_HOME": str(tmp_path / "share")})
    (node.root / "hang").write_text('echo $$ >"$FAKE/pid"; exec sleep 60')
    monkeypatch.setattr(
        probe.dialects, "by_name", lambda _: FakeDialect(probe="section ps fakectl script hang", parse=parse)
    )
    question = probe.build(NodeRequest("n1", "c1"), "fakectl", seconds=1)
    with pytest.raises(RuntimeBroken, match="exit status 124"):
        observed(node, question)
    assert not Path(f"/proc/{(node.root / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("systemd", [True, False])
def test_health_checks_are_asked_for_where_nothing_else_runs_them(
    systemd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Checking(FakeDialect):
        def probe(self, request: object) -> str:
            return "section health true" if request.health else "section none true"

    text = asked(monkeypatch, Checking()).script.decode()
    where = "[ -d /run/systemd/system ]"
    chosen = text[text.rindex(f"if {where}; then\n") :]
    assert chosen.index("section none true") < chosen.index("else") < chosen.index("section health true")


@pytest.mark.parametrize("cluster", ["", "..", "a/b", "$(id)", "a b", "x" * 200, "é"])
def test_an_id_that_could_be_another_path_is_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="not an id"):
        asked(monkeypatch, FakeDialect(probe=SECTIONS), cluster)
