"""Images out of files: the same files give the same image."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from shipyard.lab.archive import File, folder, image, layer


def opened(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data))


def text(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member is not None
    return member.read()


def test_the_order_and_the_time_of_files_do_not_matter(tmp_path: Path) -> None:
    source = tmp_path / "program"
    source.write_bytes(b"x")
    first = layer({"bin/a": File(source=source, mode=0o755), "etc/b": File(content=b"b")})
    source.touch()
    assert layer({"etc/b": File(content=b"b"), "bin/a": File(source=source, mode=0o755)}) == first


def test_a_layer_holds_what_it_was_given_and_the_folders_above() -> None:
    files = {
        "usr/bin/tool": File(content=b"#!", mode=0o755),
        "bin": File(link="usr/bin"),
        "tmp": folder(0o1777),
        "data": folder(owner=7),
    }
    with opened(layer(files)) as tar:
        members = {member.name: member for member in tar}
        assert list(members) == ["bin", "data", "tmp", "usr", "usr/bin", "usr/bin/tool"]
        assert (members["usr/bin/tool"].mode, text(tar, "usr/bin/tool")) == (0o755, b"#!")
        assert (members["bin"].issym(), members["bin"].linkname) == (True, "usr/bin")
        assert (members["tmp"].isdir(), members["tmp"].mode) == (True, 0o1777)
        assert (members["data"].uid, members["data"].gid) == (7, 7)
        assert {member.mtime for member in members.values()} == {0}


def test_an_image_is_named_by_the_hash_of_its_description() -> None:
    base, more = layer({"a": File(content=b"a")}), layer({"b": File(content=b"b")})
    identity, data = image("shipyard.test/x:1", (base, more), {"Cmd": ["sh"]})
    with opened(data) as tar:
        [manifest] = json.loads(text(tar, "manifest.json"))
        config = text(tar, manifest["Config"])
        assert identity == f"sha256:{hashlib.sha256(config).hexdigest()}"
        assert manifest["RepoTags"] == ["shipyard.test/x:1"]
        assert [text(tar, path) for path in manifest["Layers"]] == [base, more]
        described = json.loads(config)
    assert described["config"] == {"Cmd": ["sh"]}
    assert described["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (base, more)]


def test_another_command_is_another_image() -> None:
    base = layer({"a": File(content=b"a")})
    assert image("x:1", (base,), {"Cmd": ["a"]})[0] != image("x:1", (base,), {"Cmd": ["b"]})[0]
    assert image("x:1", (base,), {"Cmd": ["a"]})[0] == image("y:1", (base,), {"Cmd": ["a"]})[0]
