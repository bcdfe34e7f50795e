"""What a pull request is told: the findings of its head, which of them it brings, and what it does. Values only."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from analyzer.baseline import Divided, gone, since
from analyzer.finding import Finding, Severity
from analyzer.impact.difference import Impact
from analyzer.report import Report
from schemas.resources import Json

Outcome: TypeAlias = Literal["passes", "needs-approval", "blocked", "unknown"]


@dataclass(frozen=True)
class Check:
    """One revision against an earlier one. `before`: the report of that one; without it every finding is new."""

    report: Report
    fail_on: Severity
    before: Report | None = None
    impact: Impact | None = None
    changed_only: bool = False

    @functools.cached_property
    def _divided(self) -> Divided:
        return since(self.report.findings, self.before.findings if self.before else ())

    @property
    def new(self) -> tuple[Finding, ...]:
        """Findings that were not there before, or have become others."""
        return self._divided[0]

    @property
    def known(self) -> tuple[Finding, ...]:
        """Findings that were there before."""
        return self._divided[1]

    @functools.cached_property
    def fixed(self) -> tuple[Finding, ...]:
        """Findings that were there before, and are no more."""
        return gone(self.before.findings, self.report.findings) if self.before else ()

    @functools.cached_property
    def failing(self) -> tuple[Finding, ...]:
        """Findings for which the check fails."""
        counted = self.new if self.changed_only else self.report.findings
        config = replace(self.report.config, fail_on=self.fail_on)
        return tuple(finding for finding in counted if config.blocks(finding))

    @property
    def outcome(self) -> Outcome:
        if self.report.policy_is_broken or self.failing:
            return "blocked"
        if self.impact and self.impact.unreadable:
            return "unknown"
        verdict = self.impact.verdict if self.impact else None
        return "passes" if verdict is None or verdict.outcome == "pass" else verdict.outcome

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that anybody has to know."""
        changes = self.impact is not None and bool(self.impact.changes)
        return self.outcome == "passes" and not (changes or self.new or self.fixed)

    def to_json(self) -> dict[str, Json]:
        return {
            "version": "holdfast.dev/check/v1",
            "outcome": self.outcome,
            "failOn": str(self.fail_on),
            "changedOnly": self.changed_only,
            "findings": {"new": len(self.new), "known": len(self.known), "fixed": len(self.fixed)},
            "failing": [finding.to_json() for finding in self.failing],
            "new": [finding.to_json() for finding in self.new],
            "fixed": [finding.to_json() for finding in self.fixed],
            "report": self.report.to_json(),
            "impact": self.impact.to_json() if self.impact else None,
        }
