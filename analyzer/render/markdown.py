"""Findings as GitHub's Markdown, for a job summary: the same report as below a pull request, without a comparison."""

from __future__ import annotations

from analyzer.check import Check
from analyzer.render import pull_request
from analyzer.report import Report


def render(report: Report) -> str:
    """The verdict, what blocks, and the rest; within what a job summary may hold."""
    return pull_request.render(Check(report, report.config.fail_on), budget=pull_request.SUMMARY)
