from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit

PATH = ("spec", "nqn")


def check(case: Case) -> Iterator[Hit]:
    first: dict[str, Manifest] = {}
    for manifest in case.graph.sound("Host"):
        other = first.setdefault(str(manifest.resource.spec["nqn"]), manifest)
        if other is not manifest:
            note = (other.position_of(PATH), f"{other.key} has it")
            message = f"the same NQN as {other.key}: one host under two names"
            yield hit(manifest, PATH, message, "keep one Host and refer to that", note)


RULE = Rule("duplicate-host-nqn", Severity.ERROR, check)
