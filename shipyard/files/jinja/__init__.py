"""Jinja for inventories and playbooks: Ansible's behaviour in a sandbox with bounds.

`render` renders a value with its place known; `host_variables` is everything that templates may name for a host.
"""

from shipyard.files.jinja.namespace import Namespace, host_variables
from shipyard.files.jinja.render import Place, Where, render
from shipyard.files.values import Unsafe, Vaulted, holds_template, is_template

__all__ = [
    "Namespace",
    "Place",
    "Unsafe",
    "Vaulted",
    "Where",
    "holds_template",
    "host_variables",
    "is_template",
    "render",
]
