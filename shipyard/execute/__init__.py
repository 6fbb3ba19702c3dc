"""Actions into commands on nodes, and what became of them."""
