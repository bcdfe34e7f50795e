from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analyzer.authority.history import APPROVAL, POLICY
from analyzer.authority.rights import ANY
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import our_kinds
from schemas.validation import did_you_mean, quoted

SPECIAL = (APPROVAL, POLICY)


def check(_case: Case, policy: Manifest) -> Iterator[Hit]:
    for number, right in enumerate(policy.spec["allow"]):
        for place, kind in enumerate(right["kinds"]):
            if kind != ANY and "/" not in kind and (why := _why_nothing(kind, right)):
                message, advice = why
                yield hit(policy, ("spec", "allow", number, "kinds", place), f"this grants nothing: {message}", advice)


def _why_nothing(kind: str, right: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why a right is none, and what to do."""
    known = our_kinds().get(kind)
    if known is None and kind not in SPECIAL:
        near = did_you_mean(kind, [*our_kinds(), *SPECIAL])
        return (
            f"there is no kind {quoted(kind)} in this group{near}",
            "write core/Secret or GROUP/KIND for one of others",
        )
    if ANY not in right["namespaces"] and (known is None or known.scope == "Cluster"):
        return f"{kind} has no namespace, and the right is for some only", "grant it in an entry without `namespaces`"
    if kind == APPROVAL and "create" not in right["changes"]:
        return "an approval is created, and never changes", "let it have changes: [create]"
    return None


RULE = ResourceRule("ineffective-right", Severity.WARNING, ("AccessPolicy",), check)
