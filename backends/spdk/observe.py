"""Read a whole target in O(kinds + stores) calls. What is short goes out together; what grows with the target is asked
for one after another, so that I/O is never stalled twice in a row.

An answer that is byte for byte the one before (but for its id) is not parsed again; nor is an element of a long list.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from backends.contract import BackendError, Gap, Incarnation, Interest, Observed
from backends.objects import OWNER_MARKER, Bdev, LiveObject, Lvol, LvolStore, NvmePath, ObjectKey, ObjectKind, index
from backends.spdk import ana, features, keyring, methods, model, stacks
from backends.spdk.blank import is_blank
from backends.spdk.client import Call, Client, Reply
from backends.spdk.elements import Elements
from backends.spdk.errors import RpcError
from backends.spdk.hidden import Hidden, hidden, revealed
from backends.spdk.shape import Raw
from schemas.resources import Json

T = TypeVar("T")

EXPORTS = (ObjectKind.SUBSYSTEM, ObjectKind.HOST, ObjectKind.NAMESPACE, ObjectKind.LISTENER)
EXTRAS: Sequence[tuple[Call, Callable[[Json], tuple[LiveObject, ...]], ObjectKind, str]] = (
    (stacks.RAIDS, stacks.unfinished_raids, ObjectKind.BDEV, "raid"),
    (stacks.CONTROLLERS, stacks.paths, ObjectKind.NVME_PATH, ""),
    (stacks.REFERRALS, stacks.referrals, ObjectKind.REFERRAL, ""),
)
NO_STATES: Mapping[ObjectKey, str] = {}
TOGETHER = 64  # subsystems that are asked for their ANA states at once
NOTHING_HIDDEN = Hidden()
_Joined: TypeAlias = tuple[model.ListedLvol, model.LvolBdev | None, Lvol]
NO_KEYS = keyring.Ring()


@dataclass
class Observer:
    """Reads one target through one client; remembers the last answers, and what they told."""

    client: Client
    _seen: dict[str, tuple[bytes, Any]] = field(default_factory=dict)
    _version: str = ""
    _methods: frozenset[str] | None = None
    _notification: int = -1
    _last: Observed | None = None
    _times: tuple[object, int, tuple[LiveObject, ...]] | None = None  # of which paths, as of which notification
    _elements: dict[str, Elements[Any]] = field(default_factory=dict)
    _joined_lvols: dict[str, _Joined] = field(default_factory=dict)  # by uuid
    _answered: dict[str, Reply] = field(default_factory=dict)  # by method: answers that are there before they are read

    def observe(self, interest: Interest) -> Observed:
        """Raises Transient or Terminal when the target cannot be read at all."""
        gaps: list[Gap] = []
        self._answered.clear()
        once = (*(() if self._version else (methods.VERSION,)), *(() if self._methods else (stacks.METHODS,)))
        news = methods.notifications(max(self._notification, 0))
        self._ask_ahead(methods.REACTORS, *once, news, methods.TRANSPORTS, methods.LVOL_STORES)
        version = self._version or model.version(self._ask(methods.VERSION).result())
        reactors = self._ask(methods.REACTORS).result()
        pid, interrupts = model.pid(reactors), model.in_interrupt_mode(reactors)
        offered = self._offered()
        notification = self._news()  # before the lists: what happens while they are read is news afterwards
        transports = self._read(methods.TRANSPORTS, model.transports, gaps, ObjectKind.TRANSPORT) or ()
        stores = self._read(methods.LVOL_STORES, model.lvol_stores, gaps, ObjectKind.LVOL_STORE, ObjectKind.LVOL) or ()
        listed = tuple(self._listed(store, gaps) for store in stores)
        stores = self._accounted(stores, listed)
        extras = [extra for extra in EXTRAS if offered is None or extra[0].method in offered]
        self._ask_ahead(methods.BDEVS, *(call for call, *_ in extras))
        entries = self._list(methods.BDEVS, model.bdev, gaps, ObjectKind.BDEV, ObjectKind.LVOL)
        known = self._joined("bdevs", entries, lambda: model.collected(entries))
        others = [self._read(call, parse, gaps, kind, within=within) or () for call, parse, kind, within in extras]
        others = [self._timed(group, offered, notification) for group in others]
        lvols = self._joined("lvols", (listed, known), lambda: self._lvols(itertools.chain(*listed), known))
        grouped = self._list(methods.SUBSYSTEMS, model.subsystem, gaps, *EXPORTS)
        named = self._joined("exports", grouped, lambda: tuple(itertools.chain(*grouped)))
        concealed, ring = self._hidden(offered, gaps), self._ring(offered, gaps)
        shown = self._joined("hidden", (named, concealed), lambda: revealed(named, concealed))
        held = self._joined("hosts", (shown, ring), lambda: keyring.holding(shown, ring.removed))
        states = self._ana(interest.ana, concealed)
        told = self._joined("ana", (held, states), lambda: ana.with_ana(held, _merged(states)))
        subsystems = self._joined("subsystems", (told, known), lambda: model.by_uuid(told, known.uuids))
        self._version, self._notification = version, notification
        things: tuple[tuple[LiveObject, ...], ...] = (
            transports,
            known.devices,
            stores,
            lvols,
            ring.keys,
            subsystems,
            *others,
        )
        objects = self._joined("objects", things, lambda: index(thing for group in things for thing in group))
        return self._settle(
            Observed(
                incarnation=Incarnation(pid, _owner(objects)),
                objects=objects,
                gaps=tuple(gaps),
                blank={name: self.blank(objects, name, pid) for name in sorted(interest.blank)},
                connections=self.paths(sorted(interest.connections)),
                version=version,
                user=self.client.peer_user,
                last_notification=notification,
                unsupported=features.unsupported(offered, version, interrupts=interrupts),
            )
        )

    def _ask_ahead(self, *calls: Call) -> None:
        """Ask in one go, in this order, what is soon to be read: each would take as long as all of them."""
        self._answered |= {reply.call.method: reply for reply in self.client.call_many(calls)}

    def _ask(self, call: Call) -> Reply:
        """The answer that came already, once; else the call is made."""
        return self._answered.pop(call.method, None) or self.client.call(call)

    def _offered(self) -> frozenset[str] | None:
        """The methods that the target has; None when it does not tell. They do not change while it lives."""
        if self._methods is None:
            reply = self._ask(stacks.METHODS)
            if reply.error:
                raise reply.error
            try:
                self._methods = stacks.methods(reply.result())
            except (RpcError, BackendError):  # refused, or not of the shape that SPDK documents
                return None
        return self._methods

    def _timed(
        self, group: tuple[LiveObject, ...], offered: frozenset[str] | None, notification: int
    ) -> tuple[LiveObject, ...]:
        """NVMe paths with the times that they were attached with; anything else as it is.

        What shows them is read when a path or a device came or went since it was read last: nothing else changes them.
        """
        paths = tuple(path for path in group if isinstance(path, NvmePath))
        if not paths or (offered is not None and methods.BDEV_CONFIG.method not in offered):
            return group
        known = self._times
        if known is None or known[0] is not group or known[1] != notification:
            try:
                known = (group, notification, stacks.timed(paths, self.client.call(methods.BDEV_CONFIG).result()))
            except (RpcError, BackendError):
                return group  # the times are not known, which is no difference
            self._times = known
        return known[2]

    def _hidden(self, offered: frozenset[str] | None, gaps: list[Gap]) -> Hidden:
        """What the list of subsystems leaves out; nothing, and a gap, where the target does not tell."""
        call = methods.NVMF_CONFIG
        if offered is not None and call.method not in offered:
            gaps.append(Gap(ObjectKind.VISIBILITY, "", f"this target does not offer {call.method}"))
            return NOTHING_HIDDEN
        return self._read(call, hidden, gaps, ObjectKind.VISIBILITY) or NOTHING_HIDDEN

    def _ring(self, offered: frozenset[str] | None, gaps: list[Gap]) -> keyring.Ring:
        """The keys in the ring; none, and a gap, where the target does not tell: hosts may hold some all the same."""
        if offered is not None and keyring.KEYS.method not in offered:
            gaps.append(Gap(ObjectKind.KEY, "", f"this target does not offer {keyring.KEYS.method}"))
            return NO_KEYS
        return self._read(keyring.KEYS, keyring.ring, gaps, ObjectKind.KEY) or NO_KEYS

    def _ana(self, wanted: frozenset[str], known: Hidden) -> tuple[Mapping[ObjectKey, str], ...]:
        """ANA states, of the subsystems that report them. What is refused stays unknown."""
        nqns = [nqn for nqn in sorted(wanted) if known.ana_reporting.get(nqn)]
        found: list[Mapping[ObjectKey, str]] = []
        for some in (nqns[at : at + TOGETHER] for at in range(0, len(nqns), TOGETHER)):
            replies = self.client.call_many(methods.listeners(nqn) for nqn in some)
            for nqn, reply in zip(some, replies, strict=True):
                states = self._parsed(f"ana:{nqn}", reply, functools.partial(ana.ana, nqn), [])
                found.append(states or NO_STATES)
        return tuple(found)

    def connections(self, nqn: str) -> Mapping[str, frozenset[str]] | None:
        """Hosts connected to a subsystem; None when it cannot be told."""
        return self.paths([nqn])[nqn]

    def paths(self, nqns: Sequence[str]) -> dict[str, Mapping[str, frozenset[str]] | None]:
        """Hosts connected to each of these subsystems, all asked in one go; None where that cannot be told."""
        asked = [(nqn, call) for nqn in nqns for call in (methods.controllers(nqn), methods.qpairs(nqn))]
        try:
            replies = self.client.call_many([call for _, call in asked])
        except BackendError:
            return dict.fromkeys(nqns)
        return {nqn: _connected(nqn, *replies[2 * n : 2 * n + 2]) for n, nqn in enumerate(nqns)}

    def blank(self, objects: Mapping[ObjectKey, LiveObject], name: str, pid: int | None) -> bool | None:
        """Whether a device is blank; None unless the target provably runs on this machine.

        One that is stacked on others is blank when all of those are, behind what a raid has put in front of them.
        """
        return self._blank(objects, name, 0) if pid is not None and self.client.peer_pid == pid else None

    def _blank(self, objects: Mapping[ObjectKey, LiveObject], name: str, skip: int) -> bool | None:
        match objects.get(ObjectKey(ObjectKind.BDEV, name)):
            case Bdev(path=str(path), size=size):
                return is_blank(f"/proc/{self.client.peer_pid}/root{path}", size or 0, skip)  # as the target sees it
            case Bdev(bases=tuple(bases), data_offsets=offsets):
                places = zip(bases, offsets or (0,) * len(bases), strict=True)
                found = {self._blank(objects, base, skip + offset) for base, offset in places}
                return None if None in found else found == {True}
        return None

    def news(self, since: int) -> tuple[int, bool]:
        """(newest notification id, whether there was any beyond `since` or the ids began again)."""
        return _news(self.client.call(methods.notifications(max(since, 0))), since)

    def _news(self) -> int:
        try:
            return _news(self._ask(methods.notifications(max(self._notification, 0))), self._notification)[0]
        except RpcError:
            return -1

    def _listed(self, store: LvolStore, gaps: list[Gap]) -> tuple[model.ListedLvol, ...]:
        call = methods.lvols(store.uuid or "")
        return self._list(call, model.listed_lvol, gaps, ObjectKind.LVOL, within=store.name)

    def _accounted(
        self, stores: tuple[LvolStore, ...], listed: tuple[tuple[model.ListedLvol, ...], ...]
    ) -> tuple[LvolStore, ...]:
        """Each store with what its volumes have beyond what it gave out. Volumes that are written to take clusters
        between two reads, so where it seems to be so the stores are read once more, after the volumes.
        """
        more = self._joined("more", (stores, listed), lambda: _surplus(stores, listed))
        if not more:
            return stores
        reply = self.client.call(methods.LVOL_STORES)
        again = () if reply.error else model.lvol_stores(reply.result())
        given = {store.uuid: store.total_clusters - store.free_clusters for store in again}
        return tuple(
            replace(store, shared_clusters=max(0, more[store.uuid] - given[store.uuid]))
            if store.uuid in more and store.uuid in given
            else store
            for store in stores
        )

    def _lvols(self, listed: Iterable[model.ListedLvol], known: model.Bdevs) -> tuple[Lvol, ...]:
        """The lvols; the very same object for one of which both answers tell what they told before."""
        joined: list[_Joined] = []
        for lvol in listed:
            bdev, before = known.lvols.get(lvol.uuid), self._joined_lvols.get(lvol.uuid)
            same = before is not None and before[0] is lvol and before[1] is bdev
            joined.append(before if before and same else (lvol, bdev, model.lvol(lvol, bdev)))
        self._joined_lvols = {each[0].uuid: each for each in joined}
        return tuple(whole for _, _, whole in joined)

    def _list(
        self, call: Call, read: Callable[[Raw], T], gaps: list[Gap], *kinds: ObjectKind, within: str = ""
    ) -> tuple[T, ...]:
        """The elements of a long list; none, and gaps, when it cannot be read. Raises as `_read` does."""
        elements = self._elements.setdefault(f"{call.method}:{within}", Elements(read))
        return self._taken(self._ask(call), elements.of, gaps, kinds, within) or ()

    def _read(
        self, call: Call, parse: Callable[[Json], T], gaps: list[Gap], *kinds: ObjectKind, within: str = ""
    ) -> T | None:
        """The parsed answer; None, and gaps, when it cannot be read.

        Raises Transient or Terminal when there is no answer at all: the others would be waited for just as long.
        """
        return self._parsed(f"{call.method}:{within}", self._ask(call), parse, gaps, kinds, within)

    def _parsed(  # noqa: PLR0913, PLR0917  # what an answer is read with
        self,
        name: str,
        reply: Reply,
        parse: Callable[[Json], T],
        gaps: list[Gap],
        kinds: Iterable[ObjectKind] = (),
        within: str = "",
    ) -> T | None:
        """An answer parsed; the very same value as before when it is byte for byte the same."""
        if reply.error:
            raise reply.error
        last = self._seen.get(name)
        if last and reply.repeats(last[0]):
            return last[1]  # type: ignore[no-any-return]  # the same parser made it
        parsed = self._taken(reply, lambda reply: parse(reply.result()), gaps, kinds, within)
        if parsed is not None:
            self._seen[name] = (bytes(reply.body), parsed)
        return parsed

    def _taken(
        self, reply: Reply, take: Callable[[Reply], T], gaps: list[Gap], kinds: Iterable[ObjectKind], within: str
    ) -> T | None:
        """What `take` makes of an answer; None, and a gap for each kind it would tell of, when that cannot be read."""
        if reply.error:
            raise reply.error
        try:
            return take(reply)
        except (RpcError, BackendError) as error:  # refused, cut off, or not of the shape that SPDK documents
            gaps += (Gap(kind, within, str(error)) for kind in kinds)
            return None

    def _joined(self, name: str, inputs: object, build: Callable[[], T]) -> T:
        """What `build` makes of the inputs; the very same value as before when the inputs are the very same."""
        last = self._seen.get(f"={name}")
        if last and _same(last[1][0], inputs):
            return last[1][1]  # type: ignore[no-any-return]
        built = build()
        self._seen[f"={name}"] = (b"", (inputs, built))
        return built

    def _settle(self, seen: Observed) -> Observed:
        """The observation before, when nothing at all is different: callers may compare by identity."""
        last = self._last
        same = last is not None and last.objects is seen.objects and last == seen
        self._last = last if same else seen
        return self._last or seen


def _news(reply: Reply, since: int) -> tuple[int, bool]:
    newest = model.newest_notification(reply.result())
    if newest is None:  # nothing at `since`: a new process, or nothing ever
        return -1, since >= 0
    return newest, newest != since


def _merged(states: Iterable[Mapping[ObjectKey, str]]) -> dict[ObjectKey, str]:
    return {key: text for found in states for key, text in found.items()}


def _same(left: object, right: object) -> bool:
    """Whether two inputs consist of identical parts (compared by identity, not by content)."""
    if left is right or not (isinstance(left, tuple) and isinstance(right, tuple)):
        return left is right
    return len(left) == len(right) and all(map(_same, left, right))


def _connected(nqn: str, controllers: Reply, qpairs: Reply) -> Mapping[str, frozenset[str]] | None:
    try:
        return model.connections(nqn, controllers.result(), qpairs.result())
    except (RpcError, BackendError):
        return None


def _owner(objects: Mapping[ObjectKey, LiveObject]) -> str | None:
    marker = objects.get(ObjectKey(ObjectKind.BDEV, OWNER_MARKER))
    return marker.uuid if isinstance(marker, Bdev) else None


def _surplus(stores: Iterable[LvolStore], listed: Iterable[Iterable[model.ListedLvol]]) -> Mapping[str | None, int]:
    """Clusters of all volumes of a store, by its uuid, where that is more than it says it gave out."""
    taken = {
        store.uuid: sum(lvol.allocated_clusters for lvol in inside)
        for store, inside in zip(stores, listed, strict=True)
    }
    return {s.uuid: taken[s.uuid] for s in stores if taken[s.uuid] > s.total_clusters - s.free_clusters}
