"""A runtime's words about a failure as one CamelCase word, for events and status; the words are shown too."""

from __future__ import annotations

import re

FALLBACK = "RuntimeFailed"

_NOISE = re.compile(r'^(?:time="[^"]*" level=(?:warning|info|debug)|WARNING:|See \')')

_TABLE: tuple[tuple[str, str], ...] = (
    (
        "RuntimeUnreachable",
        r"cannot connect to the docker daemon|cannot connect to podman|is the docker daemon running",
    ),
    ("RuntimeDenied", r"permission denied while trying to connect|dial unix .*: permission denied"),
    ("DiskFull", r"no space left on device|disk quota exceeded"),
    ("OutOfMemory", r"cannot allocate memory|out of memory|oom-kill|unable to set memory limit|minimum memory limit"),
    (
        "NameTaken",
        r"(?:container )?name .* is already in use|network with name .* already exists|network already exists",
    ),
    ("NameTaken", r"volume already exists"),
    ("PortTaken", r"port is already allocated|bind: address already in use|cannot expose privileged port"),
    ("AddressTaken", r"address already in use|requested ip address .* is already allocated"),
    ("AddressUnfit", r"user specified ip address|requested static ip .* not in any subnet|no matching subnet"),
    ("SubnetTaken", r"pool overlaps|is already used on the host|could not find an available"),
    ("BindSourceMissing", r"bind source path does not exist|statfs .*: no such file"),
    ("ImageMissing", r"no such image|image not known"),
    ("PlatformMismatch", r"does not match the specified platform|no matching manifest for|exec format error"),
    (
        "ImagePullFailed",
        r"manifest unknown|pull access denied|pinging container registry|initializing source docker|/v2/"
        r"|did not resolve to an alias|toomanyrequests|unauthorized|authentication required|requested access to the",
    ),
    ("ImageInvalid", r"invalid reference format|not a valid image name"),
    ("NetworkInUse", r"has active endpoints|network is being used|has associated containers"),
    ("NetworkMissing", r"network \S+ not found|network not found|no such network|unable to find network"),
    ("NotConnected", r"is not connected to network"),
    ("AlreadyConnected", r"is already connected to network|endpoint with name .* already exists in network"),
    ("VolumeInUse", r"volume is in use|volume is being used"),
    ("VolumeMissing", r"no such volume"),
    ("NoSuchContainer", r"no such container|no container with name or id"),
    ("NotRunning", r"is not running|running containers: container state improper|is not paused"),
    ("DeviceMissing", r"error gathering device information|stat /dev/\S+: no such file"),
    ("UserMissing", r"unable to find user|unable to find group|no matching entries in (?:passwd|group) file"),
    ("CommandNotFound", r'exec: ".*": (?:stat .*: no such file|executable file not found)|command that was not found'),
    ("CommandNotExecutable", r'exec: ".*": (?:permission denied|is a directory)|oci permission denied'),
    ("CapacityExceeded", r"range of cpus is from|requested cpus are not available|requested memory nodes"),
    (
        "Unsupported",
        r"unknown (?:shorthand )?flag|unknown runtime|oci runtime \".*\" not found|unknown capability"
        r"|plugin .* not found|required plugin missing|unsupported driver|invalid log driver"
        r"|is not whitelisted|sysctl .* is not allowed"
        r"|invalid mount option|unexpected key|is not supported|only supported in|invalid \w+ mode"
        r"|unrecognized namespace mode",
    ),
    (
        "InvalidSetting",
        r"invalid argument|invalid restart policy|needs to be an absolute path|workdir .* does not exist",
    ),
    ("InvalidSetting", r"seccomp profile|invalid mount config|bad format|invalid value"),
    ("TimedOut", r"context deadline exceeded|i/o timeout|request canceled"),
)

_PATTERNS = tuple((reason, re.compile(pattern, re.IGNORECASE)) for reason, pattern in _TABLE)


def reason_of(stderr: str) -> str:
    """The first reason of the table that the words fit; `RuntimeFailed` when none does. Warnings don't count."""
    lines = stderr[-8192:].splitlines()
    words = "\n".join(line for line in lines if not _NOISE.match(line)) or "\n".join(lines)
    return next((reason for reason, pattern in _PATTERNS if pattern.search(words)), FALLBACK)
