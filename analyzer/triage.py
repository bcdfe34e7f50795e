"""Which findings count. What a person allowed, or what was there before, is set aside: told, and no longer in the way.

The same for the command and the daemon, because it is part of the analysis. What nothing could be applied with is never
set aside, whoever allows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from analyzer.baseline import Known, divide, resolved
from analyzer.config import AnalyzerConfig
from analyzer.finding import Finding, Severity
from analyzer.graph import ResourceGraph
from analyzer.report import Aside, By
from analyzer.rule import CaseRule, ChangeRule, SuppressionRule
from analyzer.rules import RULES
from analyzer.suppression import Outcome, Suppression
from schemas.resources import OUR_GROUP
from schemas.validation import did_you_mean

_KNOWN = {rule.id: rule for rule in RULES}
_SUPPRESSION_RULES = tuple(rule for rule in RULES if isinstance(rule, SuppressionRule))


@dataclass(frozen=True)
class Triage:
    """The findings that count, those set aside, and what of the baseline nothing answers to any more."""

    findings: tuple[Finding, ...]
    aside: tuple[Aside, ...] = ()
    resolved: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Standard:
    """By what is sorted. `compared`: there was a base, so that rules about changes had something to say."""

    config: AnalyzerConfig
    as_of: date
    compared: bool


@dataclass
class _Ledger:
    """What came of each suppression."""

    used: dict[Suppression, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[Suppression, list[Finding]] = field(default_factory=lambda: defaultdict(list))


def triage(
    findings: Iterable[Finding], commented: Iterable[Suppression], graphs: Sequence[ResourceGraph], standard: Standard
) -> Triage:
    """Sort the findings in the graphs of all clusters, of which `commented` allows some, and the policy some."""
    config, as_of = standard.config, standard.as_of
    asked = [finding for finding in findings if finding.fixed or finding.rule not in config.off]
    listed = (*commented, *config.suppressions)
    valid = [suppression for suppression in listed if _counts(suppression, as_of)]
    ledger = _Ledger()
    allowed = _allowed(asked, valid, graphs, ledger)
    own = _outcomes(listed, ledger, as_of, judged=not any(graph.unread for graph in graphs), compared=standard.compared)
    left = sorted({*(finding for finding in asked if finding not in allowed), *_told(own, config)})
    new, known = divide(left, config.baseline)
    aside = [*allowed.values(), *(Aside(finding, "baseline") for finding in known)]
    return Triage(new, tuple(sorted(aside, key=lambda one: one.finding)), resolved(config.baseline, known))


def _counts(suppression: Suppression, as_of: date) -> bool:
    return not suppression.problem and not suppression.expired(as_of)


def _allowed(
    findings: Iterable[Finding], valid: Sequence[Suppression], graphs: Sequence[ResourceGraph], ledger: _Ledger
) -> Mapping[Finding, Aside]:
    """The findings that somebody allowed; a comment beside it speaks before the policy does."""
    near: dict[tuple[str, str], list[Suppression]] = defaultdict(list)  # by rule, and by file for a comment
    for suppression in valid:
        for rule in suppression.rules:
            near[rule, suppression.file].append(suppression)
    found: dict[Finding, Aside] = {}
    for finding in findings:
        for suppression in (*near.get((finding.rule, finding.location.path), ()), *near.get((finding.rule, ""), ())):
            if any(suppression.scope.covers(finding, labels) for labels in _labels(finding, graphs)):
                ledger.used[suppression].add(finding.rule)
                if _forbidden(finding, suppression):
                    ledger.refused[suppression].append(finding)
                else:
                    found.setdefault(finding, _aside(finding, suppression))
    return found


def _forbidden(finding: Finding, suppression: Suppression) -> bool:
    """Whether this cannot be allowed so: an error of what is applied is for the policy to allow, not for whoever writes
    the manifest, or a tenant could lift a limit by a comment.
    """
    ours = finding.resource is None or finding.resource.group == OUR_GROUP
    return finding.fixed or (suppression.commented and ours and finding.severity is Severity.ERROR)


def _aside(finding: Finding, suppression: Suppression) -> Aside:
    by: By = "comment" if suppression.commented else "policy"
    return Aside(finding, by, suppression.reason, suppression.until, suppression.location)


def _labels(finding: Finding, graphs: Sequence[ResourceGraph]) -> list[Mapping[str, str]]:
    """Those of the resource, in each cluster that has it."""
    key = finding.resource
    found = [graph.get(key) for graph in graphs] if key else []
    return [manifest.resource.labels for manifest in found if manifest] or [{}]


def _outcomes(
    listed: Iterable[Suppression], ledger: _Ledger, as_of: date, *, judged: bool, compared: bool
) -> Iterator[Outcome]:
    for suppression in listed:
        unknown = tuple((rule, did_you_mean(rule, _KNOWN)) for rule in suppression.rules if rule not in _KNOWN)
        used = ledger.used.get(suppression, set())
        unused = tuple(rule for rule in suppression.rules if rule not in used and _answers(rule, compared=compared))
        usable = judged and _counts(suppression, as_of)
        refused = tuple(ledger.refused.get(suppression, ()))
        yield Outcome(suppression, as_of, unused if usable else (), unknown, refused)


def _answers(rule: str, *, compared: bool) -> bool:
    """Whether the rule was asked, so that its silence means something."""
    return rule in _KNOWN and (compared or not isinstance(_KNOWN[rule], ChangeRule | CaseRule))


def _told(outcomes: Iterable[Outcome], config: AnalyzerConfig) -> Iterator[Finding]:
    for outcome in outcomes:
        for rule in _SUPPRESSION_RULES:
            if rule.id not in config.off:
                severity = config.severities.get(rule.id, rule.severity)
                yield from (rule.finding(hit, severity) for hit in rule.check(outcome))
