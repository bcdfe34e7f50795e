from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule


def check(case: Case) -> Iterator[Hit]:
    for target in case.vanished():
        if target.key.kind == "Target" and (left := _left(case, target)):
            names = ", ".join(str(subsystem.key) for subsystem in left)
            message = (
                f"{target.key} is no longer declared, so nothing on it changes any more: it goes on serving {names}"
            )
            notes = tuple((case.was(subsystem, ("metadata", "name")), "served from it") for subsystem in left)
            advice = "withdraw these first, and take the Target out once that has converged"
            yield Hit(case.was(target, ("metadata", "name")), message, target.key, related=notes, help=advice)


def _left(case: Case, target: Manifest) -> list[Manifest]:
    """What the base exports on a target and nobody exports there now: it is to be withdrawn, and nobody would."""
    assert case.base is not None  # noqa: S101  # something vanished from it
    exported = [s for s in case.base.sound("Subsystem") if _is_exported(s, target)]
    now = {s.key for s in case.graph.sound("Subsystem") if _is_exported(s, target)}  # these dangle, which is said
    return [subsystem for subsystem in exported if subsystem.key not in now]


def _is_exported(subsystem: Manifest, target: Manifest) -> bool:
    return any(export["targetRef"] == target.key.name for export in subsystem.spec["exports"])


RULE = Rule("abandoned-exports", Severity.WARNING, check)
