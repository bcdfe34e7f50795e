"""What the example's README promises an operator, tried on running targets in the order in which it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import readme

from reconciler.demo.patience import until
from reconciler.demo.playground import Playground, build, ending
from reconciler.demo.processes import target_command
from reconciler.demo.site import Pace

LAB = "nqn.2026-01.com.example.team-b:lab"


@pytest.fixture(scope="module")
def playground(portals: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """The example, converged."""
    folder = tmp_path_factory.mktemp("site")
    pace = Pace(source="200ms", resync="500ms")
    with ending(build(folder, f"unix:{folder / 'http.sock'}", pace, target_command(None))) as made:
        made.start_targets()
        revision = made.repository.publish()
        made.start_daemon()
        made.settle(revision)
        yield made


def follow(playground: Playground, heading: str, **replaced: str) -> None:
    """Make a section's change, commit and push it, and wait until it is so."""
    repository = playground.repository
    if gone := readme.TAKEN_OUT.get(heading):
        repository.remove_volume(gone, "team-b/volumes.yaml", "team-b/subsystems.yaml")
    for path, manifest in readme.manifests(readme.sections()[heading]):
        for old, new in replaced.items():
            line = next((line for line in manifest.splitlines() if f" {old}: " in line), "")
            manifest = manifest.replace(line, f"  {old}: {new}") if line else manifest  # noqa: PLW2901  # edited
        readme.edit(repository.clone, path, manifest)
    repository.commit(heading)
    playground.settle(repository.push())


def uid(playground: Playground, name: str) -> str:
    return playground.view.uid(name)


def test_keep_a_moment_and_work_on_a_copy(playground: Playground) -> None:
    """The snapshot lies under the volume and under its clone, and none of the three is made twice."""
    before = playground.witnesses["node-1"].lvols()
    follow(playground, "Keep a moment, and work on a copy of it")
    taken = uid(playground, "VolumeSnapshot team-a/web-assets-before-import")
    copy = uid(playground, "Volume team-a/import-rehearsal")
    assert playground.witnesses["node-1"].lvols() == before | {taken, copy}
    assert copy in playground.witnesses["node-1"].volumes()
    assert taken not in playground.witnesses["node-1"].volumes()


def test_limit_many_volumes_at_once(playground: Playground) -> None:
    """Every volume that the selector picks has the new limit, in place."""
    follow(playground, "Limit many volumes at once")
    for name in ("warehouse-0", "warehouse-1"):
        limits = playground.witnesses["node-2"].limits(uid(playground, f"Volume team-b/{name}"))
        assert limits["rw_mbytes_per_sec"] == 700


def test_grow_a_pool(playground: Playground) -> None:
    """The pool has taken in what its device has grown by."""
    os.truncate(playground.site.folder / "node-2" / "disk-0.img", 16 << 30)
    follow(playground, "Grow a pool")
    stores = playground.witnesses["node-2"].call("bdev_lvol_get_lvstores")
    store = next(store for store in stores if store["name"].endswith("node-2-fast"))
    assert store["total_data_clusters"] * store["cluster_size"] > 15 << 30


def test_keep_something_encrypted(playground: Playground) -> None:
    """The new volume lies on the encrypted device, and that on the whole mirror."""
    follow(playground, "Keep something encrypted")
    witness = playground.witnesses["node-2"]
    assert uid(playground, "Volume team-b/contracts") in witness.lvols()
    stores = {s["base_bdev"] for s in witness.call("bdev_lvol_get_lvstores") if s["name"].endswith("node-2-vault")}
    vaults = [b for b in witness.call("bdev_get_bdevs") if b["product_name"] == "crypto" and b["name"] in stores]
    (mirror,) = witness.call("bdev_raid_get_bdevs", category="online")
    assert [b["driver_specific"]["crypto"]["base_bdev_name"] for b in vaults] == [mirror["name"]]


def test_add_a_volume(playground: Playground) -> None:
    """The new volume is a namespace of the subsystem, under its number."""
    follow(playground, "Add a volume and export it")
    shown = playground.witnesses["node-1"].namespaces()
    assert shown[uid(playground, "Volume team-a/orders")] == ("nqn.2026-01.com.example.team-a:db", 3)


def test_grow_a_volume(playground: Playground) -> None:
    """It has the new size, in place."""
    before = uid(playground, "Volume team-b/notebooks")
    follow(playground, "Grow a volume")
    assert uid(playground, "Volume team-b/notebooks") == before
    assert playground.witnesses["node-2"].size(before) == 1 << 30


def test_let_a_host_in(playground: Playground) -> None:
    """The subsystem allows it."""
    follow(playground, "Let a host in")
    hosts = playground.witnesses["node-2"].subsystems()["nqn.2026-01.com.example.team-b:warehouse"]["hosts"]
    assert len(hosts) == 3


def test_remove_a_volume_and_put_it_back(playground: Playground) -> None:
    """Hosts lose it, its bytes stay, and the manifest brings the same bytes back; then it goes once more."""
    reports, node = uid(playground, "Volume team-b/reports"), playground.witnesses["node-1"]
    follow(playground, "Remove a volume and keep its bytes")
    assert reports in node.lvols()
    assert reports not in node.namespaces()
    assert playground.view.readiness()["Volume team-b/reports"]["reason"] == "Retained"
    playground.repository.revert([playground.repository.head()])
    playground.settle(playground.repository.push())
    assert node.namespaces()[reports] == (LAB, 3)


def test_destroy_a_volume(playground: Playground) -> None:
    """With both consents, its bytes are gone."""
    scratch = uid(playground, "Volume team-b/scratch")
    follow(playground, "Destroy a volume", uid=scratch)
    assert scratch not in playground.witnesses["node-1"].lvols()
    assert list(playground.witnesses["node-1"].subsystems()[LAB]["namespaces"])[-1]["nsid"] == 3


def test_from_initialize_to_lvstore_uuid(playground: Playground) -> None:
    """Naming the pool changes nothing at the target."""
    before = playground.witnesses["node-1"].digest()
    follow(playground, "From initialize to lvstoreUUID", lvstoreUUID=uid(playground, "StoragePool node-1-fast"))
    assert playground.witnesses["node-1"].digest() == before


def test_go_back(playground: Playground) -> None:
    """A revert destroys nothing: what it takes away is retained, what it would shrink is kept, the lost is missing."""
    repository, before = playground.repository, playground.witnesses["node-1"].lvols()
    orders = uid(playground, "Volume team-a/orders")
    repository.revert(["HEAD~1", "HEAD~5", "HEAD~6"])  # destroyed scratch; grew notebooks; added orders
    revision = repository.push()

    def at_rest() -> bool:
        return all(t["revision"] == revision and t["verdict"] != "busy" for t in playground.view.targets())

    until(at_rest, "the reverts to be followed")
    reasons = {name: ready["reason"] for name, ready in playground.view.readiness().items()}
    assert reasons["Volume team-a/orders"] == "Retained"
    assert reasons["Volume team-b/notebooks"] == "KeptLarger"
    assert reasons["Volume team-b/scratch"] == "DataMissing"
    assert playground.witnesses["node-1"].lvols() == before
    assert orders not in playground.witnesses["node-1"].namespaces()
