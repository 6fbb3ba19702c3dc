"""Compose files whole: interpolated and merged as Compose does it, read by the tables of a play's body."""

from shipyard.files.composefile.load import Project, load, normal_form, together

__all__ = ["Project", "load", "normal_form", "together"]
