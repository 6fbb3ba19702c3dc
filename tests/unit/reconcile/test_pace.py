"""What cron can't keep up with is said once for each revision."""

from __future__ import annotations

from pathlib import Path

from shipyard.model.container import ContainerSpec, Probe, Probes
from shipyard.model.plan import Notice
from shipyard.model.progress import Unwatched
from shipyard.model.spec import ServiceSpec, StackSpec
from shipyard.reconcile import pace
from shipyard.store.store import Store


class Listener(Unwatched):
    def __init__(self) -> None:
        self.heard: list[Notice] = []

    def on_notice(self, notice: Notice) -> None:
        self.heard.append(notice)


def stack(period: float, image: str = "app:1") -> StackSpec:
    probes = Probes(liveness=Probe("tcp", port=80, period=period), startup=Probe("tcp", port=80))
    return StackSpec(
        "s", (ServiceSpec("plain", ContainerSpec(image)), ServiceSpec("web", ContainerSpec(image), probes=probes))
    )


def told(store: Store, now: float) -> list[tuple[str, str]]:
    listener = Listener()
    pace.tell(store, listener, now)
    return [(notice.target, notice.detail) for notice in listener.heard]


def test_probes_that_cron_is_too_slow_for(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "state.db"), create=True) as store:
        store.add_revision(stack(60.0), author="me", files=(), now=1000.0)
        assert told(store, 1001.0) == []
        store.add_revision(stack(10.0), author="me", files=(), now=1100.0)
        ((target, detail),) = told(store, 1101.0)
        assert target == "s/web"
        assert "liveness every 10 s" in detail
        assert "--watch --interval 10" in detail
        assert told(store, 1161.0) == []
        store.add_revision(stack(10.0, "app:2"), author="me", files=(), now=1200.0)
        assert len(told(store, 1201.0)) == 1
