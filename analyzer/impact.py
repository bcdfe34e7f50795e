"""What a change of the repository does: every changed resource, its hazard, and who would notice. Pure.

A side that cannot be made out is reported as that: what is not seen there is unknown, never deleted.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from analyzer.finding import Location
from analyzer.graph import Dependent, Reference, ResourceGraph
from analyzer.hazards import HAZARDS, FieldChange, Hazard, Pair, changes, pairs, worst
from analyzer.manifest import OUR_GROUP
from analyzer.volumes import resolved
from schemas.kinds import ITEM, our_kinds
from schemas.quantity import parse_bytes
from schemas.resources import Json, ResourceKey

Action: TypeAlias = Literal["create", "update", "delete"]
Side: TypeAlias = Literal["base", "head"]

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource that differs, and everybody that leads to it."""

    action: Action
    key: ResourceKey
    location: Location  # in the head; of a deleted resource in the base
    fields: tuple[FieldChange, ...]
    dependents: tuple[Dependent, ...]

    @property
    def hazard(self) -> Hazard:
        return worst(field.hazard for field in self.fields)

    def to_json(self) -> dict[str, Json]:
        return {
            "action": self.action,
            "resource": self.key.to_json(),
            "hazard": self.hazard,
            "location": self.location.to_json(),
            "fields": [field.to_json() for field in self.fields],
            "dependents": [_dependent_json(dependent) for dependent in self.dependents],
        }


@dataclass(frozen=True, slots=True)
class Radius:
    """What the changes of one hazard reach. None: cannot be known, because any host may connect."""

    volumes: int
    bytes: int
    subsystems: int
    hosts: int | None
    tenants: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        return {
            "volumes": self.volumes,
            "bytes": self.bytes,
            "subsystems": self.subsystems,
            "hosts": UNKNOWN if self.hosts is None else self.hosts,
            "tenants": list(self.tenants),
        }


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place where one side cannot be made out."""

    side: Side
    location: Location
    because: str

    def to_json(self) -> dict[str, Json]:
        return {"side": self.side, "location": self.location.to_json(), "because": self.because}


@dataclass(frozen=True)
class Impact:
    """The difference between two revisions, worst first. With something unreadable there are no changes to show."""

    base: str
    head: str
    changes: tuple[ResourceChange, ...]
    radius: Mapping[Hazard, Radius]
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def hazard(self) -> Hazard:
        return worst(change.hazard for change in self.changes)

    def tally(self) -> dict[Hazard, int]:
        """How many resources change with each hazard, worst first."""
        found = Counter(change.hazard for change in self.changes)
        return {hazard: found[hazard] for hazard in reversed(HAZARDS)}

    def to_json(self) -> dict[str, Json]:
        return {
            "version": "holdfast.dev/impact/v1",
            "base": self.base,
            "head": self.head,
            "hazard": UNKNOWN if self.unreadable else self.hazard,
            "changes": [change.to_json() for change in self.changes],
            "radius": {hazard: radius.to_json() for hazard, radius in self.radius.items()},
            "live": {"bytesInUse": UNKNOWN, "connectedHosts": UNKNOWN},
            "unreadable": [place.to_json() for place in self.unreadable],
        }


def impact(base: ResourceGraph, head: ResourceGraph) -> Impact:
    """Compare two revisions."""
    unreadable = (*_unreadable("base", base), *_unreadable("head", head))
    if unreadable:
        return Impact(base.revision, head.revision, (), {}, unreadable)
    found = [_change(pair, base, head) for pair in pairs(base.resources, head.resources) if pair.before != pair.after]
    real = (change for change in found if change.fields)
    ordered = tuple(sorted(real, key=lambda change: (-HAZARDS.index(change.hazard), change.key)))
    radius = {hazard: _radius(ordered, hazard, base, head) for hazard in reversed(HAZARDS)}
    return Impact(base.revision, head.revision, ordered, radius)


def _unreadable(side: Side, graph: ResourceGraph) -> Iterator[Unreadable]:
    for location, because in graph.unread:
        yield Unreadable(side, location, because)
    for manifest in (*graph.manifests.values(), *graph.duplicates):
        if manifest.kind and not manifest.sound:
            yield Unreadable(side, manifest.location, manifest.because)
    for manifest in graph.duplicates:
        yield Unreadable(side, manifest.location, f"{manifest.key} is declared twice")


def _change(pair: Pair, base: ResourceGraph, head: ResourceGraph) -> ResourceChange:
    before = resolved(base, pair.before) if pair.before and not pair.after else pair.before
    fields = changes(before, pair.after)
    if pair.after is None:
        location = base.manifests[pair.key].position_of(("metadata", "name"))
        return ResourceChange(
            "delete", pair.key, replace(location, revision=base.revision), fields, _reach(pair, base, head, fields)
        )
    action: Action = "update" if pair.before else "create"
    location = head.manifests[pair.key].position_of(("metadata", "name"))
    return ResourceChange(action, pair.key, location, fields, _reach(pair, base, head, fields))


def _reach(
    pair: Pair, base: ResourceGraph, head: ResourceGraph, fields: Sequence[FieldChange]
) -> tuple[Dependent, ...]:
    """Who leads to the resource at either revision, by the way of the newer one where there are two."""
    found: dict[ResourceKey, Dependent] = {}
    for graph, resource in ((base, pair.before), (head, pair.after)):
        if resource:
            found |= {d.key: d for d in graph.dependents(resource.key, _concerned_by(fields))}
    return tuple(sorted(found.values(), key=lambda dependent: (len(dependent.path), dependent.key)))


def _concerned_by(fields: Sequence[FieldChange]) -> Callable[[Reference], bool]:
    """Which references lead to something that changes. A change of one portal concerns those who name that portal."""

    def concerned(reference: Reference) -> bool:
        lists = _lists_of_parts(reference.target.kind)
        inside = tuple(f"{name}[{reference.part}]" if reference.part else f"{name}[" for name in lists)
        return any(field.name.startswith(inside) == bool(reference.part) for field in fields)

    return concerned


@functools.cache
def _lists_of_parts(kind: str) -> tuple[str, ...]:
    """The lists of a kind whose items others refer to by name, such as a Target's `spec.portals`."""
    found = (field.reference for other in our_kinds().values() for field in other.references)
    names = (r.names for r in found if r and r.kind == kind and ITEM in r.names)
    return tuple(sorted({".".join(("spec", *path[: path.index(ITEM)])) for path in names}))


def _radius(changed: Sequence[ResourceChange], hazard: Hazard, base: ResourceGraph, head: ResourceGraph) -> Radius:
    """At most this much: everything that the changes reach, and what the subsystems among it offer to whom."""
    concerned = [change for change in changed if change.hazard == hazard]
    keys = {key for change in concerned for key in (change.key, *(d.key for d in change.dependents))}
    offered = {
        reference.target
        for graph in (base, head)
        for key in _of_kind(keys, "Subsystem")
        for reference in graph.references(key)
        if reference.target.kind in ("Volume", "Host") and reference.target in graph.manifests
    }
    keys |= offered
    volumes = _of_kind(keys, "Volume")
    return Radius(
        volumes=len(volumes),
        bytes=sum(_size(volume, base, head) for volume in volumes),
        subsystems=len(_of_kind(keys, "Subsystem")),
        hosts=None if _anybody(_of_kind(keys, "Subsystem"), base, head) else len(_of_kind(keys, "Host")),
        tenants=tuple(sorted({key.namespace for key in keys if key.namespace})),
    )


def _of_kind(keys: Iterable[ResourceKey], kind: str) -> list[ResourceKey]:
    return [key for key in keys if key.kind == kind and key.group == OUR_GROUP]


def _size(volume: ResourceKey, base: ResourceGraph, head: ResourceGraph) -> int:
    manifest = head.manifests.get(volume) or base.manifests.get(volume)
    return parse_bytes(manifest.spec["size"]) if manifest else 0


def _anybody(subsystems: Iterable[ResourceKey], base: ResourceGraph, head: ResourceGraph) -> bool:
    found = (graph.manifests.get(key) for graph in (base, head) for key in subsystems)
    return any(manifest.spec["hosts"]["any"] for manifest in found if manifest)


def _dependent_json(dependent: Dependent) -> Json:
    return {"resource": dependent.key.to_json(), "path": [_reference_json(step) for step in dependent.path]}


def _reference_json(reference: Reference) -> Json:
    source, target = reference.source.to_json(), reference.target.to_json()
    return {"from": source, "to": target, "field": list(reference.path), "part": reference.part}
