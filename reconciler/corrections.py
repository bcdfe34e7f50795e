"""Which drifts a tick has put right, so that each is closed as soon as that is seen. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from backends.contract import Action, Change
from backends.objects import ObjectKey, ObjectKind
from reconciler.plan import Drift, DriftClass, Execution, Outcome
from schemas.resources import ResourceKey

FEW = 64  # changes that are worth reading one by one; of more, the next observation tells


_TOLD_WHOLE = frozenset({ObjectKind.LVOL, ObjectKind.QOS, ObjectKind.SUBSYSTEM})  # what can change is read back


@dataclass(frozen=True, slots=True)
class Correction:
    """A drift, and all that was done for its resource, which succeeded."""

    drift: Drift
    changes: Sequence[Change]

    def is_among(self, seen: Collection[ObjectKey]) -> bool:
        return all(change.key in seen for change in self.changes)


def corrections(drifts: Iterable[Drift], execution: Execution) -> list[Correction]:
    """What a look at single objects can confirm; nothing when there is much of it."""
    done: defaultdict[ResourceKey, dict[ObjectKey, Change]] = defaultdict(dict)
    for result in execution.results:
        done[result.step.resource][result.step.change.key] = result.step.change
    spoilt = {result.step.resource for result in execution.results if result.outcome is not Outcome.OK}
    found = [
        Correction(drift, [*done[drift.resource].values()])
        for drift in drifts
        if drift.action == "Corrected" and drift.kind is not DriftClass.TARGET_RESTART
        if drift.resource not in spoilt and drift.key in done[drift.resource]
        if drift.kind is not DriftClass.MODIFIED or _is_told(done[drift.resource][drift.key])
    ]
    return found if len(changes(found)) <= FEW else []


def _is_told(change: Change) -> bool:
    """Whether a look at the one object shows the field that was changed back: what is made anew has hidden ones."""
    return change.action is Action.UPDATE and change.key.kind in _TOLD_WHOLE


def changes(found: Iterable[Correction]) -> list[Change]:
    """All that has to be seen, each object once."""
    return [*{change.key: change for correction in found for change in correction.changes}.values()]
