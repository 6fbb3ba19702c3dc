"""A writer that is killed at any moment leaves a store in which every step happened, or did not."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 15

SCRIPT = """
import os, random, signal, sqlite3, sys, time
from shipyard.model.event import Event
from shipyard.model.memory import Memory, Placement
from shipyard.model.plan import Action, Outcome, PullImage, Status
from shipyard.store.store import Store

url, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def memory(step):
    return Memory(placements=tuple(Placement("s", "web", slot, "node", step, 1) for slot in range(1, 20)))

def write(tell):
    with Store.open(url) as store:
        store.acquire("writer@here", time.time(), 3600.0)
        number = store.begin_pass(kind="apply", holder="writer@here", now=1.0)
        step = store.memory().placements[0].incarnation if store.memory().placements else 0
        while True:
            step += 1
            os.write(tell, b".")
            action = Action(step, "node", "s/web.1", "Missing", "", PullImage("i"))
            store.begin_wave(number, (action,), memory(2 * step), 1.0)
            done = Outcome(action, Status.DONE)
            store.end_wave(number, (done,), memory(2 * step + 1), (Event(1.0, "Done", str(step), "x"),), 1.0)

def check():
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Store.open(url, create=False) as store:
        placements = store.memory().placements
        assert len({placed.incarnation for placed in placements}) <= 1, placements
        passes = store.passes(1)
        actions = store.actions(passes[0].id) if passes else ()
        if not actions:
            return 0
        last, step = actions[-1], placements[0].incarnation
        assert step == 2 * last.number + (last.status == "done"), (step, last)
        events = {int(row.event.target) for row in store.events(limit=10_000)}
        assert all((action.number in events) == (action.status == "done") for action in actions), (events, actions)
        return len(actions)

Store.open(url).close()
chance, worked = random.Random(7), 0
for _ in range(rounds):
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        write(tell)
    os.close(tell)
    for _ in range(chance.randrange(5)):
        os.read(listen, 1)
    time.sleep(chance.uniform(0.0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(listen)
    worked += check()
assert worked, "no writer came as far as writing"
"""


def test_a_killed_writer_leaves_whole_steps(url: str, path) -> None:
    command = [sys.executable, "-c", SCRIPT, url, str(path), str(ROUNDS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
