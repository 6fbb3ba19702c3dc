"""The dialects against real runtimes: every key of a container seen from inside it, and every step that is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.lab.images import BUSYBOX
from shipyard.lab.lab import Lab
from shipyard.model.container import (
    Attachment,
    ConfigMount,
    ContainerSpec,
    Healthcheck,
    Limits,
    Logging,
    Mount,
    Port,
    RestartPolicy,
    Ulimit,
)
from shipyard.model.observed import ContainerState, Health
from shipyard.model.spec import NetworkSpec, VolumeSpec
from shipyard.runtime.dialect import ProbeRequest
from shipyard.runtime.reasons import reason_of
from tests.lab.runtime_node import CLUSTER, LABELS, RuntimeNode, sleeper

NASTY = "a 'b' \"c\" $HOME `id` \\ = # ü\n\tsecond; line,  "
NEVER = RestartPolicy("none")


@pytest.fixture(scope="module", params=["podman", "docker"])
def node(shared_lab: Lab, request: pytest.FixtureRequest) -> RuntimeNode:
    node = RuntimeNode.first(shared_lab, request.param)
    node.clean()
    return node


@pytest.fixture(autouse=True)
def clean(node: RuntimeNode) -> Iterator[None]:
    yield
    node.clean()


def describe(node: RuntimeNode, container: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(node.sh(f"{node.dialect.name} container inspect {container}").stdout)
    return found[0]


def test_environment_arrives_byte_for_byte(node: RuntimeNode) -> None:
    environment = {
        "SECRET": NASTY,
        "EMPTY": "",
        "HASH": "#not a comment",
        "QUOTED": '"x"',
        "EQUALS": "a=b=c",
        "PATH": "/bin:/a b",
        "HOME": "/ho me",
        "DOCKER_HOST": "tcp://nowhere:1",
        "CONTAINER_HOST": "tcp://nowhere:1",
        "HTTP_PROXY": "http://me:secret@proxy:1",
        "GODEBUG": "x",
        "TMPDIR": "/nonexistent",
        "IFS": "x",
        "UID": "77",
        "LD_PRELOAD_NOT": "x",
        "a.dotted-name": "1 2",
        "STAR*": "glob",
        "TRAILING": "newline\n\n",
    }
    node.create("env", sleeper(environment=tuple(sorted(environment.items()))))
    pid = node.sh(f"{node.dialect.name} container inspect --format '{{{{.State.Pid}}}}' env").stdout.decode().strip()
    raw = node.sh(f"cat /proc/{pid}/environ").stdout.split(b"\0")
    seen = dict(item.decode("utf-8", "surrogateescape").split("=", 1) for item in raw if item)
    assert {name: seen.get(name) for name in environment} == environment


def test_values_are_in_no_argument_list(node: RuntimeNode) -> None:
    spec = sleeper(environment=(("HTTP_PROXY", "http://me:hunter2@proxy"), ("PASSWORD", "hunter2")))
    for command in node.dialect.create_container("quiet", spec, LABELS, {}):
        assert not any("hunter2" in word for word in command.argv)


def test_words_arrive_byte_for_byte(node: RuntimeNode) -> None:
    spec = sleeper(
        command=("-n", NASTY, "", "--rm", "$(id)", "x y"),
        entrypoint=("/bin/sh", "-c", 'for each; do printf "[%s]" "$each"; done; echo; sleep 1000', "sh"),
        labels=(("nasty", NASTY), ("list", 'a,b "c"')),
        working_dir="/tmp",
    )
    identifier = node.create("words", spec)
    logs = node.dialect.logs("words", tail=None, since=None, follow=False, timestamps=False)
    for _ in range(20):
        said = node.run((logs,)).stdout.decode().removesuffix("\n")
        if said.endswith("[x y]"):
            break
        node.sh("sleep 0.1")
    assert said == "".join(f"[{word}]" for word in ("-n", NASTY, "", "--rm", "$(id)", "x y"))
    box = node.container("words")
    assert identifier == box.id
    assert (box.label("nasty"), box.label("list")) == (NASTY, 'a,b "c"')
    assert all(pair in box.labels for pair in LABELS)


def test_an_entrypoint_can_be_cleared(node: RuntimeNode) -> None:
    node.create("cleared", ContainerSpec(BUSYBOX, entrypoint=(), command=("sleep", "1000"), stop_grace_period=0))
    assert node.inside("cleared", "cat /proc/1/cmdline | tr '\\0' ' '").strip() == "sleep 1000"


def test_identity_and_process(node: RuntimeNode) -> None:
    spec = sleeper(
        hostname="web-1",
        user="1234:567",
        group_add=("999",),
        working_dir="/tmp",
        tty=True,
        stdin_open=True,
        stop_signal="SIGKILL",
        platform="linux/amd64" if node.sh("uname -m").stdout.strip() == b"x86_64" else None,
        ulimits=(Ulimit("nofile", 512, 1024), Ulimit("nproc", 2048, 4096)),
        sysctls=(("net.ipv4.ip_default_ttl", "77"),),
        shm_size=1024 * 1024,
        restart=RestartPolicy("on-failure", max_attempts=4),
    )
    node.create("identity", spec)
    said = node.inside(
        "identity",
        "hostname; id -u; id -g; id -G; pwd; awk '/open files/ {print $4, $5}' /proc/1/limits;"
        " cat /proc/sys/net/ipv4/ip_default_ttl; df -k /dev/shm | tail -1 | awk '{print $2}'; readlink /proc/1/fd/0",
    ).split()
    assert said[:3] == ["web-1", "1234", "567"]
    assert "999" in said[3:-6]
    assert said[-6:-1] == ["/tmp", "512", "1024", "77", "1024"]
    assert said[-1].startswith("/dev/pts") or said[-1] == "/dev/console" or said[-1] == "/0"
    policy = describe(node, "identity")["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 4}


def test_domainname(node: RuntimeNode) -> None:
    if node.dialect.name == "podman":
        with pytest.raises(ValueError, match="domainname"):
            node.create("domain", sleeper(domainname="example.test"))
    else:
        node.create("domain", sleeper(hostname="a", domainname="example.test"))
        assert node.inside("domain", "cat /proc/sys/kernel/domainname") == "example.test"


def test_rights(node: RuntimeNode) -> None:
    spec = sleeper(
        init=True,
        read_only=True,
        cap_drop=("ALL",),
        cap_add=("NET_RAW",),
        security_opt=("no-new-privileges:true",),
        devices=("/dev/null:/dev/zilch:r",),
        device_cgroup_rules=("c 1:3 r",),
    )
    done = node.run(node.dialect.create_container("rights", spec, LABELS, {}))
    if done.returncode != 0 and b"init" in done.stderr:  # Debian's podman comes without an init program
        node.clean()
        node.create("rights", replace(spec, init=None))
    elif done.returncode != 0:
        pytest.fail(done.stderr.decode())
    status = node.inside("rights", "grep -E 'CapBnd|NoNewPrivs' /proc/self/status; ls /dev/zilch")
    assert "CapBnd:\t0000000000002000" in status
    assert "NoNewPrivs:\t1" in status
    assert "/dev/zilch" in status
    for path in ("/x", "/tmp/x", "/run/x"):
        done = node.sh(f"{node.dialect.name} exec rights touch {path}")
        assert done.returncode != 0, f"{path} could be written"


def test_privileged(node: RuntimeNode) -> None:
    """A lab inside a container may lack rights that it would have to give; what was asked for is kept all the same."""
    node.run(node.dialect.create_container("all", sleeper(privileged=True), LABELS, {}))
    assert describe(node, "all")["HostConfig"]["Privileged"] is True


def test_namespaces(node: RuntimeNode) -> None:
    spec = sleeper(pid="host", ipc="host", uts="host", network_mode="host")
    node.create("spaces", spec)
    for space in ("pid", "ipc", "uts", "net"):
        there = node.sh(f"readlink /proc/self/ns/{space}").stdout.decode().strip()
        assert node.inside("spaces", f"readlink /proc/self/ns/{space}") == there
    assert node.container("spaces").networks == ()


def test_no_network(node: RuntimeNode) -> None:
    node.create("alone", sleeper(network_mode="none"))
    assert node.inside("alone", "ls /sys/class/net || ip -o link | cut -d: -f2").split()[0] == "lo"
    assert node.container("alone").networks == ()


def test_limits(node: RuntimeNode) -> None:
    limits = Limits(cpus=0.5, memory=64 * 2**20, memory_reservation=32 * 2**20, cpu_shares=512, oom_score_adj=77)
    node.create("limits", sleeper(limits=limits))
    host = describe(node, "limits")["HostConfig"]
    assert host["Memory"] == 64 * 2**20
    assert host["MemoryReservation"] == 32 * 2**20
    assert host["CpuShares"] == 512
    assert node.inside("limits", "cat /proc/1/oom_score_adj") == "77"
    assert host["NanoCpus"] == 500_000_000 or host["CpuQuota"] == 50_000


def test_mounts(node: RuntimeNode) -> None:
    base = "/srv/shipyard-test"
    node.sh(f"mkdir -p '{base}/a,b \"c\":d' && echo hello >'{base}/a,b \"c\":d/file' && echo conf >{base}/conf")
    config = ConfigMount("conf", "d" * 64, "/etc/my,conf")
    node.must(node.dialect.create_volume(VolumeSpec("t_data", "data"), LABELS))
    spec = sleeper(
        mounts=(
            Mount("bind", "/in, side", f'{base}/a,b "c":d', read_only=True),
            Mount("bind", "/made", f"{base}/new/deep dir", create=True),
            Mount("bind", "/shared", f"{base}/other", create=True, options=(("propagation", "private"),)),
            Mount("volume", "/data", "t_data"),
            Mount("volume", "/data-ro", "t_data", read_only=True),
            Mount("volume", "/anonymous"),
            Mount("volume", "/nocopy", "t_data", options=(("nocopy", "true"),)),
            Mount("tmpfs", "/etc/scratch", options=(("mode", "1750"), ("size", "1048576"))),
            Mount("tmpfs", "/bin/scratch"),
        ),
        configs=(config,),
    )
    node.create("mounts", spec, {config.file_name: f"{base}/conf"})
    assert node.inside("mounts", "cat '/in, side/file' '/etc/my,conf'").split() == ["hello", "conf"]
    for path in ("/in, side/x", "/data-ro/x", "/etc/my,conf"):
        assert node.sh(f"{node.dialect.name} exec mounts touch '{path}'").returncode != 0, path
    node.inside("mounts", "touch /made/x /data/y /anonymous/z /shared/s")
    assert node.sh(f"ls '{base}/new/deep dir'").stdout == b"x\n"
    assert "y" in node.inside("mounts", "ls /nocopy")
    scratch = node.inside("mounts", "grep ' /etc/scratch ' /proc/mounts; stat -c %a /etc/scratch")
    assert "size=1024k" in scratch
    assert scratch.endswith("1750")
    assert node.inside("mounts", "ls /bin/scratch") == ""
    assert ("shipyard.cluster", CLUSTER) in node.probe().volumes[0].labels


def test_a_missing_bind_source_is_said_and_not_made(node: RuntimeNode) -> None:
    spec = sleeper(mounts=(Mount("bind", "/x", "/srv/shipyard-test/nothing"),))
    done = node.run(node.dialect.create_container("bind", spec, LABELS, {}))
    assert reason_of(done.stderr.decode()) == "BindSourceMissing"
    labelled = replace(spec, mounts=(Mount("bind", "/x", "/srv/shipyard-test/nothing", options=(("selinux", "z"),)),))
    done = node.run(node.dialect.create_container("bind2", labelled, LABELS, {}))
    assert reason_of(done.stderr.decode()) == "BindSourceMissing"
    assert node.sh("ls /srv/shipyard-test/nothing").returncode != 0


def test_networks_of_its_own(node: RuntimeNode) -> None:
    for number in (1, 2, 3):
        network = NetworkSpec(f"t_n{number}", f"n{number}", subnet=f"10.213.{number}.0/24", internal=number == 3)
        node.must(node.dialect.create_network(network, LABELS))
    spec = sleeper(
        networks=(
            Attachment("t_n1", ("web", "www"), "10.213.1.50"),
            Attachment("t_n2", ("back",), "10.213.2.50"),
        )
    )
    node.create("wired", spec)
    one, two = node.container("wired").networks
    assert (one.network, one.aliases, one.ipv4_address) == ("t_n1", ("web", "www"), "10.213.1.50")
    assert (two.network, two.aliases, two.ipv4_address) == ("t_n2", ("back",), "10.213.2.50")
    seen = {network.name: network for network in node.probe().networks}
    assert seen["t_n1"].subnets == ("10.213.1.0/24",)
    assert (seen["t_n1"].internal, seen["t_n3"].internal) == (False, True)
    assert ("shipyard.cluster", CLUSTER) in seen["t_n2"].labels

    node.must(node.dialect.disconnect("wired", "t_n2"))
    node.must(node.dialect.disconnect("wired", "t_n2"))
    assert [each.network for each in node.container("wired").networks] == ["t_n1"]
    again = Attachment("t_n2", ("again",), "10.213.2.60")
    node.must(node.dialect.connect("wired", again))
    node.must(node.dialect.connect("wired", again))
    two = node.container("wired").networks[1]
    assert (two.aliases, two.ipv4_address) == (("again",), "10.213.2.60")
    assert "10.213.2.60" in node.inside("wired", "ip -o -4 addr")
    assert reason_of(node.run(node.dialect.remove_network("t_n1")).stderr.decode()) == "NetworkInUse"
    node.must(node.dialect.remove("wired", 0))
    node.must(node.dialect.remove_network("t_n1"))
    node.must(node.dialect.remove_network("t_n1"))
    assert [network.name for network in node.probe().networks] == ["t_n2", "t_n3"]


def test_a_network_takes_its_bridge_along_also_where_that_was_made_before_any_container(node: RuntimeNode) -> None:
    node.must(node.dialect.create_network(NetworkSpec("t_b", "b", subnet="10.213.8.0/24"), LABELS))
    (made,) = node.probe().networks
    node.sh(f"ip link add {made.device} type bridge; ip address add 10.213.8.1/24 dev {made.device}; :")
    node.must(node.dialect.remove_network("t_b"))
    assert "10.213.8." not in node.sh("ip -o -4 address").stdout.decode()


def test_a_network_of_both_families(node: RuntimeNode) -> None:
    network = NetworkSpec("t_six", "six", enable_ipv6=True, subnet="10.213.7.0/24", subnet6="fd5a:7e11:7::/64")
    node.must(node.dialect.create_network(network, LABELS))
    (seen,) = node.probe().networks
    assert set(seen.subnets) == {"10.213.7.0/24", "fd5a:7e11:7::/64"}
    node.create("six", sleeper(networks=(Attachment("t_six"),)))
    addresses = node.inside("six", "ip -o addr")
    assert "10.213.7." in addresses and "fd5a:7e11:7::" in addresses


def test_a_mac_address_and_one_network(node: RuntimeNode) -> None:
    node.must(node.dialect.create_network(NetworkSpec("t_m", "m", subnet="10.213.9.0/24"), LABELS))
    node.create("mac", sleeper(networks=(Attachment("t_m", ("x",), "10.213.9.9", mac_address="02:42:0a:d5:09:09"),)))
    (attached,) = node.container("mac").networks
    assert (attached.mac_address, attached.ipv4_address) == ("02:42:0a:d5:09:09", "10.213.9.9")


def test_ports_names_and_resolver(node: RuntimeNode) -> None:
    spec = sleeper(
        command=("sh", "-c", "echo served >/tmp/index.html; httpd -f -p 80 -h /tmp"),
        ports=(Port(80, 18080), Port(80, 18081, address="127.0.0.1"), Port(53, 18053, "udp"), Port(9999)),
        expose=("7777/tcp",),
        dns=("192.0.2.1",),
        dns_search=("example.test",),
        dns_opt=("ndots:3",),
        extra_hosts=(("db", "192.0.2.7"), ("six", "2001:db8::7")),
    )
    node.create("ports", spec)
    fetch = "exec 3<>/dev/tcp/127.0.0.1/18081; printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    for _ in range(20):
        said = node.sh(fetch, sh="bash").stdout
        if b"served" in said:
            break
        node.sh("sleep 0.2")
    assert b"served" in said
    resolver = node.inside("ports", "cat /etc/resolv.conf")
    for word in ("nameserver 192.0.2.1", "search example.test", "ndots:3"):
        assert word in resolver
    hosts = node.inside("ports", "cat /etc/hosts").split("\n")
    assert any(line.split() == ["192.0.2.7", "db"] for line in hosts)
    assert any(line.split() == ["2001:db8::7", "six"] for line in hosts)
    bound = describe(node, "ports")["HostConfig"]["PortBindings"]
    assert {(key, each["HostIp"], each["HostPort"]) for key, several in bound.items() for each in several or ()} == {
        ("80/tcp", "", "18080"),
        ("80/tcp", "127.0.0.1", "18081"),
        ("53/udp", "", "18053"),
    }
    done = node.run(node.dialect.create_container("ports2", sleeper(ports=(Port(80, 18080),)), LABELS, {}))
    assert reason_of(done.stderr.decode()) == "PortTaken"


def test_annotations(node: RuntimeNode) -> None:
    done = node.run(node.dialect.create_container("noted", sleeper(annotations=(("a", 'b,c "d"'),)), LABELS, {}))
    if done.returncode:
        assert reason_of(done.stderr.decode()) == "Unsupported"
        assert "--annotation" in done.stderr.decode()
    else:
        assert describe(node, "noted")["Config"]["Annotations"]["a"] == 'b,c "d"'


def test_logs_rotate_by_default(node: RuntimeNode) -> None:
    node.create("logs", sleeper(command=("sh", "-c", "for i in 1 2 3 4; do echo line $i; done; sleep 1000")))
    config = describe(node, "logs")["HostConfig"]["LogConfig"]
    if node.dialect.name == "docker":
        assert config == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    else:
        assert (config["Type"], config["Size"]) == ("k8s-file", "10MB")
    node.sh("sleep 0.3")
    said = node.run((node.dialect.logs("logs", tail=2, since="10m", follow=False, timestamps=False),))
    assert said.stdout == b"line 3\nline 4\n"
    stamped = node.run((node.dialect.logs("logs", tail=1, since=None, follow=False, timestamps=True),))
    assert stamped.stdout.startswith(b"20")
    node.create("logs2", sleeper(logging=Logging("none")))
    assert describe(node, "logs2")["HostConfig"]["LogConfig"]["Type"] == "none"


def test_health(node: RuntimeNode) -> None:
    tests = {
        "list": ("CMD", "test", "a  b", "=", "a  b"),
        "unexpanded": ("CMD", "test", "$HOME", "=", "$HOME"),
        "word": ("CMD", "true"),
        "bad-word": ("CMD", "false"),
        "text": ("CMD-SHELL", "test \"$HOME\" != '$HOME' && [ -e /tmp ]"),
        "bad-text": ("CMD-SHELL", "exit 1"),
    }
    for name, test in tests.items():
        check = Healthcheck(test, interval=1.0, timeout=5.0, retries=1, start_period=0.0)
        node.create(name, sleeper(healthcheck=check))
    for _ in range(40):
        found = {box.name: box.health for box in node.probe(ProbeRequest(CLUSTER, health=True)).containers}
        if Health.STARTING not in found.values():
            break
        node.sh("sleep 0.2")
    assert found == {name: Health.UNHEALTHY if name.startswith("bad") else Health.HEALTHY for name in tests}


def _known(node: RuntimeNode, **more: Any) -> ProbeRequest:
    """What is asked of a node on which nothing has changed since: all that is there now, by its id."""
    there = tuple(sorted(box.id for box in node.probe().containers))
    return ProbeRequest(CLUSTER, version=False, stray_networks=False, stray_volumes=False, containers=there, **more)


def test_known_containers_are_told_as_if_they_had_been_looked_for(node: RuntimeNode) -> None:
    node.must(node.dialect.create_network(NetworkSpec("t_net", "t_net"), LABELS))
    for name in ("one", "two"):
        node.create(name, sleeper(networks=(Attachment("t_net", aliases=(name,)),)))
    known = _known(node, networks=("t_net",))

    def told(request: ProbeRequest) -> tuple[Any, ...]:
        state = node.dialect.parse(node.sections(request), 1.0)
        return sorted(state.containers, key=lambda box: box.id), state.networks

    assert told(known) == told(replace(known, containers=()))
    assert {box.name for box in node.probe(known).containers} == {"one", "two"}
    node.must(node.dialect.stop("one", 0.0))
    assert node.container("one", known).state == ContainerState.EXITED
    node.must(node.dialect.remove("one", 0.0))
    node.create("three", sleeper())
    assert {box.name for box in node.probe(known).containers} == {"two", "three"}, "all is looked for where one is gone"


def test_a_health_check_that_hangs_is_a_failed_one(node: RuntimeNode) -> None:
    if node.dialect.name != "podman":
        return  # docker's daemon ends it by itself
    node.create("hung", sleeper(healthcheck=Healthcheck(("CMD-SHELL", "sleep 100"), interval=1.0)))
    node.sh("sleep 1")
    assert node.container("hung", ProbeRequest(CLUSTER, health=True, health_timeout=1)).health == Health.UNHEALTHY


def test_a_health_check_can_be_switched_off(node: RuntimeNode) -> None:
    node.create("health", sleeper(healthcheck=Healthcheck(("NONE",))))
    assert node.container("health").health == Health.NONE


def test_life_of_a_container(node: RuntimeNode) -> None:
    node.create("life", sleeper(restart=NEVER))
    box = node.container("life")
    assert (box.state, box.exit_code) == (ContainerState.RUNNING, None)
    assert box.age is not None
    assert box.age < 30
    node.sh(f"{node.dialect.name} pause life")
    assert node.container("life").state == ContainerState.PAUSED
    node.must(node.dialect.unpause("life"))
    node.must(node.dialect.unpause("life"))
    assert node.container("life").state == ContainerState.RUNNING
    node.must(node.dialect.stop("life", 0))
    box = node.container("life")
    assert (box.state, box.exit_code) == (ContainerState.EXITED, 137)
    assert box.ended is not None
    node.must(node.dialect.start(box.id))
    assert node.container("life").state == ContainerState.RUNNING
    node.sh(f"{node.dialect.name} pause life")
    node.must(node.dialect.remove(box.id, 0.5))
    assert node.probe().containers == ()
    node.must(node.dialect.remove(box.id, 0))


def test_a_container_has_its_time_to_end(node: RuntimeNode) -> None:
    spec = sleeper(
        command=("sh", "-c", "trap 'touch /out/ended; exit 0' TERM; while :; do sleep 0.1; done"),
        stop_signal="SIGTERM",
        mounts=(Mount("bind", "/out", "/srv/shipyard-test/out", create=True),),
    )
    node.create("graceful", spec)
    node.sh("sleep 0.5")
    node.must(node.dialect.remove("graceful", 10))
    assert node.sh("ls /srv/shipyard-test/out").stdout == b"ended\n"


def test_anonymous_volumes_stay(node: RuntimeNode) -> None:
    node.create("keeper", sleeper(mounts=(Mount("volume", "/v"),)))
    before = node.sh(f"{node.dialect.name} volume ls -q").stdout
    node.must(node.dialect.remove("keeper", 0))
    assert node.sh(f"{node.dialect.name} volume ls -q").stdout == before
    node.sh(f"{node.dialect.name} volume rm {before.decode().strip()}")


def test_what_failed_has_its_last_lines(node: RuntimeNode) -> None:
    talk = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo out $i; done; printf '\\033[31mred' >&2; exit 3"
    node.create("failed", sleeper(command=("sh", "-c", talk), restart=NEVER))
    node.create("done", sleeper(command=("sh", "-c", "echo fine"), restart=NEVER))
    node.wait("done", {ContainerState.EXITED})
    box = node.wait("failed", {ContainerState.EXITED})
    assert box.exit_code == 3
    assert "out 12" in box.log
    assert "\x1b[31mred" in box.log
    assert len(box.log.split("\n")) == 10
    assert node.container("done").log == ""


def test_what_never_started_says_so(node: RuntimeNode) -> None:
    done = node.run(node.dialect.create_container("never", sleeper(command=("/nothing-here",)), LABELS, {}))
    assert reason_of(done.stderr.decode()) == "CommandNotFound"
    box = node.container("never")
    assert box.state == ContainerState.CREATED
    assert box.age is None


def test_restarts_are_counted(node: RuntimeNode) -> None:
    node.create("crash", sleeper(command=("sh", "-c", "sleep 0.2; exit 1"), restart=RestartPolicy("any")))
    for _ in range(50):
        box = node.container("crash")
        if box.restarts >= 2:
            break
        node.sh("sleep 0.2")
    assert box.restarts >= 2


def test_what_the_runtime_restarts_again_and_again_is_stopped_for_good(node: RuntimeNode) -> None:
    node.create("loop", ContainerSpec(BUSYBOX, command=("sh", "-c", "exit 3"), restart=RestartPolicy("any")))
    node.sh("sleep 1")
    node.must(node.dialect.stop("loop", 0))
    before = node.container("loop").restarts
    node.sh("sleep 2")
    found = node.container("loop")
    assert (found.state, found.restarts) == (ContainerState.EXITED, before)


def test_images(node: RuntimeNode) -> None:
    digest = "x@sha256:" + "0" * 64
    request = ProbeRequest(CLUSTER, images=(BUSYBOX, "nothing:1", digest, "sha256:" + "0" * 64, "--all", "BAD name"))
    (image,) = node.probe(request).images
    assert image.reference == BUSYBOX
    by_id = node.probe(ProbeRequest(CLUSTER, images=("nothing:2", image.id))).images
    assert [(found.reference, found.id) for found in by_id] == [(image.id, image.id)]
    node.must(node.dialect.pull(BUSYBOX, None, always=False))
    done = node.run(node.dialect.pull("127.0.0.1:1/nothing:1", None, always=True))
    assert reason_of(done.stderr.decode()) == "ImagePullFailed"


def test_volumes_and_networks_of_others(node: RuntimeNode) -> None:
    program = node.dialect.name
    node.sh(f"{program} volume create others; {program} network create others")
    try:
        assert node.probe().volumes == ()
        assert node.probe().networks == ()
        state = node.probe(ProbeRequest(CLUSTER, networks=("others", "missing"), volumes=("others", "missing")))
        assert [(volume.name, volume.labels) for volume in state.volumes] == [("others", ())]
        assert [(network.name, network.labels) for network in state.networks] == [("others", ())]
    finally:
        node.sh(f"{program} volume rm others; {program} network rm others")
    node.must(node.dialect.create_volume(VolumeSpec("t_v", "v", labels=(("mine", "a,b"),)), LABELS))
    node.must(node.dialect.remove_volume("t_v"))
    node.must(node.dialect.remove_volume("t_v"))
    assert node.probe().volumes == ()


@pytest.mark.parametrize("there", ["all", "not all", "an image of the same name", "a container of the same name"])
def test_networks_that_are_expected(node: RuntimeNode, there: str) -> None:
    """Asked for by name alone, they are found as if all had been listed, whatever else has their name."""
    names = ("expected_a", "expected_b")
    for name in names if there == "all" else names[:1]:
        node.must(node.dialect.create_network(NetworkSpec(name, name), LABELS))
    if there == "an image of the same name":
        node.sh(f"{node.dialect.name} tag {BUSYBOX} {names[1]}:latest")
    if there == "a container of the same name":
        node.create(names[1], sleeper())
    box = node.create("t-web-1-aaaaaa", sleeper(networks=(Attachment(names[0]),)))
    request = ProbeRequest(CLUSTER, networks=names, version=False, stray_networks=False)
    quick, close = node.probe(request), node.probe(replace(request, stray_networks=True))
    assert quick.networks == close.networks
    assert [net.name for net in quick.networks] == list(names if there == "all" else names[:1])
    assert [found.name for found in quick.containers] == [found.name for found in close.containers]
    assert box in {found.id for found in quick.containers}
    node.sh(f"{node.dialect.name} rmi {names[1]}:latest")


def test_networks_that_nobody_expects_are_told_alike_by_their_files_and_by_the_runtime(node: RuntimeNode) -> None:
    others = tuple((key, "another" if key == "shipyard.cluster" else value) for key, value in LABELS)
    node.must(node.dialect.create_network(NetworkSpec("stray_a", "stray_a", internal=True), LABELS))
    node.must(node.dialect.create_network(NetworkSpec("stray_b", "stray_b"), LABELS))
    node.must(node.dialect.create_network(NetworkSpec("others_c", "others_c"), others))
    quick = node.probe(ProbeRequest(CLUSTER, networks=("stray_b",)))
    asked = node.probe(ProbeRequest(CLUSTER, networks=("stray_b", "not_there")))  # what is missing may be elsewhere
    assert quick.networks == asked.networks
    assert [net.name for net in quick.networks] == ["stray_a", "stray_b"]
    node.sh(f"{node.dialect.name} network rm others_c")


def test_the_probe_runs_under_small_shells(node: RuntimeNode) -> None:
    node.create("one", sleeper())
    request = ProbeRequest(CLUSTER, images=(BUSYBOX,), health=True)
    names = [[box.name for box in node.probe(request, sh=sh).containers] for sh in ("dash", "bash")]
    assert names == [["one"], ["one"]]


def test_a_broken_runtime_is_no_empty_node(node: RuntimeNode) -> None:
    broken = {"podman": "CONTAINERS_STORAGE_CONF=/nonexistent/x", "docker": "DOCKER_HOST=unix:///nonexistent"}
    name = node.dialect.name
    text = 'section() { shift; "$@" </dev/null; echo "status $?"; }\n' + node.dialect.probe(ProbeRequest(CLUSTER))
    done = node.sh(f"export {broken[name]}\n{text}")
    assert b"status 1" in done.stdout


def test_a_container_that_goes_away_meanwhile(node: RuntimeNode) -> None:
    node.create("stays", sleeper())
    gone = "f" * 64
    text = node.dialect.probe(ProbeRequest(CLUSTER)).replace(
        "section inspect", f'sy_rt_ids="$sy_rt_ids {gone}"\nsection inspect'
    )
    done = node.sh("section() { n=$1; shift; printf '\\n== %s\\n' $n; \"$@\" </dev/null; }\n" + text)
    parts = dict(part.split(b"\n", 1) for part in done.stdout.split(b"\n== ")[1:])
    state = node.dialect.parse({name.decode(): body for name, body in parts.items()}, 0.0)
    assert [box.name for box in state.containers] == ["stays"]


def test_version(node: RuntimeNode) -> None:
    state = node.probe()
    assert state.version[0].isdigit()
    assert not state.rootless
    assert node.probe(ProbeRequest(CLUSTER, version=False)).version == ""
