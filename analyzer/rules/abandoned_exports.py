from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if before and before.key.kind_name == "Target" and case.is_gone(before, after) and (left := _left(case, before)):
        names = ", ".join(str(subsystem.key) for subsystem in left)
        message = f"{before.key} is no longer declared, so nothing on it changes any more: it goes on serving {names}"
        notes = tuple((case.was(subsystem, ("metadata", "name")), "served from it") for subsystem in left)
        advice = "withdraw these first, and take the Target out once that has converged"
        yield Hit(case.was(before, ("metadata", "name")), message, before.key, related=notes, help=advice)


def _left(case: Case, target: Manifest) -> list[Manifest]:
    """What the base exports on a target and nobody exports there now: it is to be withdrawn, and nobody would."""
    assert case.base is not None  # noqa: S101  # something vanished from it
    now = {subsystem.key for subsystem in _exported(case.graph, target)}  # these dangle, which is said
    return [subsystem for subsystem in _exported(case.base, target) if subsystem.key not in now]


def _exported(graph: ResourceGraph, target: Manifest) -> Iterator[Manifest]:
    """Sound subsystems that are exported on a target, in order of their keys."""
    named = (r.source for r in graph.incoming_to(target.key) if r.path[:2] == ("spec", "exports") and not r.part)
    subsystems = (graph[key] for key in dict.fromkeys(named))
    return (subsystem for subsystem in subsystems if subsystem.sound)


RULE = ChangeRule("abandoned-exports", Severity.WARNING, check)
