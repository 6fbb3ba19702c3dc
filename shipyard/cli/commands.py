"""The table of commands: where each lives, and the line that `shipyard --help` shows for it.

Kept apart from the modules themselves so that help and completion load none of them. A test compares these lines
with what each command says of itself, and with the table in the README.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`target`: module and attribute, imported when the command is run. `help`: the short help."""

    target: str
    help: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Begin": {
        "init": Entry("shipyard.cli.init:init", "Make a new project that runs as it is."),
        "convert": Entry(
            "shipyard.cli.convert:convert", "Write Compose files or manifests as one playbook or Compose file."
        ),
        "lab": Entry("shipyard.cli.lab:lab", "A throw-away fleet of real nodes on this machine."),
        "inventory": Entry("shipyard.cli.inventory:inventory", "Show hosts, groups and variables."),
        "config": Entry("shipyard.cli.config:config", "Show each setting and where it came from."),
        "trust-project": Entry("shipyard.cli.trust:trust_project", "Allow a project's own programs to run."),
    },
    "Change the fleet": {
        "plan": Entry("shipyard.cli.apply:plan", "Show what apply would do and why; change nothing."),
        "apply": Entry("shipyard.cli.apply:apply", "Make the fleet what these files say."),
        "reconcile": Entry("shipyard.cli.reconcile:reconcile", "Mend what has drifted from what was applied."),
        "rollback": Entry("shipyard.cli.rollout:rollback", "Make a stack what an earlier revision says."),
        "restart": Entry("shipyard.cli.rollout:restart", "Give every replica of a service a new container."),
        "scale": Entry("shipyard.cli.rollout:scale", "Change how many replicas services have."),
        "pause": Entry("shipyard.cli.rollout:pause", "Hold the updates of a stack until resume."),
        "resume": Entry("shipyard.cli.rollout:resume", "Let the updates of a stack go on; try failed ones again."),
        "rebalance": Entry("shipyard.cli.rebalance:rebalance", "Move replicas so that nodes are evenly full."),
        "rm": Entry("shipyard.cli.rm:rm", "Remove a stack from the fleet."),
        "job": Entry("shipyard.cli.job:job", "List jobs, run one now, show what a run printed."),
        "secret": Entry("shipyard.cli.secret:secret", "Set, list and remove secrets, and replace their key."),
        "configs": Entry("shipyard.cli.configs:configs", "Set, list, show and remove configs outside of stacks."),
        "volume": Entry("shipyard.cli.volume:volume", "Take existing volumes into a stack."),
    },
    "Look": {
        "status": Entry("shipyard.cli.status:status", "The fleet beside what it should be."),
        "ps": Entry("shipyard.cli.status:ps", "Every replica: where it is and how it fares."),
        "services": Entry("shipyard.cli.status:services", "Every service: how many replicas are up."),
        "simulate": Entry(
            "shipyard.cli.simulate:simulate", "Show what would happen to every replica, if; touch nothing."
        ),
        "events": Entry("shipyard.cli.events:events", "What happened, and why."),
        "network": Entry("shipyard.cli.network:network", "Networks: who is on them, and who reaches whom."),
        "history": Entry("shipyard.cli.history:history", "The revisions of a stack."),
        "diff": Entry("shipyard.cli.history:diff", "What changed between two revisions."),
        "logs": Entry("shipyard.cli.logs:logs", "Logs of a stack or service, merged from all nodes."),
        "exec": Entry("shipyard.cli.exec:exec_", "Run a command in a replica's container."),
    },
    "Nodes and store": {
        "nodes": Entry("shipyard.cli.nodes:nodes", "List, check, trust and remove nodes."),
        "cordon": Entry("shipyard.cli.drain:cordon", "Place no more replicas on a node."),
        "drain": Entry("shipyard.cli.drain:drain", "Move a node's replicas to other nodes."),
        "activate": Entry("shipyard.cli.drain:activate", "Let a node take replicas again."),
        "state": Entry("shipyard.cli.state:state", "Back up, restore or rebuild the store."),
    },
}
COMMANDS: dict[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
