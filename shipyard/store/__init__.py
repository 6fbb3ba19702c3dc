"""Desired state, placements and history. The only SQL."""
