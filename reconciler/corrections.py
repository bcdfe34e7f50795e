"""Which drifts a tick has put right, so that each is closed as soon as that is seen. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from backends.contract import Change, ObjectKey
from reconciler.plan import Drift, DriftClass, Execution, Outcome
from schemas.resources import ResourceKey

FEW = 64  # changes that are worth reading one by one; of more, the next observation tells


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
    ]
    return found if len(changes(found)) <= FEW else []


def changes(found: Iterable[Correction]) -> list[Change]:
    """All that has to be seen, each object once."""
    return [*{change.key: change for correction in found for change in correction.changes}.values()]
