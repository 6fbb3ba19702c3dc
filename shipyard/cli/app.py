"""What every command has at hand: the options given everywhere, the settings they lead to, and where to print."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipyard.base.record import replace
from shipyard.cli.output import Output

if TYPE_CHECKING:
    from shipyard.files.config import Settings


class App:
    """One run of the program. `given`: what the options that are accepted everywhere came to."""

    def __init__(self, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._cwd = cwd
        self.given: dict[str, Any] = {}

    @property
    def cwd(self) -> Path:
        """The current folder."""
        return Path.cwd() if self._cwd is None else self._cwd

    @property
    def verbose(self) -> int:
        """How many -v there were."""
        return int(self.given.get("verbose", 0))

    @cached_property
    def out(self) -> Output:
        """Where to print. First used when all options are known."""
        return Output(
            sys.stdout,
            sys.stderr,
            self.environ,
            json=self.given.get("output") == "json",
            quiet=bool(self.given.get("quiet")),
            verbose=self.verbose > 0,
        )

    @cached_property
    def settings(self) -> Settings:
        """From the options, the environment and shipyard.toml. Raises ConfigError."""
        from shipyard.files.config import Options, load_settings

        settings = load_settings(Options(**self.given), self.environ, self.cwd)
        for warning in settings.warnings:
            self.out.warn(warning)
        return settings

    def settings_with(self, **changes: Any) -> Settings:
        """The settings with what this command alone says (a time limit)."""
        return replace(self.settings, **changes)

    def confirm(self, question: str) -> bool:
        """Ask on a terminal; `--yes` answers yes, and without a terminal the answer is no."""
        if self.given.get("yes"):
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        return click.confirm(question, err=True)


pass_app = click.make_pass_decorator(App)
