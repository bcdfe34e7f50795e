"""The one comment below a pull request: found by a mark nobody sees, edited in place, never deleted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from reconciler.github.api import ApiError, GitHub

LONGEST_KEY = 200
LARGEST = 65_536  # bytes; GitHub counts characters
AUTHOR = "github-actions[bot]"  # whose token it is; others could write the mark as well
_MARK = re.compile(r"<!-- holdfast-check: (?P<key>\S*) run=(?P<run>\d+)\.(?P<attempt>\d+) -->\n")

Done: TypeAlias = Literal["created", "updated", "unchanged", "outdated", "not needed"]


@dataclass(frozen=True)
class Mark:
    """Which check a comment is of, and which run wrote it."""

    key: str
    run: int
    attempt: int

    def __str__(self) -> str:
        return f"<!-- holdfast-check: {self.key} run={self.run}.{self.attempt} -->\n"

    @classmethod
    def on(cls, body: str) -> Mark | None:
        found = _MARK.match(body.replace("\r\n", "\n"))
        return cls(found["key"], int(found["run"]), int(found["attempt"])) if found else None


def key_of(*words: str) -> str:
    """What tells one check of a repository from another one, as a single word."""
    key = quote(":".join(words), safe="/:._-", errors="replace").replace("--", "-%2D")
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


def without_mark(body: str) -> tuple[Mark | None, str]:
    mark = Mark.on(body)
    return mark, _MARK.sub("", body.replace("\r\n", "\n"), count=1) if mark else body


def update(github: GitHub, number: int, body: str, mark: Mark, *, quiet: bool = False) -> Done:
    """Write the comment of this check anew, or create it; one with nothing to say (`quiet`) is not created."""
    found = _find(github, number, mark.key)
    if found is None and quiet:
        return "not needed"
    if found is None:
        return create(github, number, body, mark)
    before = Mark.on(str(found["body"])) or mark
    if (before.run, before.attempt) > (mark.run, mark.attempt):
        return "outdated"
    if without_mark(str(found["body"]))[1] == body:
        return "unchanged"
    github.ask("PATCH", f"issues/comments/{found['id']}", {"body": f"{mark}{body}"})
    return "updated"


def create(github: GitHub, number: int, body: str, mark: Mark) -> Done:
    """A comment of its own. Where nobody said whether it was written, it is looked for before it is written again."""
    text = {"body": f"{mark}{body}"}
    try:
        github.ask("POST", f"issues/{number}/comments", text)
    except ApiError as error:
        if 0 < error.status < 500:
            raise
        if _find(github, number, mark.key, mark) is None:
            github.ask("POST", f"issues/{number}/comments", text)
    return "created"


def _find(github: GitHub, number: int, key: str, exactly: Mark | None = None) -> Mapping[str, Any] | None:
    """Our comment of that check: the oldest, should there be several."""
    for comment in github.all(f"issues/{number}/comments"):
        author = comment.get("user")
        mark = Mark.on(str(comment.get("body") or ""))
        ours = isinstance(author, dict) and author.get("login") == AUTHOR
        if ours and mark and mark.key == key and exactly in (None, mark):
            return comment
    return None
