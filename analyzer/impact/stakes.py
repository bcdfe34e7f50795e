"""What a change of the repository takes from hosts that are connected now, path by path. Pure.

A path stays when the head still exports the subsystem there, on a portal of that address, to that host, without making
it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from analyzer.access.rows import AccessChange, Grant, Row
from analyzer.access.storage import CONNECT, USE, listeners
from analyzer.exports import hosts_of
from analyzer.graph import ResourceGraph
from analyzer.impact.difference import Impact
from analyzer.impact.radius import ResourceChange
from analyzer.impact.usage import HostLoss, Live, Path, Usage
from analyzer.manifest import Manifest
from schemas.resources import ResourceKey

FELT = ("disruptive", "data-loss")
_ITEMS = ("spec.namespaces[", "spec.exports[")  # a change inside these makes that item anew, not the subsystem


def live(found: Impact, base: ResourceGraph, head: ResourceGraph, usage: Usage) -> Live:
    """What the changes that are not safe mean to connected hosts."""
    changes = [change for change in found.changes if change.hazard in FELT]
    touched = {key for change in changes for key in (change.key, *(reached.key for reached in change.dependents))}
    subsystems = sorted(key for key in touched & usage.hosts.keys() if key.kind_name == "Subsystem")
    unread = tuple(str(key) for key in subsystems if usage.hosts[key] is None)
    connected = {host for key in subsystems for host in usage.hosts[key] or ()}
    shown = {r.target for graph in (base, head) for key in subsystems for r in graph.references(key)}
    volumes = [key for key in touched | shown if key.kind_name == "Volume"]
    known = all(volume in usage.allocated for volume in volumes)
    return Live(
        time=usage.time,
        connected=None if unread or usage.unread else len(connected),
        bytes_in_use=sum(usage.allocated[volume] for volume in volumes) if known else None,
        losses=tuple(
            loss for key in subsystems for loss in _losses(key, usage.hosts[key] or {}, base, head, _anew(key, changes))
        ),
        unread=unread,
    )


def connected(changes: Iterable[AccessChange], base: ResourceGraph, usage: Usage) -> Mapping[Row, bool]:
    """Of the rows of hosts, whether the host is connected now to where it has that, or through that way. What could not
    be read is left out.
    """
    found = ((change.row, _is_connected(change, base, usage)) for change in changes if change.before)
    return {row: known for row, known in found if known is not None}


def _is_connected(change: AccessChange, base: ResourceGraph, usage: Usage) -> bool | None:
    host = base.get(ResourceKey("Host", "", change.row.principal.name))
    if change.row.principal.kind != "host" or host is None or change.before is None:
        return None
    nqn, way = str(host.spec["nqn"]), change.row.right.removeprefix(f"{CONNECT} ")
    through = [change.row.resource] if change.row.right != USE else _subsystems(change.before)
    asked = [usage.hosts.get(subsystem) for subsystem in through]
    paths = [path for hosts in asked if hosts is not None and nqn in hosts for path in map(str, hosts[nqn])]
    if (way in paths) if change.row.right != USE else any(hosts and nqn in hosts for hosts in asked):
        return True
    return None if None in asked else False


def _subsystems(grant: Grant) -> list[ResourceKey]:
    names = (name.partition("/") for name in dict(grant.terms)["through"].split(", "))
    return [ResourceKey("Subsystem", namespace, name) for namespace, _, name in names]


def _losses(
    key: ResourceKey,
    hosts: Mapping[str, tuple[Path, ...]],
    base: ResourceGraph,
    head: ResourceGraph,
    anew: frozenset[str],
) -> Iterator[HostLoss]:
    before, after = base.get(key), head.get(key)
    useless = _listeners(before, base, usable=False) if before else frozenset()
    allowed = _allowed(after, head) if after else frozenset()
    for host, paths in sorted(hosts.items()):
        listening = _listeners(after, head) if after and (allowed is None or host in allowed) else frozenset()
        kept = [path for path in paths if path in listening and not anew & {"", path.target}]
        lost = [path for path in paths if path not in kept and path not in useless]
        gone = _nsids(before, after, _seer(host, base), _seer(host, head)) if before and after else ()
        if lost or gone:
            yield HostLoss(key, host, tuple(map(str, lost)), tuple(map(str, kept)), gone)


def _anew(key: ResourceKey, changes: list[ResourceChange]) -> frozenset[str]:
    """The targets on which a subsystem is made anew; "" stands for all of them."""
    own = [change for change in changes if change.key == key and change.action == "update"]
    names = [field.name for change in own for field in change.fields if field.update == "recreate"]
    whole = {"" for name in names if not name.startswith(_ITEMS)}
    exports = {name.partition("=")[2].partition("]")[0] for name in names if name.endswith(".cntlidRange")}
    return frozenset(whole | exports)


def _listeners(subsystem: Manifest, graph: ResourceGraph, *, usable: bool = True) -> frozenset[Path]:
    """Where a revision declares that a subsystem listens: where namespaces can be reached, or where none can."""
    ways = (way.partition("/") for way, _ in listeners(graph, subsystem, usable=usable))
    return frozenset(Path(target, listener) for target, _, listener in ways)


def _allowed(subsystem: Manifest, graph: ResourceGraph) -> frozenset[str] | None:
    """NQNs of the hosts that a revision lets in; None: any."""
    if subsystem.spec["hosts"]["any"]:
        return None
    return frozenset(host.spec["nqn"] for _, host in hosts_of(graph, subsystem))


def _seer(host: str, graph: ResourceGraph) -> str:
    """The name by which a revision says what a host sees; empty where no Host has its NQN."""
    return next((found.key.name for found in graph.sound("Host") if found.spec["nqn"] == host), "")


def _nsids(before: Manifest, after: Manifest, was: str, now: str) -> tuple[int, ...]:
    """Namespaces that a host sees and that go, become another disk, or are added anew; by its name before and now."""
    old, new = _disks(before, was), _disks(after, now)
    return tuple(sorted(nsid for nsid, disk in old.items() if new.get(nsid) != disk))


def _disks(subsystem: Manifest, host: str) -> dict[int, tuple[Any, ...]]:
    """What a host sees. SPDK fixes whether everybody does when a namespace is added."""
    return {
        n["nsid"]: (n.get("volumeRef"), n.get("deviceRef"), "visibleTo" in n)
        for n in subsystem.spec["namespaces"]
        if host in n.get("visibleTo", [host])
    }
