from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit


def check(case: Case) -> Iterator[Hit]:
    for subsystem in case.graph.sound("Subsystem"):
        if subsystem.spec["hosts"]["any"]:
            message = f"any host that reaches its portals may read and write every namespace of {subsystem.key}"
            yield hit(subsystem, ("spec", "hosts", "any"), message, "list the hosts in spec.hosts.refs")


RULE = Rule("open-subsystem", Severity.INFO, check)
