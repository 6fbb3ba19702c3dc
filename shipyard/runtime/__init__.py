"""Docker, podman, nerdctl: builders of their command lines and parsers of their JSON. Runs nothing."""
