from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(_: Case, subsystem: Manifest) -> Iterator[Hit]:
    if subsystem.spec["hosts"]["any"]:
        message = f"any host that reaches its portals may read and write every namespace of {subsystem.key}"
        yield hit(subsystem, ("spec", "hosts", "any"), message, "list the hosts in spec.hosts.refs")


RULE = ResourceRule("open-subsystem", Severity.INFO, ("Subsystem",), check)
