"""What was done to connected hosts: paths taken from them, subsystems closed to them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from reconciler.ledger.book import Book
from reconciler.planner.view import PathTaken
from schemas.resources import canonical


class Hosts(Book):
    """What connected hosts have lost, by subsystem."""

    def take_path(self, nqn: str, taken: PathTaken, seen: float) -> bool:
        """Note that a path of a subsystem goes, unless another went since the plan was made (`seen`: the last then).

        One at a time for the whole site: whoever comes second waits until the hosts are back.
        """
        with self._store.writing():
            known = self._paths_taken(self.get(f"paths/{nqn}"))
            if known is not None and known.at != seen:
                return False
            self.set(f"paths/{nqn}", canonical({"target": taken.target, "at": taken.at, "hosts": dict(taken.hosts)}))
            return True

    def paths_taken(self) -> Mapping[str, PathTaken]:
        """The last path that was taken of each subsystem, by NQN."""
        rows = self._store.rows("SELECT key, value FROM meta WHERE key BETWEEN 'paths/' AND 'paths0' ORDER BY key")
        found = ((key.removeprefix("paths/"), self._paths_taken(value)) for key, value in rows)
        return {nqn: taken for nqn, taken in found if taken}

    @staticmethod
    def _paths_taken(text: str) -> PathTaken | None:
        return PathTaken(**json.loads(text)) if text else None

    def closed(self, target: str) -> frozenset[str]:
        """NQNs on which sessions may be left from when any host could connect."""
        stored = self.get(f"closed/{target}")
        return frozenset(json.loads(stored)) if stored else frozenset()

    def set_closed(self, target: str, nqns: Iterable[str]) -> None:
        wanted = frozenset(nqns)
        if wanted != self.closed(target):
            self.set(f"closed/{target}", canonical(sorted(wanted)))
