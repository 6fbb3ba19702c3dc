"""docs/playbook.md holds every key that is read, as it is read: its tables are those of the code.

Run this file to write the tables anew after a change.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from shipyard.files import compose
from shipyard.files.compose import attachments, basics, deploy, health, kernel, limits, mounts, refusals
from shipyard.files.compose.keys import OWN, Key, Table
from shipyard.files.compose.service import SERVICE
from shipyard.files.playbook.play import PLAY
from tests.playbook_project import Project

PAGE = Path(__file__).parents[3] / "docs" / "playbook.md"
GROUPS = {
    "basics": basics.KEYS,
    "attachments": attachments.KEYS,
    "mounts": mounts.KEYS,
    "deploy": deploy.KEYS,
    "health": health.KEYS,
    "limits": limits.KEYS,
    "kernel": kernel.KEYS,
    "refusals": refusals.KEYS,
}
SECTION = re.compile(r"<!-- keys: (.*?) -->\n(.*?)<!-- end -->", re.DOTALL)


def tables() -> dict[str, Iterable[Key]]:
    """Every table of the code, by the name under which the page has it."""
    found: dict[str, Iterable[Key]] = {f"a service: {name}": keys for name, keys in GROUPS.items()}
    found[PLAY.title] = PLAY.keys.values()
    for module in pkgutil.iter_modules(compose.__path__):
        for thing in vars(importlib.import_module(f"{compose.__name__}.{module.name}")).values():
            if isinstance(thing, Table) and thing is not SERVICE:
                title = "a volume mount" if thing is mounts.LONG else thing.title
                found[title] = thing.keys.values()
    return found


def written(keys: Iterable[Key]) -> str:
    """A table of the keys that are carried out, and a list of those that are not."""
    lines: list[str] = []
    if any(not key.refusal for key in keys):
        lines += ["| key | form | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        if not key.refusal:
            form, default, meaning = (text.replace("|", "\\|") for text in (key.form, key.default, key.meaning))
            lines.append(f"| `{key.name}` | {form} | {default} | {meaning} |")
    refused = [key for key in keys if key.refusal and key.refusal.startswith("is Ansible's")]
    later = [key for key in keys if key.refusal and key not in refused]
    if later:
        lines += ["", "Not carried out:" if len(lines) else "", ""]
        lines += [f"- `{key.name}`: {key.refusal}" + (f"; {key.meaning}" if key.meaning else "") for key in later]
    if refused:
        lines += ["", "Ansible's own, which have no place here: " + ", ".join(f"`{key.name}`" for key in refused)]
    return "\n".join(lines).strip() + "\n"


def page() -> str:
    """The page as it should be."""
    known = tables()
    return SECTION.sub(
        lambda found: f"<!-- keys: {found[1]} -->\n{written(known[found[1]])}<!-- end -->", PAGE.read_text()
    )


def test_every_key_is_documented_as_it_is_read() -> None:
    assert PAGE.read_text() == page(), f"run python {Path(__file__).name} to write the tables anew"


def test_every_table_is_on_the_page() -> None:
    assert {found[1] for found in SECTION.finditer(PAGE.read_text())} == set(tables())


def test_the_groups_are_all_keys_of_a_service() -> None:
    assert {key.name for keys in GROUPS.values() for key in keys} | {OWN} == set(SERVICE.keys)


@pytest.mark.parametrize("title", sorted(tables()))
def test_every_key_says_what_it_is(title: str) -> None:
    for key in tables()[title]:
        assert key.refusal or (key.form and key.meaning), key.name


def test_the_examples_can_be_applied(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for example in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL):
        assert project.load(example).stacks


if __name__ == "__main__":
    PAGE.write_text(page())
