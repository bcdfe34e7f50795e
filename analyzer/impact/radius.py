"""Whom a change touches: who leads to what changes, and what the subsystems among them offer to whom. Pure.

The radius of a hazard is what its fields touch, and no more. A field or a reference inside an item of a list touches
that item alone: the limit of one volume touches one namespace of a subsystem, all of its hosts, and no other volume.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from analyzer.access.api import HUB, apis_of
from analyzer.edges import Reference
from analyzer.finding import Location
from analyzer.graph import ResourceGraph
from analyzer.hazards import Action, FieldChange, Hazard, Pair, worst
from schemas.kinds import ITEM, our_kinds
from schemas.quantity import parse_bytes
from schemas.resources import OUR_GROUP, UNKNOWN, Json, ResourceKey

COPIED_FROM = ("spec", "source")  # where a volume says what it begins as
APPLICATION = f"{HUB}/ManagedApplication"
ANYBODY = ResourceKey("Host", "", "*")  # any host may connect


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody who would notice, and the references that lead from them to what changes."""

    key: ResourceKey
    path: tuple[Reference, ...]
    names: tuple[str, ...]  # the fields of those references in words

    def to_json(self) -> dict[str, Json]:
        steps = zip(self.path, self.names, strict=True)
        return {"resource": self.key.to_json(), "path": [{**step.to_json(), "name": name} for step, name in steps]}


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource that differs, and everybody that it reaches."""

    action: Action
    key: ResourceKey
    location: Location  # in the head; of a deleted resource in the base
    fields: tuple[FieldChange, ...]
    dependents: tuple[Reached, ...]
    destroys: ResourceKey | None = None  # whose bytes it destroys
    former: ResourceKey | None = None  # what it was called before
    perhaps: ResourceKey | None = None  # what goes, or comes, and says the same: it may have been renamed

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
            "dependents": [dependent.to_json() for dependent in self.dependents],
            "destroys": self.destroys.to_json() if self.destroys else None,
            "formerly": self.former.to_json() if self.former else None,
            "perhapsRenamed": self.perhaps.to_json() if self.perhaps else None,
        }


@dataclass(frozen=True, slots=True)
class Radius:
    """What the changes of one hazard touch. None: cannot be known. Hosts: any may connect. Bytes: of a volume that
    neither revision declares.
    """

    volumes: int
    bytes: int | None
    subsystems: int
    hosts: int | None
    tenants: tuple[str, ...]
    pools: int = 0
    devices: int = 0
    apis: int = 0
    subscriptions: int = 0
    applications: int = 0

    def to_json(self) -> dict[str, Json]:
        return {
            "devices": self.devices,
            "pools": self.pools,
            "volumes": self.volumes,
            "bytes": UNKNOWN if self.bytes is None else self.bytes,
            "subsystems": self.subsystems,
            "hosts": UNKNOWN if self.hosts is None else self.hosts,
            "apis": self.apis,
            "subscriptions": self.subscriptions,
            "applications": self.applications,
            "tenants": list(self.tenants),
        }


def reach(pair: Pair, base: ResourceGraph, head: ResourceGraph, fields: Sequence[FieldChange]) -> tuple[Reached, ...]:
    """Who leads to the resource at either revision, by the way of the newer one where there are two."""
    felt = [field for field in fields if not field.alone and field.hazard != "refused"]
    found: dict[ResourceKey, Reached] = {}
    for graph, resource in ((base, pair.before), (head, pair.after)):
        if resource and felt:
            dependents = graph.dependents(resource.key, concerned_by(felt))
            found |= {d.key: Reached(d.key, d.path, tuple(way_in_words(graph, r) for r in d.path)) for d in dependents}
    return tuple(sorted(found.values(), key=lambda reached: (len(reached.path), reached.key)))


def concerned_by(fields: Sequence[FieldChange]) -> Callable[[Reference], bool]:
    """Which references lead to something that changes. A change of one portal concerns those who name that portal; the
    limit of a volume concerns nobody who has a copy of it.
    """

    def concerned(reference: Reference) -> bool:
        parts = _parts(reference.target.kind)
        inside = tuple(f"{part}{reference.part}]" for part in parts) if reference.part else parts
        felt = (f for f in fields if not f.concerns or reference.source in f.concerns)
        if reference.outlives or reference.path[:2] == COPIED_FROM:  # a copy feels nothing of a part of its origin
            felt = (f for f in felt if not f.path)
        return any(field.name.startswith(inside) == bool(reference.part) for field in felt)

    return concerned


@functools.cache
def _parts(kind: str) -> tuple[str, ...]:
    """How names of a kind's items begin that others refer to, such as a Target's `spec.portals[name=`."""
    found = (field.reference for other in our_kinds().values() for field in other.references)
    names = (path for r in found if r and r.kind == kind for path in r.names if ITEM in path)
    return tuple(sorted({f"spec.{'.'.join(path[: (at := path.index(ITEM))])}[{path[at + 1]}=" for path in names}))


def way_in_words(graph: ResourceGraph, reference: Reference) -> str:
    """The field of a reference in words; one that a selector makes is where the labels are that it picks by."""
    if reference.path[0] != "spec":
        return ".".join(map(str, reference.path))
    source = graph[reference.source]
    assert source.kind is not None  # noqa: S101  # only kinds of ours have references
    return source.kind.name_of(reference.path, source.resource.spec)


def radius_of(changed: Sequence[ResourceChange], hazard: Hazard, base: ResourceGraph, head: ResourceGraph) -> Radius:
    concerned = [change for change in changed if change.hazard == hazard]
    keys = {key for change in concerned for key in _touched(change, hazard, base, head)}
    volumes = _of_kind(keys, "Volume")
    return Radius(
        volumes=len(volumes),
        bytes=_bytes(volumes, base, head),
        subsystems=len(_of_kind(keys, "Subsystem")),
        hosts=None if ANYBODY in keys else len(_of_kind(keys, "Host")),
        tenants=tuple(sorted({key.namespace for key in keys if key.namespace})),
        pools=len(_of_kind(keys, "StoragePool")),
        devices=len(_of_kind(keys, "BlockDevice")),
        apis=len(_of_kind(keys, "API", HUB)),
        subscriptions=len(_of_kind(keys, "ManagedSubscription", HUB)),
        applications=len(_of_kind(keys, "ManagedApplication", HUB)),
    )


def _touched(change: ResourceChange, hazard: Hazard, base: ResourceGraph, head: ResourceGraph) -> Iterator[ResourceKey]:
    """The resource (or what it destroys), who leads to it, and what the subsystems among them offer to whom there."""
    yield change.destroys or change.key
    for field in change.fields:
        if field.hazard == hazard and not field.alone:
            yield from _offered(change.key, field.name, base, head)
    for reached in change.dependents:
        yield reached.key
        yield from _offered(reached.key, reached.names[0], base, head)


def _offered(key: ResourceKey, place: str, base: ResourceGraph, head: ResourceGraph) -> Iterator[ResourceKey]:
    """Volumes and hosts of a subsystem that something at this place of its manifest touches."""
    if key.group == HUB:
        yield from _apis_and_applications(key, base, head)
    if key.kind_name != "Subsystem":
        return
    for graph in (base, head):
        subsystem = graph.get(key)
        if subsystem and subsystem.spec["hosts"]["any"]:
            yield ANYBODY
        for reference in graph.references(key):
            declared = reference.target.kind in ("Volume", "Host") and graph.get(reference.target)
            if declared and not _beside(place, way_in_words(graph, reference)):
                yield reference.target


def _apis_and_applications(key: ResourceKey, *graphs: ResourceGraph) -> Iterator[ResourceKey]:
    """The APIs that a subscription, an offer or a limit is about, also through bundles, and the applications."""
    for graph in graphs:
        yield from apis_of(graph, key)
        named = (reference.target for reference in graph.references(key))
        yield from (target for target in named if target.kind_name == APPLICATION and graph.get(target))


def _beside(place: str, other: str) -> bool:
    """Whether two places are in two items of one list."""
    pairs_of_steps = zip(_STEP.findall(place), _STEP.findall(other), strict=False)
    differing = next(((one, two) for one, two in pairs_of_steps if one != two), ("", ""))
    return all(step.startswith("[") for step in differing)


_STEP = re.compile(r"\[[^]]*\]|[^.[]+")


def _of_kind(keys: Iterable[ResourceKey], kind: str, group: str = OUR_GROUP) -> list[ResourceKey]:
    return [key for key in keys if key.kind == kind and key.group == group]


def _bytes(volumes: Iterable[ResourceKey], base: ResourceGraph, head: ResourceGraph) -> int | None:
    """What they declare; None when one of them is declared in neither revision, so that its size is not known."""
    declared = [head.get(volume) or base.get(volume) for volume in volumes]
    sizes = [parse_bytes(manifest.spec["size"]) for manifest in declared if manifest]
    return sum(sizes) if len(sizes) == len(declared) else None
