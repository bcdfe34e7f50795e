"""Which revisions were accepted, and which have converged."""

from __future__ import annotations

import json

from reconciler.ledger.book import Book
from reconciler.policy import BUILT_IN, Policy, policy_of
from schemas.resources import canonical


class Revisions(Book):
    """Accepted revisions, each with its policy."""

    def accept(self, revision: str, subject: str, policy: Policy, now: float) -> None:
        self._store.write(
            "INSERT OR IGNORE INTO revisions VALUES (?, ?, NULL, ?, ?)",
            [(revision, now, canonical(policy.to_json()), subject)],
        )
        self.set("accepted", revision)

    def accepted(self) -> str:
        """The last revision that passed the gate; empty before the first."""
        return self.get("accepted")

    def subject(self, revision: str) -> str:
        """The first line of an accepted revision's message."""
        rows = self._store.rows("SELECT subject FROM revisions WHERE revision = ?", revision)
        return str(rows[0][0]) if rows else ""

    def converge(self, revision: str, now: float) -> bool:
        """Note that a revision has fully converged; whether that is news."""
        with self._store.writing() as db:
            changed = db.execute(
                "UPDATE revisions SET converged = ? WHERE revision = ? AND converged IS NULL", (now, revision)
            ).rowcount
        if changed:
            self.set("converged", revision)
        return bool(changed)

    def converged(self) -> tuple[str, float | None]:
        """The newest revision that fully converged, and when; ("", None) before the first."""
        rows = self._store.rows(
            "SELECT revision, converged FROM revisions WHERE converged IS NOT NULL ORDER BY converged DESC LIMIT 1"
        )
        return (rows[0][0], rows[0][1]) if rows else ("", None)

    def policy_in_force(self) -> Policy:
        """That of the newest fully converged revision: no commit lifts its own limit."""
        rows = self._store.rows(
            "SELECT policy FROM revisions WHERE converged IS NOT NULL ORDER BY converged DESC LIMIT 1"
        )
        return policy_of(json.loads(rows[0][0])) if rows else BUILT_IN
