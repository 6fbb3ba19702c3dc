"""docs/kubernetes.md holds every field as it is read: its tables are those of the code.

Run this file to write the tables anew after a change.
"""

from __future__ import annotations

import re
from pathlib import Path

from shipyard.files import kubernetes  # noqa: F401  # so that all tables are there
from shipyard.files.kubernetes.catalog import IGNORED
from shipyard.files.kubernetes.fields import TABLES

PAGE = Path(__file__).parents[3] / "docs" / "kubernetes.md"
SHOWN = {"carried": "carried out", "said": "said", "refused": "refused"}


def fields() -> str:
    """A table for each kind of section."""
    parts = []
    for table in sorted(TABLES, key=lambda table: table.title):
        rows = [
            f"| `{field.name}` | {SHOWN[field.state]} | {cell(field.how)}{'; ' * bool(field.hint)}{cell(field.hint)} |"
            for field in table.fields.values()
            if field.state != "passed"
        ]
        if rows:
            parts.append(
                f"### {table.title[0].upper()}{table.title[1:]}\n\n| field | | how, or why not |\n|---|---|---|"
            )
            parts[-1] += "\n" + "\n".join(rows) + "\n"
    return "\n".join(parts)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def kinds() -> str:
    rows = [f"| {name} | {why} |" for name, why in IGNORED.items()]
    return "\n".join(["| kind | |", "|---|---|", *rows]) + "\n"


def written(page: str) -> str:
    for name, text in (("kinds", kinds()), ("fields", fields())):
        filled = f"<!-- {name} -->\n{text}<!-- end -->"
        page = re.sub(rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, said=filled: said, page, flags=re.DOTALL)
    return page


def test_the_page_has_the_tables_of_the_code() -> None:
    assert PAGE.read_text() == written(PAGE.read_text())


def test_no_table_has_the_name_of_another() -> None:
    titles = [table.title for table in TABLES]
    assert sorted(set(titles)) == sorted(titles)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
