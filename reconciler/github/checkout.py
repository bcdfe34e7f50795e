"""The base in a checkout that may hold no more than one commit: found there, or fetched by Git."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.exits import CommandError
from reconciler.github.event import Event

TIMEOUT = 600.0  # seconds; a large history comes over the network
DEEPER = ("50", "500")  # commits, before all of them are fetched
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
_QUIET = {"GIT_TERMINAL_PROMPT": "0"}  # who is asked for a password answers for ever
_NO_NAME = re.compile(r"^[-+]|[\s:*?\[\\^~]|\.\.|@\{")  # in what is fetched; a refspec could overwrite branches
_ADVICE = "give actions/checkout `fetch-depth: 0`, so that the history is there"


@dataclass(frozen=True)
class Checkout:
    """One work tree, and the commit that is checked out in it."""

    folder: Path
    head: str

    @classmethod
    def at(cls, folder: Path) -> Checkout:
        """Raises CommandError where no commit is checked out."""
        if not folder.is_dir():
            raise CommandError(f"working-directory: there is no folder {folder}")
        ran = _run(folder, "rev-parse", "--verify", "HEAD^{commit}")
        if ran.returncode:
            why = (ran.stderr.strip().splitlines() or ["nothing is checked out"])[0]
            raise CommandError(f"{folder}: {why}; run actions/checkout before Holdfast")
        return cls(folder, ran.stdout.strip())

    @property
    def prefix(self) -> str:
        """The folder inside the repository, as Git names it: empty, or ending with a slash."""
        return _git(self.folder, "rev-parse", "--show-prefix") or ""

    def base(self, event: Event, wanted: str = "") -> str:
        """The commit to compare with; empty where there is nothing to compare with. Raises CommandError."""
        if wanted:
            return self._departure(self._named(wanted))
        if event.head and (parents := self._parents()) and parents[1:] == (event.head,):
            base = self._present(parents[0])  # what is checked out is the merge of just that pull request
            self._shared(base, event.head)  # and who made its commits is asked, where policies want signatures
            return base
        for candidate in event.bases:
            found = self._found(candidate)
            if found and found != self.head:
                return self._departure(found)
        if event.pull_request is not None and self.head in event.bases:
            raise CommandError("what is checked out is the base of the pull request; check out the pull request itself")
        if event.pull_request is not None:
            raise CommandError(f"the base of the pull request is not here and could not be fetched; {_ADVICE}")
        return ""

    def _named(self, revision: str) -> str:
        found = None if revision.startswith("-") else self._found(revision)
        if found is None:
            raise CommandError(f"input base: no commit {revision!r} here, and origin has none; {_ADVICE}")
        return found

    def _present(self, commit: str) -> str:
        found = self._found(commit)
        if found is None:
            raise CommandError(f"the base {commit[:12]} is not here and could not be fetched; {_ADVICE}")
        return found

    def _found(self, revision: str) -> str | None:
        """The commit that a revision means here, else at the origin."""
        commit = self._resolved(revision)
        wanted = revision.removeprefix("origin/")
        if commit is None and not _NO_NAME.search(wanted):
            depth = ["--depth=1"] if self._is_shallow() else []  # of a whole history none would be left
            fetched = _git(self.folder, *_FETCH, *depth, "origin", "--", wanted)
            commit = None if fetched is None else self._resolved("FETCH_HEAD")
        return commit

    def _resolved(self, revision: str) -> str | None:
        return _git(self.folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def _departure(self, base: str) -> str:
        """Where the head left the base. Raises CommandError when that is not here, and cannot be fetched."""
        shared = self._shared(base, self.head)
        if shared is None and self._is_shallow():
            raise CommandError(f"where the head left {base[:12]} is not here and could not be fetched; {_ADVICE}")
        return shared if shared and shared != self.head else base

    def _shared(self, one: str, other: str) -> str | None:
        """The newest commit that both build on. Of a shallow history more is fetched until that is in it."""
        for depth in (*DEEPER, ""):
            shared = _git(self.folder, "merge-base", one, other)
            if shared or not self._is_shallow():
                return shared
            deeper = f"--deepen={depth}" if depth else "--unshallow"
            _git(self.folder, *_FETCH, deeper, "origin", one, other, self.head)
        return _git(self.folder, "merge-base", one, other)

    def _is_shallow(self) -> bool:
        return _git(self.folder, "rev-parse", "--is-shallow-repository") == "true"

    def _parents(self) -> tuple[str, ...]:
        """As the commit itself names them, also where the history ends here."""
        text = _git(self.folder, "cat-file", "commit", self.head) or ""
        lines = text.partition("\n\n")[0].splitlines()
        return tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent "))


def _git(folder: Path, *words: str) -> str | None:
    """What Git answers; None where it refuses."""
    ran = _run(folder, *words)
    return ran.stdout.strip() if ran.returncode == 0 else None


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ("git", "-C", str(folder), *words)
    try:
        return subprocess.run(  # noqa: S603  # no shell; words that others wrote stand behind an end of options
            command,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | _QUIET,
            timeout=TIMEOUT,
            text=True,
            errors="surrogateescape",
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"git {words[0]}: {error}") from error
