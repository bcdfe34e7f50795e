"""Impact over several clusters: each is compared with what it was, and what differs in all of them is told once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from analyzer.graph import ResourceGraph, link
from analyzer.hazards import HAZARDS, Hazard
from analyzer.impact.difference import Impact, Unreadable
from analyzer.impact.radius import Radius, ResourceChange
from analyzer.report import Report


def pairs_of(base: Report, head: Report) -> tuple[tuple[ResourceGraph, ResourceGraph], ...]:
    """Every cluster at both revisions, the one that Holdfast applies first; one that is only there at one is empty."""
    names = [name for name in dict.fromkeys((*base.graphs, *head.graphs)) if not _is_main(name, base, head)]
    others = ((base.graphs.get(name), head.graphs.get(name)) for name in names)
    nothing = (link((), revision=base.revision), link((), revision=head.revision))
    return ((base.graph, head.graph), *((before or nothing[0], after or nothing[1]) for before, after in others))


def _is_main(name: str, base: Report, head: Report) -> bool:
    return base.graphs.get(name) is base.graph or head.graphs.get(name) is head.graph


def together(impacts: Sequence[Impact], gaps: Iterable[Unreadable]) -> Impact:
    """The impacts of all clusters as one.

    `gaps` leave open only what seems to be deleted: perhaps it comes from there now.
    """
    first, *others = impacts
    changes: dict[object, ResourceChange] = {}
    for impact in impacts:
        for change in impact.changes:
            changes.setdefault((change.action, change.key, repr(change.fields)), change)
    unreadable = tuple(dict.fromkeys(place for impact in impacts for place in impact.unreadable))
    if any(change.action == "delete" for change in changes.values()):
        unreadable += tuple(gaps)
    if unreadable:
        return Impact(first.base, first.head, (), {}, unreadable)
    if not others:
        return first
    ordered = sorted(changes.values(), key=lambda change: (-HAZARDS.index(change.hazard), change.key))
    return Impact(first.base, first.head, tuple(ordered), _sum([impact.radius for impact in impacts]))


def _sum(radii: Sequence[Mapping[Hazard, Radius]]) -> Mapping[Hazard, Radius]:
    """Clusters share nothing, so what changes touch in each adds up."""
    hazards = dict.fromkeys(hazard for radius in radii for hazard in radius)
    return {hazard: functools.reduce(_add, [r[hazard] for r in radii if hazard in r]) for hazard in hazards}


def _add(one: Radius, other: Radius) -> Radius:
    return Radius(
        volumes=one.volumes + other.volumes,
        bytes=_known(one.bytes, other.bytes),
        subsystems=one.subsystems + other.subsystems,
        hosts=_known(one.hosts, other.hosts),
        tenants=tuple(sorted({*one.tenants, *other.tenants})),
        pools=one.pools + other.pools,
        devices=one.devices + other.devices,
        apis=one.apis + other.apis,
        subscriptions=one.subscriptions + other.subscriptions,
        applications=one.applications + other.applications,
    )


def _known(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
