"""Every change of a whole convergence is a point at which the daemon may be killed."""

from __future__ import annotations

from typing import Any

import pytest
from crashing import crashing, settle, tick_until_the_target_dies
from world import World, host, manifest, removal, subsystem, volume, world

from reconciler.reconcile import Verdict

ALL = 23  # changes in the first convergence


def shop(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """Two volumes, a snapshot of one, and two clones: of that snapshot, and of the other volume."""
    return [
        host("web"),
        volume("a", qos={"iops": 1000}),
        volume("b", reclaimPolicy="Delete"),
        manifest("VolumeSnapshot", "moment", {"volumeRef": "a"}, "team"),
        volume("c", source={"snapshotRef": "moment"}),
        volume("d", size="12Mi", source={"volumeRef": "a"}),
        *more,
    ]


def exports(*nsids: int) -> dict[str, Any]:
    """A subsystem in which d is for the web host alone, and c for nobody, and b is better reached elsewhere."""
    found = subsystem("s", {nsid: "abcd"[nsid - 1] for nsid in nsids}, hosts=["web"], anaReporting=True)
    found["spec"]["exports"][0]["anaGroups"] = [{"group": 2, "state": "non-optimized"}]
    for entry in found["spec"]["namespaces"]:
        entry.update({3: {"visibleTo": []}, 4: {"visibleTo": ["web"]}}.get(entry["nsid"], {}))
    return found


def state(site: World) -> tuple[Any, ...]:
    """What matters at the target: volumes by name, exports by volume, hosts, listeners."""
    names = {uid: name for name, uid in site.lvols().items()}
    shown = {place: names.get(bdev, bdev) for place, bdev in site.exports().items()}
    inside = {n: (len(s["hosts"]), len(s["listen_addresses"])) for n, s in site.subsystems().items()}
    lvols = [b["driver_specific"]["lvol"] for b in site.call("bdev_get_bdevs") if "lvol" in b["driver_specific"]]
    below = sorted((lvol["clone"], lvol.get("base_snapshot", "")) for lvol in lvols)
    config = site.call("framework_get_config", {"name": "nvmf"})
    masked = [c["params"]["namespace"]["no_auto_visible"] for c in config if c["method"].endswith("_add_ns")]
    visible = [(c["params"]["nsid"], c["params"]["host"]) for c in config if c["method"] == "nvmf_ns_add_host"]
    ana = [site.call("nvmf_subsystem_get_listeners", {"nqn": nqn}) for nqn in site.subsystems()]
    return sorted(site.lvols()), shown, inside, below, masked, visible, ana


@pytest.fixture(scope="module")
def built() -> tuple[Any, ...]:
    """The state that an undisturbed site comes to."""
    with world() as site:
        site.commit(*shop(exports(1, 2, 3, 4)))
        assert site.converge().verdict is Verdict.CONVERGED
        return state(site)


@pytest.mark.parametrize("where", ["before", "after", "answered"])
@pytest.mark.parametrize("at", range(1, ALL + 1))
def test_killed_while_building(at: int, where: str, built: tuple[Any, ...]) -> None:
    """Guards that from a kill at any change of a first convergence the next daemon comes to the same state."""
    with world() as site:
        site.commit(*shop(exports(1, 2, 3, 4)))
        with crashing(site, at, where):
            site.tick()
        last = settle(site)
        assert (last.verdict, state(site)) == (Verdict.CONVERGED, built)
        before = site.mutations()
        site.tick()
        assert site.mutations() == before


@pytest.mark.parametrize("where", ["before", "after", "answered"])
@pytest.mark.parametrize("at", range(1, 8))
def test_killed_while_destroying(at: int, where: str) -> None:
    """Guards that a kill during an honoured Removal destroys what it names, all the same, and nothing else."""
    with world() as site:
        site.commit(*shop(exports(1, 2, 3, 4)))
        site.converge()
        gone, lost = site.uid("b"), site.uid("moment")
        kept = {uid for uid in site.lvols().values() if uid not in (gone, lost)} - {site.uid("c")}
        site.commit(
            host("web"),
            volume("a", qos={"iops": 1000}),
            volume("d", size="12Mi", source={"volumeRef": "a"}),
            exports(1, 4),
            removal("b", gone),
            removal("c", site.uid("c")),
            removal("moment", lost, kind="VolumeSnapshot"),
        )
        with crashing(site, at, where):
            site.tick()
        last = settle(site)
        assert (last.verdict, {*site.lvols().values()}) == (Verdict.CONVERGED, kept)
        site.commit(*shop(exports(1, 2, 3, 4)))
        assert "DataMissing" in site.reasons(site.converge())
        assert {*site.lvols().values()} == kept


@pytest.mark.parametrize("at", range(1, 22))
def test_target_killed_while_building(at: int, built: tuple[Any, ...]) -> None:
    """Guards that a target killed at any change is built again when it is back."""
    with world() as site:
        site.commit(*shop(exports(1, 2, 3, 4)))
        tick_until_the_target_dies(site, at)
        last = settle(site)
        assert (last.verdict, state(site)) == (Verdict.CONVERGED, built)
