"""The lives of targets: when each began, which stores were open, what was born in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.ledger.records import OUTLIVES_THE_PROCESS, Records


@dataclass(frozen=True, slots=True)
class Session:
    """One life of a target process, as we know it: our marker on it, its pid, and since when."""

    owner: str
    pid: int | None
    since: float
    claimed: bool = False  # our marker has been seen on it
    address: str = ""  # where it was met


class Sessions(Records):
    """The life of each target process; with a new one, what dies with a process waits to be made again."""

    def session(self, target: str) -> Session | None:
        rows = self._store.rows("SELECT owner, pid, since, claimed, address FROM sessions WHERE target = ?", target)
        if not rows:
            return None
        owner, pid, since, claimed, address = rows[0]
        return Session(owner, pid, since, bool(claimed), address)

    def keeper_of(self, owner: str) -> str:
        """The target on which an owner marker of ours belongs; empty when it is not known."""
        rows = self._store.rows("SELECT target FROM sessions WHERE owner = ?", owner)
        return str(rows[0][0]) if rows else ""

    def claimed(self, target: str, address: str) -> None:
        """Our marker has been seen on the target, here."""
        self._store.write("UPDATE sessions SET claimed = 1, address = ? WHERE target = ?", [(address, target)])

    def begin_session(self, target: str, session: Session) -> None:
        """A new life of the target: all that dies with a process waits to be made again."""
        with self._store.writing() as db:
            row = (target, session.owner, session.pid, session.since, int(session.claimed), session.address)
            db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "UPDATE records SET replay = 1 WHERE target = ? AND kind NOT IN (?, ?)",
                (target, *OUTLIVES_THE_PROCESS),
            )
            db.execute("DELETE FROM meta WHERE key BETWEEN ? AND ?", _born_between(target))
            self._known.pop(target, None)

    def note_stores(self, target: str, uuids: Iterable[str], now: float) -> None:
        """The stores that a target has open now, which are all of them."""
        seen = frozenset(uuids)
        known = {row[0] for row in self._store.rows("SELECT uuid FROM stores WHERE target = ?", target)}
        if seen == known:
            return
        with self._store.writing() as db:
            db.executemany("DELETE FROM stores WHERE uuid = ? AND target = ?", [(u, target) for u in known - seen])
            db.executemany("INSERT INTO stores VALUES (?, ?, ?)", [(u, target, now) for u in sorted(seen - known)])

    def split(self, target: str) -> Mapping[str, str]:
        """Stores of a target that another one had open when it was last seen, and which."""
        rows = self._store.rows(
            "SELECT mine.uuid, other.target FROM stores mine JOIN stores other USING (uuid)"
            " WHERE mine.target = ? AND other.target != mine.target ORDER BY other.target",
            target,
        )
        return dict(rows)

    def bear(self, target: str, births: Mapping[str, str]) -> None:
        """Note that devices in memory (by uuid) are made anew: each birth is another device to hosts."""
        self._store.write(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(f"{_born(target)}{uuid}", birth) for uuid, birth in sorted(births.items())],
        )

    def births(self, target: str) -> Mapping[str, str]:
        """Uuids of the devices in memory that were made in this life of a target, each with its latest birth."""
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN ? AND ?", *_born_between(target))
        return {key.removeprefix(_born(target)): birth for key, birth in rows}


def _born(target: str) -> str:
    return f"born/{target}/"


def _born_between(target: str) -> tuple[str, str]:
    return _born(target), f"{_born(target)}\U0010ffff"
