"""What is ours: objects we made, the life of each target, and what safety has been spent."""

from __future__ import annotations

from reconciler.ledger.attempts import Attempts
from reconciler.ledger.consents import Consents
from reconciler.ledger.hosts import Hosts
from reconciler.ledger.identities import Identities
from reconciler.ledger.revisions import Revisions
from reconciler.ledger.sessions import Sessions


class Ledger(Sessions, Consents, Identities, Hosts, Attempts, Revisions):
    """The ledger of one site. Any thread may read it; one thread at a time writes about a target."""

    def prune(self, before: float) -> None:
        """Forget what can no longer matter: what was spent, granted, or failed before a moment, and old revisions."""
        for table, moment in (
            ("spending", "at"), ("corrections", "at"), ("approvals", "expires"), ("failures", "not_before"),
        ):  # fmt: skip
            self._store.write(f"DELETE FROM {table} WHERE {moment} < ?", [(before,)])  # noqa: S608  # names from above
        told = "SELECT 'setback/' || target || '/' || resource FROM failures"
        self._store.write(f"DELETE FROM meta WHERE key LIKE 'setback/%' AND key NOT IN ({told})", [()])  # noqa: S608  # constant
        old = [(f"paths/{nqn}",) for nqn, taken in self.paths_taken().items() if taken.at < before]
        self._store.write("DELETE FROM meta WHERE key = ?", old)
        in_use = (self.accepted(), self.converged()[0])
        self._store.write("DELETE FROM revisions WHERE accepted < ? AND revision NOT IN (?, ?)", [(before, *in_use)])
