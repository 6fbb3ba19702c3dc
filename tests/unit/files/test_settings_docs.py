"""docs/settings.md has every setting, as it is read. Run as a program, this writes the table anew."""

from __future__ import annotations

import re
from pathlib import Path

from shipyard.files.config import Options, load_settings
from shipyard.files.config_keys import KEYS, Key

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
FORMS = {
    "argv": "list of texts",
    "commas": "list of texts",
    "count": "number",
    "seconds": "number",
    "share": "number from 0 to 1",
    "text": "text",
    "words": "list of texts",
}


def default(key: Key) -> str:
    if key.default in (None, ()):
        return "none"
    return f"`{key.default:g}`" if isinstance(key.default, float) else f"`{key.default}`"


def page() -> str:
    """The page as it should be."""
    rows = [f"| `{key.name}` | {FORMS[key.kind]} | {default(key)} | {key.help} |" for key in KEYS]
    table = "\n".join(["| setting | form | default | meaning |", "|---|---|---|---|", *rows])
    return re.sub(
        r"<!-- settings -->\n.*?<!-- end -->",
        lambda _: f"<!-- settings -->\n{table}\n<!-- end -->",
        PAGE.read_text(),
        flags=re.DOTALL,
    )


def test_every_setting_is_documented_as_it_is_read() -> None:
    assert PAGE.read_text() == page(), f"run python {Path(__file__).name} to write the table anew"


def test_the_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "shipyard.toml").write_text(example)
    found = load_settings(Options(), {}, tmp_path)
    assert (found.timeouts.converge, found.timing.lost_after) == (900.0, 600.0)


if __name__ == "__main__":
    PAGE.write_text(page())
