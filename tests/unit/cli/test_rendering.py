"""Pages as people see them: at 80 and 120 columns and in a pipe, with hostile words in all that can be hostile."""

import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from shipyard.cli.output import Output, plain
from shipyard.cli.render_outlook import draw_outlook
from shipyard.cli.render_plan import NOTHING, plan_json, render_plan, summary
from shipyard.cli.render_status import (
    draw_status,
    not_as_declared,
    replica_table,
    services_table,
    status_json,
    verdict,
)
from shipyard.model.plan import CreateNetwork, Notice, Plan, RemoveNetwork
from shipyard.model.spec import NetworkSpec
from shipyard.model.status import FleetStatus, NodeStatus, PassSummary, ServiceStatus, StackStatus
from tests.unit.cli import cli_samples as samples
from tests.unit.cli import cli_screen as screen

CASES = Path(__file__).parents[2] / "cases" / "cli"
PAGES: dict[str, Callable[[Output], None]] = {
    "simulate": lambda out: draw_outlook(samples.outlook(), out),
    "plan": lambda out: out.lines(render_plan(samples.plan(), samples.NOW, out.fold())),
    "status": lambda out: draw_status(samples.fleet(), out),
    "ps": lambda out: out.draw(replica_table(samples.fleet().stacks, wide=out.wide)),
    "services": lambda out: out.draw(services_table(samples.fleet().stacks, out.fold())),
}


def shown(name: str, page: str) -> str:
    if page == "pipe":
        out, stdout, _ = screen.pipe()
    else:
        out, stdout = screen.terminal(int(page))
    PAGES[name](out)
    return stdout.getvalue()


@pytest.mark.parametrize("page", ["80", "120", "pipe"])
@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, page: str) -> None:
    assert shown(name, page) == (CASES / f"{name}-{page}.txt").read_text()


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", PAGES)
def test_fits_the_terminal(name: str, columns: int) -> None:
    assert max(cell_len(line) for line in shown(name, str(columns)).splitlines()) <= columns


@pytest.mark.parametrize("name", PAGES)
def test_no_control_character_reaches_a_terminal(name: str) -> None:
    text = shown(name, "80").replace("\n", "")
    assert [char for char in text if unicodedata.category(char) in {"Cc", "Cf"}] == []


@pytest.mark.parametrize("name", ["plan", "status", "simulate"])
def test_markup_of_others_is_text(name: str) -> None:
    assert samples.MARKUP in shown(name, "pipe")


@pytest.mark.parametrize("name", PAGES)
def test_colour_changes_no_text(name: str) -> None:
    out, stdout, _ = screen.pipe({"FORCE_COLOR": "1"})
    PAGES[name](out)
    coloured = stdout.getvalue()
    assert "\x1b[" in coloured
    from rich.text import Text

    assert (
        "\n".join(line.rstrip() for line in Text.from_ansi(coloured).plain.split("\n")).strip()
        == shown(name, "pipe").strip()
    )


@pytest.mark.parametrize("coloured", [False, True])
def test_a_line_is_clean_whoever_wrote_it(coloured: bool) -> None:
    out, stdout, stderr = screen.pipe({"FORCE_COLOR": "1"} if coloured else {})
    out.line(f"a {samples.ESCAPES}", (f"b {samples.MARKUP}", "red"))
    out.error(f"c {samples.ESCAPES}")
    for text in (stdout.getvalue(), stderr.getvalue()):
        assert not any(char in text for char in "\x9b\u202e\x07")
        assert "\x1b[31mred" not in text
    assert samples.MARKUP in stdout.getvalue()


def test_a_pipe_keeps_every_word() -> None:
    assert samples.LONG in shown("plan", "pipe")
    assert samples.LONG in shown("status", "pipe")


def test_a_converged_plan_says_so() -> None:
    assert render_plan(Plan(), 0.0, None) == [((NOTHING, "bold"),)]


def test_summary_counts_a_container_made_anew_as_replaced() -> None:
    text = summary(samples.plan())
    assert text.startswith("1 container to create, 1 to replace, 1 to remove, 1 to rewire; ")
    assert text.endswith("; 1 blocked, 1 waiting.")


def test_summary_counts_a_network_made_anew_once() -> None:
    remove = samples.action(1, "node1", "guestbook_default", RemoveNetwork("f" * 64, "guestbook_default"))
    create = samples.action(
        2, "node1", "guestbook_default", CreateNetwork(NetworkSpec("guestbook_default", "default"), ())
    )
    other = samples.action(3, "node2", "guestbook_default", remove.step)
    assert summary(Plan(waves=((remove, create, other),))) == "1 network to create, 1 network to remove."


def test_what_a_file_says_of_itself_stands_without_a_reason() -> None:
    note = Notice("files", "Note", "web.yml:9: web is privileged")
    assert plain(*render_plan(Plan(notices=(note,)), 0.0, None)[1]) == "  files  web.yml:9: web is privileged"


def test_a_silent_node_is_told_of_once_below_the_table() -> None:
    node = NodeStatus("node3", "unreachable", "active", None, "10.0.0.13", (), None, 0.0, "Unreachable", "no route")
    notices = (Notice("node3", "ClockSkew", "90 s ahead"), Notice("node3", "NodeUnreachable", "no route"))
    lines = not_as_declared(FleetStatus(False, None, nodes=(node,), notices=notices), None)
    assert [plain(*line) for line in lines] == [
        "Not as declared",
        "  node3  Unreachable: no route",
        "",
        "To be known",
        "  node3  ClockSkew: 90 s ahead",
        "",
    ]


def test_an_orphaned_node_is_told_of_once_and_is_as_declared() -> None:
    node = NodeStatus("node3", "ready", "active", "docker", "10.0.0.13", (), 1, 0.0, "Orphaned", "not named")
    notice = Notice("node3", "Orphaned", "not named; what runs there is left")
    lines = not_as_declared(FleetStatus(True, None, nodes=(node,), notices=(notice,)), None)
    assert [plain(*line) for line in lines] == [
        "To be known",
        "  node3  Orphaned: not named; what runs there is left",
        "",
    ]


def test_services_show_the_image_as_it_was_written() -> None:
    out, stdout, _ = screen.pipe()
    service = ServiceStatus("web", "replicated", 0, 0, 0, "completed", "sha256:" + "a" * 64, written="nginx:1.27")
    out.draw(services_table((StackStatus("shop", 1, (service,)),), out.fold()))
    assert "nginx:1.27" in stdout.getvalue()
    assert "sha256" not in stdout.getvalue()


def test_services_leave_out_what_tells_least_before_they_fold_an_image() -> None:
    image = "registry.example.com/guestbook:1.27.3"
    stack = StackStatus("shop", 12, (ServiceStatus("web", "replicated", 2, 2, 1, "completed", image),))
    headers = {}
    for columns in (90, 75, 40):
        out, stdout = screen.terminal(columns)
        out.draw(services_table((stack,), out.fold()))
        lines = stdout.getvalue().splitlines()
        headers[columns] = lines[0].split()
        assert columns == 40 or lines[1].rstrip().endswith(image)
    assert headers == {
        90: ["SERVICE", "MODE", "UP", "HEALTHY", "UPDATE", "REV", "IMAGE"],
        75: ["SERVICE", "UP", "UPDATE", "REV", "IMAGE"],
        40: ["SERVICE", "UP", "UPDATE", "IMAGE"],
    }


def test_plan_json_is_the_documented_shape() -> None:
    found = plan_json(samples.plan())
    assert found["changes"] == 8
    assert found["actions"][0] == {
        "node": "node1",
        "action": "remove-container",
        "target": "guestbook/old.1",
        "reason": "NotDeclared",
        "detail": "no file declares it any more",
    }
    assert found["blocked"] == [
        {
            "target": "guestbook/db.2",
            "reason": "Unschedulable",
            "detail": "0 of 3 nodes fit: 2 lack memory (needs 4 GiB), 1 is drained",
        }
    ]


def test_status_json_is_the_documented_shape() -> None:
    found = status_json(samples.fleet())
    assert list(found) == ["converged", "pass", "nodes", "stacks"]
    assert found["pass"] == {
        "id": 12,
        "started": "2026-11-18T11:05:30Z",
        "finished": "2026-11-18T11:05:35Z",
        "result": "changed",
    }
    node = {"name", "state", "availability", "runtime", "address", "labels", "containers", "last_seen"}
    assert node <= set(found["nodes"][0])
    assert found["nodes"][2]["containers"] is None
    (web,) = [each for each in found["stacks"][0]["services"] if each["name"] == "web"]
    assert {key: web[key] for key in ("mode", "desired", "running", "healthy", "update")} == {
        "mode": "replicated",
        "desired": 3,
        "running": 2,
        "healthy": 1,
        "update": "updating",
    }
    assert web["replicas"][0] == {
        "slot": 1,
        "node": "node1",
        "state": "running",
        "health": "healthy",
        "container": "a" * 64,
        "container_name": "guestbook-web-1-3fa9c1",
        "revision": 3,
        "addresses": {"default": "10.210.1.2"},
        "restarts": 0,
        "reason": None,
        "detail": "",
        "members": [],
    }


def test_json_is_ascii_and_alone_on_standard_output() -> None:
    out, stdout, stderr = screen.pipe(json=True)
    out.data(status_json(samples.fleet()))
    out.line("for people")
    out.warn("careful")
    assert stdout.getvalue().isascii()
    assert not any(char in stdout.getvalue() for char in "\x1b\x9b\x07")
    assert json.loads(stdout.getvalue()) == status_json(samples.fleet())
    assert stderr.getvalue() == "for people\nwarning: careful\n"


def test_quiet_leaves_errors_and_warnings() -> None:
    out, stdout, stderr = screen.pipe(quiet=True)
    out.line("for people")
    draw_status(samples.fleet(), out)
    out.error("broken")
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "error: broken\n")


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_when_there_is_colour(environ: dict[str, str], terminal: bool, coloured: bool) -> None:
    stdout = screen.Screen(terminal)
    Output(stdout, io.StringIO(), {"TERM": "xterm", **environ}).line(("text", "red"))
    assert ("\x1b[" in stdout.getvalue()) is coloured


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (FleetStatus(True, None), "if the store was lost, `shipyard state rebuild` reads it back from the nodes."),
        (
            FleetStatus(True, PassSummary(7, 90.0, 95.0, "converged"), now=100.0),
            "The fleet is as declared. Last pass (7, 5 s ago): converged.",
        ),
        (FleetStatus(False, PassSummary(7, 90.0, None, "running"), changes=1, now=100.0), "still running."),
        (
            FleetStatus(False, PassSummary(7, 70.0, None, "interrupted"), changes=1, now=100.0),
            "The fleet is not as declared: 1 to do. Last pass (7, begun 30 s ago): interrupted.",
        ),
    ],
)
def test_verdict(status: FleetStatus, text: str) -> None:
    out, stdout, _ = screen.pipe()
    out.lines(verdict(status))
    assert stdout.getvalue().strip().endswith(text)
