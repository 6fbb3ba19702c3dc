"""How packets get from node to node: one small module for each way, behind one protocol.

A further one is a module with a `Driver` in it, named here and in `spanning.SPANNING`.
"""

from __future__ import annotations

from shipyard.planner.network.drivers.driver import Driver, Member
from shipyard.planner.network.drivers.routed import ROUTED
from shipyard.planner.network.drivers.vxlan import VXLAN
from shipyard.planner.network.drivers.wireguard import WIREGUARD

DRIVERS: dict[str, Driver] = {driver.name: driver for driver in (ROUTED, VXLAN, WIREGUARD)}

__all__ = ["DRIVERS", "Driver", "Member"]
