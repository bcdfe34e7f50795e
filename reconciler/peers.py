"""Which hosts are connected to what, on whichever target. Asked on demand only: it pauses I/O for a moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from backends.contract import Backend, BackendError, Observed
from backends.objects import Lvol, LvolStore
from reconciler.desired import DesiredState, TargetWish
from reconciler.plan import Record
from schemas.resources import Json

Hosts = Mapping[str, frozenset[str]]  # host NQN → names of the listeners it came through


def paths_elsewhere(
    connect: Callable[[TargetWish], Backend], target: str, desired: DesiredState, nqns: Collection[str]
) -> Mapping[str, Mapping[str, Hosts | None]]:
    """Subsystem → other target that is declared to export it → who is connected there; None where nobody can tell.

    Over connections of their own, so that no tick of another target is waited for.
    """
    found: defaultdict[str, dict[str, Hosts | None]] = defaultdict(dict)
    for name, wish in sorted(desired.targets.items()):
        shared = {subsystem.subsystem.nqn for subsystem in wish.subsystems} & set(nqns)
        if name != target and shared:
            for nqn, hosts in _ask(connect, wish, shared).items():
                found[nqn][name] = hosts
    return dict(found)


def _ask(
    connect: Callable[[TargetWish], Backend], wish: TargetWish, nqns: Collection[str]
) -> Mapping[str, Hosts | None]:
    try:
        backend = connect(wish)
    except BackendError:
        return dict.fromkeys(nqns)
    try:
        return backend.paths(nqns)
    finally:
        backend.close()


# --- for people


def target_usage(
    wish: TargetWish,
    connect: Callable[[TargetWish], Backend],
    seen: Observed | None,
    records: Sequence[Record],
    nqns: Collection[str] = (),
) -> Json:
    """Who uses one target, as JSON (`analyzer.impact.usage` says how); of these subsystems, or of all."""
    wanted = [s for s in wish.subsystems if not nqns or s.subsystem.nqn in nqns]
    hosts = _ask(connect, wish, {s.subsystem.nqn for s in wanted}) if wanted else {}
    silent = bool(hosts) and all(connected is None for connected in hosts.values())
    subsystems: list[Json] = [
        {"nqn": s.subsystem.nqn, "resource": s.wish.key.to_json(), "hosts": _hosts(hosts[s.subsystem.nqn])}
        for s in wanted
    ]
    return {
        "name": wish.name,
        "error": "nobody could tell who is connected" if silent else None,
        "subsystems": subsystems,
        "volumes": [*_allocated(seen, records)] if seen else [],
    }


def _hosts(connected: Hosts | None) -> Json:
    if connected is None:
        return None
    return [
        {"nqn": host, "paths": [*sorted(name.partition("#")[2] for name in paths)]}
        for host, paths in sorted(connected.items())
    ]


def _allocated(seen: Observed, records: Sequence[Record]) -> Iterator[Json]:
    """The volumes that are known and there, with the bytes that their clusters take."""
    sizes = {thing.name: thing.cluster_size or 0 for thing in seen.objects.values() if isinstance(thing, LvolStore)}
    lvols = {thing.uuid: thing for thing in seen.objects.values() if isinstance(thing, Lvol)}
    for record in records:
        lvol = lvols.get(record.uid)
        if lvol and record.resource.kind == "Volume":
            taken = lvol.allocated_clusters * sizes.get(lvol.store, 0)
            yield {"resource": record.resource.to_json(), "uid": record.uid, "allocatedBytes": taken}
