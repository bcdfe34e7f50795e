"""What set a workflow off: which revisions to compare, and which pull request to tell. Values only.

Everything in the file of the event is data of whoever opened the pull request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.cli.exits import CommandError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PULL_REQUESTS = ("pull_request", "pull_request_target")


@dataclass(frozen=True)
class Event:
    """`bases`: commits or branches to compare with, the best first; none: there is nothing to compare with.

    `source`: for a workflow_run, OWNER:BRANCH and the commit that the first workflow looked at.
    """

    name: str
    bases: tuple[str, ...] = ()
    head: str = ""  # of a pull request: the commit that was pushed, which a merge of it may stand for
    pull_request: int | None = None
    fork: bool = False  # of a pull request: whether it comes from another repository
    source: tuple[str, str] | None = None


def read_event(name: str, file: str) -> Event:
    """The event of a run. Raises CommandError when its file cannot be read."""
    if not file:
        return Event(name)
    try:
        payload = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"the file of the event, {file}, cannot be read: {error}") from error
    return event_of(name, payload if isinstance(payload, dict) else {})


def event_of(name: str, payload: Mapping[str, Any]) -> Event:
    if name in _PULL_REQUESTS:
        return _pull_request(name, _part(payload, "pull_request"))
    if name == "merge_group":
        return Event(name, _commits(_part(payload, "merge_group").get("base_sha")))
    if name == "push":
        branch = _part(payload, "repository").get("default_branch")
        fallback = (f"origin/{branch}",) if isinstance(branch, str) and branch else ()
        return Event(name, (*_commits(payload.get("before")), *fallback))
    if name == "workflow_run":
        return Event(name, source=_source(_part(payload, "workflow_run")))
    return Event(name)


def _pull_request(name: str, pull: Mapping[str, Any]) -> Event:
    base, head, number = _part(pull, "base"), _part(pull, "head"), pull.get("number")
    ours, theirs = (_part(side, "repo").get("full_name") for side in (base, head))
    return Event(
        name,
        _commits(base.get("sha")),
        (*_commits(head.get("sha")), "")[0],
        number if isinstance(number, int) else None,
        fork=ours != theirs,
    )


def _source(run: Mapping[str, Any]) -> tuple[str, str] | None:
    owner = _part(_part(run, "head_repository"), "owner").get("login")
    branch, commits = run.get("head_branch"), _commits(run.get("head_sha"))
    if not (isinstance(owner, str) and isinstance(branch, str) and commits and run.get("event") in _PULL_REQUESTS):
        return None
    return f"{owner}:{branch}", commits[0]


def _commits(value: object) -> tuple[str, ...]:
    """The id of a commit, where there is one: a branch that was not there before comes from all zeros."""
    found = isinstance(value, str) and _COMMIT.fullmatch(value) and value.strip("0")
    return (str(value),) if found else ()


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
