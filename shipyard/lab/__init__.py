"""A throw-away fleet of real nodes on this machine: for trying shipyard out, and the ground of its tests."""
