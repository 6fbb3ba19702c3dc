"""What people write, read into the model. The door: everything is checked here, with file, line and key."""
