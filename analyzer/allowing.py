"""Which findings somebody allowed, and what came of each suppression."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from analyzer.finding import Finding, Severity
from analyzer.graph import ResourceGraph
from analyzer.report import Aside, By
from analyzer.suppression import Lines, Selector, Suppression
from schemas.resources import OUR_GROUP


@dataclass
class Ledger:
    """The rules that each suppression was of use for, and of each rule the first finding that it cannot allow."""

    used: dict[Suppression, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[Suppression, dict[str, Finding]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, suppression: Suppression, finding: Finding, *, forbidden: bool) -> None:
        self.used[suppression].add(finding.rule)
        if forbidden:
            self.refused[suppression].setdefault(finding.rule, finding)


def allowed_by(
    findings: Sequence[Finding], valid: Iterable[Suppression], graphs: Sequence[ResourceGraph], ledger: Ledger
) -> Mapping[Finding, Aside]:
    """The findings that somebody allowed; a comment beside it speaks before the policy does."""
    comments: dict[tuple[str, str], list[tuple[Lines, Suppression]]] = defaultdict(list)  # by rule and file
    policy: dict[str, list[tuple[Selector, Suppression]]] = defaultdict(list)
    for suppression in valid:
        for rule in suppression.rules:
            if isinstance(suppression.scope, Lines):
                comments[rule, suppression.scope.path].append((suppression.scope, suppression))
            else:
                policy[rule].append((suppression.scope, suppression))
    found: dict[Finding, Aside] = {}
    for finding, aside in (*_by_comments(findings, comments, ledger), *_by_policy(findings, policy, graphs, ledger)):
        found.setdefault(finding, aside)
    return found


def _by_policy(
    findings: Iterable[Finding],
    policy: Mapping[str, Sequence[tuple[Selector, Suppression]]],
    graphs: Sequence[ResourceGraph],
    ledger: Ledger,
) -> Iterator[tuple[Finding, Aside]]:
    for finding in findings:
        listed = policy.get(finding.rule, ())
        labels = _labels(finding, graphs) if listed else []
        for scope, suppression in listed:
            if any(scope.covers(finding, each) for each in labels):
                ledger.note(suppression, finding, forbidden=finding.fixed)
                if not finding.fixed:
                    yield finding, _aside(finding, suppression, "policy")


def _by_comments(
    findings: Iterable[Finding],
    comments: Mapping[tuple[str, str], Sequence[tuple[Lines, Suppression]]],
    ledger: Ledger,
) -> Iterator[tuple[Finding, Aside]]:
    concerned: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        place = (finding.rule, finding.location.path)
        if place in comments and not finding.location.revision:
            concerned[place].append(finding)
    for place, found in concerned.items():
        yield from _swept(found, comments[place], ledger)


def _swept(
    findings: Iterable[Finding], comments: Sequence[tuple[Lines, Suppression]], ledger: Ledger
) -> Iterator[tuple[Finding, Aside]]:
    """Go down a file once: a hostile one has very many of both."""
    waiting = sorted(enumerate(comments), key=lambda entry: -entry[1][0].first)
    here: list[tuple[int, int, Suppression]] = []  # by their last lines: the first is the narrowest
    fresh: dict[bool, list[tuple[int, Suppression]]] = {False: [], True: []}  # not noted yet, by what is forbidden
    for finding in sorted(findings, key=attrgetter("location.line")):
        line, forbidden = finding.location.line, _forbidden(finding)
        while waiting and waiting[-1][1][0].first <= line:
            number, (scope, suppression) = waiting.pop()
            heapq.heappush(here, (scope.last, number, suppression))
            for left in fresh.values():
                left.append((scope.last, suppression))
        while here and here[0][0] < line:
            heapq.heappop(here)
        for last, suppression in fresh[forbidden]:
            if last >= line:
                ledger.note(suppression, finding, forbidden=forbidden)
        fresh[forbidden] = []
        if here and not forbidden:
            yield finding, _aside(finding, here[0][2], "comment")


def _forbidden(finding: Finding) -> bool:
    """Whether no comment allows it: an error of what is applied is for the policy to allow, not for whoever writes the
    manifest, or a tenant could lift a limit by a comment.
    """
    ours = finding.resource is None or finding.resource.group == OUR_GROUP
    return finding.fixed or (ours and finding.severity is Severity.ERROR)


def _aside(finding: Finding, suppression: Suppression, by: By) -> Aside:
    return Aside(finding, by, suppression.reason, suppression.until, suppression.location)


def _labels(finding: Finding, graphs: Sequence[ResourceGraph]) -> list[Mapping[str, str]]:
    """Those of the resource, in each cluster that has it."""
    key = finding.resource
    found = [graph.get(key) for graph in graphs] if key else []
    return [manifest.resource.labels for manifest in found if manifest] or [{}]
