"""Any history of a store, killed and restarted anywhere, adds up."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from simulated import MIB, Rig, simulated

NAMES = st.sampled_from("abc")
SIZES = st.sampled_from([0, 1, 10, 40, 63, 100])


class Store(RuleBasedStateMachine):
    """One store of 63 clusters, and what it ought to hold by what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.rig: Rig = self.stack.enter_context(simulated())
        self.path = self.rig.store()
        self.uuids: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.contents: dict[str, str] = {}

    def teardown(self) -> None:
        self.stack.close()

    def ask(self, method: str, **params: Any) -> Any:
        """The result, or None where the target refused."""
        return self.rig.ask((method, params))[0].get("result")

    def made(self, name: str, uuid: str | None, size: int | None = None) -> None:
        if uuid is None:
            return
        self.uuids[name] = uuid
        bdev = self.rig.call("bdev_get_bdevs", name=uuid)[0]
        self.sizes[name] = bdev["num_blocks"] * bdev["block_size"] // MIB
        assert size in (None, self.sizes[name])
        self.contents[name] = self.rig.simulator.content(uuid)

    @rule(name=NAMES, size=SIZES, thin=st.booleans())
    def create(self, name: str, size: int, *, thin: bool) -> None:
        free = self.rig.pool()["free_clusters"]
        uuid = self.ask("bdev_lvol_create", lvs_name="pool", lvol_name=name, size_in_mib=size, thin_provision=thin)
        assert (uuid is not None) == (name not in self.uuids and (thin or size <= free))
        self.made(name, uuid, size)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.ask("bdev_lvol_delete", name=f"pool/{name}"):
            del self.uuids[name], self.sizes[name], self.contents[name]

    @rule(name=NAMES, size=SIZES)
    def resize(self, name: str, size: int) -> None:
        if self.ask("bdev_lvol_resize", name=f"pool/{name}", size_in_mib=size):
            is_same = size >= self.sizes[name]
            self.sizes[name] = size
            content = self.rig.simulator.content(self.uuids[name])
            assert (content == self.contents[name]) == is_same
            self.contents[name] = content

    @rule(name=NAMES, new=NAMES)
    def snapshot(self, name: str, new: str) -> None:
        self.made(new, self.ask("bdev_lvol_snapshot", lvol_name=f"pool/{name}", snapshot_name=new))
        if new in self.uuids and name in self.uuids:
            assert self.contents[new] == self.rig.simulator.content(self.uuids[new])

    @rule(name=NAMES, new=NAMES)
    def clone(self, name: str, new: str) -> None:
        self.made(new, self.ask("bdev_lvol_clone", snapshot_name=f"pool/{name}", clone_name=new))

    @rule(name=NAMES, whole=st.booleans())
    def copy_up(self, name: str, *, whole: bool) -> None:
        self.ask("bdev_lvol_inflate" if whole else "bdev_lvol_decouple_parent", name=f"pool/{name}")

    @rule(name=NAMES, new=NAMES)
    def rename(self, name: str, new: str) -> None:
        if self.ask("bdev_lvol_rename", old_name=f"pool/{name}", new_name=new) and name != new:
            for book in (self.uuids, self.sizes, self.contents):
                book[new] = book.pop(name)

    @rule(orderly=st.booleans())
    def restart(self, *, orderly: bool) -> None:
        if orderly:
            self.rig.simulator.stop()
            self.rig.simulator.start()
            self.rig.reconnect()
        else:
            self.rig.restart()
        self.rig.aio("disk", self.path)

    @rule()
    def reattach(self) -> None:
        self.rig.call("bdev_aio_delete", name="disk")
        self.rig.aio("disk", self.path)

    @invariant()
    def adds_up(self) -> None:
        """Every answered volume is there with its size and bytes, and no cluster is lost or given twice."""
        lvols = self.rig.call("bdev_lvol_get_lvols")
        pool = self.rig.pool()
        assert {lvol["name"]: lvol["uuid"] for lvol in lvols} == self.uuids
        assert pool["total_data_clusters"] == 63
        assert pool["free_clusters"] == 63 - sum(lvol["num_allocated_clusters"] for lvol in lvols)
        assert pool["free_clusters"] >= 0
        for lvol in lvols:
            name, size = lvol["name"], self.sizes[lvol["name"]]
            assert 0 <= lvol["num_allocated_clusters"] <= size
            assert lvol["is_thin_provisioned"] or lvol["num_allocated_clusters"] == size
            assert self.rig.simulator.content(lvol["uuid"]) == self.contents[name]


Store.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStore = Store.TestCase
