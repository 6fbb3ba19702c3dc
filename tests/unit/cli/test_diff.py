"""`shipyard diff`: that a secret changed is said, and not what it is."""

from __future__ import annotations

import hashlib

from shipyard.cli.history import changed_lines
from shipyard.model.container import ContainerSpec
from shipyard.model.spec import ConfigSpec, Revision, ServiceSpec, StackSpec


def revision(number: int, *services: ServiceSpec) -> Revision:
    return Revision("shop", number, StackSpec("shop", services), "", 1.0, "alice@laptop")


def service(password: str, *, name: str = "db", mode: str = "fast", **fields: object) -> ServiceSpec:
    environment = (("DB_PASSWORD", password), ("MODE", mode))
    return ServiceSpec(name, ContainerSpec("db:1", environment=environment, **fields))  # type: ignore[arg-type]  # fields that a test names


def diff(older: ServiceSpec, newer: ServiceSpec) -> str:
    return "\n".join(changed_lines(revision(1, older), revision(2, newer)))


def test_a_changed_secret_is_said_to_have_changed() -> None:
    said = diff(service("canary-1"), service("canary-2"))
    assert "canary" not in said
    assert '-            "as it was"' in said
    assert '+            "changed"' in said
    assert '"DB_PASSWORD"' in said


def test_one_that_is_as_it_was_is_not_shown_beside_what_changed() -> None:
    said = diff(service("canary-1"), service("canary-1", mode="slow"))
    assert "canary" not in said
    assert '"changed"' not in said
    assert '+            "slow"' in said


def test_nor_in_commands_and_where_it_was_said_to_be_one() -> None:
    before = service("canary-1", command=("db", "--password=canary-1"), hidden=("MODE",), mode="one-canary")
    after = service("canary-2", command=("db", "--password=canary-2"), hidden=("MODE",), mode="two-canary")
    said = diff(before, after)
    assert "canary" not in said
    assert '-          "--password=(as it was)"' in said
    assert '+          "--password=(changed)"' in said


def test_a_short_one_leaves_other_words_whole() -> None:
    said = diff(service("b"), service("d", mode="double"))
    assert '+            "double"' in said
    assert '"db:1"' in said


def test_a_changed_config_is_shown_by_its_lines_and_without_secrets() -> None:
    def made(number: int, content: bytes) -> Revision:
        config = ConfigSpec("site", "site", content, hashlib.sha256(content).hexdigest())
        spec = StackSpec("shop", (service("canary-1"),), configs=(config,))
        return Revision("shop", number, spec, "", 1.0, "alice@laptop")

    older, newer = b"listen 80;\npassword canary-1;\n", b"listen 81;\npassword canary-1;\n"
    said = "\n".join(changed_lines(made(1, older), made(2, newer)))
    assert '-        "listen 80;"' in said
    assert '+        "listen 81;"' in said
    assert '"password (as it was);"' in said
    assert "canary" not in said
    assert '+      "content": "2 bytes that are no text"' in "\n".join(
        changed_lines(made(1, older), made(2, b"\xff\xfe"))
    )
