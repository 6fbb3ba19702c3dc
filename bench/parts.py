"""What is measured on a lab of one runtime. Each part gives rows of the table.

What is compared with each other runs by turns, so that a machine that is slow for a while is so for all of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import ansible, floor
from bench.ground import SERVICES, Ground, Project
from bench.process import Cost
from bench.sample import Row, line_through


@dataclass(slots=True)
class Bench:
    """Measurements on one lab. `repeat`: how often what takes a second is run; the longer, the less often."""

    ground: Ground
    repeat: int
    _converged: Project | None = field(default=None)

    def cpu(self) -> list[Row]:
        """Client CPU of a pass that finds nothing to do, over a fleet that grows: the line through its medians."""
        size = self.ground.size
        sizes = sorted({1, max(1, size // 2), size})
        self.ground.clean()
        project = self.ground.project()
        points, plain = [], []
        for nodes in sizes:
            project.describe(nodes)
            project.apply()
            self.ground.check(nodes)
            costs = self._repeated(lambda: project.reconcile("--once"))
            points.append((float(nodes), statistics.median(cost.cpu for cost in costs)))
        self._converged = project
        command = floor.status(self.ground.runtime)
        plain = [floor.cold(self.ground, command).cpu / size * 1000 for _ in range(3)]
        start, slope = line_through(points) if len(points) > 1 else (points[0][1], 0.0)
        said = ", ".join(f"{nodes:.0f}: {cpu:.2f}" for nodes, cpu in points)
        return [
            Row(f"no-op pass: client CPU, fixed start-up (line through {said})", (start,), target=1.1),
            Row("no-op pass: client CPU per node beyond that", (slope * 1000,), "ms", target=14),
            Row("for comparison: CPU of `ssh`, cold, per node", tuple(plain), "ms"),
        ]

    def noop(self) -> list[Row]:
        """A pass that finds nothing to do, beside both floors and, before them on the same nodes, Ansible."""
        theirs = self._ansible_at_rest()
        ground, project, command = self.ground, self._deployed(), floor.status(self.ground.runtime)
        before = ground.fleet.containers()
        with floor.opened(ground):
            passes, cold, warm = self._by_turns(
                lambda: project.reconcile("--once"),
                lambda: floor.cold(ground, command),
                lambda: floor.warm(ground, command),
            )
        if ground.fleet.containers() != before:
            raise RuntimeError("a pass that should change nothing has changed containers")
        return [
            _row("no-op `reconcile --once`", passes, ("cold floor", cold), 2.0),
            _row("no-op `reconcile --once`", passes, ("warm floor", warm)),
            _row("no-op `reconcile --once`", passes, ("Ansible, tuned", theirs), 20.0, least=True),
            _row("cold floor (`ssh`, curve25519)", cold),
            _row("warm floor (`ssh`, connection open)", warm),
            _row("Ansible, tuned", theirs),
            Row("no-op `reconcile --once`: client CPU", tuple(cost.cpu for cost in passes)),
            Row("Ansible, tuned: client CPU", tuple(cost.cpu for cost in theirs)),
        ]

    def repair(self) -> list[Row]:
        """One container removed behind shipyard's back, each time on another node."""
        ground, project = self.ground, self._deployed()
        passes, once, whole, creates = [], [], [], []
        with floor.opened(ground):
            for turn in range(max(3, self.repeat // 2)):
                passes.append(project.reconcile("--once"))
                creates.append(self._one_create(turn))
                self._remove_one(turn)
                once.append(project.reconcile("--once"))
                ground.check(ground.size)
                self._remove_one(turn + 1)
                whole.append(project.reconcile())
                ground.check(ground.size)
        limit = ("2 x no-op + one create", 2 * _median(passes) + _median(creates))
        return [
            Row("repair of one container, `reconcile`", _walls(whole), reference=limit, target=1.0),
            Row("repair of one container, `reconcile --once`", _walls(once), reference=limit),
            _row("no-op `reconcile --once`", passes),
            _row("one create (`run -d` over an open `ssh`)", creates),
        ]

    def deploy(self) -> list[Row]:
        """The first deploy, from nothing on the nodes and no store."""
        ground, making = self.ground, floor.creation(self.ground.runtime)
        self._converged = None
        plain, ours = [], []
        for _ in range(max(2, self.repeat // 2)):
            ground.clean()
            with floor.opened(ground):
                plain.append(floor.warm(ground, f"{floor.network(ground.runtime)}\n{making}"))
            ground.check(ground.size)
            ground.clean()
            project = ground.project()
            ours.append(project.apply())
            ground.check(ground.size)
        self._converged = project
        count = len(SERVICES) * ground.size
        return [
            _row(f"first deploy of {count} containers, `apply`", ours, ("floor", plain), 1.2),
            _row("floor (the same network and `run -d`, over an open `ssh`)", plain),
            Row("first deploy: client CPU", tuple(cost.cpu for cost in ours)),
        ]

    def ansible(self) -> list[Row]:
        """Ansible's own first deploy, once: it takes long."""
        ground = self.ground
        self._converged = None
        ground.clean()
        ansible.write(ground, ansible.own_names(ground), floor.NETWORK)
        cost = ansible.run(ground)
        ground.check(ground.size)
        return [_row("first deploy by Ansible, tuned", [cost])]

    def _deployed(self) -> Project:
        if self._converged is None:
            self.ground.clean()
            project = self.ground.project()
            project.apply()
            self.ground.check(self.ground.size)
            self._converged = project
        return self._converged

    def _one_create(self, turn: int) -> Cost:
        ground = self.ground
        name, address = f"extra{turn}", [ground.addresses()[turn % ground.size]]
        floor.warm(ground, floor.network(ground.runtime), address)
        cost = floor.warm(ground, floor.creation(ground.runtime, (name,)), address)
        gone = f"{ground.runtime} rm -f floor-{name}-1-000000 && {ground.runtime} network rm {floor.NETWORK}"
        floor.warm(ground, gone, address)
        return cost

    def _remove_one(self, turn: int) -> None:
        node = self.ground.lab.nodes[turn % self.ground.size].name
        name = sorted(self.ground.fleet.containers(node))[turn % len(SERVICES)]
        self.ground.fleet.runtime_cli(node, "rm", "--force", name)

    def _repeated(self, run: Callable[[], Cost]) -> list[Cost]:
        return [run() for _ in range(self.repeat)]

    def _by_turns(self, *runs: Callable[[], Cost]) -> list[list[Cost]]:
        """All of them again and again."""
        found: list[list[Cost]] = [[] for _ in runs]
        for _ in range(self.repeat):
            for index, run in enumerate(runs):
                found[index].append(run())
        return found

    def _ansible_at_rest(self) -> list[Cost]:
        """Ansible finding nothing to do: five containers a node that it made itself, with connections left open."""
        ground = self.ground
        self._converged = None
        ground.clean()
        ansible.write(ground, ansible.own_names(ground), floor.NETWORK)
        ansible.run(ground)
        before = ground.fleet.containers()
        costs = [ansible.run(ground) for _ in range(min(self.repeat, 3))]
        if ground.fleet.containers() != before:
            raise RuntimeError("Ansible should have changed nothing, and has changed containers")
        return costs


def _walls(costs: list[Cost]) -> tuple[float, ...]:
    return tuple(cost.wall for cost in costs)


def _median(costs: list[Cost]) -> float:
    return statistics.median(_walls(costs))


def _row(
    what: str,
    costs: list[Cost],
    reference: tuple[str, list[Cost]] | None = None,
    target: float | None = None,
    *,
    least: bool = False,
) -> Row:
    beside = (reference[0], _median(reference[1])) if reference is not None else None
    return Row(what, _walls(costs), reference=beside, target=target, least=least)
