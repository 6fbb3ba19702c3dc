"""The face: commands, and the only place that draws."""
