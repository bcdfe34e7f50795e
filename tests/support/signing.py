"""Commits with real signatures, and with false ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2
import pytest
from forge import BRANCH, Forge
from pygit2.enums import FileMode

WAITING = 20.0  # seconds

needs_ssh = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen (OpenSSH 8.2 or newer)")
needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="needs gpg")


@dataclass(frozen=True)
class Signer:
    """Somebody with an SSH key."""

    key: Path

    @classmethod
    def new(cls, folder: Path, name: str, kind: str = "ed25519") -> Signer:
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(folder / name))
        return cls(folder / name)

    @property
    def public(self) -> str:
        return self.key.with_suffix(".pub").read_text().strip()

    def sign(self, text: bytes, namespace: str = "git") -> str:
        return run("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.key), given=text).decode()


def run(*command: str, given: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None) -> bytes:
    """The output of a program, which must succeed."""
    ran = subprocess.run(command, input=given, capture_output=True, check=True, timeout=WAITING, env=env, cwd=cwd)
    return ran.stdout


def unsigned(
    forge: Forge, files: Mapping[str, str], message: str = "A change", parents: Sequence[str] | None = None
) -> bytes:
    """The text of a commit that does not exist yet."""
    repo = forge.repository
    index = pygit2.Index()
    for name, text in files.items():
        index.add(pygit2.IndexEntry(name, repo.create_blob(text.encode()), FileMode.BLOB))
    head = forge.head()
    before = ([head] if head else []) if parents is None else list(parents)
    who = pygit2.Signature("Ada", "ada@example.com", 1_700_000_000, 0)
    tree = index.write_tree(repo)
    made = repo.create_commit(None, who, who, message, tree, [pygit2.Oid(hex=parent) for parent in before])
    return bytes(repo.odb.read(made)[1])


def store(forge: Forge, text: bytes, signature: str, ref: str = BRANCH) -> str:
    """Put a commit with this signature, whatever it was made over, at the head of a branch; its id."""
    made = str(forge.repository.create_commit_with_signature(text.decode(), signature, "gpgsig"))
    forge.move(made, ref)
    return made


def signed(  # noqa: PLR0913, PLR0917  # what a commit consists of
    forge: Forge,
    files: Mapping[str, str],
    by: Signer,
    message: str = "A change",
    parents: Sequence[str] | None = None,
    ref: str = BRANCH,
) -> str:
    """Commit exactly these files, signed."""
    text = unsigned(forge, files, message, parents)
    return store(forge, text, by.sign(text), ref)
