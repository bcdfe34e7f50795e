"""What no retention takes: snapshots of lost bytes, those that a wrong clock named, those of a forgotten retention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scheduling import DAY, HOUR, labelled, schedule
from stacking import settled
from world import World, manifest, removal, volume, world

from backends.spdk.simulator import DropAfter
from reconciler.breaker import Breaker
from reconciler.ledger.attempts import Setback
from reconciler.plan import Memory, Served

MIB = 1 << 20


@pytest.fixture
def site() -> Iterator[World]:
    """A site at noon in UTC."""
    with world() as made:
        yield made


def moments(site: World) -> list[str]:
    """The hours in the names of the snapshots that are there."""
    return sorted(name.rpartition(".")[2][:-3] for name in site.lvols() if "-hourly." in name)


def hours(site: World, count: int) -> None:
    for _ in range(count):
        site.clock.advance(HOUR)
        site.converge()


def lost_and_made_anew(site: World, *more: dict[str, Any]) -> None:
    """Two snapshots of a volume whose bytes are then destroyed by somebody, and for which a blank one is made."""
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    hours(site, 2)
    uid = site.uid("a")
    site.call("bdev_lvol_delete", {"name": uid})
    site.converge()
    site.commit(labelled("a", recreate=uid), *more)
    site.converge()


def test_snapshots_of_lost_bytes_are_not_pruned_for_those_of_a_blank_volume(site: World) -> None:
    """Guards the last copies: what was taken before spec.recreate stays, is told, and goes by a Removal only."""
    lost_and_made_anew(site, schedule(last=2))
    hours(site, 4)
    assert moments(site) == ["20261121t13", "20261121t14", "20261121t17", "20261121t18"]
    assert {"KeptBeyondRetention", "Retained"} <= site.reasons(site.tick())
    first = next(r for r in site.house.ledger.records("n1") if r.resource.name == "a.hourly.20261121t1300z")
    consent = removal(first.resource.name, first.uid, "VolumeSnapshot")
    consent["metadata"]["name"] = "consent"
    site.commit(labelled("a"), schedule(last=2), consent)
    site.converge()
    assert moments(site) == ["20261121t14", "20261121t17", "20261121t18"]


def test_snapshots_of_lost_bytes_are_known_by_what_the_volume_lies_on(site: World) -> None:
    """Guards the same for a volume that was not selected while its bytes were lost, where no memory tells."""
    lost_and_made_anew(site)
    site.commit(labelled("a"), schedule(last=2))
    hours(site, 4)
    assert moments(site) == ["20261121t13", "20261121t14", "20261121t17", "20261121t18"]


def test_a_volume_that_is_selected_again_has_its_snapshots_pruned_again(site: World) -> None:
    """Guards the way back of a volume that was never lost: what it lies on is the schedule's, once somebody says so."""
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    hours(site, 2)
    site.commit(volume("a"), schedule(last=2))
    site.converge()
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    hours(site, 3)
    assert moments(site) == ["20261121t16", "20261121t17"]


def test_a_clock_that_was_put_back_does_not_stop_snapshots(site: World) -> None:
    """Guards every run after a clock had gone ahead: it is taken, and what bears a later time does not crowd it out."""
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    site.clock.advance(1000 * DAY)
    site.converge()
    hours(site, 2)
    site.clock.advance(-1000 * DAY)
    site.converge()
    hours(site, 3)
    assert moments(site) == ["20261121t16", "20261121t17", "20290817t13", "20290817t14"]


def test_a_failure_before_the_clock_was_put_back_is_not_waited_for(site: World) -> None:
    """Guards back-off and circuit breaker: no pause is longer than the longest."""
    site.clock.advance(1000 * DAY)
    site.commit()
    assert site.desired
    disk = site.desired.targets["n1"].devices[0].wish.key
    site.house.ledger.failed("n1", disk, 3, site.clock.now() + 60, Setback("refused", site.desired.revision))
    assert "BackingOff" in site.reasons(site.tick())
    site.clock.advance(-1000 * DAY)
    assert "BackingOff" not in site.reasons(site.tick())
    assert Breaker(opened=9e9, probe_at=9e9 + 60, pause=60).may_probe(site.clock.now())


def test_a_snapshot_in_a_pool_that_is_not_loaded_is_not_forgotten(site: World) -> None:
    """Guards a request whose answer was lost with the target: its snapshot is ours when the pool is back."""
    site.commit(labelled("a"), schedule(last=2))
    site.converge()
    site.clock.advance(HOUR)
    seen: list[str] = []

    def once(method: str, _: Any) -> Any:
        seen.append(method)
        return DropAfter() if len(seen) == 1 else None

    site.simulators["n1"].before("bdev_lvol_snapshot", once)
    site.tick()
    site.die()
    away = site.disk("n1").rename(site.folder / "away")
    site.restart_target()
    site.wake()
    site.clock.advance(HOUR)
    site.converge()
    away.rename(site.disk("n1"))
    site.restart_target()
    site.clock.advance(700)
    tick = site.converge()
    assert moments(site) == ["20261121t13", "20261121t14"]
    assert "Recovering" not in site.reasons(tick)
    records = {record.resource.name: record.phase for record in site.house.ledger.records("n1")}
    assert records["a.hourly.20261121t1300z"] == records["a.hourly.20261121t1400z"] == "created"


def test_a_volume_in_a_pool_that_is_not_loaded_is_not_given_up(site: World) -> None:
    """Guards the same for a volume whose manifest is withdrawn meanwhile: it is retained under its name."""
    site.commit()
    site.converge()
    seen: list[str] = []

    def once(method: str, _: Any) -> Any:
        seen.append(method)
        return DropAfter() if len(seen) == 1 else None

    site.simulators["n1"].before("bdev_lvol_create", once)
    site.commit(volume("a"))
    site.tick()
    site.die()
    away = site.disk("n1").rename(site.folder / "away")
    site.restart_target()
    site.wake()
    site.commit()
    site.converge()
    away.rename(site.disk("n1"))
    site.restart_target()
    site.clock.advance(700)
    assert "Retained" in site.reasons(site.converge())
    records = {record.resource.name: record.phase for record in site.house.ledger.records("n1")}
    assert records["a"] == "retained"


def test_an_older_ledger_does_not_bring_back_a_stricter_retention(site: World) -> None:
    """Guards a restored backup: what was in force when it was made consents to nothing that was taken since."""
    site.commit(labelled("a"), schedule(last=1))
    site.converge()
    hours(site, 1)
    site.die()
    backup = site.database.read_bytes()
    site.wake()
    site.commit(labelled("a"), schedule(last=9))
    hours(site, 4)
    before = moments(site)
    site.die()
    for file in site.folder.glob("holdfast.db*"):
        file.unlink()
    site.database.write_bytes(backup)
    site.wake()
    site.commit(labelled("a"), schedule(last=1))
    site.converge()
    assert site.desired
    site.keepers["n1"].confirm(site.desired)
    tick = site.converge()
    assert moments(site) == before
    assert {held.reason for held in tick.plan.held} == {"RetentionTightened"}


def test_a_memory_of_an_earlier_version_is_read() -> None:
    """Guards an upgrade: what was in force stays in force, and nothing becomes strange."""
    told = {"volumes": {"a": [5.0, None]}, "last": 5.0}
    assert Memory.of_json(told) == Memory({"a": Served(5.0, None)}, 5.0)
    assert Memory.of_json(Memory({"a": Served(5.0, None, "uid", 3.0)}).to_json()).volumes["a"].since == 3.0


def test_an_image_is_kept_for_what_a_schedule_took_of_its_clone(site: World) -> None:
    """Guards lineage: when the clone is destroyed, its snapshots still lie on the image, also after a restart."""
    path = site.folder / "golden.raw"
    path.write_bytes(bytes(8 * MIB))
    image = manifest("Image", "golden", {"targetRef": "n1", "path": str(path)})
    clone = labelled("root", source={"imageRef": "golden"}, reclaimPolicy="Delete")
    site.commit(image, clone, schedule(last=2))
    settled(site)
    hours(site, 1)
    uid = site.uid("root")
    site.commit(schedule(last=2), removal("root", uid))
    settled(site)
    assert uid not in site.lvols().values()
    site.restart_target()
    settled(site)
    assert [v["is_degraded"] for v in site.call("bdev_lvol_get_lvols")] == [False]


def test_what_a_snapshot_is_merged_into_is_looked_at_right_before(site: World) -> None:
    """Guards sizes: SPDK forgets one that was changed since the snapshot, so a resize in between drops the step."""
    site.commit(labelled("a"), schedule(last=1))
    site.converge()
    hours(site, 1)
    site.clock.advance(HOUR)
    site.tick()
    (step,) = (step for step in site.tick().plan.steps if step.change.after is None)
    below = {guard.key.name.rpartition(".")[2]: guard.facts.get("size") for guard in step.guards}
    assert below == {"20261121t1300z": None, "20261121t1400z": 8 * MIB}
