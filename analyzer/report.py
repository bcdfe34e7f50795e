"""Report: what the analyzer found at one revision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from analyzer.config import AnalyzerConfig
from analyzer.finding import Finding, Severity
from analyzer.graph import ResourceGraph
from schemas.resources import Json

BROKEN_POLICY = "invalid-policy"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was looked at."""

    files: int
    resources: int


@dataclass(frozen=True)
class Report:
    """The findings at a revision in their total order, and the graph that they speak of."""

    revision: str
    root: str
    findings: tuple[Finding, ...]
    graph: ResourceGraph
    config: AnalyzerConfig
    counts: Counts

    @property
    def blocks(self) -> bool:
        """Whether this revision must not be applied."""
        return bool(self.blocking)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings for which it must not: bad enough, and sure unless the policy does not ask for that."""
        return tuple(finding for finding in self.findings if self.config.blocks(finding))

    @property
    def policy_is_broken(self) -> bool:
        return any(finding.rule == BROKEN_POLICY for finding in self.findings)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that are this bad or worse."""
        return tuple(finding for finding in self.findings if finding.severity >= severity)

    def tally(self) -> dict[Severity, int]:
        """How many findings there are of each severity, worst first."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in sorted(Severity, reverse=True)}

    def to_json(self) -> dict[str, Json]:
        return {
            "version": "holdfast.dev/report/v1",
            "revision": self.revision,
            "root": self.root,
            "blocks": self.blocks,
            "counts": {
                "files": self.counts.files,
                "resources": self.counts.resources,
                "findings": {str(severity): count for severity, count in self.tally().items()},
            },
            "findings": [finding.to_json() for finding in self.findings],
        }
