"""For programs: versioned, sorted, described by schemas/output/*.schema.json."""

from __future__ import annotations

import json

from analyzer.impact import Impact
from analyzer.report import Report


def render(report: Report) -> str:
    return _render(report)


def render_impact(impact: Impact) -> str:
    return _render(impact)


def _render(value: Report | Impact) -> str:
    return json.dumps(value.to_json(), indent=2, sort_keys=True) + "\n"
