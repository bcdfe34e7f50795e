"""raid5f, which is not in every build of SPDK: what a build without it makes of it, and what one with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import bdevs, come_true, device, file, settled
from world import World, world

from backends.spdk.errors import RpcError
from reconciler.demo.patience import until
from reconciler.plan import Outcome

FIVE = {"level": "raid5f", "members": ["a", "b", "c"], "stripSizeKiB": 64}
PROBE = {"name": "probe", "raid_level": "raid5f", "strip_size_kb": 64, "base_bdevs": ["p0", "p1", "p2"]}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        made.commit(*(file(made, name) for name in "abc"))
        settled(made)
        yield made


def has_raid5f(site: World) -> bool:
    """Asked of the target itself, past Holdfast: an array whose members are not there is answered well, and waits."""
    try:
        site.call("bdev_raid_create", PROBE)
    except RpcError:
        return False
    site.call("bdev_raid_delete", {"name": PROBE["name"]})
    return True


def array(site: World) -> dict[str, Any]:
    found = site.call("bdev_raid_get_bdevs", {"category": "all"})
    return next((raid for raid in found if raid["name"].endswith("-array")), {})


def legs(site: World) -> list[bool]:
    return [leg["is_configured"] for leg in array(site)["base_bdevs_list"]]


def declare(site: World) -> None:
    site.commit(*(file(site, name) for name in "abc"), device("array", raid=FIVE, reclaimPolicy="Delete"))


def test_a_build_without_raid5f_is_named(site: World) -> None:
    """Guards the reason that a person reads: the array is tried seldom, and its members are left blank."""
    if has_raid5f(site):
        pytest.skip("this target has raid5f")
    declare(site)

    ticks = (site.tick() for _ in range(12))  # a busy machine may need more than one to hear the answer
    ended = (result for tick in ticks for result in tick.execution.results)
    failed = next(result for result in ended if result.outcome is Outcome.FAILED)

    assert "NotSupported: this SPDK refuses raid5f" in failed.message
    assert "BackingOff" in site.reasons(site.tick())
    assert not array(site)
    assert all(not (site.folder / f"{name}.img").read_bytes()[:4096].strip(b"\0") for name in "abc")


def test_an_array_with_parity_is_made_degraded_rebuilt_and_kept(site: World) -> None:
    """Guards the life of a raid5f array: a lost member is shown and taken back, and a restart changes nothing."""
    if not has_raid5f(site):
        pytest.skip("this target was built without raid5f")
    declare(site)
    settled(site)
    uuid = array(site)["uuid"]
    assert (array(site)["state"], bdevs(site)["array"]["uuid"]) == ("online", uuid)

    site.call("bdev_raid_remove_base_bdev", {"name": array(site)["base_bdevs_list"][1]["name"]})
    until(lambda: legs(site) == [True, False, True], "the member to go")
    assert "RaidDegraded" in site.reasons(site.tick())
    come_true(site, lambda: legs(site) == [True] * 3 and "process" not in array(site))
    settled(site)

    site.restart_target()
    come_true(site, lambda: array(site).get("state") == "online")
    settled(site)
    assert array(site)["uuid"] == uuid
