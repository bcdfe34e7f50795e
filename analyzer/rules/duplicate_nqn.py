from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

PATH = ("spec", "nqn")


def _nqn(subsystem: Manifest) -> Iterator[str]:
    nqn = subsystem.resource.spec.get("nqn")
    if isinstance(nqn, str):
        yield nqn


NQNS = Index("subsystem-nqn", ("Subsystem",), _nqn)


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for nqn in _nqn(manifest):
        other, *_ = case.graph.sharing(NQNS, nqn)
        if other is not manifest:
            note = (other.position_of(PATH), f"{other.key} has it")
            message = f"{nqn} is also the NQN of {other.key}; hosts would take the two for one"
            yield hit(manifest, PATH, message, "give each subsystem an NQN of its own", note)


RULE = ResourceRule("duplicate-nqn", Severity.ERROR, ("Subsystem",), check)
