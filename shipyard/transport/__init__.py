"""Run a command on a node: by ssh, or locally. The only place that knows paramiko."""
