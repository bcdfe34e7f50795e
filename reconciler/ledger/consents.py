"""Safety that was granted and spent: budgets, approvals, removals."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.ledger.book import Book
from reconciler.planner.view import Spending
from schemas.resources import ResourceKey


class Consents(Book):
    """What of budgets, approvals and removals has been used."""

    def spend(self, target: str, revision: str, spendings: Sequence[Spending]) -> None:
        self._store.write(
            "INSERT INTO spending (target, at, hazard, subject, cause, revision) VALUES (?, ?, ?, ?, ?, ?)",
            [(target, s.at, s.hazard, s.subject, s.cause, revision) for s in spendings],
        )

    def spent(self, target: str, since: float) -> tuple[Spending, ...]:
        rows = self._store.rows(
            "SELECT at, hazard, subject, cause FROM spending WHERE target = ? AND at > ? ORDER BY id", target, since
        )
        return tuple(Spending(*row) for row in rows)

    def approve(self, name: str, by: str, now: float, expires: float) -> None:
        """Grant an approval, anew when an earlier one was spent or has expired."""
        self._store.write("INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, NULL)", [(name, now, expires, by)])

    def approver(self, name: str) -> str | None:
        """Who granted an approval last, whether or not it still holds."""
        rows = self._store.rows("SELECT by FROM approvals WHERE id = ?", name)
        return rows[0][0] if rows else None

    def approvals(self, now: float) -> frozenset[str]:
        return frozenset(
            row[0] for row in self._store.rows("SELECT id FROM approvals WHERE spent IS NULL AND expires > ?", now)
        )

    def spend_approval(self, name: str, now: float) -> None:
        self._store.write("UPDATE approvals SET spent = ? WHERE id = ? AND spent IS NULL", [(now, name)])

    def spend_removal(self, uid: str, resource: ResourceKey, now: float, revision: str) -> None:
        self._store.write("INSERT OR IGNORE INTO removals VALUES (?, ?, ?, ?)", [(uid, str(resource), now, revision)])

    def removals_spent(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._store.rows("SELECT uid FROM removals"))
