"""Kubernetes manifests, translated into the keys of a play, with a word about everything that is not carried out."""

from shipyard.files.kubernetes.load import bodies, load, together
from shipyard.files.kubernetes.tree import per_node

__all__ = ["bodies", "load", "per_node", "together"]
