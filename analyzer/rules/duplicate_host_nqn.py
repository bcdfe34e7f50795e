from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

PATH = ("spec", "nqn")


NQNS = Index("host-nqn", ("Host",), lambda host: [str(host.resource.spec["nqn"])])


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    other, *_ = case.graph.sharing(NQNS, str(manifest.resource.spec["nqn"]))
    if other is not manifest:
        note = (other.position_of(PATH), f"{other.key} has it")
        message = f"the same NQN as {other.key}: one host under two names"
        yield hit(manifest, PATH, message, "keep one Host and refer to that", note)


RULE = ResourceRule("duplicate-host-nqn", Severity.ERROR, ("Host",), check)
