from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

_MEMBERS = ("spec", "raid", "members")


def check(case: Case, device: Manifest) -> Iterator[Hit]:
    users = case.graph.incoming_to(device.key)
    member = next((user for user in users if user.path[:3] == _MEMBERS), None)
    for other in users if member else ():
        if member and other is not member:
            yield _hit(case, member, other)


def _hit(case: Case, member: Reference, other: Reference) -> Hit:
    array = case.graph[member.source]
    note = (array.position_of(member.path), f"{array.key} uses it")
    message = f"{member.target} is a member of {array.key}, which writes over all of it; nothing else can use it"
    return hit(case.graph[other.source], other.path, message, "declare another device", note)


RULE = ResourceRule("raid-member-shared", Severity.ERROR, ("BlockDevice",), check, sound=False)
