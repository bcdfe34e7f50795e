"""Which life of a target's process is met, and whether it is the one that we kept: only then may we write to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from backends.contract import Observed
from backends.objects import ObjectKind
from reconciler import identity
from reconciler.address import address_of, place_of
from reconciler.clock import Clock
from reconciler.desired import TargetWish
from reconciler.history import Event
from reconciler.journal import Journal
from reconciler.ledger import Ledger
from reconciler.ledger.sessions import Session
from reconciler.plan import Phase
from reconciler.planner.view import Writer


@dataclass(frozen=True, slots=True)
class Life:
    """The life of a target process that was met, and what we may do to it."""

    session: Session
    writer: Writer
    recovering: bool
    twin: str = ""  # the other target whose process this is
    moved_from: str = ""  # where the process that we kept was met, when that one may still be alive
    news: Event | None = None

    @property
    def is_certain(self) -> bool:
        """Whether it is the process that the ledger tells of."""
        return not (self.twin or self.moved_from)


@dataclass
class Lives:
    """The lives of one target."""

    target: str
    site: str
    ledger: Ledger
    journal: Journal
    clock: Clock
    deserted: Callable[[TargetWish, str], bool]  # whether the process at an address is certainly gone
    _heard: int = -1  # id of the newest notification

    def meet(self, wish: TargetWish, declared: Collection[str], observed: Observed) -> Life:
        """Whose life this is; a new one of our own is written down."""
        known, marker = self.ledger.session(self.target), observed.incarnation.owner
        pid, address = observed.incarnation.pid, address_of(wish.connection)
        met = Session(marker or "", pid, self.clock.now(), bool(marker), address)
        recovering = self.ledger.get(f"recovering/{self.target}") == "true"
        keeper = self.ledger.keeper_of(met.owner) if marker else ""
        if keeper != self.target and keeper in declared:
            return Life(met, Writer.OURS, recovering, twin=keeper)
        heard, self._heard = self._heard, observed.last_notification
        if known and _is_same(known, met):
            return self._same_marker(known, met, recovering=recovering, counts_anew=0 <= self._heard < heard)
        if known and not _is_same_place(known, met) and not self.deserted(wish, known.address):
            return self._doubtful(known, met, recovering=recovering)
        if marker is None:
            return self._new_life(known, met, observed, recovering=recovering)
        if identity.is_owner_of(self.site, marker):  # an incarnation that this ledger does not remember
            self.ledger.begin_session(self.target, met)
            self.ledger.set(f"recovering/{self.target}", "true")
            return Life(met, Writer.OURS, recovering=True)
        return Life(met, Writer.FOREIGN, recovering)

    def _same_marker(self, known: Session, met: Session, *, recovering: bool, counts_anew: bool) -> Life:
        """The life that we know; or the next one, to which a saved configuration gave its marker."""
        if _came_back(known, met, counts_anew=counts_anew):
            self.ledger.begin_session(self.target, met)
            self.journal.bury(self.target, met.since)
            return Life(met, Writer.OURS, recovering, news=_restarted(met, "with a saved configuration"))
        if (known.claimed, known.address) != (True, met.address):
            self.ledger.claimed(self.target, met.address)
        return Life(known, Writer.OURS, recovering)

    def take_over(self, wish: TargetWish, observed: Observed, marker: str) -> Event:
        """A person says that the process which was kept before is gone: keep this one in its place."""
        now, address = self.clock.now(), address_of(wish.connection)
        seen = observed.incarnation.owner == marker
        self.ledger.begin_session(self.target, Session(marker, observed.incarnation.pid, now, seen, address))
        self.journal.bury(self.target, now)
        return Event("ConnectionChanged", f"now kept at {place_of(address)}, as approved", warning=True)

    def note_absence(self, wish: TargetWish) -> None:
        """The target does not answer. What it had open counts as open until its process is certainly gone."""
        known, address = self.ledger.session(self.target), address_of(wish.connection)
        if known and place_of(known.address) == place_of(address) and self.deserted(wish, address):
            self.ledger.note_stores(self.target, (), self.clock.now())

    def _doubtful(self, known: Session, met: Session, *, recovering: bool) -> Life:
        """Another process than the one we kept, which may be alive. The marker to claim with is always the same."""
        moved_from = place_of(known.address)
        if met.owner and not identity.is_owner_of(self.site, met.owner):
            return Life(met, Writer.FOREIGN, recovering, moved_from=moved_from)
        chance = hashlib.sha256(f"{known.owner} {met.address} {met.pid}".encode()).digest()
        session = replace(met, owner=met.owner or identity.owner_uuid(self.site, chance), since=known.since)
        return Life(session, Writer.OURS if met.owner else Writer.UNCLAIMED, recovering, moved_from=moved_from)

    def _new_life(self, known: Session | None, met: Session, observed: Observed, *, recovering: bool) -> Life:
        """No marker: a new process (or the first contact). What was asked of the former one died with it."""
        if known and not known.claimed and known.pid == met.pid and _is_same_place(known, met):
            return Life(known, Writer.UNCLAIMED, recovering)
        session = replace(met, owner=identity.owner_uuid(self.site, self.clock.mint()))
        self.ledger.begin_session(self.target, session)
        if known is None:
            return Life(session, Writer.UNCLAIMED, recovering)
        if self._died(known, met, observed):
            self.journal.bury(self.target, session.since)
        return Life(session, Writer.UNCLAIMED, recovering, news=_restarted(met))

    def _died(self, known: Session, met: Session, observed: Observed) -> bool:
        """Whether the former process is certainly gone: another pid, or a transport is missing (none is ever removed).

        In a container every process has the same pid; and somebody may have deleted the marker of one that lives on.
        """
        if not _is_same_place(known, met):  # the former place is deserted
            return True
        if None not in (known.pid, met.pid) and known.pid != met.pid:
            return True
        made = (r.key for r in self.ledger.records(self.target) if r.phase is Phase.CREATED)
        return any(key.kind is ObjectKind.TRANSPORT and key not in observed.objects for key in made)


def _came_back(known: Session, met: Session, *, counts_anew: bool) -> bool:
    """Whether it is another process at the same place, which a saved configuration gave our marker.

    It has another pid; in a container it has the same, but its notifications are counted anew.
    """
    if not _is_same_place(known, met) or not known.claimed:
        return False
    return counts_anew or (None not in (known.pid, met.pid) and known.pid != met.pid)


def _restarted(met: Session, how: str = "") -> Event:
    process = " ".join(filter(None, (f"a new process (pid {met.pid})", how)))
    return Event("TargetRestarted", f"{process}; everything but lvol stores is made again", warning=True)


def _is_same_place(known: Session, met: Session) -> bool:
    return place_of(known.address) == place_of(met.address)


def _is_same(known: Session, met: Session) -> bool:
    """Whether the marker says so. At another place the pid must say so, too: a saved configuration copies markers."""
    pids_differ = None not in (known.pid, met.pid) and known.pid != met.pid
    return known.owner == met.owner and (_is_same_place(known, met) or not pids_differ)
