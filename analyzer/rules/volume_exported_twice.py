from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    exports = [r for r in case.graph.incoming_to(volume.key) if r.source.kind == "Subsystem"]
    for second in exports[1:]:
        yield _hit(case, exports[0], second)


def _hit(case: Case, first: Reference, second: Reference) -> Hit:
    other = case.graph[first.source]
    note = (other.position_of(first.path), f"{other.key} has it")
    alike = first.source == second.source
    where = "twice in this subsystem" if alike else f"in {other.key} as well"
    message = f"{second.target} is exported {where}; SPDK puts a volume into one namespace"
    advice = "take out one of the two namespaces" if alike else "let both groups of hosts use one subsystem"
    return hit(case.graph[second.source], second.path, message, advice, note)


RULE = ResourceRule("volume-exported-twice", Severity.ERROR, ("Volume",), check, sound=False)
