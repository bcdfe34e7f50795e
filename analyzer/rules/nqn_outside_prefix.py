from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    nqn = subsystem.resource.spec.get("nqn")
    if isinstance(nqn, str):
        for reference in case.graph.references(subsystem.key):
            target = case.graph.get(reference.target)
            if target and target.key.kind == "Target" and not reference.part and target.sound:
                yield from _judge(subsystem, nqn, target)


def _judge(subsystem: Manifest, nqn: str, target: Manifest) -> Iterator[Hit]:
    namespace = subsystem.key.namespace
    prefixes = target.spec.get("allowedNQNPrefixes", {}).get(namespace)
    if prefixes is not None and not nqn.startswith(tuple(prefixes)):
        path = ("spec", "allowedNQNPrefixes", namespace)
        note = (target.position_of(path), f"what {target.key} allows")
        message = f"on {target.key} an NQN of namespace {namespace} begins with {' or '.join(prefixes) or 'nothing'}"
        advice = "choose an NQN under one of these prefixes, or leave nqn out"
        yield hit(subsystem, ("spec", "nqn"), message, advice, note)


RULE = ResourceRule("nqn-outside-prefix", Severity.ERROR, ("Subsystem",), check)
