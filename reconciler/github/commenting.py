"""The step that comments. What cannot be told there is in the summary of the run, so nothing here fails the job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.cli.exits import CommandError
from reconciler.github.api import ApiError, GitHub
from reconciler.github.commands import say
from reconciler.github.event import Event, read_event
from reconciler.github.foreign import harmless
from reconciler.github.inputs import COMMENTS, Run
from reconciler.github.sticky import LARGEST, Mark, create, key_of, update, without_mark

FILE, QUIET, MODE = "HOLDFAST_COMMENT_FILE", "HOLDFAST_COMMENT_QUIET", "HOLDFAST_INPUT_COMMENT"
_REFUSED = (401, 403, 404)


def comment(run: Run, environment: Mapping[str, str]) -> None:
    """Tell the pull request of this run, or of the run that this one follows. Raises CommandError."""
    event = read_event(run.event, run.event_file)
    body = _read(environment.get(FILE, ""))
    mode = environment.get(MODE) or "update"
    if mode not in COMMENTS:
        raise CommandError(f"input comment: {mode!r} is none of {', '.join(COMMENTS)}")
    if not (run.token and run.api and run.repository):
        raise CommandError("there is no token, or no address of GitHub's interface, so nothing can be written")
    github = GitHub(run.api, run.repository, run.token)
    try:
        number, body = _addressed(event, body, run, github)
        if number is None:
            say("notice", "there is no open pull request to comment on; the summary of the run has the report")
            return
        mark, text = without_mark(body)
        mark = mark or Mark(key_of("check"), run.number, run.attempt)
        text = text[: LARGEST - len(str(mark))]
        if mode == "new":
            done = create(github, number, text, mark)
        else:
            done = update(github, number, text, mark, quiet=environment.get(QUIET) == "true")
    except ApiError as error:
        _refused(error, event)
    else:
        say("notice", f"comment on #{number}: {done}")


def _addressed(event: Event, body: str, run: Run, github: GitHub) -> tuple[int | None, str]:
    """The pull request, and what to write. What another workflow left is only as good as who could change that one."""
    if event.source is None:
        return event.pull_request, body
    branch, commit = event.source
    found = [
        pull
        for pull in github.all("pulls", state="open", head=branch)
        if isinstance(pull.get("head"), dict) and pull["head"].get("sha") == commit
    ]
    number = found[0].get("number") if found else None
    return number if isinstance(number, int) else None, harmless(body, run.home)


def _read(file: str) -> str:
    try:
        with Path(file).open(encoding="utf-8", errors="replace") as stream:
            return stream.read(LARGEST)
    except OSError as error:
        raise CommandError(f"the report {file or '(none is named)'}: {error.strerror}") from error


def _refused(error: ApiError, event: Event) -> None:
    if error.status in _REFUSED and event.fork:
        say("notice", "a pull request of a fork gives no right to comment; the summary of the run has the report")
    elif error.status in _REFUSED:
        say("warning", f"no comment: {error}; the job needs `permissions: pull-requests: write`")
    else:
        say("warning", f"no comment: {error}; the summary of the run has the report")
