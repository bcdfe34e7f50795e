"""For programs: versioned, sorted, described by schemas/output/*.schema.json."""

from __future__ import annotations

import json

from analyzer.check import Check
from analyzer.impact.difference import Impact
from analyzer.picture import Picture
from analyzer.report import Report


def render(report: Report) -> str:
    return _render(report)


def render_impact(impact: Impact) -> str:
    return _render(impact)


def render_check(check: Check) -> str:
    return _render(check)


def render_picture(picture: Picture) -> str:
    return _render(picture)


def _render(value: Report | Impact | Check | Picture) -> str:
    return json.dumps(value.to_json(), indent=2, sort_keys=True) + "\n"
