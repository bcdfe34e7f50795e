"""The step that checks: which revisions, what is found, and where it is told. Only the last step fails the job."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from analyzer.check import Check
from analyzer.render import github, pull_request, sarif
from analyzer.render import json as machine
from analyzer.render.home import Home
from analyzer.render.markup import link, prose
from reconciler.cli.cache import default_folder
from reconciler.cli.checking import Options, checked, exit_code
from reconciler.cli.comparing import Range
from reconciler.cli.exits import CommandError, Exit
from reconciler.cli.reading import reading
from reconciler.cli.screen import show
from reconciler.github.checkout import Checkout
from reconciler.github.commands import add_summary, room_for_summary, say, set_output
from reconciler.github.event import read_event
from reconciler.github.inputs import Inputs, Run
from reconciler.github.sticky import LARGEST, Mark, key_of

OUTPUTS = (
    "findings-count",
    "new-findings-count",
    "highest-severity",
    "impact-verdict",
    "plan-id",
    "report-path",
    "sarif-path",
)
REPORT, COMMENT, DATA = "report.md", "comment.md", "check.json"
_ROOM_FOR_MARK = 1024
_WITHOUT_LIMIT = 64 * 1024 * 1024
_LEVELS = {Exit.CLEAN: "notice", Exit.CHANGES: "notice"}


def check(inputs: Inputs, run: Run) -> Exit:
    """Check, and tell it everywhere but in the comment. What cannot be done is told in the same places."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-", dir=run.temporary))
    try:
        event = read_event(run.event, run.event_file)
        checkout = Checkout.at(inputs.working_directory)
        base = checkout.base(event, inputs.base)
        found = _checked(inputs, checkout, base)
        sarif_file = _sarif(found, inputs)
    except CommandError as error:
        return _failed(error, inputs, run, folder)
    if not base and inputs.mode != "lint":
        say("notice", "there is no earlier revision to compare with, so only the manifests themselves were checked")
    home = Home(run.home, base, checkout.head, _whole(run))
    _write(found, home, inputs, run, folder)
    _set_outputs(found, run, folder, sarif_file)
    if inputs.mode != "impact":
        counted = found.new if inputs.changed_only else found.report.findings
        show(github.render(replace(found.report, findings=counted)))
    ending = exit_code(found)
    say(_LEVELS.get(ending, "error"), pull_request.headline(found))
    return ending


def _checked(inputs: Inputs, checkout: Checkout, base: str) -> Check:
    options = Options(
        fail_on=inputs.fail_on,
        changed_only=inputs.changed_only,
        policy=inputs.config,
        cache=default_folder(),
        baseline=str(inputs.working_directory / inputs.baseline) if inputs.baseline else "",
        mode="lint" if inputs.mode == "lint" else "impact" if inputs.mode == "impact" else "check",
    )
    with reading():
        return checked(
            checkout.folder, Range(base, checkout.head), f"{checkout.prefix}{inputs.path}".rstrip("/"), options
        )


def _write(found: Check, home: Home, inputs: Inputs, run: Run, folder: Path) -> None:
    """Reports and summary."""
    (folder / REPORT).write_text(pull_request.render(found, replace(home, whole=""), _WITHOUT_LIMIT), encoding="utf-8")
    (folder / DATA).write_text(machine.render_check(found), encoding="utf-8")
    body = pull_request.render(found, home, LARGEST - _ROOM_FOR_MARK)
    _leave_comment(body, inputs, run, folder, quiet=found.is_quiet)
    if room := room_for_summary(run):
        add_summary(run, pull_request.render(found, home, room))


def _set_outputs(found: Check, run: Run, folder: Path, sarif_file: str) -> None:
    worst = max((finding.severity for finding in found.report.findings), default=None)
    verdict = found.impact.verdict if found.impact else None
    values = (
        str(len(found.report.findings)),
        str(len(found.new)),
        str(worst) if worst else "none",
        verdict.outcome if verdict else "",
        " ".join(sorted((verdict.approvals or {}).values())) if verdict else "",
        str(folder / REPORT),
        sarif_file,
    )
    for name, value in zip(OUTPUTS, values, strict=True):
        set_output(run, name, value)


def _sarif(found: Check, inputs: Inputs) -> str:
    if not inputs.sarif_file:
        return ""
    place = inputs.working_directory / inputs.sarif_file
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(sarif.render(found.report), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"input sarif-file: {place}: {error.strerror}") from error
    return str(place)


def _leave_comment(body: str, inputs: Inputs, run: Run, folder: Path, *, quiet: bool) -> None:
    """For the step that comments, and for a later workflow where this one may not."""
    where = os.path.relpath(inputs.working_directory, run.workspace)
    mark = Mark(key_of(inputs.mode, where, inputs.path), run.number, run.attempt)
    (folder / COMMENT).write_text(f"{mark}{body}", encoding="utf-8", errors="backslashreplace")
    set_output(run, "comment-path", str(folder / COMMENT))
    set_output(run, "comment-quiet", str(quiet).lower())


def _failed(error: CommandError, inputs: Inputs, run: Run, folder: Path) -> Exit:
    """It could not be checked: that is told in place of what an earlier run may have said."""
    say("error", str(error))
    told = f"### ❓ Holdfast could not check this\n\n{prose(str(error), 2000)}\n"
    (folder / REPORT).write_text(told, encoding="utf-8")
    _leave_comment(told, inputs, run, folder, quiet=False)
    if room_for_summary(run):
        add_summary(run, told)
    for name in OUTPUTS:
        set_output(run, name, str(folder / REPORT) if name == "report-path" else "")
    return error.code


def _whole(run: Run) -> str:
    """Where all of it is, as Markdown."""
    return link("the summary of the run", run.page) if run.page else ""
