"""Workflow commands of GitHub Actions, which become annotations in *Files changed*.

Of each level a step may show ten, and a job fifty in all; what comes after is lost without a word. So the worst come
first, and the tenth says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.finding import Confidence, Finding, Severity
from analyzer.render.markup import shorten
from analyzer.render.places import path_of, well_formed, where, worst_first
from analyzer.report import Report

MAX_OF_A_LEVEL = 10
LONGEST = 2_000  # characters of a message

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report) -> str:
    """At most ten commands for each level, errors first."""
    found = worst_first(report.findings)
    return "".join(
        line for severity in _COMMANDS for line in _level(report, [f for f in found if f.severity is severity])
    )


def _level(report: Report, found: Sequence[Finding]) -> Iterator[str]:
    more = len(found) - MAX_OF_A_LEVEL
    for number, finding in enumerate(found[:MAX_OF_A_LEVEL], 1):
        rest = f"\n… and {more} more {_COMMANDS[finding.severity]}s" if more > 0 and number == MAX_OF_A_LEVEL else ""
        yield f"{_command(report, finding)}::{_data(_told(finding) + rest)}\n"


def _command(report: Report, finding: Finding) -> str:
    place, title = finding.location, f"holdfast {finding.rule}"
    line, column = (1, 1) if place.revision else (place.line, place.column)  # lines of another revision mislead
    values = {"file": path_of(report, place), "line": line, "col": column, "title": title}
    words = ",".join(f"{name}={_property(str(value))}" for name, value in values.items())
    return f"::{_COMMANDS[finding.severity]} {words}"


def _told(finding: Finding) -> str:
    unsure = " (low confidence)" if finding.confidence is Confidence.LOW else ""
    was = f"\nIt was in line {finding.location.line}{where(finding.location)}" if finding.location.revision else ""
    advice = f"\n{finding.help}" if finding.help else ""
    return f"{shorten(finding.message, LONGEST)}{unsure}{was}{shorten(advice, LONGEST)}"


def _data(text: str) -> str:
    return well_formed(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
