"""Words for changes and their costs that every report has in common, whatever it is written in."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.hazards import FieldChange
from analyzer.impact.budget import Budget, Cost
from analyzer.impact.radius import Radius
from schemas.quantity import counted, told_bytes
from schemas.resources import UNKNOWN

_UPDATES = {"refuse": "refused", "restart": "waits for a restart", "recreate": "made anew"}


def remark(field: FieldChange) -> str:
    """What becomes of a change of a field, and why; empty where there is nothing to say."""
    return ": ".join(filter(None, (_UPDATES.get(field.update, ""), field.reason)))


def shares(cost: Cost, budget: Budget) -> Iterator[str]:
    """`1 of 2 subsystems disturbed`, for all that costs something."""
    for keys, limit, noun, fate in cost.counted(budget):
        if keys:
            yield f"{len(keys)} of {limit} {noun}s {fate}"


def size_of(radius: Radius) -> str:
    return f"size {UNKNOWN}" if radius.bytes is None else told_bytes(radius.bytes)


def apis(radius: Radius) -> list[str]:
    """APIs and who uses them, where there are any."""
    counts = ((radius.apis, "API"), (radius.subscriptions, "subscription"), (radius.applications, "application"))
    return [counted(count, noun) for count, noun in counts if count]
