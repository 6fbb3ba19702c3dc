"""Playbooks: lists of plays, each a host pattern, variables, and what it declares of a stack, in Compose's words.

`load` reads files into what they declare; `merge` lays that over what other files declared before.
"""

from shipyard.files.playbook.extra import extra_vars
from shipyard.files.playbook.load import LoadedFiles, load
from shipyard.files.playbook.merge import Merged, merge

__all__ = ["LoadedFiles", "Merged", "extra_vars", "load", "merge"]
