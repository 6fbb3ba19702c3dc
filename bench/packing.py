"""How many nodes `binpack` needs, beside the least that any packing could do with.

Requests are drawn from a table of real ones: cores (in thousandths) and memory (in MiB) of 208 tasks that followed each
other in a production Kubernetes cluster, as published by Alibaba with the paper "Beware of Fragmentation" (USENIX ATC
2023; alibaba/clusterdata, cluster-trace-gpu-v2023, openb_pod_list_default.csv, tasks 2273 to 2497, read and counted by
hand; GPUs left aside). Those that take more than a quarter of a node are left out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from bench.sample import Row
from shipyard.model.container import ContainerSpec
from shipyard.model.node import Node
from shipyard.model.observed import Facts, ObservedNode
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import PlacementRules, Reservations, Revision, ServiceSpec, StackSpec
from shipyard.planner.scheduling.capacity import SYSTEM_MEMORY
from shipyard.planner.simulate import outlook

MIB, GIB = 2**20, 2**30

REQUESTS = (
    (11400, 48128, 43),
    (3152, 5600, 25),
    (32000, 49152, 15),
    (4000, 15258, 13),
    (8000, 30517, 11),
    (11908, 47104, 11),
    (15400, 51200, 10),
    (4152, 10600, 9),
    (12000, 24576, 7),
    (12500, 57344, 7),
    (15700, 58368, 7),
    (4000, 24576, 6),
    (11900, 77824, 6),
    (18708, 64512, 5),
    (1000, 2048, 4),
    (4000, 30517, 4),
    (6000, 22888, 3),
    (11300, 37888, 3),
    (12000, 16384, 3),
    (6000, 12288, 2),
    (8000, 16384, 2),
    (16200, 66560, 2),
    (4000, 22888, 1),
    (4000, 31250, 1),
    (6000, 6144, 1),
    (6000, 8192, 1),
    (6000, 16384, 1),
    (6000, 18432, 1),
    (8000, 16000, 1),
    (8000, 32768, 1),
    (8200, 33792, 1),
    (8710, 41560, 1),
    (9810, 41560, 1),
    (12000, 15360, 1),
    (12000, 18432, 1),
    (12000, 23552, 1),
    (16000, 32768, 1),
    (16000, 65536, 1),
)
"""Cores / 1000, MiB, how many of the tasks asked for so much."""

SHAPES = {
    "128 cores, 768 GiB (the trace's own nodes; cores run out first)": (128, 768),
    "128 cores, 448 GiB (cores and memory run out together)": (128, 448),
    "96 cores, 256 GiB (memory runs out first)": (96, 256),
}


def measure(replicas: int = 5_000, draws: int = 5) -> list[Row]:
    """A row for each shape of node: the nodes used, as a multiple of the lower bound."""
    rows = []
    for shape, (cores, gib) in SHAPES.items():
        ratios = [used / bound for used, bound in (packed(cores, gib, replicas, seed) for seed in range(draws))]
        rows.append(Row(f"nodes used by binpack / lower bound: {shape}", tuple(ratios), "x", target=1.05))
    return rows


def packed(cores: int, gib: int, replicas: int, seed: int) -> tuple[int, int]:
    """Nodes used, and the least that can do: the sum of what is asked for over what a node gives, per resource."""
    memory = gib * GIB
    services = tuple(_services(cores, memory, replicas, random.Random(seed)))
    wanted = [(each.replicas * each.reservations.cpus, each.replicas * each.reservations.memory) for each in services]
    by_cores = sum(cpus for cpus, _ in wanted) / cores
    by_memory = sum(size for _, size in wanted) / (memory * (1 - SYSTEM_MEMORY))
    bound = math.ceil(max(by_cores, by_memory))
    found = outlook(*[_situation(services, int(bound * 1.5), cores, memory)] * 2)
    if found.without_place:
        raise RuntimeError(f"{len(found.without_place)} replicas found no place: {found.without_place[0].why}")
    return sum(node.after.replicas > 0 for node in found.nodes), bound


def _services(cores: int, memory: int, replicas: int, dice: random.Random) -> Iterable[ServiceSpec]:
    """Services of one request each; most have few replicas."""
    fit = [each for each in REQUESTS if each[0] <= cores * 1000 / 4 and each[1] * MIB <= memory / 4]
    left, number = replicas, 0
    while left:
        milli, mib, _ = dice.choices(fit, [weight for _, _, weight in fit])[0]
        count = min(left, int(dice.paretovariate(1.1)), 200)
        number, left = number + 1, left - count
        yield ServiceSpec(
            f"s{number:05}",
            ContainerSpec("app:1", network_mode="none"),
            replicas=count,
            placement=PlacementRules(strategy="binpack"),
            reservations=Reservations(milli / 1000, mib * MIB),
        )


def _situation(services: tuple[ServiceSpec, ...], nodes: int, cores: int, memory: int) -> Situation:
    names = tuple(f"n{number:05}" for number in range(nodes))
    stack = DesiredStack(
        Revision("s", 1, StackSpec("s", services), "", 0.0, "bench"), tuple((each.name, names) for each in services)
    )
    facts = Facts(cpus=cores, memory=memory, runtime="docker")
    observed = tuple(ObservedNode(name, facts) for name in names)
    return Situation("cafe", 1_000_000.0, tuple(Node(name) for name in names), (stack,), observed)
