"""Reviewdog's diagnostic format. Its columns count bytes of UTF-8, and its ends are the first place outside."""

from __future__ import annotations

import json
from typing import Any

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.render.places import HOME, page_of, path_of, well_formed
from analyzer.render.suggestion import suggestion
from analyzer.report import Report

_SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}


def render(report: Report) -> str:
    """Every finding of this revision, with what to write instead where that is certain."""
    result: dict[str, Any] = {
        "source": {"name": "holdfast", "url": HOME},
        "diagnostics": [_diagnostic(report, finding) for finding in report.findings],
    }
    if report.findings:
        result["severity"] = _SEVERITIES[max(finding.severity for finding in report.findings)]
    return json.dumps(result, indent=1, sort_keys=True) + "\n"


def _diagnostic(report: Report, finding: Finding) -> dict[str, Any]:
    unsure = "low confidence" if finding.confidence is Confidence.LOW else ""
    diagnostic: dict[str, Any] = {
        "message": well_formed("\n".join(filter(None, (finding.message, finding.help, unsure)))),
        "location": _location(report, finding.location),
        "severity": _SEVERITIES[finding.severity],
        "code": {"value": finding.rule, "url": page_of(finding.rule)},
    }
    if finding.related:
        diagnostic["related_locations"] = [
            {"message": well_formed(note), "location": _location(report, place)} for place, note in finding.related
        ]
    found = suggestion(finding)
    if found:
        start, end = (_position(finding.location, column) for column in (found.start, found.end))
        diagnostic["suggestions"] = [{"range": {"start": start, "end": end}, "text": found.text}]
    return diagnostic


def _location(report: Report, place: Location) -> dict[str, Any]:
    path = path_of(report, place)
    return {"path": path, "range": {"start": _position(place, place.column)}} if not place.revision else {"path": path}


def _position(place: Location, column: int) -> dict[str, int]:
    before = place.text[: column - 1]
    missing = column - 1 - len(before)  # where the line itself is not at hand
    return {"line": place.line, "column": len(before.encode(errors="replace")) + missing + 1}
