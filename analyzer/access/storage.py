"""Which host reaches which volume: through which subsystem and id, over which ways, and within which limits. Pure.

A host has a row for each volume that it sees (`use`), and one for each way to a subsystem over which it can reach any
namespace (`connect`). Where any host may connect, everyone has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from analyzer.access.near import behind, sound
from analyzer.access.rows import EVERYONE, AccessChange, Grant, Principal, Row, Terms, compare
from analyzer.edges import Reference
from analyzer.exports import portals_of
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.volumes import limits_of
from schemas.kinds import our_kinds
from schemas.resources import JsonObject, ResourceKey

USE: Final = "use"
CONNECT: Final = "connect over"
WHERE: Final = ("through", "nsid", "NQN")  # terms that say how a volume is found; the others are limits

_HOSTS = ("spec", "hosts")
_NAMESPACES = ("spec", "namespaces")


def changes(
    base: ResourceGraph, head: ResourceGraph, changed: Iterable[ResourceKey] | None = None
) -> tuple[AccessChange, ...]:
    """The rows that differ. `changed`: the resources that do, so that nobody else has to be looked at; None: any may.

    A way that comes or goes together with all that it leads to is not told beside that.
    """
    concerned = None if changed is None else _concerned((base, head), changed)
    before, after = (_by_row(grants(graph, concerned)) for graph in (base, head))
    found = compare(before.values(), after.values())
    told = {*_through(c.before for c in found if not c.after), *_through(c.after for c in found if not c.before)}
    both = _connected(before) & _connected(after)
    return tuple(change for change in found if not _goes_without_saying(change, told, both))


def _concerned(graphs: Collection[ResourceGraph], changed: Iterable[ResourceKey]) -> frozenset[ResourceKey]:
    """The subsystems that changed resources are, or that lead to them; and those that show the same volumes as they."""
    first = {key for key in behind(graphs, changed) if key.kind_name == "Subsystem"}
    shown = {r.target for graph in graphs for key in first for r in graph.references(key) if r.path[:2] == _NAMESPACES}
    beside = {r.source for graph in graphs for volume in shown for r in graph.incoming_to(volume)}
    return frozenset(first | {key for key in beside if key.kind_name == "Subsystem"})


def _through(found: Iterable[Grant | None]) -> Iterator[tuple[Principal, str]]:
    """Who has volumes through which subsystems."""
    for grant in found:
        if grant and grant.right == USE:
            yield from ((grant.principal, name) for name in dict(grant.terms)["through"].split(", "))


def _connected(rows: Iterable[Row]) -> set[tuple[Principal, str]]:
    return {(row.principal, row.resource.path) for row in rows if row.right != USE}


def _goes_without_saying(
    change: AccessChange, told: Collection[tuple[Principal, str]], both: Collection[tuple[Principal, str]]
) -> bool:
    """Whether a way comes or goes with volumes that are told of, and with every other way to them."""
    place = (change.row.principal, change.row.resource.path)
    return change.row.right != USE and place in told and place not in both


def grants(graph: ResourceGraph, subsystems: Collection[ResourceKey] | None = None) -> Iterator[Grant]:
    """Every row of a revision, or of these subsystems; what a host has in two ways is one row."""
    found: dict[Row, Grant] = {}
    for subsystem in sound(graph, "Subsystem", subsystems):
        for grant in _offers(graph, subsystem):
            found[grant.row] = _joined(found[grant.row], grant) if grant.row in found else grant
    yield from found.values()


def _by_row(found: Iterable[Grant]) -> Mapping[Row, Grant]:
    return {grant.row: grant for grant in found}


def _joined(one: Grant, other: Grant) -> Grant:
    old, new = dict(one.terms), dict(other.terms)
    names = dict.fromkeys((*old, *new))
    terms = tuple(
        (name, ", ".join(sorted({text for text in (old.get(name), new.get(name)) if text}))) for name in names
    )
    return replace(one, terms=terms, because=(*one.because, *other.because))


# --- one subsystem


@dataclass(frozen=True, slots=True)
class _Guest:
    """Who is let in, by the references that let it."""

    principal: Principal
    nqn: str
    because: tuple[Reference, ...] = ()


def _offers(graph: ResourceGraph, subsystem: Manifest) -> Iterator[Grant]:
    shown = {r.path[2]: r for r in graph.references(subsystem.key) if r.path[:2] == _NAMESPACES and len(r.path) == 4}
    for guest in _guests(graph, subsystem):
        ways = [way for way, front in listeners(graph, subsystem) if not front or front != guest.principal.name]
        nqn = (("NQN", guest.nqn),) if guest.nqn else ()
        for way in ways:
            yield Grant(guest.principal, subsystem.key, f"{CONNECT} {way}", nqn, guest.because)
        for index, entry in enumerate(subsystem.spec["namespaces"]) if ways else ():
            reference = shown.get(index)
            if reference and _sees(guest.principal, entry):
                where = (("through", subsystem.key.path), ("nsid", str(entry["nsid"])))
                terms = (*where, *limits(graph, reference.target))
                yield Grant(guest.principal, reference.target, USE, terms, (*guest.because, reference))


def _guests(graph: ResourceGraph, subsystem: Manifest) -> Iterator[_Guest]:
    """Hosts that are named or picked by their labels; everyone, where any host may connect."""
    reasons: dict[ResourceKey, list[Reference]] = defaultdict(list)
    for reference in graph.references(subsystem.key):
        masked = reference.path[0] == "spec" and "visibleTo" in reference.path and subsystem.spec["hosts"]["any"]
        if reference.target.kind == "Host" and (reference.path[:2] == _HOSTS or masked):
            reasons[reference.target].append(reference)
    for host, because in sorted(reasons.items()):
        manifest = graph.get(host)
        if manifest and manifest.sound:
            yield _Guest(Principal("host", host.name), manifest.spec["nqn"], tuple(because))
    if subsystem.spec["hosts"]["any"]:
        yield _Guest(EVERYONE, "")


def _sees(principal: Principal, entry: Mapping[str, Any]) -> bool:
    return "visibleTo" not in entry or principal.name in entry["visibleTo"]


def listeners(graph: ResourceGraph, subsystem: Manifest, *, usable: bool = True) -> Iterator[tuple[str, str]]:
    """`TARGET/TCP:ADDRESS:PORT` of each listener over which hosts reach namespaces (or cannot, where not `usable`), and
    the host as which a front target attaches there.
    """
    for (_, _, number, *_), target, portal in portals_of(graph, subsystem):
        export = subsystem.spec["exports"][number]
        if is_usable(subsystem.spec, export) is usable:
            way = f"{portal['transport']}:{portal['address']}:{portal['port']}"
            yield f"{target.key.name}/{way}", export.get("attachAs", "")


def is_usable(spec: Mapping[str, Any], export: Mapping[str, Any]) -> bool:
    """Whether ANA lets hosts reach any namespace over an export."""
    own = {entry["group"]: entry["state"] for entry in export["anaGroups"]}
    states = [own.get(n.get("anaGroup", n["nsid"]), export["anaState"]) for n in spec["namespaces"]]
    return not spec["anaReporting"] or any(state != "inaccessible" for state in states or [export["anaState"]])


# --- limits


def limits(graph: ResourceGraph, volume: ResourceKey) -> Terms:
    """What is in force for a volume, be it from itself, from a policy or from its class."""
    manifest = graph.get(volume)
    return limit_terms(limits_of(graph, manifest)) if manifest and manifest.sound and volume.kind == "Volume" else ()


def limit_terms(spec: JsonObject) -> Terms:
    """Limits in words, in the order of the schema, as they are in force: IO/s in thousands, and 0 is no limit."""
    fields = our_kinds()["QoSPolicy"].schema["properties"]["spec"]["properties"]
    units = {name: str(schema["x-unit"]) for name, schema in fields.items() if "x-unit" in schema}
    values: dict[str, Any] = {name: spec[name] for name in units if spec.get(name)}
    values |= {name: -(-value // 1000) * 1000 for name, value in values.items() if name == "iops"}
    return tuple((name, f"{value} {units[name]}") for name, value in values.items())
