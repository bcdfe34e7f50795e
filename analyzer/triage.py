"""Which findings count. What a person allowed, or what was there before, is set aside: told, and no longer in the way.

The same for the command and the daemon, because it is part of the analysis. What nothing could be applied with is never
set aside, whoever allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from analyzer.allowing import Ledger, allowed_by
from analyzer.baseline import Known, divide, resolved
from analyzer.config import AnalyzerConfig
from analyzer.finding import Finding
from analyzer.graph import ResourceGraph
from analyzer.report import Aside
from analyzer.rule import CaseRule, ChangeRule, SuppressionRule
from analyzer.rules import RULES
from analyzer.suppression import Outcome, Suppression
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


def triage(
    findings: Iterable[Finding], commented: Iterable[Suppression], graphs: Sequence[ResourceGraph], standard: Standard
) -> Triage:
    """Sort the findings in the graphs of all clusters, of which `commented` allows some, and the policy some."""
    config, as_of = standard.config, standard.as_of
    asked = [finding for finding in findings if finding.fixed or finding.rule not in config.off]
    listed = (*commented, *config.suppressions)
    valid = [suppression for suppression in listed if _counts(suppression, as_of)]
    ledger = Ledger()
    allowed = allowed_by(asked, valid, graphs, ledger)
    own = _outcomes(listed, ledger, as_of, judged=not any(graph.unread for graph in graphs), compared=standard.compared)
    left = sorted({*(finding for finding in asked if finding not in allowed), *_told(own, config)})
    new, known = divide(left, config.baseline)
    aside = [*allowed.values(), *(Aside(finding, "baseline") for finding in known)]
    return Triage(new, tuple(sorted(aside, key=lambda one: one.finding)), resolved(config.baseline, known))


def _counts(suppression: Suppression, as_of: date) -> bool:
    return not suppression.problem and not suppression.expired(as_of)


def _outcomes(
    listed: Iterable[Suppression], ledger: Ledger, as_of: date, *, judged: bool, compared: bool
) -> Iterator[Outcome]:
    for suppression in listed:
        unknown = tuple((rule, did_you_mean(rule, _KNOWN)) for rule in suppression.rules if rule not in _KNOWN)
        used = ledger.used.get(suppression, set())
        unused = tuple(rule for rule in suppression.rules if rule not in used and _answers(rule, compared=compared))
        usable = judged and _counts(suppression, as_of)
        refused = tuple(ledger.refused.get(suppression, {}).values())
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
