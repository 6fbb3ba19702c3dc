"""Where the command line meets the passes: what this run's settings open, for as long as one command lasts.

Everything heavy (the store, SSH, templates) is imported here, and only when a command needs it.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shipyard.cli.app import App

if TYPE_CHECKING:
    from shipyard.reconcile.operations import Operations


@contextmanager
def opened(app: App, *, playbooks: Sequence[str] = (), call: bool = False, ask: bool = False) -> Iterator[Operations]:
    """The fleet, closed afterwards. `playbooks`: variables in group_vars beside them count too.

    `call`: the command is about to ask all nodes, so they are connected to while the rest is imported.
    `ask`: it is a pass over what was applied before, so they are asked already, too. A check looks at everything.
    What was skipped of the inventory is said to those who come with playbooks: these may ask for just that.
    """
    from shipyard.reconcile.early import begin

    opening = begin(app.settings, playbooks=playbooks, passphrase=asking(), environ=app.environ, call=call, ask=ask)
    for warning in opening.inventory.warnings if playbooks else ():
        app.out.warn(warning)

    from shipyard.reconcile.operations import Operations

    with Operations.open(app.settings, opening, environ=app.environ) as fleet:
        yield fleet


def asking() -> Callable[[str], str | None] | None:
    """Asks a person for a passphrase; None where there is no terminal."""
    return _ask_passphrase if sys.stdin.isatty() and sys.stderr.isatty() else None


def _ask_passphrase(question: str) -> str | None:
    """On the terminal, unseen; None when nothing was typed."""
    return getpass.getpass(f"{question}: ", sys.stderr) or None
