"""Where settings come from, which wins, and what is said of those that can't be."""

from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError
from shipyard.files.config import Options, Settings, load_settings
from shipyard.files.config_keys import KEYS
from shipyard.model.situation import Timing


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    return folder


def load(cwd: Path, environ: dict[str, str] | None = None, options: Options | None = None) -> Settings:
    return load_settings(options or Options(), environ or {}, cwd)


def origins(settings: Settings) -> dict[str, str]:
    return {each.name: each.origin for each in settings.origins}


def test_defaults(project: Path) -> None:
    found = load(project)
    assert (found.config, found.root, found.cluster, found.inventory) == (None, project, None, ())
    assert found.database == f"sqlite:///{project}/.shipyard/state.db"
    assert (found.forks, found.timeouts.converge, found.retention.revisions) == (50, 600.0, 10)
    assert found.timing == Timing()
    assert set(origins(found).values()) == {"default"}


def test_the_table_and_the_dataclasses_have_the_same_defaults(project: Path) -> None:
    found = load(project)
    for key in KEYS:
        table, _, name = key.name.partition(".")
        if name and table not in ("secrets", "vault"):  # paths are made of their defaults
            assert getattr(getattr(found, table), name) == getattr(type(getattr(found, table))(), name) == key.default


def test_the_command_line_wins_over_the_environment_over_the_file(project: Path) -> None:
    (project / "shipyard.toml").write_text('forks = 1\ndatabase = "file.db"\n[timeouts]\nconverge = 10\n')
    environ = {"SHIPYARD_FORKS": "2", "SHIPYARD_DATABASE": "environment.db"}
    found = load(project, environ, Options(forks=3))
    assert (found.forks, found.timeouts.converge) == (3, 10.0)
    assert found.database == f"sqlite:///{project}/environment.db"
    where = origins(found)
    assert where["forks"] == "--forks"
    assert where["database"] == "$SHIPYARD_DATABASE"
    assert where["timeouts.converge"] == str(project / "shipyard.toml")


def test_the_first_file_found_is_read_alone(project: Path, tmp_path: Path) -> None:
    xdg, named = tmp_path / "xdg" / "shipyard" / "shipyard.toml", tmp_path / "named.toml"
    here = project / "shipyard.toml"
    for forks, path in enumerate((named, here, xdg), 1):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"forks = {forks}\n")
    environ = {"SHIPYARD_CONFIG": str(named), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert load(project, environ).forks == 1
    del environ["SHIPYARD_CONFIG"]
    assert load(project, environ).forks == 2
    here.unlink()
    found = load(project, environ)
    assert (found.forks, found.root) == (3, xdg.parent)
    assert found.database == f"sqlite:///{xdg.parent}/.shipyard/state.db"


def test_home_stands_in_for_xdg(project: Path, tmp_path: Path) -> None:
    path = tmp_path / ".config" / "shipyard" / "shipyard.toml"
    path.parent.mkdir(parents=True)
    path.write_text("forks = 9\n")
    assert load(project, {"HOME": str(tmp_path)}).forks == 9


def test_a_named_file_must_be_there(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"SHIPYARD_CONFIG names .*gone.toml, which is no file"):
        load(project, {"SHIPYARD_CONFIG": "gone.toml"})


def test_a_file_in_a_world_writable_folder_is_passed_over_and_said(project: Path, tmp_path: Path) -> None:
    (project / "shipyard.toml").write_text("forks = 1\n")
    project.chmod(0o1777)
    found = load(project, {"SHIPYARD_DATABASE": str(tmp_path / "my.db")})
    assert found.forks == 50
    assert found.config is None
    (warning,) = found.warnings
    assert "everybody may write to its folder" in warning


def test_neither_store_nor_inventory_is_taken_from_a_world_writable_folder(project: Path) -> None:
    (project / "inventory").mkdir()
    project.chmod(0o777)
    assert load(project, {"SHIPYARD_DATABASE": "/var/lib/my.db"}).inventory == ()
    with pytest.raises(ConfigError, match="everybody may write"):
        load(project)


def test_a_world_writable_folder_that_was_named_is_meant(project: Path) -> None:
    (project / "shipyard.toml").write_text("forks = 1\n")
    project.chmod(0o777)
    assert load(project, {"SHIPYARD_CONFIG": "shipyard.toml"}).forks == 1


def test_paths_start_from_where_they_were_said(project: Path, tmp_path: Path) -> None:
    (project / "shipyard.toml").write_text('inventory = ["hosts.yml"]\n')
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    environ = {"SHIPYARD_CONFIG": str(project / "shipyard.toml")}
    assert load(cwd, environ).inventory == (str(project / "hosts.yml"),)
    assert load(cwd, environ, Options(inventory=("hosts.yml", "a,b"))).inventory == (str(cwd / "hosts.yml"), "a,b")


@pytest.mark.parametrize(
    ("text", "sources"),
    [("/a:/b", ("/a", "/b")), ("node1,node2", ("node1,node2",)), ("[::1],", ("[::1],",)), ("/a", ("/a",))],
)
def test_inventories_in_the_environment(project: Path, text: str, sources: tuple[str, ...]) -> None:
    assert load(project, {"SHIPYARD_INVENTORY": text}).inventory == sources


def test_the_inventory_folder_beside_the_configuration_is_the_default(project: Path) -> None:
    (project / "inventory").mkdir()
    assert load(project).inventory == (str(project / "inventory"),)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("my.db", "sqlite:///{root}/my.db"),
        ("sqlite:///my.db", "sqlite:///{root}/my.db"),
        ("sqlite:////var/my.db", "sqlite:////var/my.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://ann:pw@db/shipyard", "postgresql://ann:pw@db/shipyard"),
    ],
)
def test_database(project: Path, given: str, url: str) -> None:
    (project / "shipyard.toml").write_text(f'database = "{given}"\n')
    assert load(project).database == url.format(root=project)


def test_a_password_is_shown_nowhere(project: Path) -> None:
    found = load(project, options=Options(database="postgresql://ann:s3cret@db/shipyard"))
    assert "s3cret" not in repr(found)
    assert {each.name: each.value for each in found.origins}["database"] == "postgresql://ann:***@db/shipyard"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fork = 3", "fork is not a setting; did you mean forks?"),
        ("[timeouts]\nconverg = 3", "timeouts.converg is not a setting; did you mean timeouts.converge?"),
        ("zzz = 3", "zzz is not a setting; known are cluster, inventory"),
        ("timeouts = 3", r"timeouts: expected a table \(\[timeouts\]\), found 3"),
        ("forks = '3'", "forks: expected a whole number, found '3'"),
        ("forks = 2.5", "forks: expected a whole number, found 2.5"),
        ("forks = true", "forks: expected a whole number, found True"),
        ("forks = 0", "forks: 0 is out of range; it must be from 1 to"),
        ("[timing]\nbrake = 55", "timing.brake: 55 is out of range; it must be from 0 to 1"),
        ("[timing]\nbackoff = nan", "timing.backoff: nan is out of range"),
        ("inventory = 3", "inventory: expected a list of texts, found 3"),
        ("inventory = ['']", "inventory: expected a list of texts"),
        ("cluster = ''", "cluster: expected a text, found ''"),
        ("[network]\ncontainers6 = '10.0.0.0/8'", "network.containers6: expected a range of IPv6, such as fd12"),
        ("[network]\ncontainers6 = 'fd12::1/48'", "network.containers6: expected a range of IPv6, such as fd12"),
        ("[network]\ncontainers6 = 'fd12::/112'", "so it is 96 bits long at most, found fd12::/112"),
        ("[network]\ncontainers6 = 'fe80::/64'", r"one site \(in fc00::/7\) or public ones .*, found fe80::/64"),
        ("cluster = '../../etc'", "cluster: '../../etc' can't be a cluster's id"),
        ("forks = ", "can't be read as TOML"),
        ("forks = 1\nforks = 2", "can't be read as TOML"),
        ("# \udcff", "can't be read as TOML"),
        ("#" * 300_000, "is larger than 256 KiB"),
        ("a = " + "[" * 5000, "can't be read as TOML"),
    ],
)
def test_what_cannot_be(project: Path, text: str, message: str) -> None:
    (project / "shipyard.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=message) as caught:
        load(project)
    assert str(project / "shipyard.toml") in str(caught.value)


@pytest.mark.parametrize("text", ["many", "0", "1e3"])
def test_what_cannot_be_in_the_environment(project: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"\$SHIPYARD_FORKS"):
        load(project, {"SHIPYARD_FORKS": text})


def test_a_misspelt_variable_is_said(project: Path) -> None:
    (warning,) = load(project, {"SHIPYARD_FORK": "3", "SHIPYARD_LAB_CACHE": "/x", "OTHER": "1"}).warnings
    assert warning == "the environment variable SHIPYARD_FORK is not read; did you mean SHIPYARD_FORKS?"


def test_an_empty_variable_says_nothing(project: Path) -> None:
    assert load(project, {"SHIPYARD_FORKS": "", "SHIPYARD_CONFIG": ""}).forks == 50


@pytest.mark.parametrize(
    "given", ["postgresql:/db/x", "postgres:ship@db/x", "host=db dbname=x password=pw", "sqlite:state.db"]
)
def test_what_is_almost_the_address_of_a_store_makes_no_file_of_that_name(project: Path, given: str) -> None:
    with pytest.raises(ConfigError, match="is neither a path nor the address of a store") as caught:
        load_settings(Options(database=given), {}, project)
    assert "pw" not in caught.value.message
