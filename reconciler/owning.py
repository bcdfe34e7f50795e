"""What is ours on a target, and what of it is in doubt: what ledger, journal and vault say, as the planner asks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeVar

from backends.contract import Observed
from backends.objects import ObjectKey, ObjectKind
from reconciler.desired import DesiredState, Secret, TargetWish
from reconciler.executor import Executor
from reconciler.house import House
from reconciler.journal import Entry, Patience, is_seen, settle
from reconciler.lives import Life
from reconciler.plan import Phase, Record
from reconciler.planner.draft import BEARS_DATA
from reconciler.planner.view import Digest, Doubt, Owned
from reconciler.policy import DAY
from reconciler.secrets import SecretError
from schemas.resources import ResourceKey

T = TypeVar("T")


class Owning:
    """Of one target. Used by one thread at a time."""

    def __init__(self, target: str, house: House, executor: Executor) -> None:
        self.target, self.house, self._executor = target, house, executor
        self._patience = Patience()

    def settled(self, observed: Observed) -> tuple[Entry, ...]:
        """The requests whose end is not known, once those are put away that are over."""
        journal, flying, clock = self.house.journal, self._executor.flying, self.house.clock
        waiting = [entry for entry in journal.open(self.target) if entry.key not in flying]
        waited = self._patience.waited(waiting, clock.monotonic())
        self._patience.note_progress(waiting, observed, clock.monotonic())
        over = settle(waiting, observed, waited)
        with self.house.store.writing():
            journal.end(over, clock.now())
            self._note_destroyed([entry.key for entry in waiting if over.get(entry.ids[-1]) == "seen"], observed)
        return journal.open(self.target)

    def _note_destroyed(self, seen: Iterable[ObjectKey], observed: Observed) -> None:
        """Bytes whose destruction was never answered, and that are gone: the consent to it is spent."""
        ledger, now = self.house.ledger, self.house.clock.now()
        records = [ledger.record(self.target, key) for key in seen if key.kind in BEARS_DATA]
        for record in records:
            if record is None or record.key in observed.objects or not _could_be_seen(record, observed):
                continue
            ledger.spend_removal(record.uid, record.resource, now, record.revision)
            ledger.write(self.target, [dataclasses.replace(record, phase=Phase.DESTROYED)])

    def _doubt(self, entry: Entry, observed: Observed) -> Doubt:
        flying = entry.key in self._executor.flying
        again = entry.repeatable and not flying and self._patience.is_over(entry, self.house.clock.monotonic())
        landed = entry.twice_bears_data and not flying and is_seen(entry, observed)
        touches = entry.touches
        return Doubt(entry.action, entry.after, entry.sent, flying=flying, again=again, landed=landed, touches=touches)

    def owned(self, life: Life, desired: DesiredState, entries: Iterable[Entry], observed: Observed) -> Owned:
        ledger, now = self.house.ledger, self.house.clock.now()
        records = ledger.records(self.target)
        wish = desired.targets[self.target]
        sources = {thing.key_from for part in (wish.devices, wish.volumes) for thing in part} - {""}
        keys, lost_keys = self._keys({source: source for source in sources | ledger.key_sources(self.target)}, "cipher")
        secrets = {secret: secret.source for host in wish.hosts for secret in host.secrets}
        host_keys, lost_host_keys = self._keys(secrets)
        files = self.house.vault.files
        pinned = (volume.uid for volume in wish.volumes)
        return Owned(
            site=self.house.site,
            records=tuple(map(_lost, records)) if life.moved_from else records,
            writer=life.writer,
            recovering=life.recovering,
            marker=life.session.owner,
            alive_since=life.session.since,
            quarantined={entry.key: self._doubt(entry, observed) for entry in entries},
            not_before=self._not_before(desired),
            setbacks={key: setback.message for key, setback in ledger.setbacks(self.target).items()},
            corrections=ledger.corrections(self.target, now - desired.policy.contested_within),
            elsewhere=ledger.elsewhere(self.target),
            opened=ledger.opened(self.target, life.session.address),
            split=ledger.split(self.target),
            twin=life.twin,
            moved_from=life.moved_from,
            spent=ledger.spent(self.target, now - 30 * DAY),
            approvals=ledger.approvals(now),
            held_under=ledger.held_under(self.target),
            removals_spent=ledger.removals_spent(),
            keys=keys,
            lost_keys=lost_keys,
            host_keys=host_keys,
            lost_host_keys=lost_host_keys,
            key_folder=str(files.place(self.target)),
            unread_keys=files.obstacle(self.target, observed.user) if secrets else "",
            sealed=ledger.sealed(),
            paths_taken=ledger.paths_taken(),
            breaker=ledger.breaker(self.target),
            closed=ledger.closed(self.target),
            exported_elsewhere=ledger.exported_elsewhere(self.target, filter(None, pinned)),
            births=ledger.births(self.target),
            shown=ledger.shown(),
            schedules=ledger.schedules(self.target),
            digests=self._digests(desired.targets[self.target], observed),
            tombstones=ledger.tombstones(),
            siblings=ledger.siblings(self.target, [s.subsystem.nqn for s in desired.targets[self.target].subsystems]),
            policy=ledger.policy_in_force(),
        )

    def _not_before(self, desired: DesiredState) -> dict[ResourceKey, float]:
        """Back-off of each resource: none for one that somebody asks a run for, over when another revision came."""
        ledger, asked = self.house.ledger, self.asked_for(desired.targets[self.target])
        setbacks, failures = ledger.setbacks(self.target), ledger.failures(self.target)
        latest = {key for key, setback in setbacks.items() if setback.revision == desired.revision}
        return {key: at if key in latest else 0.0 for key, (_, at) in failures.items() if key not in asked}

    def asked_for(self, wish: TargetWish) -> dict[ResourceKey, str]:
        """Resources whose manifest asks for a run (holdfast.dev/requestedAt) that has not been made."""
        handled = self.house.ledger.handled(self.target) if wish.requests else {}
        return {key: asked for key, asked in wish.requests.items() if handled.get(key) != asked}

    def _keys(self, wanted: Mapping[T, str], form: str = "") -> tuple[dict[T, str], dict[T, str]]:
        """Fingerprints of keys, each named by where it is, and why those that cannot be had cannot."""
        found: dict[T, str] = {}
        lost: dict[T, str] = {}
        for name, source in wanted.items():
            try:
                asked = name.form if isinstance(name, Secret) else form
                found[name] = self.house.vault.fingerprint(source, asked)
            except SecretError as error:
                lost[name] = str(error)
        return found, lost

    def _digests(self, wish: TargetWish, observed: Observed) -> dict[str, Digest]:
        """Of the files of images that say theirs; another machine's cannot be read."""
        paths = sorted({image.bdev.path for image in wish.images if image.sha256 and image.bdev.path})
        if observed.user is None:
            far = Digest(why="the target is not seen to run on this machine, so its file cannot be read from here")
            return dict.fromkeys(paths, far)
        return {path: self.house.digests.of(path) for path in paths}


def _could_be_seen(record: Record, observed: Observed) -> bool:
    """Whether a store would be there if it had not been destroyed: its device is. (Of lvols, the journal knows.)"""
    device = ObjectKey(ObjectKind.BDEV, str(record.applied.get("bdev")))
    return record.key.kind is not ObjectKind.LVOL_STORE or device in observed.objects


def _lost(record: Record) -> Record:
    """What died with the process that was kept, if that is gone."""
    return record if record.key.kind in BEARS_DATA else dataclasses.replace(record, replay=True)
