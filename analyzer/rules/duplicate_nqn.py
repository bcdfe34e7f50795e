from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit

PATH = ("spec", "nqn")


def check(case: Case) -> Iterator[Hit]:
    first: dict[str, Manifest] = {}
    for manifest in case.graph.sound("Subsystem"):
        nqn = manifest.resource.spec.get("nqn")
        if isinstance(nqn, str) and (other := first.setdefault(nqn, manifest)) is not manifest:
            note = (other.position_of(PATH), f"{other.key} has it")
            message = f"{nqn} is also the NQN of {other.key}; hosts would take the two for one"
            yield hit(manifest, PATH, message, "give each subsystem an NQN of its own", note)


RULE = Rule("duplicate-nqn", Severity.ERROR, check)
