"""What ansible-vault encrypted: whole files and `!vault` values, opened when they are used and not before."""

from shipyard.files.ansiblevault.identities import PROMPT, Ask, Identity, identities
from shipyard.files.ansiblevault.keys import Keys

__all__ = ["PROMPT", "Ask", "Identity", "Keys", "identities"]
