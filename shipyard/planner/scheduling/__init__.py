"""Where a replica goes: filters that can each say why they refuse a node, then an order among those that fit.

What runs is not moved without cause; nodes are only chosen for replicas that have none. `Choices` decides for all
replicas of one service, one after the other, and never looks at all nodes again for each: what does not depend on
the load is asked once, and what remains is kept in heaps whose entries are put right as they come up.
"""

from shipyard.planner.scheduling.choices import Choices, standing_refusal
from shipyard.planner.scheduling.evict import Victims, evict
from shipyard.planner.scheduling.ledger import Ledger
from shipyard.planner.scheduling.order import in_order
from shipyard.planner.scheduling.packing import open_nodes

__all__ = ["Choices", "Ledger", "Victims", "evict", "in_order", "open_nodes", "standing_refusal"]
