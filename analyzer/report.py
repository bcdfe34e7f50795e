"""Report: what the analyzer found at one revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal, TypeAlias

from analyzer.baseline import Baseline, Known, divide, resolved, since
from analyzer.config import AnalyzerConfig
from analyzer.finding import Finding, Location, Severity
from analyzer.graph import ResourceGraph
from schemas.resources import Json

BROKEN_POLICY = "invalid-policy"

By: TypeAlias = Literal["comment", "policy", "baseline", "base"]
WORDS: Final[dict[By, str]] = {
    "comment": "allowed by a comment",
    "policy": "allowed by the policy",
    "baseline": "in the baseline",
    "base": "there before the change",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was looked at."""

    files: int
    resources: int


@dataclass(frozen=True, slots=True)
class Aside:
    """A finding that does not count, and why: somebody allowed it, or it was there before."""

    finding: Finding
    by: By
    reason: str = ""
    until: date | None = None
    location: Location | None = None  # of what allows it

    def to_json(self) -> dict[str, Json]:
        return {
            "finding": self.finding.to_json(),
            "by": self.by,
            "reason": self.reason,
            "until": self.until.isoformat() if self.until else None,
            "location": self.location.to_json() if self.location else None,
        }


@dataclass(frozen=True)
class Report:
    """The findings at a revision in their total order, and the graph that they speak of."""

    revision: str
    root: str
    findings: tuple[Finding, ...]
    graph: ResourceGraph
    config: AnalyzerConfig
    counts: Counts
    graphs: Mapping[str, ResourceGraph] = field(default_factory=dict)  # of every cluster; `graph` is the one we apply
    aside: tuple[Aside, ...] = ()
    resolved: tuple[Known, ...] = ()  # entries of the baseline that nothing answers to any more
    state: object = None  # what the next revision is analysed by, for whoever keeps the report
    states: Mapping[str, object] = field(default_factory=dict)  # the same of every cluster
    plain: bool = False  # whether every file stands for itself: no deployment says otherwise
    partial: tuple[tuple[Location, str], ...] = ()  # where more of it comes from elsewhere

    def against(self, baseline: Baseline) -> Report:
        """Without what a baseline knows, besides that of the repository."""
        new, known = divide(self.findings, baseline)
        left = (*self.resolved, *resolved(baseline, known))
        return replace(self._without(new, known, "baseline"), resolved=left)

    def since(self, base: Report) -> Report:
        """Without what was there before the change, and says the same still."""
        new, known = since(self.findings, base.findings)
        return self._without(new, known, "base")

    def _without(self, new: tuple[Finding, ...], known: Iterable[Finding], by: By) -> Report:
        aside = (*self.aside, *(Aside(finding, by) for finding in known))
        return replace(self, findings=new, aside=tuple(sorted(aside, key=lambda one: one.finding)))

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

    def tally_aside(self) -> dict[By, int]:
        """How many findings are set aside, by what."""
        found = Counter(aside.by for aside in self.aside)
        return {by: found[by] for by in WORDS}

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
                "setAside": {str(by): count for by, count in self.tally_aside().items()},
                "resolved": sum(known.count for known in self.resolved),
            },
            "setAside": [aside.to_json() for aside in self.aside],
            "resolved": [known.to_json() for known in self.resolved],
            "findings": [finding.to_json() for finding in self.findings],
        }
