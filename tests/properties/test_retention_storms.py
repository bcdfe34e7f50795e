"""Schedules among everything that goes wrong: no snapshot goes while fewer than are retained came after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from world import World, manifest, volume, world

from backends.spdk.simulator import DropAfter, DropBefore

KEPT = 2
HOUR = 3600
ACTS = (
    ("hour",) * 6
    + ("back", "forward", "kill", "restart", "drop before", "drop after", "replace", "replace")
    + (
        "label",
        "withdraw",
        "schedule",
    )
)
SCHEDULE = manifest(
    "SnapshotSchedule",
    "hourly",
    {"selector": {"matchLabels": {"backup": "yes"}}, "cron": "0 * * * *", "timeZone": "UTC", "retain": {"last": KEPT}},
    "team",
)


@dataclass
class Storm:
    """Two volumes under one schedule, what befalls them, and which bytes each snapshot was taken of."""

    site: World
    labelled: dict[str, bool] = field(default_factory=lambda: {"a": True, "b": True})
    declared: dict[str, bool] = field(default_factory=lambda: {"a": True, "b": True})
    recreate: dict[str, str] = field(default_factory=dict)
    scheduled: bool = True
    faults: list[Any] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)  # snapshot → volume whose bytes it holds, in order

    def __post_init__(self) -> None:
        for method in ("bdev_lvol_snapshot", "bdev_lvol_delete"):
            self.site.simulators["n1"].before(method, lambda *_: self.faults.pop() if self.faults else None)
        self.commit()

    def commit(self) -> None:
        made = []
        for name in (name for name, there in self.declared.items() if there):
            each = volume(name, **({"recreate": self.recreate[name]} if name in self.recreate else {}))
            each["metadata"]["labels"] = {"backup": "yes"} if self.labelled[name] else {}
            made.append(each)
        self.site.commit(*made, *([SCHEDULE] if self.scheduled else []))

    def befall(self, act: str, name: str, hours: int) -> None:
        site = self.site
        match act:
            case "hour":
                site.clock.advance(HOUR)
            case "back":
                site.clock.advance(-hours * HOUR / 2)
            case "forward":
                site.clock.advance(hours * HOUR)
            case "kill":
                site.die()
                site.wake()
            case "restart":
                site.restart_target()
            case "drop before":
                self.faults.append(DropBefore())
            case "drop after":
                self.faults.append(DropAfter())
            case "replace":
                self.replace(name)
            case _:
                self.edit(act, name)

    def edit(self, act: str, name: str) -> None:
        match act:
            case "label":
                self.labelled[name] = not self.labelled[name]
            case "withdraw":
                self.declared[name] = not self.declared[name]
            case "schedule":
                self.scheduled = not self.scheduled
        self.commit()

    def replace(self, name: str) -> None:
        """Somebody destroys the volume, and a commit says that a blank one is to be made in its place."""
        uid = next((uid for lvol, uid in self.site.lvols().items() if lvol.endswith(f"-{name}")), None)
        if uid and self.declared[name]:
            self.faults.clear()
            self.site.call("bdev_lvol_delete", {"name": uid})
            self.site.tick()
            self.recreate[name] = uid
            self.commit()

    def check(self) -> None:
        """What has gone since the last look was not retained."""
        if not self.site.call("bdev_lvol_get_lvstores"):
            return
        lvols = {lvol["uuid"]: lvol for lvol in map(_told, self.site.call("bdev_get_bdevs")) if lvol}
        for uid in (uid for uid, lvol in lvols.items() if lvol["snapshot"]):
            self.taken.setdefault(uid, _top(uid, lvols))
        for uid in [uid for uid in self.taken if uid not in lvols]:
            order = [each for each in self.taken if self.taken[each] == self.taken[uid]]
            later = [each for each in order[order.index(uid) + 1 :] if each in lvols]
            assert len(later) >= KEPT, f"snapshot {uid} of {self.taken[uid]} is gone"
            del self.taken[uid]


def _told(bdev: dict[str, Any]) -> dict[str, Any]:
    found = bdev["driver_specific"].get("lvol")
    return {**found, "uuid": bdev["uuid"], "name": bdev["aliases"][0].partition("/")[2]} if found else {}


def _top(uid: str, lvols: dict[str, dict[str, Any]]) -> str:
    """What lies on a snapshot, through all that lies between."""
    above = next((u for u, lvol in lvols.items() if lvol.get("base_snapshot") == lvols[uid]["name"]), None)
    return _top(above, lvols) if above else uid


acts = st.tuples(st.sampled_from(ACTS), st.sampled_from("ab"), st.sampled_from([1, 4, 48]), st.integers(1, 3))


@settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
)
@given(st.lists(acts, min_size=40, max_size=50))
def test_nothing_goes_that_is_retained(befalls: list[tuple[str, str, int, int]]) -> None:
    """Guards snapshots through clocks, crashes, lost answers, lost volumes and changed manifests."""
    with world() as site:
        storm = Storm(site)
        site.converge()
        for act, name, hours, ticks in befalls:
            storm.befall(act, name, hours)
            for _ in range(ticks):
                site.tick()
                storm.check()
                site.clock.advance(1)
