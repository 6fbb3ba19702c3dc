"""The planner alone, in a process of its own for each size of the fleet: time, CPU and memory.

python -m bench.planner NODES     the measurements of one size, as JSON
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from bench.sample import Row
from bench.simulation import Size, deployed, empty, without
from shipyard.model.plan import CreateContainer
from shipyard.model.situation import Situation
from shipyard.planner.plan import plan
from shipyard.planner.status import fleet_status

T = TypeVar("T")

SIZES = (500, 1500, 5000)
LIMIT = SIZES[-1]
LOST = 50
"""One node in so many is lost: 100 of 5,000."""


def measure(sizes: tuple[int, ...], repeat: int) -> list[Row]:
    """Rows for all sizes; the targets are for the largest of the published limits."""
    found = {nodes: _in_a_process(nodes, repeat) for nodes in sizes}
    rows = []
    for nodes, each in found.items():
        size = Size(nodes)
        judged = nodes == LIMIT
        what = f"{nodes:,} nodes, {size.replicas:,} replicas, {size.services:,} services"
        rows += [
            Row(f"{what}: no-op plan", tuple(each["noop"]), target=3.0 if judged else None),
            Row(f"{what}: no-op plan, CPU", tuple(each["noop_cpu"])),
            Row(
                f"{what}: first placement, replicas a second",
                tuple(each["placed"] / seconds for seconds in each["first"]),
                "1/s",
                target=5000 if judged else None,
                least=True,
            ),
            Row(f"{what}: first placement, CPU", tuple(each["first_cpu"])),
            Row(
                f"{what}: {nodes // LOST} nodes lost, {each['moved']:,} replicas moved",
                tuple(each["lost"]),
                target=5.0 if judged else None,
            ),
            Row(f"{what}: {nodes // LOST} nodes lost, CPU", tuple(each["lost_cpu"])),
            Row(f"{what}: the status of it", tuple(each["status"])),
            Row(f"{what}: peak memory", (each["peak"] / 2**20,), "MiB", target=2048 if judged else None),
        ]
    if len(found) > 1:
        rows += _growth(found)
    return rows


def _growth(found: dict[int, dict[str, Any]]) -> list[Row]:
    """CPU for each replica at the largest size, beside that at the smallest: 1 where cost grows with the fleet."""
    small, large = min(found), max(found)

    def each(what: str, nodes: int) -> float:
        return float(min(found[nodes][what])) / Size(nodes).replicas * 1e6

    names = {"noop_cpu": "no-op plan", "first_cpu": "first placement", "lost_cpu": "nodes lost"}
    return [
        Row(
            f"CPU a replica at {large:,} nodes: {name}",
            (each(what, large),),
            "µs",
            reference=(f"at {small:,} nodes", each(what, small)),
        )
        for what, name in names.items()
    ]


def _in_a_process(nodes: int, repeat: int) -> dict[str, Any]:
    argv = [sys.executable, "-m", "bench.planner", str(nodes), str(repeat)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[1:])} ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def one(nodes: int, repeat: int) -> dict[str, Any]:
    """All measurements of one size, in this process."""
    found: dict[str, Any] = {}
    begun = empty(Size(nodes))
    first = _timed(found, "first", lambda: plan(begun, waves=1), 1)
    found["placed"] = len(first.memory.placements)
    del first
    situation = deployed(begun)
    rested = _timed(found, "noop", lambda: plan(situation, waves=1), repeat)
    if rested.waves or rested.blocked or rested.waiting:
        raise RuntimeError(f"a converged fleet has something to do: {rested.actions[:1]}{rested.blocked[:1]}"[:1000])
    _timed(found, "status", lambda: fleet_status(situation, rested, None), 1)
    found["moved"] = _lost(found, without(situation, nodes // LOST), repeat)
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def _lost(found: dict[str, Any], situation: Situation, repeat: int) -> int:
    decided = _timed(found, "lost", lambda: plan(situation, waves=1), repeat)
    return sum(isinstance(action.step, CreateContainer) for action in decided.actions)


def _timed(found: dict[str, Any], name: str, work: Callable[[], T], repeat: int) -> T:
    """What the last run gave; its times are noted as `name` (wall) and `name`_cpu."""
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - wall)
    found[name], found[f"{name}_cpu"] = walls, cpus
    return result


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)))
