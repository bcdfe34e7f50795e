from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

MEMBERS = ("spec", "raid", "members")


def check(case: Case, device: Manifest) -> Iterator[Hit]:
    users = case.graph.incoming_to(device.key)
    if any(user.path[:3] == MEMBERS for user in users):
        return  # of which raid-member-shared tells
    for second in users[1:]:
        yield _hit(case, users[0], second)


def _hit(case: Case, first: Reference, second: Reference) -> Hit:
    other = case.graph[first.source]
    note = (other.position_of(first.path), f"{other.key} uses it")
    message = f"{second.target} is used twice; it can carry one pool, be one namespace or lie under one device"
    advice = "declare another device"
    return hit(case.graph[second.source], second.path, message, advice, note)


RULE = ResourceRule("device-used-twice", Severity.ERROR, ("BlockDevice",), check, sound=False)
