"""Carries scripts to nodes and their answers back: over SSH, or to this machine itself."""

from __future__ import annotations

import sys

# Paramiko imports `invoke`, and with it half of the standard library, for the one case of `Match exec` in ssh_config,
# which is read by shipyard itself. It goes without where that can't be had, and a tenth of a no-op pass is saved.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]  # None is what makes an import fail
