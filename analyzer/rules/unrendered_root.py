from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.roots.deployment import Root
from analyzer.rule import Case, CaseRule, Hit
from schemas.resources import OUR_GROUP

_ADVICE = "findings about this root have low confidence: what is missing here may explain them"


def check(case: Case) -> Iterator[Hit]:
    for root in case.roots:
        for problem in root.problems:
            if not problem.broken:
                severity = Severity.ERROR if problem.grave or (root.rendered and _stores(root)) else None
                yield Hit(problem.location, problem.message, help=problem.help or _ADVICE, severity=severity)


def _stores(root: Root) -> bool:
    """Whether a root declares something of ours. Then more of it may be where nobody looked."""
    return any(isinstance(found, Manifest) and found.key.group == OUR_GROUP for found in root.declarations)


RULE = CaseRule("unrendered-root", Severity.WARNING, check)
