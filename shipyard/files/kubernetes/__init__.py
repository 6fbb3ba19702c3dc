"""Kubernetes manifests, translated into the keys of a play, with a word about everything that is not carried out."""

from shipyard.files.kubernetes.load import load, together

__all__ = ["load", "together"]
