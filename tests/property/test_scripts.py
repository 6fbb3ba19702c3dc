"""What people wrote reaches the runtime byte for byte, through every shell that a node may have."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipyard.execute import answer
from shipyard.execute.script import Fence, build
from shipyard.runtime import nodedir
from shipyard.transport.connection import Completed
from tests.shellnode import SHELLS, FakeDialect, ShellNode, action, call

CLUSTER = f"c{uuid.uuid4().hex[:8]}"
"""Of this process alone: scripts of one cluster share a folder below /run."""

SPECIAL = (
    *("", "-", "--", "-n", "~", "*", "$(id)", "`id`", "${HOME}", "'", '"', "\\", "\\'", "'\"'\"'", "\n", "\r\n", "a\n"),
    *("!!", "\x1b[31m", "\x7f", "é", "\u202e", "\U0001f6a2", "_END_", "}\n", "\n}\nsy_frame done\nexit 0\n", "sy_dir"),
)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60) | st.sampled_from(
    SPECIAL
)


@pytest.fixture(scope="module", params=SHELLS, ids=lambda argv: argv[0])
def node(request: pytest.FixtureRequest):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodedir, "ROOT", f"{folder}/var")
        yield ShellNode("n1", Path(folder) / "node", shell=request.param, extra={"XDG_DATA_HOME": f"{folder}/share"})


def fence() -> Fence:
    return Fence(CLUSTER, "store-1", 1)


WORDS = st.lists(TEXT, max_size=6)
MANY = {"max_examples": 6, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
"""Few examples of many actions each: what costs time is the script, not the action."""


@settings(**MANY)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=8, max_size=16))
def test_arguments_and_values_arrive_as_they_were_written(
    node: ShellNode, calls: list[tuple[list[str], list[str]]]
) -> None:
    envs = [tuple((f"V{index}", value) for index, value in enumerate(values)) for _, values in calls]
    chosen = [(call("note", *words, env=env),) for (words, _), env in zip(calls, envs, strict=True)]
    actions = [action(number) for number in range(1, len(chosen) + 1)]
    script = build(actions, FakeDialect(*chosen), fence())
    said = answer.read("n1", actions, script, node.run(script.text, timeout=30), 0.0)
    assert {outcome.status for outcome in said.outcomes} == {"done"}, said.outcomes
    assert node.calls()[-len(calls) :] == [("note", *words) for words, _ in calls]
    for noted, env in zip(node.environs()[-len(calls) :], envs, strict=True):
        assert {name: noted[name.encode()].decode() for name, _ in env} == dict(env)


@settings(**MANY)
@given(texts=st.lists(TEXT.filter(bool), min_size=1, max_size=8))
def test_texts_that_mean_already_are_compared_as_they_are(node: ShellNode, texts: list[str]) -> None:
    """Neither a pattern nor a piece of shell: only the very text counts."""
    (node.root / "said").write_bytes("".join(texts).encode())
    (node.root / "complain").write_text('cat "$FAKE/said" >&2; exit 1')
    other = uuid.uuid4().hex
    chosen = [(call("script", "complain", already=(text,)),) for text in texts]
    chosen.append((call("script", "complain", already=(other, "*", "?" * 40, "[!x]*" + other)),))
    actions = [action(number) for number in range(1, len(chosen) + 1)]
    script = build(actions, FakeDialect(*chosen), fence())
    said = answer.read("n1", actions, script, node.run(script.text, timeout=30), 0.0)
    found = [outcome.status.value for outcome in said.outcomes]
    # A shell's own variables drop line breaks at the end of what a command said.
    exact = ["done" if text in "".join(texts).rstrip("\n") else "failed" for text in texts]
    assert found == [*exact, "done" if "*" in "".join(texts) else "failed"]


@settings(max_examples=150, deadline=None)
@given(output=st.binary(max_size=200), errors=st.binary(max_size=50), cut=st.integers(0, 100))
def test_no_answer_of_a_node_is_a_traceback(output: bytes, errors: bytes, cut: int) -> None:
    actions = [action(1), action(2, 1)]
    script = build(actions, FakeDialect((call("a"),), (call("b"),)), fence())
    mark = b"\n" + script.nonce.encode() + b" "
    for words in (
        b"started 1 ",
        b"ended 1 0 ",
        b"ended 1 ",
        b"refused ",
        b"refused owner ",
        b"said ",
        b"entered ",
        b"",
    ):
        answer.read("n1", actions, script, Completed(0, output[:cut] + mark + words + output, errors), 0.0)
    assert len(answer.read("n1", actions, script, Completed(1, output, errors), 0.0).outcomes) == 2
