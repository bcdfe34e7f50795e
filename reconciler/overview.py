"""Everything that is so, as JSON: what `holdfast status` and the page show."""

from __future__ import annotations

from typing import Any

from backends.objects import ObjectKind, Provisioning
from reconciler.config import Config
from reconciler.dates import iso
from reconciler.fleet import Fleet, Kept
from reconciler.gate import Gate
from reconciler.house import House
from reconciler.plan import held_json, plan_json, result_json
from reconciler.reconcile import Tick
from reconciler.tasks import DONE_FOR, schedule_json, tasks_json
from schemas.resources import Json

MISSED = 3  # intervals without an answer, after which what was seen last no longer counts
GRACE = 10.0  # seconds that a look may take by itself


class Overview:
    """Reads the last ticks, the ledger and the history; asks no target."""

    def __init__(self, config: Config, house: House, gate: Gate, fleet: Fleet) -> None:
        self.config, self.house, self.gate, self._fleet = config, house, gate, fleet

    def status(self, *, resources: bool = True) -> dict[str, Any]:
        """Everything that is so, as JSON; `resources` False leaves out the long part."""
        accepted, rejected = self.house.ledger.accepted(), self.gate.rejected
        converged, at = self.house.ledger.converged()
        source = self.gate.source_state
        return {
            "site": self.house.site,
            "source": {
                "url": self.config.source.url,
                "head": source.head,
                "lastFetch": iso(source.at) if source.at else None,
                "error": source.error or None,
                "stale": self._is_old(source.at, self.config.source.interval),
            },
            "revision": {
                "accepted": accepted,
                "subject": self.house.ledger.subject(accepted),
                "converged": converged or None,
                "convergedAt": iso(at) if at else None,
                "rejected": rejected.to_json() if rejected else None,
            },
            "targets": [
                self._target_status(*named, resources=resources) for named in sorted(self._fleet.kept().items())
            ],
        }

    def _target_status(self, name: str, kept: Kept, *, resources: bool) -> dict[str, Any]:
        tick = kept.last
        status: dict[str, Any] = {
            "name": name,
            "verdict": tick.verdict.value if tick else "unknown",
            "settled": tick.settled if tick else False,
            "message": tick.message if tick else "",
            "lastSeen": iso(kept.last_seen) if kept.last_seen else None,
            "stale": self._is_old(kept.last_seen, self.config.resync),
            "revision": tick.plan.revision if tick else "",
            "version": tick.observed.version if tick and tick.observed else "",
            "approvalID": tick.plan.approval_id if tick else "",
            "held": [held_json(held) for held in tick.plan.held] if tick else [],
            "openDrifts": self.house.history.open_drifts(name),
            **self._tasks(name, tick),
        }
        return status | {"resources": self._resources(name)} if resources else status

    def _tasks(self, target: str, tick: Tick | None) -> dict[str, Json]:
        """What takes long, and what runs by the clock."""
        house = self.house
        failures = house.ledger.last_failures(target)
        done = house.journal.done(target, ObjectKind.PROVISIONING, house.clock.now() - DONE_FOR)
        owners = {Provisioning(r.key.name).key: r.resource for r in house.ledger.records(target)} if done else {}
        states = tick.plan.schedules if tick else ()
        return {
            "tasks": [*tasks_json(tick.plan.tasks if tick else (), done, failures, owners)],
            "schedules": [schedule_json(state, failures.get(state.key)) for state in states],
        }

    def _resources(self, target: str) -> list[dict[str, Json]]:
        handled = self.house.ledger.handled(target)
        uids = {record.resource: record.uid for record in self.house.ledger.records(target) if record.uid}
        return [
            {
                **key.to_json(),
                "uid": uids.get(key, ""),
                "lastHandledReconcileAt": handled.get(key),
                "conditions": [condition.to_json() for condition in value],
            }
            for key, value in sorted(self.house.history.conditions(target).items())
        ]

    def _is_old(self, seen: float | None, interval: float) -> bool:
        """Whether the last look is so long ago that another should have come since."""
        return seen is not None and self.house.clock.now() - seen > MISSED * interval + GRACE


def tick_json(name: str, tick: Tick) -> dict[str, Json]:
    """One tick of one target, as JSON."""
    return {
        "target": name,
        "verdict": tick.verdict.value,
        "message": tick.message,
        "plan": plan_json(tick.plan),
        "results": [result_json(result) for result in tick.execution.results],
    }
