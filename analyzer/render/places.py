"""Where findings are, as other programs want to be told: paths from the root of the repository, text that is text."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from analyzer.finding import Finding, Location
from analyzer.report import Report

HOME = "https://holdfast.dev"


def path_of(report: Report, location: Location) -> str:
    """The path with what the report's paths are relative to in front."""
    return well_formed(f"{report.root.rstrip('/')}/{location.path}" if report.root else location.path)


def uri_of(path: str) -> str:
    """A path as a URI: relative, or a whole one for a file that is in no repository."""
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)


def page_of(rule: str) -> str:
    """Where a rule's page is on the web."""
    return f"{HOME}/rules/{rule}"


def well_formed(text: str) -> str:
    """The text with everything that no UTF-8 can hold replaced."""
    return text.encode(errors="replace").decode()


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """By severity, sure ones first, and otherwise in the order they had."""
    return sorted(findings, key=lambda finding: (-finding.severity, -finding.confidence))


def where(location: Location) -> str:
    """`at abc123`, for a place of another revision than the one under analysis."""
    return f" (at {location.revision[:12]})" if location.revision else ""
