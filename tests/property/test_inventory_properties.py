"""What must hold for any inventory, pattern and template, however odd."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shipyard.base.errors import FileError, UsageError
from shipyard.files.inventory import connection_of, load, node_settings, show
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError, expand
from shipyard.files.inventory.ini import literal
from shipyard.files.inventory.ini import read as read_ini
from shipyard.files.jinja import Place, render
from shipyard.files.patterns import match
from shipyard.model.inventory import Group, Host, Inventory

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.sampled_from(
    ["[", "]", ":", "vars", "children", "web", "db", "all", "=", "\n", " ", "#", ";", "'", '"', "\\", "1:3", "a:c",
     "{{ x }}", "!unsafe", "!vault", "- ", "  ", "---", "&a", "*a", "<<", "hosts:", "vars:", "children:", "|", ">",
     "2222", "::1", "~", "no", "0x1", "[1, 2]", "{", "}", "\t", "\r", "\x00", "\x1b", "é", "\u202e", "\ufeff"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60))


@QUICK
@given(TEXTS, st.sampled_from(["hosts", "hosts.yml", "hosts.json", "hosts.ini"]))
def test_any_text_is_an_inventory_or_an_error(text: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            inventory = load([name], cwd=Path(folder))
        except FileError as error:
            assert error.file == name
            return
    show.dump(show.listing(inventory))
    list(show.graph(inventory))
    for host in inventory.hosts:
        assert {"all"} < {*host.groups}
        for read in (connection_of, node_settings):
            try:
                read(inventory, host)
            except FileError as error:
                assert error.key is not None


@QUICK
@given(TEXTS)
def test_any_source_is_read_or_an_error(source: str) -> None:
    assume("\x00" not in source)
    with tempfile.TemporaryDirectory() as folder:
        try:
            load([source + ","], cwd=Path(folder))
        except FileError as error:
            assert error.file == source + ","


@QUICK
@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 20),
    st.integers(0, 4),
    st.text("abcxyz-", max_size=5).map(lambda text: "h" + text),
)
def test_ranges_of_numbers(begin: int, end: int, step: int, width: int, head: str) -> None:
    first, last = str(begin).zfill(width), str(end).zfill(width)
    assume(len(first) == len(last) or not (first[0] == "0" and len(first) > 1))
    pad = len(first) if first[0] == "0" and len(first) > 1 else 0
    names, port = expand(f"{head}[{first}:{last}:{step}].x:22")
    assert names == [f"{head}{str(number).zfill(pad)}.x" for number in range(begin, end + 1, step)]
    assert port == 22


@QUICK
@given(st.text("[]:0123456789abcz.-", max_size=25))
def test_expanding_ends(text: str) -> None:
    try:
        names, _ = expand(text)
    except BadNameError:
        return
    assert len(names) <= 100_000
    assert all("[" not in name for name in names) or "[" not in text


@QUICK
@given(st.recursive(st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=8)), st.lists, max_leaves=6))
def test_literals_are_read_back(value: object) -> None:
    assert literal(repr(value)) == value


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))


@QUICK
@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=12)
)
def test_json_is_laid_out_as_by_the_library(value: object) -> None:
    assert show.dump(value) == json.dumps(value, sort_keys=True, indent=4)


@QUICK
@given(TEXTS)
def test_any_value_is_a_literal_or_a_text(text: str) -> None:
    try:
        literal(text)
    except BadNameError:
        return


NAMES = [f"n{number}" for number in range(8)]
SETS = st.dictionaries(st.sampled_from(["web", "db", "eu", "w2"]), st.sets(st.sampled_from(NAMES)), min_size=2)


def fleet(groups: dict[str, set[str]]) -> Inventory:
    made = (Group(name, tuple(sorted(hosts))) for name, hosts in groups.items())
    hosts = tuple(Host(name, ("all",)) for name in NAMES)
    return Inventory(hosts, (Group("all", tuple(NAMES), tuple(groups)), *made))


@QUICK
@given(SETS, st.data())
def test_operators_are_those_of_sets(groups: dict[str, set[str]], data: st.DataObject) -> None:
    inventory = fleet(groups)
    first, second = (data.draw(st.sampled_from(sorted(groups))) for _ in range(2))
    one, two = groups[first], groups[second]

    def hosts(pattern: str) -> set[str]:
        found = match(pattern, inventory).hosts
        assert len(found) == len(set(found))
        return set(found)

    assert hosts(f"{first}:{second}") == hosts(f"{second},{first}") == one | two
    assert hosts(f"{first}:&{second}") == hosts(f"&{second}:{first}") == one & two
    assert hosts(f"{first}:!{second}") == hosts(f"!{second}:{first}") == one - two
    assert hosts(f"!{first}") == set(NAMES) - one
    assert hosts(f"&{first}") == one
    assert set(match("all", inventory, limit=first).hosts) == one
    assert hosts("*") == set(NAMES)


@QUICK
@given(st.one_of(TEXTS, st.text("web~*?[]:!&,@.-0123456789(|)", max_size=20)))
def test_any_pattern_matches_or_is_refused(pattern: str) -> None:
    try:
        found = match(pattern, fleet({"web": {"n1", "n2"}, "db": set()}))
    except UsageError:
        return
    assert set(found.hosts) <= {*NAMES, "localhost", "127.0.0.1", "::1"}


JINJA = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " ", "x", "y.z", "'a'", "|", "upper", "default(1)", "if", "else", "endif",
     "for", "in", "endfor", "set", "=", "(", ")", "[", "]", ",", "1", "+", "*", "~", "not", "is", "defined", "\n",
     "map('upper')", "list", "join", "range(5)", "loop", "recursive", "macro", "endmacro", "m()", "self", "__class__",
     ".", "omit", "none", "true", "**", "//", "%", "-%}", "{%-", "raw", "endraw", "block", "endblock", "namespace()"]
)  # fmt: skip


@QUICK
@given(st.lists(JINJA, max_size=15).map("".join))
def test_any_template_is_rendered_or_an_error(text: str) -> None:
    variables = {"x": ["{{ y.z }}", 2], "y": {"z": "{{ 1 }}", "w": "{{ x }}"}, "m": "{{ nope }}"}
    for template in (text, "{{ " + text + " }}"):
        try:
            render(template, variables, where=Place("f", 1))
        except FileError as error:
            assert error.file == "f"


@QUICK
@given(st.lists(st.sampled_from(["g1", "g2", "g3", "g4"]), min_size=2, max_size=12))
def test_groups_are_never_circular(names: list[str]) -> None:
    """Whatever children are declared, either there is an error, or a graph that ends."""
    lines = [f"[{parent}:children]\n{child}" for parent, child in zip(names[::2], names[1::2], strict=False)]
    draft = Draft()
    try:
        read_ini("\n".join([*lines, "[g1]", "[g2]", "[g3]", "[g4]"]).encode(), "hosts", draft)
    except FileError:
        return
    draft.finish()
    assert all(name not in draft.ancestors(name) for name in draft.groups)
    assert all(draft.groups[child].depth > group.depth for group in draft.groups.values() for child in group.children)
