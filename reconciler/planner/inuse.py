"""Who is connected, and what a disruptive step would take from them: the interlock.

A host loses its last path or a namespace only when a person approves. Where it keeps another way to the same bytes,
one path of a subsystem goes at a time, on all targets together, and the next only once the hosts are back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.contract import Guard
from backends.objects import AllowedHost, Listener, LiveObject, Namespace, ObjectKey, ObjectKind, Subsystem, VisibleHost
from reconciler.plan import AtStake, Hazard
from reconciler.planner.draft import Proposal
from reconciler.planner.hold import Hold
from reconciler.planner.reach import at_risk, kept, short, ways_elsewhere, ways_here, wish_at
from reconciler.planner.view import View
from reconciler.policy import DAY
from schemas.resources import Json

TOLD = 3  # hosts that a message names; the others are counted
GONE_AFTER = 600.0  # seconds after which a host that lost a path and has none now counts as gone, not as on its way
REMEMBERED = DAY  # seconds for which a path that was taken is waited for


def interlocked(view: View, proposals: Iterable[Proposal]) -> list[tuple[Proposal, Hold]]:
    """Steps that must not be taken from connected hosts now, each with why."""
    going: set[str] = set()  # subsystems that lose one of several paths in this plan
    disruptive = (proposal for proposal in proposals if proposal.hazard is Hazard.DISRUPTIVE)
    return [(proposal, hold) for proposal in disruptive if (hold := _interlock(view, proposal, going))]


def _interlock(view: View, proposal: Proposal, going: set[str]) -> Hold | None:
    nqn = proposal.subject
    hosts = at_stake(view, proposal.change.before, proposal.settled)
    if hosts is None:
        unread = f"the hosts connected to {nqn} cannot be read, so they count as connected"
        return Hold("HostsConnected", unread, approvable=True)
    if not hosts:
        return None
    last, away = any(not host.keeps for host in hosts), _not_back(view, nqn)
    if away and not (last and _is_long_ago(view, nqn)):
        message = f"a path was taken from {_named(away)}, who had more than now; {told(hosts)}"
        return Hold("HostsNotBack", message, approvable=True, waiting=True, hosts=hosts)
    if last:
        return Hold("HostsConnected", told(hosts), approvable=True, hosts=hosts)
    if nqn in going:
        return Hold("OnePathAtATime", "another path of this subsystem goes first", waiting=True, hosts=hosts)
    going.add(nqn)
    return None


def told(hosts: Sequence[AtStake]) -> str:
    """Connected hosts and what they lose, in words, the worst first."""
    ordered = sorted(hosts, key=lambda host: (bool(host.keeps), host.host))
    words = [f"{host.host} loses {host.in_words}" for host in ordered[:TOLD]]
    more = [f"and {len(ordered) - TOLD} more hosts"] if len(ordered) > TOLD else []
    return f"connected: {'; '.join([*words, *more])}"


def _named(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - TOLD} more" if len(hosts) > TOLD else ""
    return ", ".join(hosts[:TOLD]) + more


def at_stake(view: View, before: LiveObject | None, coming: Collection[ObjectKey] = ()) -> tuple[AtStake, ...] | None:
    """Connected hosts that lose something when an object goes, and what they keep; None where that cannot be read.

    `coming`: listeners that are given their declared ANA states before.
    """
    nqn = before.nqn if isinstance(before, (Subsystem, AllowedHost, Namespace, VisibleHost, Listener)) else ""
    hosts = view.observed.connections.get(nqn)
    if hosts is None or before is None:
        return None
    found = [_stake(view, before, host, listeners, coming) for host, listeners in sorted(hosts.items())]
    return tuple(dataclasses.replace(stake, paths=_room(view, nqn, stake.host).now) for stake in found if stake)


def _stake(
    view: View, before: LiveObject, host: str, through: frozenset[str], coming: Collection[ObjectKey]
) -> AtStake | None:
    nqn = str(getattr(before, "nqn", ""))
    paths = {short(name) for name in through}
    lost = at_risk(view, nqn, before, paths)
    elsewhere = ways_elsewhere(view, nqn, host, before)
    match before:
        case AllowedHost() | VisibleHost() if before.host != host:
            return None
        case Namespace(masked=True) if VisibleHost(nqn, before.nsid, host).key not in view.live:
            return None
        case Listener():
            gone = {short(before.key.name)}
            if paths and not gone & paths:
                return None
            return AtStake(
                host, tuple(sorted(gone)), kept(lost, {**ways_here(view, nqn, paths - gone, coming), **elsewhere})
            )
        case Namespace() | VisibleHost():
            return AtStake(host, (f"nsid {before.nsid}",), kept(lost, elsewhere))
    return AtStake(host, tuple(sorted(paths)) or ("its session",), kept(lost, elsewhere))


# --- one path at a time


@dataclass(frozen=True, slots=True)
class _Room:
    """How many paths a host could have."""

    now: int
    possible: int


def _not_back(view: View, nqn: str) -> list[str]:
    """Hosts that a path was taken from before, and that are not back on as many as they had, or could have now."""
    taken = view.owned.paths_taken.get(nqn)
    if taken is None or view.now - taken.at > REMEMBERED:
        return []
    away: list[str] = []
    for host, count in taken.hosts.items():
        room = _room(view, nqn, host)
        if room.now < min(count, room.possible) and not (room.now == 0 and _is_long_ago(view, nqn)):
            away.append(host)
    return sorted(away)


def _is_long_ago(view: View, nqn: str) -> bool:
    taken = view.owned.paths_taken.get(nqn)
    return taken is None or view.now - taken.at > GONE_AFTER


def _room(view: View, nqn: str, host: str) -> _Room:
    own = view.observed.connections.get(nqn) or {}
    listeners = sum(isinstance(thing, Listener) for thing in view.inside.get(nqn, ()))
    now, possible = len(own.get(host, ())), listeners
    for target, hosts in view.peers.get(nqn, {}).items():
        wish = wish_at(view, target, nqn)
        now += len((hosts or {}).get(host, ()))
        possible += len(wish.listeners) if wish else 0
    return _Room(now, possible)


# --- what goes ahead


def certain(view: View, proposal: Proposal) -> Proposal:
    """A disruptive step with who was seen connected and through what: were it to change, the step is dropped."""
    if proposal.hazard is not Hazard.DISRUPTIVE:
        return proposal
    stakes = at_stake(view, proposal.change.before, proposal.settled) or ()
    hosts = view.observed.connections.get(proposal.subject)
    if hosts is None or (proposal.change.action, proposal.change.key) in view.allowed:
        return dataclasses.replace(proposal, hosts=stakes)  # a person let it through whoever is there
    seen = _Seen(proposal.subject, hosts)
    taken = view.owned.paths_taken.get(proposal.subject)
    guard = seen.paths if isinstance(proposal.change.before, Listener) else seen.connected
    since = taken.at if taken else 0.0
    return dataclasses.replace(proposal, guards=(*proposal.guards, guard), hosts=stakes, path_seen=since)


@dataclass(frozen=True, slots=True)
class _Seen:
    nqn: str
    hosts: Mapping[str, frozenset[str]]

    @property
    def connected(self) -> Guard:
        return Guard(ObjectKey(ObjectKind.SUBSYSTEM, self.nqn), {"connected": [*sorted(self.hosts)]})

    @property
    def paths(self) -> Guard:
        """Also through what: that a host keeps another path is why this one may go."""
        paths: dict[str, Json] = {host: [*sorted(listeners)] for host, listeners in self.hosts.items()}
        return Guard(ObjectKey(ObjectKind.SUBSYSTEM, self.nqn), {"paths": paths})
