"""Jobs on real nodes: run to their end, waited for, and never begun twice."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.store.store import Store
from tests.lab.fleet import Fleet
from tests.lab.stacks import ids

JOBS = """
- hosts: lab
  stack: shop
  services:
    migrate:
      image: shipyard.test/busybox:1
      command: [sh, -c, "echo from $(hostname) && exit CODE"]
      deploy: {mode: global-job, restart_policy: {condition: none}}
"""
LONG = """
- hosts: lab
  stack: shop
  services:
    long:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      deploy: {mode: replicated-job}
    timed:
      image: shipyard.test/busybox:1
      command: [echo, "it is time"]
      x-shipyard: {schedule: "* * * * *"}
"""

SEVERAL = """
- hosts: lab
  stack: shop
  services:
    report:
      image: shipyard.test/busybox:1
      command: [sh, -c, "cat /share/seed && MAIN"]
      volumes: ["work:/share"]
      stop_grace_period: 0s
      deploy: {mode: global-job, restart_policy: {condition: none}}
      x-shipyard:
        init_containers:
          - name: seed
            image: shipyard.test/busybox:1
            command: [sh, -c, "sleep 0.5; SEED"]
            volumes: ["work:/share"]
        sidecars:
          - {name: second, image: "shipyard.test/busybox:1", command: [sh, -c, "sleep 1; echo checked"], must_end: true}
    web:
      image: shipyard.test/busybox:1
      network_mode: service:report
      command: [httpd, -f, -p, "8080", -h, /etc]
      stop_grace_period: 0s
  volumes: {work: {}}
"""
MANIFEST = """
apiVersion: batch/v1
kind: Job
metadata: {name: report}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      volumes: [{name: work, emptyDir: {}}]
      initContainers:
      - name: web
        image: shipyard.test/busybox:1
        restartPolicy: Always
        command: [httpd, -f, -p, "8080", -h, /etc]
      - name: seed
        image: shipyard.test/busybox:1
        command: [sh, -c, "echo seeded > /out/seed"]
        volumeMounts: [{name: work, mountPath: /out}]
      containers:
      - name: main
        image: shipyard.test/busybox:1
        command: [sh, -c, "cat /in/seed; until wget -q -O - http://127.0.0.1:8080/passwd; do sleep 0.2; done"]
        volumeMounts: [{name: work, mountPath: /in, readOnly: true}]
      - {name: other, image: "shipyard.test/busybox:1", command: [sh, -c, "sleep 1; exit CODE"]}
"""
SEEDED = "echo seeded in $(hostname) > /share/seed"
ASKS = "until wget -q -O - http://127.0.0.1:8080/passwd; do sleep 0.2; done"


def jobs(fleet: Fleet) -> dict[str, Any]:
    return {job["service"]: job for job in fleet.shipyard("job", "list", "-o", "json").json}


def test_a_job_is_run_to_its_end_on_each_node_and_once_more_when_it_is_changed(fleet: Fleet) -> None:
    fleet.write("shop.yml", JOBS.replace("CODE", "0"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    first = ids(fleet)
    assert len(first) == 3
    lines = fleet.shipyard("job", "logs", "shop/migrate").expect(0).stdout.splitlines()
    assert sum("from " in line for line in lines) == 3
    again = fleet.shipyard("apply", "shop.yml").expect(0)
    assert "Nothing to do" in again.stdout + again.stderr
    status = fleet.shipyard("status", "-o", "json").json["stacks"][0]["services"][0]
    assert (status["desired"], status["completed"], status["failed"]) == (3, 3, 0)
    fleet.write("shop.yml", JOBS.replace("CODE", "7"))
    failed = fleet.shipyard("apply", "shop.yml").expect(2)
    assert "exit code 7" in failed.stdout + failed.stderr
    assert len(set(ids(fleet)) - set(first)) == 3
    (policy,) = {
        fleet.inspect(node, name)["HostConfig"]["RestartPolicy"]["Name"]
        for node in fleet.names
        for name in fleet.containers(node)
    }
    assert policy == "no"


def test_what_was_begun_is_not_begun_again_and_a_due_time_is_run_once(fleet: Fleet) -> None:
    fleet.write("shop.yml", LONG)
    fleet.shipyard("apply", "--no-wait", "shop.yml")
    (name, identity), *_ = ids(fleet).items()
    node = next(node for node in fleet.names if name in fleet.containers(node))
    fleet.runtime_cli(node, "rm", "--force", identity)
    gone = fleet.shipyard("reconcile", "--once").expect(2)
    assert "JobUnknown" in gone.stdout + gone.stderr
    assert not [each for each in ids(fleet) if "-long-" in each]
    _two_minutes_earlier(fleet, "timed")
    for _ in range(2):
        fleet.shipyard("reconcile", "--once").expect(2)
    runs = jobs(fleet)["timed"]["runs"]
    assert {run["cause"] for run in runs} == {"schedule"}
    assert len({run["due"] for run in runs}) == len(runs) == len([each for each in ids(fleet) if "-timed-" in each])
    fleet.shipyard("job", "run", "shop/timed").expect(0)  # that of the other job nobody knows is no matter of this one
    assert jobs(fleet)["timed"]["runs"][0]["cause"] in ("request", "schedule")
    assert "it is time" in fleet.shipyard("job", "logs", "shop/timed").stdout


def running(fleet: Fleet) -> list[str]:
    return [
        name
        for node in fleet.names
        for name, identity in fleet.containers(node).items()
        if fleet.inspect(node, identity)["State"]["Running"]
    ]


@pytest.mark.matrix
def test_a_job_of_several_containers_begins_in_order_and_ends_as_one(fleet: Fleet) -> None:
    fleet.write("shop.yml", SEVERAL.replace("MAIN", ASKS).replace("SEED", SEEDED))
    fleet.shipyard("apply", "shop.yml", "--timeout", "90").expect(0)
    assert len(ids(fleet)) == 5 * len(fleet.names)
    assert running(fleet) == []
    run = jobs(fleet)["report"]["last_run"]
    assert (run["state"], run["completed"], run["wanted"]) == ("succeeded", 3, 3)
    for task in run["tasks"]:
        ended = {each["name"]: (each["kind"], each["exit_code"]) for each in task["members"]}
        assert (ended["seed"], ended["second"], ended["web"][0]) == (("init", 0), ("main", 0), "sidecar")
    printed = fleet.shipyard("job", "logs", "shop/report").expect(0).stdout
    assert printed.count("seeded in") == printed.count("root:x:") == len(fleet.names)
    beside = fleet.shipyard("job", "logs", "shop/report", "--container", "second").expect(0).stdout
    assert beside.count("checked") == len(fleet.names)
    fleet.shipyard("reconcile", "--check").expect(0)
    fleet.shipyard("rm", "shop", "--yes").expect(0)
    assert not ids(fleet)


@pytest.mark.matrix
def test_a_job_whose_init_container_fails_is_told_with_its_words_and_begun_no_further(fleet: Fleet) -> None:
    fleet.write("shop.yml", SEVERAL.replace("MAIN", ASKS).replace("SEED", "echo no database; exit 3"))
    failed = fleet.shipyard("apply", "shop.yml", "--timeout", "60").expect(2)
    assert "seed: exit code 3" in failed.stdout + failed.stderr
    assert {name.partition(".")[2] for name in ids(fleet)} == {"holder", "seed"}
    assert running(fleet) == []
    assert "--container shows another one: seed" in fleet.shipyard("job", "logs", "shop/report").expect(5).stderr
    said = fleet.shipyard("job", "logs", "shop/report", "--container", "seed").expect(0).stdout
    assert said.count("no database") == len(fleet.names)


@pytest.mark.matrix
def test_a_job_of_kubernetes_ends_when_all_its_containers_have_but_sidecars(fleet: Fleet) -> None:
    fleet.write("job.yaml", MANIFEST.replace("CODE", "0"))
    fleet.shipyard("apply", "job.yaml", "--hosts", "lab", "--timeout", "60").expect(0)
    printed = fleet.shipyard("job", "logs", "default/report").expect(0).stdout
    assert ("seeded" in printed, "root:x:" in printed) == (True, True)
    assert running(fleet) == []
    fleet.write("job.yaml", MANIFEST.replace("CODE", "7"))
    failed = fleet.shipyard("apply", "job.yaml", "--hosts", "lab", "--timeout", "60").expect(2)
    assert "other: exit code 7" in failed.stdout + failed.stderr
    assert running(fleet) == []


def _two_minutes_earlier(fleet: Fleet, service: str) -> None:
    """The job was declared then, as far as the store knows."""
    with Store.open(f"sqlite:///{fleet.project}/.shipyard/state.db") as store:
        memory = store.memory()
        moved = (replace(job, since=job.since - 120) if job.service == service else job for job in memory.jobs)
        store.save_memory(replace(memory, jobs=tuple(moved)))
