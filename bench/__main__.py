"""The command: which parts, on labs of how many nodes, and the file with the results."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import files, inventory, many, network, packing, planner, report, swarm
from bench.ground import PROGRAM, ground
from bench.parts import Bench
from bench.process import measured
from bench.sample import Row, table

ON_A_LAB = ("cpu", "noop", "repair", "deploy", "ansible")
PARTS = (*ON_A_LAB, "help", "inventory", "files", "many", "planner", "packing", "network", "swarm")
RUNTIMES = ("docker", "podman")


def main() -> int:
    chosen = _arguments()
    book = report.Report()
    measured_on = chosen.runtime or list(RUNTIMES)
    if on_a_lab := [part for part in chosen.parts if part in ON_A_LAB]:
        for runtime in measured_on:
            title = f"{chosen.nodes} nodes with {runtime}, 5 containers each"
            with ground(chosen.nodes, runtime, chosen.folder, name=chosen.name, keep=chosen.keep) as place:
                bench = Bench(place, chosen.repeat)
                for part in on_a_lab:
                    _do(book, title, part, getattr(bench, part))
    if "help" in chosen.parts:
        _do(book, "The program alone", "help", lambda: _help(3 * chosen.repeat))
    if "inventory" in chosen.parts:
        _do(book, "The program alone", "inventory", lambda: inventory.measure(max(2, chosen.repeat // 2)))
    if "files" in chosen.parts:
        _do(book, "The program alone", "files", lambda: files.measure(chosen.repeat))
    if "many" in chosen.parts:
        title = f"{chosen.hosts} connections to one sshd (the runtime behind it is a fake)"
        _do(book, title, "many", lambda: many.measure(chosen.hosts, max(2, chosen.repeat // 2)))
    if "planner" in chosen.parts:
        title = "The planner alone, on nodes that are only data"
        _do(book, title, "planner", lambda: planner.measure(tuple(chosen.sizes), max(2, chosen.repeat // 3)))
    if "packing" in chosen.parts:
        _do(book, "The planner alone, on nodes that are only data", "packing", packing.measure)
    if "network" in chosen.parts:
        with ground(2, "docker", chosen.folder, name=f"{chosen.name}2", keep=chosen.keep) as place:
            _do(
                book,
                "The cluster's network, between two nodes",
                "network",
                lambda: network.measure(place, chosen.repeat),
            )
    if "swarm" in chosen.parts:
        title = "Beside Docker Swarm, on the same three nodes"
        with ground(3, "docker", chosen.folder, name=f"{chosen.name}3", keep=chosen.keep) as place:
            _do(book, title, "swarm", lambda: swarm.measure(place, max(1, chosen.repeat // 3)))
    text = book.text(f"bench/run {' '.join(sys.argv[1:])}".strip())
    print(text)
    if chosen.write:
        chosen.write.write_text(text)
    return 1 if book.problems else 0


def _do(book: report.Report, title: str, part: str, work: Callable[[], list[Row]]) -> None:
    """One part. What fails is written down, and the others go on."""
    print(f"{title}: {part}", file=sys.stderr)
    before = report.load()
    try:
        rows = work()
    except RuntimeError as error:
        book.problem(title, part, str(error))
        return
    print(table(rows), file=sys.stderr)
    book.add(title, rows, part, (before, report.load()))


def _help(repeat: int) -> list[Row]:
    """`--help`, which completion and people wait for."""
    with tempfile.TemporaryDirectory() as folder:
        costs = [measured([PROGRAM, "--help"], cwd=Path(folder), env={"PATH": "/usr/bin:/bin"}) for _ in range(repeat)]
    return [
        Row("`shipyard --help`", tuple(cost.wall for cost in costs), target=0.2),
        Row("`shipyard --help`: CPU", tuple(cost.cpu for cost in costs)),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all when none is named")
    parser.add_argument("--nodes", type=int, default=10, help="of the lab (default: 10)")
    parser.add_argument(
        "--runtime", action="append", choices=RUNTIMES, help="docker, podman (default: one after the other)"
    )
    parser.add_argument("--hosts", type=int, default=300, help="connections of `many` (default: 300)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(planner.SIZES), help="nodes of `planner` (default: 500 1500 5000)"
    )
    parser.add_argument("--repeat", type=int, default=9, help="how often what is short is run (default: 9)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where the table goes, beside standard output")
    parser.add_argument("--name", default="bench", help="of the lab (default: bench)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up, for another run")
    parser.add_argument("--folder", type=Path, default=Path(".shipyard/bench"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    chosen.parts = chosen.parts or list(PARTS)
    chosen.folder = chosen.folder.absolute()
    return chosen


if __name__ == "__main__":
    sys.exit(main())
