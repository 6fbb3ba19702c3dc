"""Desired state, placements and history. The only SQL.

This module and `records` import no SQLAlchemy, so that they cost nothing where no store is opened;
`shipyard.store.store.Store` is imported where one is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def default_url(config_dir: Path) -> str:
    """The store beside the configuration: `.shipyard/state.db`."""
    return f"sqlite:///{config_dir.absolute() / '.shipyard' / 'state.db'}"
