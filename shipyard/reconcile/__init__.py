"""The pass, and what runs it: once, until converged, or for ever."""
