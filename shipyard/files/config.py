"""Settings: the command line over the environment over shipyard.toml over defaults, each value with its origin.

The file is the first found of $SHIPYARD_CONFIG, ./shipyard.toml, $XDG_CONFIG_HOME/shipyard/shipyard.toml and
/etc/shipyard/shipyard.toml. One in a folder that everybody may write to is passed over: whoever put it there could
make shipyard run theirs on all the nodes. Paths in the file are relative to it; elsewhere to the current folder.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, cast

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.text import one_line, printable, without_password
from shipyard.files.ansiblevault import PROMPT, Identity, identities
from shipyard.files.config_keys import BY_NAME, KEYS, TABLES, Key, Value, checked, number, parsed, shown
from shipyard.model.retention import Retention
from shipyard.model.situation import Ranges, Timing

FILE = "shipyard.toml"
MAX_BYTES = 256 * 1024
STORE = Path(".shipyard") / "state.db"
KEY_FILE = "secrets.key"
INVENTORY = "inventory"


class Timeouts(Struct, frozen=True):
    """Seconds; see `config_keys`."""

    connect: float = 10.0
    observe: float = 30.0
    pull: float = 1800.0
    converge: float = 600.0


class KeySource(Struct, frozen=True):
    """Where the key of secrets is, as configured: `variable` counts first, then `command`, then `file`."""

    file: Path
    variable: str
    command: tuple[str, ...] = ()


class Options(Struct, frozen=True):
    """What the command line says everywhere; None or () where it says nothing."""

    inventory: tuple[str, ...] = ()
    database: str | None = None
    forks: int | None = None
    verbose: int = 0
    quiet: bool = False
    yes: bool = False
    output: str = "text"
    vault_id: tuple[str, ...] = ()
    vault_password_file: tuple[str, ...] = ()
    ask_vault_pass: bool = False


class Setting(Struct, frozen=True):
    """One value and where it came from, for `shipyard config`. Passwords in it are masked."""

    name: str
    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is configured with.

    `root`: the project folder, which relative paths of the store and of playbooks start from. `config`: the file that
    was read, None without one. `inventory`: sources, absolute paths or host lists (`a,b`). `database`: a URL.
    `fence`: the program, and its arguments, that switches a lost node off. `vault`: where passwords are.
    `warnings`: what people should be told once.
    """

    root: Path
    config: Path | None
    cluster: str | None
    inventory: tuple[str, ...]
    database: str = field(repr=False)
    secrets: KeySource
    forks: int = 50
    timeouts: Timeouts = Timeouts()
    timing: Timing = Timing()
    network: Ranges = Ranges()
    retention: Retention = Retention()
    fence: tuple[str, ...] = ()
    vault: tuple[Identity, ...] = ()
    verbose: int = 0
    quiet: bool = False
    yes: bool = False
    output: str = "text"
    origins: tuple[Setting, ...] = ()
    warnings: tuple[str, ...] = ()


class _Found(Struct, frozen=True):
    """A value as given, where, and the folder that relative paths in it start from."""

    value: Value
    origin: str
    base: Path


def load_settings(options: Options, environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings of a run. Raises ConfigError: what, in which file or variable, and what is known there."""
    config, warnings = find_config(environ, cwd)
    root = config.parent if config is not None else cwd
    found = {key.name: _Found(key.default, "default", root) for key in KEYS}
    if config is not None:
        found.update(_from_file(config))
    found.update(_from_environment(environ, cwd))
    found.update(_from_options(options, cwd))
    warnings += _misspelt_variables(environ, str(found["secrets.key_variable"].value))
    trusted = config is not None or not _world_writable(cwd)
    database = _database(found["database"], root, trusted=trusted)
    inventory = _inventory(found["inventory"], root) if found["inventory"].value or trusted else ()
    secrets = _key_source(found, database, root)
    found["secrets.key_file"] = _Found(str(secrets.file), found["secrets.key_file"].origin, root)
    found["database"] = _Found(without_password(database), found["database"].origin, root)
    found["inventory"] = _Found(inventory, found["inventory"].origin, root)
    value: dict[str, Any] = {name: item.value for name, item in found.items()}
    return Settings(
        root=root,
        config=config,
        cluster=_cluster(found["cluster"]),
        inventory=inventory,
        database=database,
        secrets=secrets,
        forks=value["forks"],
        timeouts=Timeouts(**_table(value, "timeouts")),
        timing=Timing(**_table(value, "timing")),
        network=_ranges(found),
        retention=Retention(**_table(value, "retention")),
        fence=value["fence"],
        vault=_vault(found, options, cwd),
        verbose=options.verbose,
        quiet=options.quiet,
        yes=options.yes,
        output=options.output,
        origins=tuple(Setting(key.name, found[key.name].value, found[key.name].origin) for key in KEYS),
        warnings=warnings,
    )


def find_config(environ: Mapping[str, str], cwd: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The configuration file of a run started in `cwd`, and what to say about those passed over."""
    named = environ.get("SHIPYARD_CONFIG")
    if named:
        path = (cwd / Path(named).expanduser()).absolute()
        if not path.is_file():
            raise ConfigError(f"SHIPYARD_CONFIG names {printable(str(path))}, which is no file")
        return path, ()
    warnings: tuple[str, ...] = ()
    here = cwd / FILE
    if here.is_file():
        if not _world_writable(cwd):
            return here, ()
        warnings = (
            f"{printable(str(here))} is passed over, since everybody may write to its folder; "
            "take that right away (chmod o-w), or name the file in SHIPYARD_CONFIG",
        )
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/nonexistent")) / ".config")
    for path in (Path(home) / "shipyard" / FILE, Path("/etc/shipyard") / FILE):
        if path.is_file():
            return path, warnings
    return None, warnings


def _world_writable(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IWOTH)


def _from_file(path: Path) -> dict[str, _Found]:
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{name}: is larger than {MAX_BYTES // 1024} KiB, which no configuration should be")
        data = tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigError(f"{name}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{name}: can't be read as TOML: {one_line(str(error))}") from error
    found = {}
    for key, value in _flat(data, name):
        found[key.name] = _Found(checked(key, value, f"{name}: {key.name}"), name, path.parent)
    return found


def _flat(data: dict[str, Any], file: str) -> list[tuple[Key, Any]]:
    """The file's entries as known keys."""
    entries = []
    for name, value in data.items():
        if name in TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{file}: {name}: expected a table ([{name}]), found {shown(value)}")
            entries += [(_known(f"{name}.{inner}", file), item) for inner, item in value.items()]
        else:
            entries.append((_known(name, file), value))
    return entries


def _known(name: str, file: str) -> Key:
    key = BY_NAME.get(name)
    if key is not None:
        return key
    near = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.6)
    meant = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(BY_NAME)}"
    raise ConfigError(f"{file}: {printable(name)} is not a setting{meant}")


def _from_environment(environ: Mapping[str, str], cwd: Path) -> dict[str, _Found]:
    found = {}
    for key in KEYS:
        for name in filter(None, (key.ansibles, key.variable)):
            if text := environ.get(name, ""):
                found[key.name] = _Found(parsed(key, text), f"${name}", cwd)
    return found


def _from_options(options: Options, cwd: Path) -> dict[str, _Found]:
    found = {}
    if options.inventory:
        found["inventory"] = _Found(options.inventory, "--inventory", cwd)
    if options.database is not None:
        found["database"] = _Found(options.database, "--database", cwd)
    if options.forks is not None:
        found["forks"] = _Found(number(BY_NAME["forks"], options.forks, "--forks"), "--forks", cwd)
    return found


def _misspelt_variables(environ: Mapping[str, str], *more: str) -> tuple[str, ...]:
    """Variables that look like settings and are none: a warning, since other programs may own such names."""
    known = [*(key.variable for key in KEYS), "SHIPYARD_CONFIG", *more]
    warnings = []
    for name in sorted(environ):
        if name.startswith("SHIPYARD_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if near:
                warnings.append(f"the environment variable {printable(name)} is not read; did you mean {near[0]}?")
    return tuple(warnings)


def _inventory(found: _Found, root: Path) -> tuple[str, ...]:
    """Sources as absolute paths; a host list (`a,b`) stays as it is. Nothing written: inventory/, if there."""
    sources = cast(tuple[str, ...], found.value)
    if not sources:
        folder = root / INVENTORY
        return (str(folder.absolute()),) if folder.exists() else ()
    return tuple(
        source if "," in source else str((found.base / Path(source).expanduser()).absolute()) for source in sources
    )


def _vault(found: Mapping[str, _Found], options: Options, cwd: Path) -> tuple[Identity, ...]:
    """In Ansible's order: identities that are configured, --vault-id, then password files, the configured one last."""
    configured, file = found["vault.identities"], found["vault.password_file"]
    own = [item.origin.startswith("$") for item in (configured, file)]
    listed = cast("tuple[str, ...]", configured.value)
    prompt = (PROMPT,) if options.ask_vault_pass else ()
    return (
        *identities(listed, configured.base, configured.origin, own=own[0]),
        *identities(options.vault_id, cwd, "--vault-id"),
        *identities((f"@{name}" for name in options.vault_password_file), cwd, "--vault-password-file"),
        *identities(() if file.value is None else (f"@{file.value}",), file.base, file.origin, own=own[1]),
        *identities(prompt, cwd, "--ask-vault-pass"),
    )


_CLUSTER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _cluster(found: _Found) -> str | None:
    """The id, which becomes a folder and a label on every node: nothing that could lead elsewhere."""
    value = cast("str | None", found.value)
    if value is not None and not _CLUSTER.fullmatch(value):
        raise ConfigError(
            f"{found.origin}: cluster: {shown(value)} can't be a cluster's id",
            hint="lower-case letters, digits and dashes, at most 63",
        )
    return value


_URL = re.compile(r"[a-z][a-z0-9+]*://")
_ALMOST = re.compile(r"(postgres(ql)?|sqlite)(\+\w+)?:|(host|hostaddr|port|dbname|user|password|service) ?=")
"""What would make a strange file, where a database was meant."""


def _database(found: _Found, root: Path, *, trusted: bool) -> str:
    """The store's URL; a plain path means SQLite, and SQLite's relative paths are made absolute."""
    given = cast("str | None", found.value)
    if given is None:
        if not trusted:
            raise ConfigError(
                f"the store would be in {printable(str(root))}, where everybody may write",
                hint="work in a folder of your own (shipyard init DIR makes one), or say --database",
            )
        return f"sqlite:///{(root / STORE).absolute()}"
    if not _URL.match(given):
        if _ALMOST.match(given):
            raise ConfigError(
                f"{found.origin}: {without_password(given)} is neither a path nor the address of a store",
                hint="write postgresql://USER@HOST/NAME, sqlite:///PATH or a path",
            )
        return f"sqlite:///{(found.base / Path(given).expanduser()).absolute()}"
    scheme, path = given.split("://", 1)
    if scheme.split("+")[0] == "sqlite" and path.startswith("/") and path not in ("/", "/:memory:"):
        return f"{scheme}:///{(found.base / path[1:]).absolute()}"
    return given


def _key_source(found: Mapping[str, _Found], database: str, root: Path) -> KeySource:
    """Where the key of secrets is: beside the store, where that is a file and nothing else was said."""
    given = found["secrets.key_file"]
    if given.value is not None:
        file = (given.base / Path(str(given.value)).expanduser()).absolute()
    else:
        scheme, _, path = database.partition(":///")
        beside = Path(path).parent if scheme.split("+")[0] == "sqlite" and path.startswith("/") else root / STORE.parent
        file = beside.absolute() / KEY_FILE
    command = cast("tuple[str, ...]", found["secrets.key_command"].value)
    return KeySource(file, str(found["secrets.key_variable"].value), command)


def _ranges(found: Mapping[str, _Found]) -> Ranges:
    """The addresses of the cluster's network. Raises ConfigError, naming where the value comes from."""
    networks = {}
    for name in ("network.containers", "network.services"):
        said, origin = str(found[name].value), found[name].origin
        try:
            networks[name] = IPv4Network(said)
        except ValueError as error:
            message = f"{origin}: {name}: expected a range of addresses, such as 10.208.0.0/12, found {one_line(said)}"
            raise ConfigError(message) from error
    containers, services = networks["network.containers"], networks["network.services"]
    if containers.overlaps(services):
        raise ConfigError(f"network.containers ({containers}) and network.services ({services}) overlap")
    block = found["network.block"].value
    if not isinstance(block, int) or not containers.prefixlen + 2 <= block <= 29:
        raise ConfigError(
            f"{found['network.block'].origin}: network.block: a block in {containers} has a length from "
            f"{containers.prefixlen + 2} to 29, found {block}"
        )
    ports = {name: found[f"network.{name}_port"] for name in ("vxlan", "wireguard")}
    numbers = {f"{name}_port": int(str(item.value)) for name, item in ports.items()}
    for name, port in numbers.items():
        if port > 65535:
            raise ConfigError(f"{found[f'network.{name}'].origin}: network.{name}: ports end at 65535, found {port}")
    return Ranges(str(containers), str(services), block, **numbers, containers6=_range6(found["network.containers6"]))


def _range6(found: _Found) -> str:
    """One of the site's own (ULA), or one that others route to it. Raises ConfigError."""
    said = f"found {one_line(str(found.value))}"
    try:
        network = IPv6Network(str(found.value))
    except ValueError as error:
        message = f"{found.origin}: network.containers6: expected a range of IPv6, such as fd12:3456:789a::/48, {said}"
        raise ConfigError(message) from error
    if network.prefixlen > 96:
        raise ConfigError(
            f"{found.origin}: network.containers6: its addresses end with those of network.containers, "
            f"so it is 96 bits long at most, {said}"
        )
    if not any(network.subnet_of(IPv6Network(each)) for each in ("fc00::/7", "2000::/3")):
        raise ConfigError(
            f"{found.origin}: network.containers6: expected addresses for one site (in fc00::/7) or public ones "
            f"(in 2000::/3), {said}"
        )
    return str(network)


def _table(values: Mapping[str, Any], table: str) -> dict[str, Any]:
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{table}.")}
