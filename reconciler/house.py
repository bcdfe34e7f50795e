"""What all targets of a site share."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.clock import Clock
from reconciler.digests import Digests
from reconciler.history import History
from reconciler.journal import Journal
from reconciler.ledger import Ledger
from reconciler.secrets import Vault
from reconciler.store import Store


@dataclass(frozen=True)
class House:
    """What all targets of a site share."""

    site: str
    store: Store
    ledger: Ledger
    journal: Journal
    history: History
    clock: Clock
    vault: Vault
    digests: Digests

    @classmethod
    def open(cls, site: str, store: Store, clock: Clock, vault: Vault | None = None) -> House:
        ledger = Ledger(store)
        return cls(site, store, ledger, Journal(store), History(store), clock, vault or Vault(site), Digests(ledger))
