"""How fast shipyard is, beside what is possible at all (the floor) and beside Ansible. Run by hand: see README.md."""
