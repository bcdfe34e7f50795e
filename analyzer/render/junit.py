"""JUnit XML, for the test reports of CI servers: each rule that finds nothing has passed, each finding is a test case.

What would not fail the command has passed, too, and says in its output what it is: readers know no warnings.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from analyzer.finding import Finding
from analyzer.render.places import path_of
from analyzer.render.text import dotted, printable
from analyzer.report import WORDS, Aside, Report
from analyzer.rules import RULES


def render(report: Report, *, aside: bool = False) -> str:
    """One suite; with `aside`, findings that do not count are there as skipped."""
    blocking = set(report.blocking)
    cases = [*_silent(report), *(_case(report, finding, failed=finding in blocking) for finding in report.findings)]
    skipped = [_skipped(report, one) for one in report.aside if aside]
    cases += skipped
    counts = f'tests="{len(cases)}" failures="{len(blocking)}" errors="0" skipped="{len(skipped)}" time="0"'
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="holdfast" {counts}>',
            f'  <testsuite name="holdfast lint" {counts}>',
            *cases,
            "  </testsuite>",
            "</testsuites>\n",
        ]
    )


def _silent(report: Report) -> Iterator[str]:
    found = {finding.rule for finding in report.findings}
    for rule in RULES:
        if rule.id not in found:
            yield f'    <testcase classname="holdfast" name="{rule.id}" time="0"/>'


def _case(report: Report, finding: Finding, *, failed: bool) -> str:
    head, text = _head(report, finding), _text(report, finding)
    if failed:
        what = f"message={_attribute(finding.message)} type={_attribute(finding.rule)}"
        return f"{head}\n      <failure {what}>{text}</failure>\n    </testcase>"
    return f"{head}\n      <system-out>{text}</system-out>\n    </testcase>"


def _skipped(report: Report, aside: Aside) -> str:
    why = ": ".join(filter(None, (WORDS[aside.by], aside.reason)))
    return f"{_head(report, aside.finding)}\n      <skipped message={_attribute(why)}/>\n    </testcase>"


def _head(report: Report, finding: Finding) -> str:
    path = path_of(report, finding.location)
    subject = ", ".join(filter(None, (str(finding.resource or ""), dotted(finding.path))))
    name = f"{finding.rule}: {subject or finding.location}"
    tag = f"classname={_attribute(path)} name={_attribute(name)} file={_attribute(path)}"
    return f'    <testcase {tag} line="{finding.location.line}" time="0">'


def _text(report: Report, finding: Finding) -> str:
    return escape("\n".join(map(printable, _lines(finding, path_of(report, finding.location)))))


def _lines(finding: Finding, path: str) -> Iterator[str]:
    yield f"{finding.severity}[{finding.rule}]: {finding.message}"
    yield f"{path}:{finding.location.line}:{finding.location.column}"
    for place, note in finding.related:
        yield f"{place}: {note}"
    if finding.help:
        yield f"help: {finding.help}"


def _attribute(text: str) -> str:
    return quoteattr(printable(text))
