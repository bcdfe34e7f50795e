"""The site's Git repository: a bare one that the daemon follows, and the clone in which people work.

Git is called as a person would call it, with nothing of this machine's or this user's configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.exits import CommandError

TIMEOUT = 30.0  # seconds
BRANCH = "main"
_DOCUMENTS = re.compile(r"^---\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Repository:
    """The two of them."""

    bare: Path
    clone: Path

    def publish(self) -> str:
        """Make both from the files that lie in the clone's folder; the first commit. Raises CommandError."""
        self._git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(self.bare))
        self._git("init", "--quiet", f"--initial-branch={BRANCH}", str(self.clone))
        self._git("config", "user.name", "An operator")  # so that a person without any can commit here, too
        self._git("config", "user.email", "operator@example.com")
        self._git("remote", "add", "origin", str(self.bare))
        commit = self.commit("The site as it is")
        self._git("push", "--quiet", "--set-upstream", "origin", BRANCH)
        return commit

    # --- editing, as with an editor

    def read(self, path: str) -> str:
        return (self.clone / path).read_text()

    def write(self, path: str, text: str) -> None:
        (self.clone / path).write_text(text)

    def replace(self, path: str, old: str, new: str, *, within: str = "") -> None:
        """Put `new` where `old` stands, in the whole file or in the manifest of that name. Raises CommandError."""
        text = self.read(path)
        place = document(text, within) if within else text
        if place.count(old) != 1:
            raise CommandError(f"{path}: {old!r} stands there {place.count(old)} times, not once")
        self.write(path, text.replace(place, place.replace(old, new)))

    def remove_volume(self, volume: str, volumes: str, subsystems: str) -> None:
        """Take out a volume's manifest in the one file, and the namespace that shows it in the other."""
        self.write(volumes, without(self.read(volumes), volume))
        entry = re.search(rf"^ +- nsid: \d+\n +volumeRef: {volume}\n", self.read(subsystems), re.MULTILINE)
        self.replace(subsystems, entry.group() if entry else volume, "")

    # --- committing

    def commit(self, message: str) -> str:
        """Everything as it lies there; the commit's id."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self.head()

    def revert(self, commits: Sequence[str]) -> None:
        """One commit for each of these, which undoes it, in this order."""
        self._git("revert", "--no-edit", *commits)

    def push(self) -> str:
        """Give everybody what is committed; its id."""
        self._git("push", "--quiet")
        return self.head()

    def head(self) -> str:
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *words: str) -> str:
        command = shutil.which("git")
        if command is None:
            raise CommandError("there is no git in PATH; install it")
        try:
            ran = subprocess.run(  # noqa: S603  # no shell, and every word is ours
                [command, "-c", "commit.gpgSign=false", *words],
                cwd=self.clone,
                env=environment(self.clone.parent),
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"git {words[0]}: no end after {TIMEOUT:.0f} s") from error
        if ran.returncode:
            raise CommandError(f"git {words[0]}: {ran.stderr.strip() or ran.stdout.strip()}")
        return ran.stdout


def environment(home: Path) -> dict[str, str]:
    """Git as if freshly installed: no configuration, no questions, one language."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def document(text: str, name: str) -> str:
    """The one document of a YAML file whose metadata.name is `name`. Raises CommandError."""
    found = [part for part in _DOCUMENTS.split(text) if f"\n  name: {name}\n" in part]
    if len(found) != 1:
        raise CommandError(f"{len(found)} manifests are named {name}, not one")
    return found[0]


def without(text: str, name: str) -> str:
    """The file without that document."""
    gone = document(text, name)
    return "---\n".join(part for part in _DOCUMENTS.split(text) if part != gone)
