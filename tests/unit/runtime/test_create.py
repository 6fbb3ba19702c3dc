"""A container's spec as command lines. That the options do what they say is for the lab's tests; here, which ones."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import names, replace
from shipyard.model.container import (
    Attachment,
    ConfigMount,
    ContainerSpec,
    DeviceRequest,
    Healthcheck,
    Limits,
    Logging,
    Mount,
    Port,
    RestartPolicy,
    Ulimit,
)
from shipyard.runtime.dialect import Command, Unsupported
from shipyard.runtime.dialects import NAMES, by_name, refusal
from shipyard.runtime.mounts import HOSTS, carrying

BASE = ContainerSpec("img:1")
CONFIG = ConfigMount("c", "d" * 64, "/etc/c")

SAMPLES: dict[str, Any] = {
    "image": "other:2",
    "command": ("run", "-x"),
    "entrypoint": ("/init", "--flag"),
    "environment": (("A", "b"),),
    "labels": (("a", "b"),),
    "annotations": (("a", "b"),),
    "hostname": "h",
    "domainname": "d",
    "user": "1:2",
    "group_add": ("3",),
    "working_dir": "/w",
    "stop_signal": "SIGUSR1",
    "stop_grace_period": 1.5,
    "init": True,
    "tty": True,
    "stdin_open": True,
    "read_only": True,
    "privileged": True,
    "cap_add": ("NET_ADMIN",),
    "cap_drop": ("ALL",),
    "security_opt": ("label=disable",),
    "devices": ("/dev/fuse",),
    "device_cgroup_rules": ("c 1:3 r",),
    "ulimits": (Ulimit("nofile", 1, 2),),
    "sysctls": (("net.x", "1"),),
    "shm_size": 64,
    "ipc": "host",
    "pid": "host",
    "uts": "host",
    "cgroup": "private",
    "cgroup_parent": "/p",
    "userns_mode": "host",
    "runtime": "runsc",
    "platform": "linux/amd64",
    "logging": Logging("local", (("a", "b"),)),
    "healthcheck": Healthcheck(("CMD", "true", "x")),
    "restart": RestartPolicy("none"),
    "limits": Limits(cpus=1.5),
    "dns": ("192.0.2.1",),
    "dns_search": ("x",),
    "dns_opt": ("ndots:1",),
    "extra_hosts": (("a", "192.0.2.1"),),
    "ports": (Port(80, 8080),),
    "expose": ("90",),
    "mounts": (Mount("volume", "/v", "vol"),),
    "configs": (CONFIG,),
    "secrets": (CONFIG,),
    "networks": (Attachment("n"),),
    "gpus": (DeviceRequest(("gpu",), count=None),),
    "network_mode": "host",
    "hosts": True,
}
NOT_ITS_OWN = {"pull_policy", "members", "stamps", "hidden"}
"""Images are pulled in a step before, members are made by steps of their own, stamps and hidden only tell apart."""

LIMITS: dict[str, Any] = {
    "cpus": 0.5,
    "memory": 1,
    "memory_reservation": 1,
    "memory_swap": -1,
    "swappiness": 0,
    "pids": 1,
    "cpu_shares": 1,
    "cpuset": "0-1",
    "cpu_period": 1,
    "cpu_quota": 1,
    "oom_kill_disable": True,
    "oom_score_adj": -1,
    "blkio_weight": 10,
    "devices": (("device_read_bps", "/dev/sda:1"),),
}
CHECK: dict[str, Any] = {
    "test": ("CMD-SHELL", "x"),
    "interval": 1.0,
    "timeout": 1.0,
    "retries": 1,
    "start_period": 1.0,
    "start_interval": 1.0,
}


def made(name: str, spec: ContainerSpec) -> tuple[Command, ...]:
    return by_name(name).create_container(
        "web-1", spec, (("shipyard.cluster", "c"),), {CONFIG.file_name: "/srv/c", HOSTS: "/srv/hosts"}
    )


def argv(name: str, **fields: Any) -> tuple[str, ...]:
    return made(name, replace(BASE, **fields))[-1].argv


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", names(ContainerSpec))
def test_no_key_is_silently_dropped(name: str, key: str) -> None:
    if key in NOT_ITS_OWN:
        assert key not in SAMPLES
        return
    try:
        assert made(name, replace(BASE, **{key: SAMPLES[key]})) != made(name, BASE)
    except Unsupported as error:
        assert error.key == key
        assert error.runtime == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", names(Limits))
def test_no_limit_is_silently_dropped(name: str, key: str) -> None:
    assert argv(name, limits=replace(Limits(), **{key: LIMITS[key]})) != argv(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", names(Healthcheck))
def test_nothing_of_a_health_check_is_silently_dropped(name: str, key: str) -> None:
    before = Healthcheck(("CMD", "a", "b"))
    try:
        assert argv(name, healthcheck=replace(before, **{key: CHECK[key]})) != argv(name, healthcheck=before)
    except Unsupported as error:
        assert error.key == f"healthcheck.{key}"


@pytest.mark.parametrize("name", NAMES)
def test_one_process_for_a_container_on_one_network(name: str) -> None:
    spec = replace(BASE, networks=(Attachment("n", ipv4_address="10.0.0.2"),), environment=(("A", "b"),))
    (command,) = made(name, spec)
    assert command.argv[:3] == (name, "run", "--detach")
    assert "--pull=never" in command.argv
    assert command.env == (("A", "b"),)
    assert "--env=A" in command.argv


def test_docker_joins_more_networks_before_it_starts() -> None:
    spec = replace(BASE, networks=(Attachment("n", ("a",)), Attachment("m", ("b",), "10.0.0.2")))
    create, connect, start = made("docker", spec)
    assert create.argv[:2] == ("docker", "create")
    assert "--network=n" in create.argv
    assert connect.argv == ("docker", "network", "connect", "--alias=b", "--ip=10.0.0.2", "m", "web-1")
    assert start.argv == ("docker", "start", "web-1")


def test_podman_needs_one_process_for_several_networks() -> None:
    spec = replace(
        BASE, networks=(Attachment("n", ("a", "b"), mac_address="02:00:00:00:00:01"), Attachment("m", (), "10.0.0.2"))
    )
    (command,) = made("podman", spec)
    assert "--network=n:alias=a,alias=b,mac=02:00:00:00:00:01" in command.argv
    assert "--network=m:ip=10.0.0.2" in command.argv


@pytest.mark.parametrize("alias", ["a,ip=10.0.0.9", "a,mac=02:00:00:00:00:09"])
def test_an_alias_is_no_option(alias: str) -> None:
    with pytest.raises(Unsupported, match="comma"):
        argv("podman", networks=(Attachment("n", (alias,)),))


def test_ours_win_over_written_labels() -> None:
    assert "--label=shipyard.cluster=c" in argv("docker", labels=(("shipyard.cluster", "other"),))
    assert "--label=shipyard.cluster=other" not in argv("docker", labels=(("shipyard.cluster", "other"),))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_never_an_option(name: str) -> None:
    with pytest.raises(Unsupported):
        argv(name, image="--privileged")
    with pytest.raises(Unsupported):
        by_name(name).pull("--all", None, always=True)
    words = argv(name, command=("--privileged",))
    assert words[words.index("--") + 1 :] == ("img:1", "--privileged")


@pytest.mark.parametrize(
    ("entrypoint", "command", "docker", "podman"),
    [
        (None, None, [], []),
        (None, ("a", "b"), ["a", "b"], ["a", "b"]),
        ((), None, ["--entrypoint="], ["--entrypoint="]),
        ((), ("a",), ["--entrypoint=", "a"], ["--entrypoint=", "a"]),
        (("x",), ("a",), ["--entrypoint=x", "a"], ['--entrypoint=["x"]', "a"]),
        (("x", "-y z"), ("a",), ["--entrypoint=x", "-y z", "a"], ['--entrypoint=["x", "-y z"]', "a"]),
        (("x", "y"), None, ["--entrypoint=x", "y"], ['--entrypoint=["x", "y"]']),
    ],
)
def test_entrypoints(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...] | None, docker: list[str], podman: list[str]
) -> None:
    for name, expected in (("docker", docker), ("podman", podman)):
        words = argv(name, entrypoint=entrypoint, command=command)
        said = [word for word in words if word.startswith("--entrypoint")] + list(words[words.index("--") + 2 :])
        assert said == expected


def test_an_empty_command_needs_an_entrypoint() -> None:
    with pytest.raises(Unsupported, match="command"):
        argv("docker", command=())
    assert argv("docker", command=(), entrypoint=("x",))[-1] == "img:1"


@pytest.mark.parametrize(
    ("test", "docker", "podman"),
    [
        (("NONE",), "--no-healthcheck", "--no-healthcheck"),
        (("CMD-SHELL", "a | b"), "--health-cmd=a | b", '--health-cmd=["CMD-SHELL", "a | b"]'),
        (("CMD", "a", "b c"), "--health-cmd=a 'b c'", '--health-cmd=["a", "b c"]'),
        (("CMD", "a b"), "--health-cmd='a b'", '--health-cmd=["CMD-SHELL", "\'a b\'"]'),
        (("CMD", "CMD", "b"), "--health-cmd=CMD b", '--health-cmd=["CMD-SHELL", "CMD b"]'),
    ],
)
def test_health_checks(test: tuple[str, ...], docker: str, podman: str) -> None:
    assert docker in argv("docker", healthcheck=Healthcheck(test))
    assert podman in argv("podman", healthcheck=Healthcheck(test))


def test_the_images_own_health_check() -> None:
    assert "--health-retries=7" in argv("docker", healthcheck=Healthcheck(retries=7))
    with pytest.raises(Unsupported, match="healthcheck"):
        argv("podman", healthcheck=Healthcheck(retries=7))
    assert argv("podman", healthcheck=Healthcheck()) == argv("podman")


@pytest.mark.parametrize(
    ("policy", "option"),
    [
        (None, "--restart=always"),
        (RestartPolicy(), "--restart=always"),
        (RestartPolicy("none"), "--restart=no"),
        (RestartPolicy("on-failure"), "--restart=on-failure"),
        (RestartPolicy("on-failure", max_attempts=5), "--restart=on-failure:5"),
        (RestartPolicy("unless-stopped"), "--restart=unless-stopped"),
    ],
)
def test_restart(policy: RestartPolicy | None, option: str) -> None:
    for name in NAMES:
        assert option in argv(name, restart=policy)


@pytest.mark.parametrize(
    ("port", "option"),
    [
        (Port(80), "--expose=80/tcp"),
        (Port(80, 8080), "--publish=8080:80/tcp"),
        (Port(53, 53, "udp", "127.0.0.1"), "--publish=127.0.0.1:53:53/udp"),
        (Port(9, 9, "sctp", "::1"), "--publish=[::1]:9:9/sctp"),
    ],
)
def test_ports(port: Port, option: str) -> None:
    for name in NAMES:
        assert option in argv(name, ports=(port,))


@pytest.mark.parametrize(
    ("mount", "docker", "podman"),
    [
        (
            Mount("bind", "/t", "/a,b", read_only=True),
            '--mount=type=bind,"source=/a,b",target=/t,readonly',
            '--mount=type=bind,"source=/a,b",target=/t,ro',
        ),
        (
            Mount("bind", "/t", "/a", options=(("propagation", "shared"),)),
            "--mount=type=bind,source=/a,target=/t,bind-propagation=shared",
            "--mount=type=bind,source=/a,target=/t,bind-propagation=shared",
        ),
        (
            Mount("bind", "/t", "/a", read_only=True, options=(("selinux", "Z"),)),
            "--volume=/a:/t:ro,Z",
            "--volume=/a:/t:ro,Z",
        ),
        (Mount("volume", "/t"), "--mount=type=volume,target=/t", "--mount=type=volume,target=/t"),
        (
            Mount("volume", "/t", "v", options=(("nocopy", "true"),)),
            "--mount=type=volume,source=v,target=/t,volume-nocopy",
            "--volume=v:/t:nocopy",
        ),
        (
            Mount("volume", "/t", "v", options=(("subpath", "s"),)),
            "--mount=type=volume,source=v,target=/t,volume-subpath=s",
            "--mount=type=volume,source=v,target=/t,subpath=s",
        ),
        (
            Mount("tmpfs", "/t", read_only=True, options=(("mode", "1777"), ("size", "64"), ("exec", ""))),
            "--tmpfs=/t:ro,mode=1777,size=64,exec",
            "--tmpfs=/t:ro,mode=1777,size=64,exec,notmpcopyup",
        ),
    ],
)
def test_mounts(mount: Mount, docker: str, podman: str) -> None:
    assert docker in argv("docker", mounts=(mount,))
    assert podman in argv("podman", mounts=(mount,))


@pytest.mark.parametrize(
    "mount",
    [
        Mount("bind", "/t", "/a", options=(("nocopy", "true"),)),
        Mount("volume", "/t", "v", options=(("size", "1"),)),
        Mount("bind", "/t", "/a:b", options=(("selinux", "z"),)),
        Mount("bind", "/t", "/a", options=(("selinux", "rw"),)),
        Mount("tmpfs", "/t:u"),
    ],
)
def test_mounts_that_can_not_be_said(mount: Mount) -> None:
    for name in NAMES:
        with pytest.raises(Unsupported):
            argv(name, mounts=(mount,))


def test_missing_bind_sources_are_made_first() -> None:
    mounts = (
        Mount("bind", "/a", "/x y", create=True),
        Mount("bind", "/b", "/z"),
        Mount("bind", "/c", "/-w", create=True),
    )
    make, run = made("podman", replace(BASE, mounts=mounts))
    assert make.argv[0] == "sh"
    assert make.argv[-2:] == ("/x y", "/-w")
    assert run.argv[1] == "run"


def test_volumes_that_are_carried_over_take_the_place_of_new_ones() -> None:
    mounts = (Mount("volume", "/data/", read_only=True), Mount("volume", "/new"), Mount("tmpfs", "/t"))
    spec = carrying(replace(BASE, mounts=mounts), (("/data", "a" * 64), ("/image", "b" * 64)))
    words = argv("docker", mounts=spec.mounts)
    assert f"--mount=type=volume,source={'a' * 64},target=/data/,readonly" in words
    assert f"--mount=type=volume,source={'b' * 64},target=/image" in words
    assert "--mount=type=volume,target=/new" in words
    assert carrying(spec, ()) == spec


def test_configs_are_read_only_files() -> None:
    assert "--mount=type=bind,source=/srv/c,target=/etc/c,readonly" in argv("docker", configs=(CONFIG,))
    assert "--mount=type=bind,source=/srv/c,target=/etc/c,ro" in argv("podman", configs=(CONFIG,))
    assert argv("docker", secrets=(CONFIG,)) == argv("docker", configs=(CONFIG,))


def test_podman_reads_some_values_as_csv() -> None:
    assert '--annotation="a=b,c ""d"""' in argv("podman", annotations=(("a", 'b,c "d"'),))
    assert '--annotation=a=b,c "d"' in argv("docker", annotations=(("a", 'b,c "d"'),))
    assert '--label=a=b,c "d"' in argv("podman", labels=(("a", 'b,c "d"'),))
    with pytest.raises(Unsupported, match="annotation"):
        argv("podman", annotations=(("a", "b\r\nc"),))


def test_logs_rotate_when_nothing_is_written() -> None:
    assert {"--log-driver=json-file", "--log-opt=max-size=10m", "--log-opt=max-file=3"} <= set(argv("docker"))
    assert {"--log-driver=k8s-file", "--log-opt=max-size=10mb"} <= set(argv("podman"))
    assert "--log-driver=json-file" not in argv("docker", logging=Logging("journald"))


def test_limits_of_single_devices() -> None:
    devices = (("device_read_bps", "/dev/sda:1"), ("device_write_iops", "/dev/sda:2"), ("weight_device", "/dev/sda:3"))
    wanted = {"--device-read-bps=/dev/sda:1", "--device-write-iops=/dev/sda:2", "--blkio-weight-device=/dev/sda:3"}
    for name in NAMES:
        assert wanted <= set(argv(name, limits=Limits(devices=devices)))


def test_gpus_by_number() -> None:
    """Commas stand between docker's words, so what has some of its own is in quotes there."""
    wanted = (DeviceRequest(("gpu", "utility"), "nvidia", 2, ("0", "GPU-3a")),)
    docker = '--gpus="device=0,GPU-3a",driver=nvidia,"capabilities=gpu,utility"'
    assert docker in argv("docker", gpus=wanted)
    assert {"--device=nvidia.com/gpu=0", "--device=nvidia.com/gpu=GPU-3a"} <= set(argv("podman", gpus=wanted))
    assert '--gpus=count=2,"capabilities=gpu"' in argv("docker", gpus=(DeviceRequest(("gpu",), count=2),))


def test_numbers_have_no_exponent() -> None:
    assert "--cpus=0.00001" in argv("docker", limits=Limits(cpus=1e-5))
    assert "--stop-timeout=2" in argv("docker", stop_grace_period=1.2)
    assert "--health-interval=90s" in argv("docker", healthcheck=Healthcheck(("CMD", "a", "b"), interval=90.0))
    assert "--health-interval=0.5s" in argv("podman", healthcheck=Healthcheck(("CMD", "a", "b"), interval=0.5))


def test_what_a_runtime_can_not_do_is_known_beforehand() -> None:
    spec = replace(BASE, domainname="x", configs=(CONFIG,))
    error = refusal(by_name("podman"), spec)
    assert error is not None
    assert "podman" in str(error)
    assert "domainname" in str(error)
    assert refusal(by_name("docker"), spec) is None


def test_a_container_that_joins_another_has_its_host_name_too() -> None:
    """Docker sees to that by itself, and has no option for it."""
    assert "--uts=container:a" in argv("podman", network_mode="container:a")
    assert "--uts=host" in argv("podman", network_mode="container:a", uts="host")
    assert "--uts=container:a" not in argv("podman", network_mode="container:a", uts="host")
    for name in NAMES:
        assert "--network=container:a" in argv(name, network_mode="container:a")
        assert name == "podman" or not any(word.startswith("--uts") for word in argv(name, network_mode="container:a"))
