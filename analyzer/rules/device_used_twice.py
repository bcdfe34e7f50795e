from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import Reference
from analyzer.rule import Case, Hit, Rule, hit


def check(case: Case) -> Iterator[Hit]:
    for device in case.graph.of_kind("BlockDevice"):
        users = case.graph.incoming.get(device.key, ())
        for second in users[1:]:
            yield _hit(case, users[0], second)


def _hit(case: Case, first: Reference, second: Reference) -> Hit:
    other = case.graph.manifests[first.source]
    note = (other.position_of(first.path), f"{other.key} uses it")
    message = f"{second.target} is used twice; it can carry one pool, be one namespace or lie under one device"
    advice = "declare another device"
    return hit(case.graph.manifests[second.source], second.path, message, advice, note)


RULE = Rule("device-used-twice", Severity.ERROR, check)
