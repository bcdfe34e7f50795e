from __future__ import annotations

from collections.abc import Iterator

from analyzer.authority.history import Act
from analyzer.authority.rights import KIND, may, subjects
from analyzer.finding import Location, Severity
from analyzer.rule import Case, CaseRule, Hit, hit
from schemas.resources import ResourceKey


def check(case: Case) -> Iterator[Hit]:
    policies = case.graph.sound(KIND)
    if policies and not case.graph.unread:
        act = Act("update", ResourceKey(KIND, "", policies[0].key.name), Location("", 1, 1))
        if not any(may(subject.signer, act, policies) for subject in subjects(policies)):
            message = f"nobody may update a {KIND}, so no commit can ever change who may do what"
            advice = f"allow somebody kinds: [{KIND}], or kinds: ['*'], in every namespace"
            yield hit(policies[0], ("spec", "allow"), message, advice)


RULE = CaseRule("access-lockout", Severity.ERROR, check)
