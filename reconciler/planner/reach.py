"""What a host's paths are worth: one over which some bytes cannot be reached does not stand in for one over which
they can. Where ANA makes a namespace inaccessible the host is connected, and its I/O waits (NVM Express Base
Specification 2.0, 8.1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from backends.ana_states import ana_states
from backends.objects import Listener, LiveObject, Namespace, ObjectKey, VisibleHost
from reconciler.desired import SubsystemWish
from reconciler.planner.view import View

Ways = Mapping[str, frozenset[int]]  # path, as it is told → ANA groups that are reached over it
_USABLE = frozenset({"optimized", "non_optimized"})


def short(listener: str) -> str:
    """`TCP:127.0.0.2:4420` of a listener's name."""
    return listener.partition("#")[2]


def kept(lost: frozenset[int], ways: Ways) -> tuple[str, ...]:
    """The paths that a host goes on with when others go: none where something is reached over none of them."""
    if not lost:
        return tuple(sorted(ways))
    if not lost <= frozenset().union(*ways.values()):
        return ()
    return tuple(sorted(name for name, groups in ways.items() if groups & lost))


def at_risk(view: View, nqn: str, before: LiveObject, paths: Collection[str]) -> frozenset[int]:
    """ANA groups that a host may lose with an object: of the namespace, or those reached over its paths here."""
    if isinstance(before, (Namespace, VisibleHost)):
        return frozenset({_group(view, nqn, before.nsid)})
    if isinstance(before, Listener):
        return _reached(before.ana, _groups(view, nqn))
    listeners = (thing for thing in view.inside.get(nqn, ()) if isinstance(thing, Listener))
    found = [_reached(at.ana, _groups(view, nqn)) for at in listeners if short(at.key.name) in paths]
    return frozenset().union(*found) if found else _groups(view, nqn)


def ways_here(view: View, nqn: str, paths: Collection[str], coming: Collection[ObjectKey] = ()) -> Ways:
    """Paths through this target. Listeners that are set to their states first count with those: `coming`."""
    wish, groups = view.subsystem_wishes.get(nqn), _groups(view, nqn)
    wanted = {listener.key: listener for listener in wish.listeners} if wish else {}
    live = {thing.key: thing for thing in view.inside.get(nqn, ()) if isinstance(thing, Listener)}
    found = live | {key: wanted[key] for key in coming if key in wanted}
    held, known = view.subsystem(nqn), {key: at for key, at in found.items() if short(key.name) in paths}
    unread = held is not None and held.ana_reporting  # where a listener has no states then
    return {
        short(key.name): frozenset() if at.ana is None and unread else _reached(at.ana, groups)
        for key, at in known.items()
    }


def ways_elsewhere(view: View, nqn: str, host: str, before: LiveObject) -> Ways:
    """The host's paths through other targets that are declared to stay, and lead to the same."""
    groups = _groups(view, nqn)
    return {
        f"{target}/{short(listener.key.name)}": _reached(listener.ana, groups)
        for target, hosts, wish in _others(view, nqn)
        if hosts is not None and _serves(wish, host, before) and not _leads_back(view, wish, before)
        for listener in wish.listeners
        if listener.key.name in hosts.get(host, ())
    }


def wish_at(view: View, target: str, nqn: str) -> SubsystemWish | None:
    """What is declared of a subsystem on another target; nothing where that leaves it as it is, or is let go."""
    other = view.desired.targets.get(target)
    return next((wish for wish in other.subsystems if wish.subsystem.nqn == nqn), None) if other else None


def _others(view: View, nqn: str) -> Iterator[tuple[str, Mapping[str, frozenset[str]] | None, SubsystemWish]]:
    for target, hosts in view.peers.get(nqn, {}).items():
        if wish := wish_at(view, target, nqn):
            yield target, hosts, wish


def _leads_back(view: View, wish: SubsystemWish, before: LiveObject) -> bool:
    """Whether another target only passes on what is lost here: a front has its bytes over a session of its own.

    It goes on when one of several portals of its owner closes, as long as it is connected.
    """
    front, nqn = wish.front, wish.subsystem.nqn
    if front is None or front.owner != view.target.name:
        return False
    connected = view.observed.connections.get(nqn) or {}
    return not isinstance(before, Listener) or not any(path.host in connected for path in front.paths)


def _serves(wish: SubsystemWish, host: str, before: LiveObject) -> bool:
    """Whether a host may stay there, and still finds the namespace that it loses here."""
    allowed = wish.subsystem.allow_any_host or host in wish.hosts
    if not (allowed and isinstance(before, (Namespace, VisibleHost))):
        return allowed
    shown = (n for n in wish.namespaces if n.nsid == before.nsid)
    return any(n.visible_to is None or host in n.visible_to for n in shown)


def _groups(view: View, nqn: str) -> frozenset[int]:
    """The ANA groups of what a subsystem shows."""
    return frozenset(_of(thing) for thing in view.inside.get(nqn, ()) if isinstance(thing, Namespace))


def _group(view: View, nqn: str, nsid: int) -> int:
    shown = (thing for thing in view.inside.get(nqn, ()) if isinstance(thing, Namespace))
    return next((_of(thing) for thing in shown if thing.nsid == nsid), nsid)


def _of(namespace: Namespace) -> int:
    """SPDK puts a namespace into the group of its own number where nobody says otherwise."""
    return namespace.anagrpid or namespace.nsid


def _reached(ana: str | None, groups: frozenset[int]) -> frozenset[int]:
    """Of some ANA groups, those that a listener gives access to; all of them where ANA is not reported."""
    if ana is None:
        return groups
    states = ana_states(ana, max(groups, default=0))
    return frozenset(group for group in groups if group <= len(states) and states[group - 1] in _USABLE)
