"""What Ansible itself makes of inventories: run as a program of its own, it answers for many in one start.

Standard input: a JSON list of {"folder", "sources", "playbook_dir", "patterns", "values", "connections", "vault"}, of
which the last are passwords by label. Standard output: for each, {"list", "graph", "patterns"} or {"error"}; and where
they are asked for, "values": what each of these variables comes to on each host, null where it comes to nothing, and
"connections": the options of Ansible's plugins for ssh and sudo on each host.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "1"
os.environ["ANSIBLE_DEPRECATION_WARNINGS"] = "0"
os.environ.pop("ANSIBLE_CONFIG", None)


def answer(case: dict[str, Any]) -> dict[str, Any]:
    from ansible import context
    from ansible.cli.inventory import InventoryCLI
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import VaultSecret, VaultSecretsContext
    from ansible.utils.context_objects import CLIArgs
    from ansible.vars.manager import VariableManager

    os.chdir(case["folder"])
    beside = case.get("playbook_dir")
    basedir = beside and str(Path(beside).absolute())  # what Ansible remembers of a path must not meet another case
    context.CLIARGS = CLIArgs(
        {"basedir": basedir, "export": False, "yaml": False, "toml": False, "show_vars": False, "pattern": "all"}
    )
    loader = DataLoader()
    secrets = [(label, VaultSecret(password.encode())) for label, password in case.get("vault", {}).items()]
    VaultSecretsContext._current = VaultSecretsContext(secrets)
    loader.set_vault_secrets(secrets)
    if basedir:
        loader.set_basedir(basedir)
    try:
        sources = [source if "," in source else str(Path(source).absolute()) for source in case["sources"]]
        inventory = InventoryManager(loader, sources)
        variables = VariableManager(loader, inventory)
        variables.safe_basedir = bool(basedir)
        program = InventoryCLI(["ansible-inventory"])
        program.loader, program.inventory, program.vm = loader, inventory, variables
        answers = {
            "list": json.loads(program.dump(program.json_inventory(inventory.groups["all"]))),
            "graph": program.inventory_graph().split("\n"),
            "patterns": {pattern: hosts(inventory, pattern) for pattern in case.get("patterns", [])},
        }
        if case.get("values"):
            answers["values"] = {
                host.name: {name: value(loader, variables.get_vars(host=host), name) for name in case["values"]}
                for host in inventory.get_hosts("all")
            }
        if case.get("connections"):
            answers["connections"] = {
                host.name: connection(loader, variables.get_vars(host=host)) for host in inventory.get_hosts("all")
            }
    except (AnsibleError, RecursionError) as error:
        return {"error": str(error)}
    return answers


def value(loader: Any, known: dict[str, Any], name: str) -> Any:
    """What a variable comes to in a template."""
    from ansible.errors import AnsibleError
    from ansible.template import Templar, trust_as_template

    try:
        return json.loads(json.dumps(Templar(loader, known).template(trust_as_template("{{ " + name + " }}"))))
    except AnsibleError:
        return None


def connection(loader: Any, known: dict[str, Any]) -> dict[str, Any]:
    """How Ansible would reach a host; of what its variables don't say, its defaults are left out."""
    from ansible.playbook.play_context import PlayContext
    from ansible.plugins.loader import become_loader, connection_loader, init_plugin_loader
    from ansible.template import Templar

    with contextlib.suppress(Exception):
        init_plugin_loader()  # a second time is an error, and needless
    said = {name: Templar(loader, known).template(raw) for name, raw in known.items() if name.startswith("ansible_")}
    said["inventory_hostname"] = known["inventory_hostname"]
    ssh, sudo = connection_loader.get("ssh", PlayContext(), "/dev/null"), become_loader.get("sudo")
    ssh.set_options(var_options=said)
    sudo.set_options(var_options=said)
    arguments = [ssh.get_option(name) for name in ("ssh_args", "ssh_common_args", "ssh_extra_args")]
    if "ansible_ssh_args" not in said:
        arguments[0] = ""
    become = str(said.get("ansible_become", "")).lower() in ("true", "1", "yes")
    return {
        "host": ssh.get_option("host"),
        "port": ssh.get_option("port"),
        "user": ssh.get_option("remote_user"),
        "password": ssh.get_option("password"),
        "key_file": ssh.get_option("private_key_file"),
        "arguments": " ".join(filter(None, arguments)).split(),
        "timeout": ssh.get_option("timeout"),
        "host_key_checking": ssh.get_option("host_key_checking"),
        "become_user": sudo.get_option("become_user") if become else "root",
        "become_password": sudo.get_option("become_pass") if become else None,
    }


def hosts(inventory: Any, pattern: str) -> list[str]:
    """A pattern, or PATTERN with LIMIT after a blank bar."""
    from ansible.errors import AnsibleError

    asked, _, limit = pattern.partition(" | ")
    inventory.subset(limit or None)
    try:
        return [host.name for host in inventory.get_hosts(asked)]
    except AnsibleError:
        return []
    finally:
        inventory.subset(None)
        inventory.clear_caches()
        if inventory._inventory.localhost is not None and inventory._inventory.localhost.implicit:
            inventory._inventory.localhost = None  # each question is a command of its own


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        answers = [answer(case) for case in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)
