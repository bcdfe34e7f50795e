from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import values_at
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kinds import ITEM

STATE = ("exports", ITEM, "anaState")
GROUPS = (("exports", ITEM, "anaGroups", ITEM, "group"), ("namespaces", ITEM, "anaGroup"))


def check(_: Case, subsystem: Manifest) -> Iterator[Hit]:
    yield from _unreported(subsystem) if not subsystem.spec["anaReporting"] else _beyond(subsystem)


def _unreported(subsystem: Manifest) -> Iterator[Hit]:
    for field in (STATE, *GROUPS):
        for path, _, value in values_at(subsystem.resource.spec, field, ("spec",)):
            if value != "optimized":
                message = f"{subsystem.key} does not report ANA, so hosts would never learn of this"
                yield hit(subsystem, path, message, "set spec.anaReporting: true (which makes the subsystem anew)")


def _beyond(subsystem: Manifest) -> Iterator[Hit]:
    most = subsystem.spec["maxNamespaces"]
    for field in GROUPS:
        for path, _, group in values_at(subsystem.resource.spec, field, ("spec",)):
            if group > most:
                message = f"ANA group {group} is beyond the {most} that {subsystem.key} has: one for each namespace"
                yield hit(subsystem, path, message, "take a smaller one, or raise spec.maxNamespaces")


RULE = ResourceRule("ana-not-reported", Severity.ERROR, ("Subsystem",), check)
