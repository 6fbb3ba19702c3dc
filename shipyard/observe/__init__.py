"""One probe per node, and what its output says."""
