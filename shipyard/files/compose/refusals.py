"""Keys of a service that are not carried out: each an error that says so, none dropped in silence."""

from __future__ import annotations

from shipyard.files.compose.keys import not_yet, refused

KEYS = (
    refused(
        "container_name",
        "can't be chosen",
        "containers are named STACK-SERVICE-SLOT-…; others find them by service name",
    ),
    refused("build", "images are not built here", "build and push the image, then name it under image:"),
    not_yet("cpu_count"),
    not_yet("cpu_percent"),
    not_yet("cpu_rt_period"),
    not_yet("cpu_rt_runtime"),
    not_yet("credential_spec"),
    not_yet("develop"),
    not_yet("extends", "use YAML anchors, or x- keys and <<"),
    not_yet("external_links", "join the other stack's network as an external one"),
    not_yet("gpus", "write deploy.resources.reservations.devices: [{capabilities: [gpu], count: all}]"),
    not_yet("isolation"),
    not_yet("label_file"),
    not_yet("links", "services of one network find each other by name; aliases are under networks:"),
    not_yet("models"),
    not_yet("post_start"),
    not_yet("pre_stop"),
    not_yet("profiles", "use tags, and --tags"),
    not_yet("provider"),
    not_yet("pull_refresh_after"),
    not_yet("storage_opt"),
    not_yet("use_api_socket"),
    not_yet("volumes_from"),
)
