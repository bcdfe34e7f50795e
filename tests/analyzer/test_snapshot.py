"""Files of a directory: what is read, what is passed over, and what is said about the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from analyzer import snapshot
from analyzer.snapshot import SnapshotError, Unread, blob_id, from_directory, from_path


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("a: 1\n")


def test_what_is_read(tmp_path: Path) -> None:
    """YAML files of all folders, sorted, by paths relative to the root; other files and tools' own are passed over."""
    write(
        tmp_path, "b.yml", "a/deep/x.yaml", "README.md", "c.YAML", ".git/x.yaml", ".github/workflows/ci.yml", ".x.yaml"
    )
    write(tmp_path, ".holdfast.yaml", "a/.holdfast.yaml")
    found = from_directory(tmp_path)
    assert list(found.blobs) == [".holdfast.yaml", "a/deep/x.yaml", "b.yml"]
    assert (found.revision, found.problems, found.root) == ("", (), str(tmp_path))


def test_blob_ids_are_git_s(tmp_path: Path) -> None:
    """The id of a file is what `git hash-object` says, so that caches agree wherever it comes from."""
    write(tmp_path, "a.yaml")
    assert from_directory(tmp_path).blobs["a.yaml"].id == blob_id(b"a: 1\n")
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_links_are_never_followed(tmp_path: Path) -> None:
    """A link that may lead to manifests is reported, inside the tree or out of it; one that cannot is passed over."""
    write(tmp_path, "out/secret.yaml", "in/a.yaml")
    root = tmp_path / "in"
    (root / "file.yaml").symlink_to("../out/secret.yaml")
    (root / "folder").symlink_to("../out")
    (root / "loop").symlink_to(".")
    (root / "dangling.yml").symlink_to("nowhere")
    (root / "notes.txt").symlink_to("../out/secret.yaml")
    (root / ".holdfast.yaml").symlink_to("../out/secret.yaml")
    found = from_directory(root)
    assert list(found.blobs) == ["a.yaml"]
    assert [problem.path for problem in found.problems] == [
        ".holdfast.yaml",
        "dangling.yml",
        "file.yaml",
        "folder",
        "loop",
    ]


@pytest.mark.parametrize(
    ("link", "target", "goal"),
    [
        ("a/pools.yaml", "../b/pools.yaml", "b/pools.yaml"),
        ("a/latest", "v1.2/", "a/v1.2"),
        ("a/b/Makefile", "../../Makefile", "Makefile"),
        ("a/b/x.yaml", "./y.yaml", "a/b/y.yaml"),
        ("a/pools.yaml", "../../b/pools.yaml", ""),  # out of the tree
        ("a/pools.yaml", "/b/pools.yaml", ""),
        ("a/pools.yaml", "b/../c/pools.yaml", ""),  # b may be a link itself, and then this leads elsewhere
        ("a/pools.yaml", "pools.txt", ""),  # nobody reads that
        ("a/pools.yaml", "../.hidden/pools.yaml", ""),
        ("a/all", "..", ""),  # everything
        ("a/kustomization.yaml", "../b/kustomization.yaml", ""),  # names other files there than here
        (".holdfast.yaml", "policy.yaml", ""),
    ],
)
def test_links_inside_the_tree(tmp_path: Path, link: str, target: str, goal: str) -> None:
    """Of a link it is known where its content is read instead, and only where that is certain from the link alone."""
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(target)
    assert [problem.goal for problem in from_directory(tmp_path).problems] == [goal]


def test_odd_names(tmp_path: Path) -> None:
    """A name that cannot be shown is told of where manifests may be behind it, and nowhere else."""
    write(tmp_path, "a\u200e.yaml", ".tool.yaml\u200e", "b.txt\u200e", "c\u200e/x.yaml", ".d\u200e/x.yaml")
    assert [problem.path for problem in from_directory(tmp_path).problems] == ["a\\u200e.yaml", "c\\u200e"]


def test_a_misnamed_policy(tmp_path: Path) -> None:
    """A policy that would not be read is told, because its limits would not hold."""
    write(tmp_path, ".holdfast.yml")
    assert from_directory(tmp_path).problems == (Unread(".holdfast.yml", "the policy is read from .holdfast.yaml"),)


def test_special_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe does not block, and a file beyond the limit is not loaded; both are reported."""
    monkeypatch.setattr(snapshot, "MAX_FILE_BYTES", 10)
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_text("a" * 11)
    (tmp_path / "largest.yaml").write_text("a" * 10)
    found = from_directory(tmp_path)
    assert list(found.blobs) == ["largest.yaml"]
    assert found.problems == (
        Unread("large.yaml", "11 bytes (limit 10)"),
        Unread("pipe.yaml", "not a regular file"),
    )


def test_names_that_cannot_be_shown(tmp_path: Path) -> None:
    """A name with control characters or bytes that are no text is reported in escapes, never printed raw."""
    write(tmp_path, "a\x1b[2Jb.yaml", "line\nbreak.yaml")
    with open(os.fsencode(tmp_path) + b"/\xff.yaml", "w"):  # noqa: PTH123  # a name of bytes
        pass
    found = from_directory(tmp_path)
    assert not found.blobs
    assert [problem.path for problem in found.problems] == [r"\udcff.yaml", r"a\x1b[2Jb.yaml", r"line\nbreak.yaml"]


def test_a_single_file(tmp_path: Path) -> None:
    """A file that is named is read whatever its name, also through a link."""
    write(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to("a.txt")
    assert list(from_path(tmp_path / "a.txt").blobs) == ["a.txt"]
    assert list(from_path(tmp_path / "link").blobs) == ["link"]


def test_a_folder_named_like_a_file(tmp_path: Path) -> None:
    """A folder is a folder, whatever its name."""
    write(tmp_path, "pools.yaml/a.yaml")
    assert list(from_directory(tmp_path).blobs) == ["pools.yaml/a.yaml"]


def test_limits_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files or folders end reading with advice instead of an answer that is only half of it."""
    write(tmp_path, "a/a.yaml", "b/b.yaml", "c/c.yaml")
    monkeypatch.setattr(snapshot, "MAX_FILES", 2)
    with pytest.raises(SnapshotError, match="more than 2 files"):
        from_directory(tmp_path)
    monkeypatch.setattr(snapshot, "MAX_FILES", 3)
    monkeypatch.setattr(snapshot, "MAX_FOLDERS", 3)
    with pytest.raises(SnapshotError, match="more than 3 folders"):
        from_directory(tmp_path)


def forbidden(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("call", ["scandir", "open"])
def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A folder or file that may not be read ends reading: a part would look like the whole."""
    write(tmp_path, "a.yaml")
    monkeypatch.setattr(os, call, forbidden)
    with pytest.raises(SnapshotError, match="Permission denied"):
        from_directory(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    """A path that is not there is named in the message."""
    with pytest.raises(SnapshotError, match=r"nowhere: No such file"):
        from_path(tmp_path / "nowhere")
