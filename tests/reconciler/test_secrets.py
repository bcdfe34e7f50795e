"""What manifests may name, what a key must look like, and the files that targets read keys from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostkeys import dhchap, psk

from backends.contract import Interest, Terminal
from reconciler import app
from reconciler.config import SecretsConfig
from reconciler.keyfiles import KeyFiles
from reconciler.secrets import SecretError, Vault

SITE = "11111111-2222-4333-8444-555555555555"


def vault(*dirs: Path, env: tuple[str, ...] = ("HOLDFAST_*", "EXACT"), **environment: str) -> Vault:
    return Vault(SITE, environment, SecretsConfig(dirs, env))


def secret(path: Path, text: str = "swordfish") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(text)
    return f"file:{path}"


@pytest.mark.parametrize("place", ["one/a", "one/deep/er/a", "two/a"])
def test_files_below_any_allowed_directory_are_read(tmp_path: Path, place: str) -> None:
    """Guards the rule's other side: several directories, and whatever is below them."""
    dirs = (tmp_path / "one", tmp_path / "two")
    assert vault(*dirs).fingerprint(secret(tmp_path / place))


@pytest.mark.parametrize("place", ["other/a", "onesidedly/a", "a", "one/../other/a"])
def test_files_elsewhere_are_not(tmp_path: Path, place: str) -> None:
    """Guards the boundary: beside it, above it, a name that only begins alike, and ways out of it."""
    (tmp_path / "one").mkdir()
    source = secret(tmp_path / place)
    with pytest.raises(SecretError, match="manifests may name files in") as refused:
        vault(tmp_path / "one").fingerprint(source)
    assert "swordfish" not in str(refused.value)


def test_an_allowed_directory_may_itself_be_a_link(tmp_path: Path) -> None:
    """Guards secrets that are mounted: the operator's own link leads where the operator says."""
    source = secret(tmp_path / "real" / "a")
    (tmp_path / "one").symlink_to(tmp_path / "real")
    assert vault(tmp_path / "one").fingerprint(f"file:{tmp_path}/one/a") == vault(tmp_path / "real").fingerprint(source)


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    """Guards against what is no file: it is said, and nothing waits for a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("", "pipe"):
        with pytest.raises(SecretError, match="cannot be read"):
            vault(tmp_path).fingerprint(f"file:{tmp_path}/{name}")


@pytest.mark.parametrize(
    ("name", "allowed"), [("HOLDFAST_A", True), ("EXACT", True), ("EXACTLY", False), ("PATH", False)]
)
def test_variables_by_name_and_by_beginning(name: str, allowed: bool) -> None:  # noqa: FBT001  # pytest's way
    """Guards variables: the exact name, or the beginning before a star, and no others."""
    found = vault(**{name: "swordfish"})
    if allowed:
        assert found.fingerprint(f"env:{name}")
        return
    with pytest.raises(SecretError, match="manifests may name HOLDFAST_"):
        found.fingerprint(f"env:{name}")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("dhchap", psk(1)),
        ("psk", dhchap(1)),
        ("psk", psk(1).rstrip(":")),
        ("psk", psk(1).replace(":01:", ":02:")),
        ("dhchap", dhchap(1).replace("DHHC-1", "DHHC-2")),
        ("dhchap", "DHHC-1:00:!!!!:"),
        ("dhchap", ""),
    ],
)
def test_what_is_no_whole_key_is_told_and_not_shown(tmp_path: Path, form: str, text: str) -> None:
    """Guards against keys that SPDK would take and no host could use; the error shows nothing of them."""
    source = secret(tmp_path / "key", text)
    with pytest.raises(SecretError) as refused:
        vault(tmp_path).fingerprint(source, form)
    assert not text or text not in str(refused.value)


def test_a_password_elsewhere_is_refused_with_its_field(tmp_path: Path) -> None:
    """Guards Target.connection: a commit cannot make the daemon send any file's first line to any address."""
    about = {"url": "http://127.0.0.1:1/", "username": "a", "passwordFrom": {"file": "/etc/hostname"}}
    backend = app.backend_at({"http": about}, vault(tmp_path))
    with pytest.raises(Terminal, match=r"spec\.connection\.http\.passwordFrom: file:/etc/hostname: manifests may name"):
        backend.observe(Interest())


# --- files of keys


def test_a_file_is_written_whole_for_its_owner_alone(tmp_path: Path) -> None:
    """Guards key files: mode, content, no leftovers; what is whole is not written again."""
    files = KeyFiles(tmp_path / "keys")
    path = files.place("n1") / "k"
    files.write(path, "swordfish", os.geteuid())
    written = path.stat()
    assert (path.read_text(), written.st_mode & 0o777) == ("swordfish", 0o600)
    files.write(path, "swordfish", os.geteuid())
    assert path.stat().st_ino == written.st_ino
    assert [*path.parent.iterdir()] == [path]


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Guards other files: where somebody left a link, the link goes, and what it led to stays as it was."""
    files, other = KeyFiles(tmp_path / "keys"), tmp_path / "other"
    other.write_text("something")
    path = files.place("n1") / "k"
    path.parent.mkdir(parents=True)
    path.symlink_to(other)
    files.write(path, "swordfish", None)
    assert (other.read_text(), path.read_text(), path.is_symlink()) == ("something", "swordfish", False)


def test_only_files_of_that_target_that_nobody_needs_go(tmp_path: Path) -> None:
    """Guards tidying: kept ones, and those of other targets, stay."""
    files = KeyFiles(tmp_path / "keys")
    for target, name in (("n1", "old"), ("n1", "new"), ("n2", "old")):
        files.write(files.place(target) / name, "x", None)
    files.tidy("n1", {"new"})
    files.tidy("n3", ())
    assert sorted(str(p.relative_to(files.directory)) for p in files.directory.glob("*/*")) == ["n1/new", "n2/old"]


def test_why_a_target_could_not_read_a_file(tmp_path: Path) -> None:
    """Guards what is said before anything is sent: elsewhere, another user, a closed directory."""
    files = KeyFiles(tmp_path / "keys")
    assert files.obstacle("n1", os.geteuid()) == ""
    assert "may run on another machine" in files.obstacle("n1", None)
    tmp_path.chmod(0o700)
    other = os.geteuid() + 12345
    found = files.obstacle("n1", other)
    assert f"runs as uid {other}" in found
    assert ("may not pass through" if os.geteuid() == 0 else "cannot give it a file") in found
