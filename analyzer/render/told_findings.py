"""Findings as sections of a pull request's report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.check import Check
from analyzer.finding import Confidence, Finding, Severity
from analyzer.render.home import Home
from analyzer.render.markup import code, header, prose, row
from analyzer.render.places import worst_first
from analyzer.render.sections import Section
from analyzer.render.text import dotted
from analyzer.report import WORDS, Aside

_SEVERITIES = {"error": "🔴 error", "warning": "🟡 warning", "info": "🔵 info"}


def blocking(check: Check, home: Home) -> Section:
    return _section("What blocks it", check.failing, home)


def others(check: Check, home: Home) -> Iterator[Section]:
    """What else was found; what was there before is folded."""
    failing = set(check.failing)
    new = [finding for finding in check.new if finding not in failing]
    title = "New findings" if check.before else "Findings"
    yield _section(title, [f for f in new if f.severity > Severity.INFO], home)
    yield _section("Remarks", [f for f in new if f.severity is Severity.INFO], home, folded=True)
    yield _section("Findings from before", [f for f in check.known if f not in failing], home, folded=True)
    yield _section("Fixed", check.fixed, home, folded=True)
    yield _set_aside(check, home)


def _set_aside(check: Check, home: Home) -> Section:
    """What was found and does not count, with who allows it."""
    rows = [_allowed(aside, home) for aside in check.report.aside]
    return Section(f"Allowed ({len(rows):,})", rows, header("what", "where", "allowed"), folded=True)


def _allowed(aside: Aside, home: Home) -> str:
    told = [WORDS[aside.by], prose(aside.reason), f"until {aside.until}" if aside.until else ""]
    by = home.place(aside.location) if aside.location else ""
    what = f"{prose(aside.finding.message)} {code(aside.finding.rule)}"
    return row((what, home.place(aside.finding.location), "<br>".join(filter(None, (*told, by)))))


def _section(title: str, findings: Sequence[Finding], home: Home, *, folded: bool = False) -> Section:
    counted = f"{title} ({len(findings):,})" if folded or len(findings) > 1 else title
    rows = [_finding(finding, home) for finding in worst_first(findings)]
    return Section(counted, rows, header("", "what", "where"), folded)


def _finding(finding: Finding, home: Home) -> str:
    about = f"<br>{_subject(finding)}" if finding.resource else ""
    advice = f"<br>💡 {prose(finding.help)}" if finding.help else ""
    unsure = "<br>(not sure)" if finding.confidence is Confidence.LOW else ""
    what = f"{prose(finding.message)} {code(finding.rule)}{about}{advice}"
    return row((f"{_SEVERITIES[str(finding.severity)]}{unsure}", what, home.place(finding.location)))


def _subject(finding: Finding) -> str:
    return code(", ".join(filter(None, (str(finding.resource), dotted(finding.path)))))
