"""The cluster's network: which networks span nodes, who has which address, and what each node needs for it."""
