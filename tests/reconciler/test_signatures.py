"""Signatures as the tools that people use make them: git with SSH keys, and with OpenPGP ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from forge import Forge
from signing import Signer, needs_gpg, needs_ssh, run, store, unsigned

from analyzer.authority.rights import Subject, subject
from analyzer.git import CommitObject, commits_between, resolve
from analyzer.git_trees import GitError
from reconciler.signatures import Verdict, verify

WHO = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
}  # fmt: skip


def committed(folder: Path, *options: str, env: Mapping[str, str]) -> CommitObject:
    """The newest of two commits that git itself makes, the second with these options."""
    full = {**os.environ, **WHO, **env}
    run("git", "init", "-q", "-b", "main", str(folder / "repo"), env=full)
    for name, extra in (("one", ()), ("two", options)):
        (folder / "repo" / name).write_text(name)
        run("git", "add", ".", env=full, cwd=folder / "repo")
        run("git", *extra[:-1], "commit", "-q", *extra[-1:], "-m", name, env=full, cwd=folder / "repo")
    repository = folder / "repo"
    [found] = commits_between(repository, resolve(repository, "HEAD~1"), "HEAD")
    return found


@needs_ssh
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_git_with_ssh_keys(tmp_path: Path, kind: str) -> None:
    """Guards what people do: `git commit -S` with gpg.format=ssh, by every usual sort of key."""
    ada, eve = Signer.new(tmp_path, "ada", kind), Signer.new(tmp_path, "eve")
    options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={ada.key}", "-S")
    commit = committed(tmp_path, *options, env={})
    its, other = subject({"sshKey": ada.public}), subject({"sshKey": eve.public})
    listed = run("ssh-keygen", "-l", "-f", str(ada.key)).decode().split()[1]
    assert verify(commit, [other, its]) == Verdict(listed)
    assert verify(commit, [other]).because == "it is signed with a key that no AccessPolicy names"
    assert verify(commit, []).because == "it is signed with a key that no AccessPolicy names"


@needs_ssh
def test_each_changed_byte_is_found(tmp_path: Path) -> None:
    """Guards the whole commit: tree, parents, author and message are all signed."""
    ada = Signer.new(tmp_path, "ada")
    text = unsigned(Forge(tmp_path / "site.git"), {"a": "b"}, "Two words", parents=[])
    made, known = ada.sign(text).encode(), [subject({"sshKey": ada.public})]
    assert verify(CommitObject("", (), "", made, text), known).signer
    for word in (b"tree", b"Ada", b"1700000000", b"words"):
        other = text.replace(word, bytes([word[0] ^ 1]) + word[1:])
        assert not verify(CommitObject("", (), "", made, other), known).signer, word


@dataclass(frozen=True)
class Keyring:
    folder: Path

    def gpg(self, *words: str) -> str:
        return run("gpg", "--batch", "--homedir", str(self.folder), "--passphrase", "", *words).decode()

    def new(self, who: str, expires: str = "never", *, when: str = "20260101T000000") -> str:
        """A new key; its fingerprint."""
        self.gpg("--faked-system-time", when, "--quick-gen-key", who, "ed25519", "sign", expires)
        lines = self.gpg("--list-keys", "--with-colons", who).splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyring]:
    """An empty keyring, at a path short enough for the sockets of its agent."""
    folder = Path(run("mktemp", "-d", "/tmp/hfgpg.XXXXXX").decode().strip())  # noqa: S108  # a socket's path is short
    monkeypatch.setenv("GNUPGHOME", str(folder))
    yield Keyring(folder)
    run("gpgconf", "--homedir", str(folder), "--kill", "all")
    shutil.rmtree(folder, ignore_errors=True)


@needs_gpg
def test_git_with_openpgp(tmp_path: Path, keyring: Keyring) -> None:
    """Guards the older way to sign: the whole fingerprint counts, of a key that is good today."""
    key, other = keyring.new("Ada <ada@example.com>"), keyring.new("Eve <eve@example.com>")
    commit = committed(tmp_path, "-c", f"user.signingKey={key}", "-S", env={"GNUPGHOME": str(keyring.folder)})
    assert verify(commit, [Subject(other), Subject(key)]) == Verdict(key)
    assert verify(commit, [subject({"gpgFingerprint": key.lower()})]).signer == key
    assert verify(commit, [Subject(other)]).because == "it is signed with a key that no AccessPolicy names"
    changed = CommitObject("", (), "", commit.signature, commit.signed.replace(b"two", b"too"))
    assert verify(changed, [Subject(key)]).because.startswith("its signature does not fit it")


@needs_gpg
def test_keys_that_are_gone(tmp_path: Path, keyring: Keyring) -> None:
    """Guards against keys of the past: expired, or not in the keyring, each said in its own words."""
    key = keyring.new("Ada <ada@example.com>", "2026-01-05")
    text = unsigned(Forge(tmp_path / "site.git"), {"a": "b"}, parents=[])
    (tmp_path / "text").write_bytes(text)
    keyring.gpg("--faked-system-time", "20260102T000000", "-u", key, "--armor", "--detach-sign", str(tmp_path / "text"))
    commit = CommitObject("", (), "", (tmp_path / "text.asc").read_bytes(), text)
    assert verify(commit, [Subject(key)]) == Verdict(because="its key has expired")
    keyring.gpg("--yes", "--delete-secret-and-public-key", key)
    assert "is not in the keyring" in verify(commit, [Subject(key)]).because


@needs_gpg
def test_a_signed_message_signs_no_commit(tmp_path: Path, keyring: Keyring) -> None:
    """Guards against a text that somebody signed and that brings its signature with it: the commit is another text."""
    key = keyring.new("Ada <ada@example.com>")
    text = unsigned(Forge(tmp_path / "site.git"), {"a": "b"}, parents=[])
    for content in (b"something else", text):
        (tmp_path / "text").write_bytes(content)
        keyring.gpg("--yes", "-u", key, "--armor", "--sign", str(tmp_path / "text"))
        made = (tmp_path / "text.asc").read_bytes()
        for disguised in (made, made.replace(b"PGP MESSAGE", b"PGP SIGNATURE")):
            assert not verify(CommitObject("", (), "", disguised, text), [Subject(key)]).signer


@needs_ssh
def test_a_shallow_clone_is_not_judged(tmp_path: Path) -> None:
    """Guards a checkout of few commits: what cannot be seen is an error, never a commit without changes."""
    forge = Forge(tmp_path / "site.git")
    for number in range(4):
        forge.commit({"a": str(number)})
    clone = tmp_path / "clone"
    run("git", "clone", "-q", "--depth", "2", f"file://{forge.path}", str(clone))
    store(forge, unsigned(forge, {"b": "c"}, parents=[]), Signer.new(tmp_path, "eve").sign(b""), "refs/heads/other")
    run("git", "fetch", "-q", "--depth", "1", "origin", "other:other", cwd=clone)
    with pytest.raises(GitError, match="shallow"):
        commits_between(clone, "other", "HEAD")
