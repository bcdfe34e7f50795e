"""The invariants, against random repositories, random live drift, crashes at any point, lost answers, restarts of the
target, and a ledger that is restored from an older backup or deleted.

Everything between the manifests and the simulated target is the real thing. After each act the target itself is asked
whether any promise was broken; the daemon's word is not taken for it.
"""

from __future__ import annotations

import copy
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from crashing import crashing
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from random_repository import COPIES, HOSTS, IMAGE, MASKS, NAMES, SNAPSHOTS, STRANGER, SUBSYSTEMS, Repo
from stacking import stacked, superblock
from world import NQN, SITE, World

from backends.contract import BackendError
from backends.spdk.errors import RpcError
from backends.spdk.simulator import DropAfter, DropBefore, Hold, Refuse
from reconciler.moments import Moment, stamped
from reconciler.reconcile import Verdict
from schemas.resources import ResourceKey

READS = (
    "bdev_get_bdevs",
    "bdev_lvol_get_lvstores",
    "bdev_lvol_get_lvols",
    "nvmf_get_subsystems",
    "nvmf_get_transports",
    "framework_get_config",
)


class Site(RuleBasedStateMachine):
    """Random acts upon one site."""

    @initialize(empty=st.integers(0, 4))
    def begin(self, empty: int) -> None:
        """Mostly a site that stands already: two exported volumes, one of each reclaim policy, and a host."""
        self.folder = Path(tempfile.mkdtemp(prefix="hf"))
        self.world = World(self.folder, patience=0.05)
        self.repo = Repo()
        self.past: list[Repo] = []
        self.seen: dict[str, str] = {}  # uid of every lvol of ours → token of its bytes
        self.shown: dict[str, str] = {}  # namespace uuid → token of the bytes it showed
        self.consented: set[str] = set()  # uids that a Removal ever named, or that somebody else destroyed
        self.recreated: set[str] = set()  # volumes for which blank bytes were consented
        self.foreign: dict[str, Any] = {}
        self.stores: set[str] = set()
        self.born: set[str] = set()  # volumes that were made since the ledger was last replaced
        self.imposters: set[str] = set()
        self.postponed: list[tuple[str, dict[str, Any], int]] = []  # not carried out yet → mutations before each
        self.forgetful = False  # the ledger, and with it the journal, was replaced in this life of the target
        self.backup: Path | None = None
        self.lasts: set[int] = set()  # numbers of snapshots that a schedule ever was to keep
        self.moments: dict[tuple[str, float], str] = {}  # of which volume and time each scheduled snapshot is
        self.sequence: dict[str, int] = {}  # of the superblock on each member
        if empty:
            self.repo.volumes = {"a": {"size": "8Mi"}, "b": {"size": "8Mi", "reclaimPolicy": "Delete"}}
            self.repo.exports = {"s": {1: "a", 2: "b"}}
            self.repo.hosts = {"s": {"web"}}
        self._push()
        if empty:
            self.world.converge()

    # --- the repository

    def _push(self) -> None:
        self.past.append(copy.deepcopy(self.repo))
        stack = stacked(self.world, self.repo.stack, self.repo.stack_reclaim)
        report = self.world.commit(*self.repo.manifests(self.world.house.ledger.tombstones()), *stack)
        if not report.blocks:
            self.consented |= set(self.repo.removals.values())
            self.lasts |= {self.repo.retained} - {0}

    @rule(
        name=st.sampled_from(NAMES),
        size=st.sampled_from(["4Mi", "8Mi", "12Mi"]),
        reclaim=st.sampled_from(["Retain", "Delete"]),
        iops=st.sampled_from([0, 1000, 5000]),
        pinned=st.booleans(),
    )
    def declare(self, name: str, size: str, reclaim: str, iops: int, pinned: bool) -> None:  # noqa: FBT001
        spec: dict[str, Any] = {"size": size, "reclaimPolicy": reclaim}
        spec |= {"qos": {"iops": iops}} if iops else {}
        spec |= {"uid": f"aaaaaaaa-0000-4000-8000-{ord(name):012d}"} if pinned else {}
        self.repo.volumes[name] = spec
        self._push()

    @rule(name=st.sampled_from(SNAPSHOTS), of=st.sampled_from(NAMES), reclaim=st.sampled_from(["Retain", "Delete"]))
    def take(self, name: str, of: str, reclaim: str) -> None:
        self.repo.snapshots.setdefault(name, {"volumeRef": of})["reclaimPolicy"] = reclaim
        self._push()

    @rule(
        name=st.sampled_from(COPIES),
        of=st.sampled_from((*NAMES, *SNAPSHOTS, IMAGE)),
        size=st.sampled_from(["8Mi", "16Mi"]),
    )
    def clone(self, name: str, of: str, size: str) -> None:
        kind = "imageRef" if of == IMAGE else "snapshotRef" if of in SNAPSHOTS else "volumeRef"
        if of == IMAGE:
            self.repo.image = self.folder / "golden.raw"
            self.repo.image.write_bytes(bytes(8 << 20))
        self.repo.volumes.setdefault(name, {"source": {kind: of}})["size"] = size
        self._push()

    @rule(name=st.sampled_from(COPIES), whole=st.booleans())
    def copy_whole(self, name: str, whole: bool) -> None:  # noqa: FBT001
        """A clone is to have its bytes to itself: all of them, or those that it shares."""
        spec = self.repo.volumes.get(name)
        if spec:
            spec.update({"thin": False} if whole else {"source": spec["source"] | {"detach": True}})
            self._push()

    @rule(retained=st.integers(0, 3))
    def schedule(self, retained: int) -> None:
        self.repo.retained = retained
        self._push()

    @rule(name=st.sampled_from((*NAMES, *COPIES, *SNAPSHOTS, IMAGE)), consent=st.booleans())
    def withdraw(self, name: str, consent: bool) -> None:  # noqa: FBT001
        self.repo.drop(name)
        uid = self._uid(name)
        if consent and uid:
            self.repo.removals[name] = uid
        self._push()

    @rule(sub=st.sampled_from(SUBSYSTEMS), nsid=st.integers(1, 3), name=st.sampled_from(NAMES + COPIES))
    def export(self, sub: str, nsid: int, name: str) -> None:
        if name in self.repo.volumes:
            for spaces in self.repo.exports.values():
                for other in [n for n, ref in spaces.items() if ref == name]:
                    del spaces[other]
            self.repo.exports.setdefault(sub, {})[nsid] = name
            self._push()

    @rule(sub=st.sampled_from(SUBSYSTEMS), hosts=st.sets(st.sampled_from(HOSTS)), nsids=st.sampled_from([32, 16]))
    def configure(self, sub: str, hosts: set[str], nsids: int) -> None:
        if sub in self.repo.exports:
            self.repo.hosts[sub] = hosts
            self.repo.options[sub] = {"maxNamespaces": nsids}
            self._push()

    @rule(sub=st.sampled_from(SUBSYSTEMS))
    def close_subsystem(self, sub: str) -> None:
        self.repo.exports.pop(sub, None)
        self._push()

    @rule(height=st.integers(0, 3), reclaim=st.sampled_from(["Retain", "Delete"]))
    def pile(self, height: int, reclaim: str) -> None:
        self.repo.stack, self.repo.stack_reclaim = height, reclaim
        self._push()

    @rule(index=st.integers(0, 30))
    def revert(self, index: int) -> None:
        self.repo = copy.deepcopy(self.past[index % len(self.past)])
        self._push()

    @rule(name=st.sampled_from(NAMES))
    def recreate(self, name: str) -> None:
        lost = [r.uid for r in self.world.house.ledger.records("n1") if r.resource.name == name and r.uid]
        if name in self.repo.volumes and lost:
            self.repo.volumes[name]["recreate"] = lost[0]
            self.recreated.add(name)
            self._push()

    # --- somebody else at the target

    def _other(self, method: str, **params: Any) -> None:
        with suppress(RpcError, BackendError):
            self.world.call(method, params)

    @rule(
        act=st.sampled_from(["namespace", "subsystem", "host", "listener", "limits", "marker", "destroy", "imposter"]),
        sub=st.sampled_from(SUBSYSTEMS),
        nsid=st.integers(1, 3),
        name=st.sampled_from(NAMES + COPIES + SNAPSHOTS),
    )
    def meddle(self, act: str, sub: str, nsid: int, name: str) -> None:
        nqn, uid = f"{NQN}{sub}", self._uid(name)
        address = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
        match act:
            case "namespace":
                self._other("nvmf_subsystem_remove_ns", nqn=nqn, nsid=nsid)
            case "subsystem":
                self._other("nvmf_delete_subsystem", nqn=nqn)
            case "host":
                self._other("nvmf_subsystem_add_host", nqn=nqn, host=STRANGER)
            case "listener":
                self._other("nvmf_subsystem_remove_listener", nqn=nqn, listen_address=address)
            case "limits" if uid:
                self._other("bdev_set_qos_limit", name=uid, rw_ios_per_sec=1000 * nsid)
            case "marker":
                self._other("bdev_null_delete", name="holdfast.owner")
            case "destroy" | "imposter" if uid:
                self.consented.add(uid)
                lvol = self._lvols()[uid]
                self._other("bdev_lvol_delete", name=uid)
                if act == "imposter":  # other bytes under the name that ours had
                    self._other("bdev_lvol_create", uuid=self._store(), lvol_name=lvol, size_in_mib=8)
                    self.imposters.add(self._uid(name))

    @rule(act=st.sampled_from(["aio_delete", "crypto_delete", "delay_delete", "raid_delete", "raid_remove_base_bdev"]))
    def meddle_with_stack(self, act: str) -> None:
        name = {"aio": "one", "crypto": "vault", "delay": "slow", "raid": "array"}[act.partition("_")[0]]
        wanted = "one" if act == "raid_remove_base_bdev" else name
        for bdev in self.world.call("bdev_get_bdevs"):
            if bdev["name"].endswith(f"-{wanted}"):
                self._other(f"bdev_{act}", name=bdev["name"])

    @rule(which=st.sampled_from(["subsystem", "bdev", "lvol", "snapshot"]))
    def foreign_object(self, which: str) -> None:
        match which:
            case "subsystem":
                self._other("nvmf_create_subsystem", nqn=f"{NQN}foreign", serial_number="F")
            case "snapshot":
                self._other("bdev_lvol_snapshot", lvol_name=self._uid("a"), snapshot_name="foreign")
            case "bdev":
                self._other("bdev_null_create", name="foreign", num_blocks=256, block_size=512)
            case _:
                for store in self.world.call("bdev_lvol_get_lvstores"):
                    shape = {"lvol_name": "foreign", "size_in_mib": 4, "thin_provision": True}
                    self._other("bdev_lvol_create", lvs_name=store["name"], **shape)
        self.foreign |= self._foreign()

    @rule()
    def restart(self) -> None:
        self.postponed.clear()
        self.forgetful = False
        self.world.restart_target()
        self.foreign = {name: uid for name, uid in self.foreign.items() if name.startswith("lvol ")}

    # --- the daemon, and what may befall it

    def _tick(self) -> None:
        self.world.tick()

    @rule(times=st.integers(1, 3))
    def tick(self, times: int) -> None:
        for _ in range(times):
            self._tick()

    @rule(times=st.integers(2, 4))
    def more_ticks(self, times: int) -> None:
        self.tick(times)

    @rule(at=st.integers(1, 25), where=st.sampled_from(["before", "after", "answered"]))
    def crash(self, at: int, where: str) -> None:
        """Killed before the n-th change is sent, after it is sent, or when its answer is in but not written down."""
        with crashing(self.world, at, where):
            self.world.tick()

    @rule(at=st.integers(1, 25), fault=st.sampled_from([DropBefore(), DropAfter(), Hold(None), Refuse(-32603, "no")]))
    def mishap(self, at: int, fault: Any) -> None:
        """The n-th change meets a lost connection, a lost answer, or a refusal."""
        self._with_hook(_nth(at, fault, lambda method: method not in READS and "_get_" not in method))

    @rule(at=st.integers(1, 12))
    def late(self, at: int) -> None:
        """The n-th change is lost with its connection, but the target carries it out some time afterwards."""
        seen = 0

        def hook(method: str, params: dict[str, Any]) -> Any:
            nonlocal seen
            seen += method not in READS and "_get_" not in method
            if seen == at and method not in READS:
                self.postponed.append((method, params, self.world.mutations()))
                return DropBefore()
            return None

        self._with_hook(hook)

    @rule()
    def catch_up(self) -> None:
        """What was postponed happens now. A target that was settled expected it: it changes nothing that matters."""
        before = self._what_hosts_see() if self._knows_better() else None
        for method, params, _ in self.postponed:
            self._other(method, **params)
        self.postponed.clear()
        assert before is None or self._what_hosts_see() == before

    def _knows_better(self) -> bool:
        """Whether a tick says that all is as declared, and what is postponed comes in the order of its arrival."""
        mutations = self.world.simulators["n1"].mutations
        overtaken = any((method, params) in mutations[at:] for method, params, at in self.postponed)
        if not self.postponed or overtaken or self.forgetful:
            return False
        return self.world.tick().settled

    def _what_hosts_see(self) -> Any:
        sizes = {b["uuid"]: b["num_blocks"] for b in self.world.call("bdev_get_bdevs")}
        inside = {
            nqn: ([h["nqn"] for h in s["hosts"]], s["listen_addresses"], s["namespaces"], s["allow_any_host"])
            for nqn, s in self.world.subsystems().items()
        }
        made = {nqn: found for nqn, found in inside.items() if any(found)}  # an empty one is no harm
        return {uid: (name, sizes.get(uid)) for uid, name in self._lvols().items()}, made

    @rule(method=st.sampled_from(READS))
    def unreadable(self, method: str) -> None:
        """One kind of thing cannot be read for one tick."""
        self._with_hook(_nth(0, Refuse(-32603, "no"), lambda name: name == method))

    def _with_hook(self, hook: Callable[[str, Any], Any]) -> None:
        simulator = self.world.simulators["n1"]
        simulator.before("*", hook)
        self._tick()
        simulator.forget_hooks()

    @rule(seconds=st.sampled_from([1, 70, 4000, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(act=st.sampled_from(["back up", "restore", "delete", "confirm"]))
    def ledger(self, act: str) -> None:
        match act:
            case "back up":
                self.backup = self.folder / "backup.db"
                self.backup.unlink(missing_ok=True)
                with (
                    closing(sqlite3.connect(self.backup)) as target,
                    closing(sqlite3.connect(self.world.database)) as source,
                ):
                    source.backup(target)
            case "restore" if self.backup:
                self._replace_ledger(self.backup)
            case "delete":
                self._replace_ledger(None)
            case "confirm":
                with suppress(BackendError):
                    self.world.keepers["n1"].confirm(self.world.desired)

    def _replace_ledger(self, source: Path | None) -> None:
        self.born.clear()
        self.forgetful = True
        self.world.die()
        for name in ("holdfast.db", "holdfast.db-wal", "holdfast.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        if source:
            shutil.copy(source, self.world.database)
        self.world.wake()

    # --- what must be so, whatever happened

    def _lvols(self) -> dict[str, str]:
        return {lvol["uuid"]: lvol["name"] for lvol in self.world.call("bdev_lvol_get_lvols")}

    def _store(self) -> str:
        return str(self.world.call("bdev_lvol_get_lvstores")[0]["uuid"])

    def _loaded(self) -> bool:
        """Whether the pool is there. Once it was made, it is always the same one."""
        stores = {store["uuid"] for store in self.world.call("bdev_lvol_get_lvstores")}
        self.stores |= stores
        assert len(self.stores) <= 1
        return bool(stores)

    def _uid(self, name: str) -> str:
        return next((uid for uid, lvol in self._lvols().items() if lvol.endswith(f"-{name}")), "")

    def _degraded(self) -> set[str]:
        """Clones whose image is not open: their bytes are there, and nobody can read them."""
        return {lvol["uuid"] for lvol in self.world.call("bdev_lvol_get_lvols") if lvol["is_degraded"]}

    def _token(self, uid: str) -> str:
        return self.world.simulators["n1"].content(uid)

    def _foreign(self) -> dict[str, Any]:
        found = {f"subsystem {nqn}": s for nqn, s in self.world.subsystems().items() if nqn == f"{NQN}foreign"}
        bdevs = self.world.call("bdev_get_bdevs")
        found |= {f"bdev {b['name']}": (b["uuid"], b["num_blocks"]) for b in bdevs if b["name"] == "foreign"}
        return found | {f"lvol {name}": uid for uid, name in self._lvols().items() if name == "foreign"}

    @invariant()
    def the_target_lives(self) -> None:
        """No sequence that crashes a live target is ever sent."""
        assert self.world.simulators["n1"].died is None

    @invariant()
    def an_array_is_made_once(self) -> None:
        """Nobody writes new superblocks over members that have them: the sequence of an array never starts again."""
        for name in ("one", "two"):
            found = superblock(self.folder / f"{name}.img")
            assert found >= self.sequence.get(name, 0)
            self.sequence[name] = found

    @invariant()
    def a_key_in_use_is_there(self) -> None:
        """A live target is lost when the key of a crypto device is destroyed under it."""
        keys = {key["name"] for key in self.world.call("accel_crypto_keys_get")}
        bdevs = self.world.call("bdev_get_bdevs")
        assert {b["driver_specific"]["crypto"]["key_name"] for b in bdevs if b["product_name"] == "crypto"} <= keys

    @invariant()
    def nothing_foreign_is_touched(self) -> None:
        """Invariant 1: nothing that is not owned is ever changed."""
        found = self._foreign()
        if not self._loaded():  # after a restart, until the device is attached again
            found |= {name: uid for name, uid in self.foreign.items() if name.startswith("lvol ")}
        assert found == self.foreign

    @invariant()
    def no_bytes_are_lost(self) -> None:
        """Invariant 2: no bytes are lost without a Removal naming their uid."""
        if not self._loaded():
            return
        ours = {uid: name for uid, name in self._lvols().items() if name.startswith("hf-")}
        self._note_moments(ours)
        lost = self.seen.keys() - ours.keys() - self.consented
        assert not {uid for uid in lost if not self._was_pruned(uid)}
        self._count_births(ours)
        found = {uid: self._token(uid) for uid in ours.keys() - self._degraded()}
        self.seen = found | self.seen
        assert all(token == self.seen[uid] for uid, token in found.items())

    def _note_moments(self, ours: dict[str, str]) -> None:
        """Of which volume and time a scheduled snapshot is; there is never a second one of the two."""
        for uid, name in ours.items():
            at = stamped(name)
            for of in NAMES if at is not None else ():
                made = Moment(ResourceKey("Volume", "team", of), ResourceKey("SnapshotSchedule", "team", "often"), at)
                if made.lvol_name(SITE) == name and not self.forgetful:
                    assert self.moments.setdefault((of, at), uid) == uid
                elif made.lvol_name(SITE) == name:
                    self.moments[of, at] = uid

    def _was_pruned(self, uid: str) -> bool:
        """Whether a schedule took it, and as many newer ones of the volume as it ever was to keep at least."""
        for (of, at), known in self.moments.items():
            if known == uid:
                return sum(name == of and when > at for name, when in self.moments) >= min(self.lasts)
        return False

    def _count_births(self, ours: dict[str, str]) -> None:
        """A volume that was made is never made again, unless somebody consents to blank bytes or the ledger is gone."""
        for uid in ours.keys() - self.seen.keys() - self.imposters:
            name = ours[uid] if stamped(ours[uid]) else ours[uid].rpartition("-")[2]
            assert name not in self.born or name in self.recreated
            self.born.add(name)

    @invariant()
    def an_identity_always_shows_the_same_bytes(self) -> None:
        """Invariant 3: no sequence exports a device under an earlier identity with other bytes."""
        for found in self.world.subsystems().values():
            for ns in found["namespaces"]:
                token = self._token(ns["bdev_name"])
                assert self.shown.setdefault(ns["uuid"], token) == token

    @invariant()
    def a_masked_namespace_is_seen_by_nobody_else(self) -> None:
        """What is masked in every revision is never shown to a host that it is not meant for, not for a moment."""
        config = self.world.call("framework_get_config", {"name": "nvmf"})
        made = [c["params"] for c in config if c["method"] == "nvmf_subsystem_add_ns"]
        shown = [c["params"] for c in config if c["method"] == "nvmf_ns_add_host"]
        for space in made:
            volume = self._lvols().get(space["namespace"]["bdev_name"], "").rpartition("-")[2]
            entries = [e for e in shown if (e["nqn"], e["nsid"]) == (space["nqn"], space["namespace"]["nsid"])]
            assert volume not in MASKS or space["namespace"]["no_auto_visible"]
            assert {e["host"].removeprefix(f"{NQN}host-") for e in entries} <= MASKS.get(volume, set())

    @invariant()
    def a_volume_has_one_lvol(self) -> None:
        """Created at most once: whatever was unknown or unreadable, no second lvol for one volume appears."""
        ours = [name for name in self._lvols().values() if name.startswith("hf-")]
        assert len(ours) == len(set(ours))

    def teardown(self) -> None:
        """Invariants 5 and 6: it converges or stops and shows; and then the same commit makes no writes."""
        if not hasattr(self, "world"):
            return
        try:
            self._end()
        finally:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        self.world.simulators["n1"].forget_hooks()
        self.world.die()  # an answer that is still held back is lost with the connection
        self.world.wake()
        self.catch_up()
        self.world.clock.advance(4000)
        last = self.world.converge(limit=25)
        assert last.verdict in (Verdict.CONVERGED, Verdict.HELD, Verdict.WAITING), (last.verdict, last.message)
        before = self.world.mutations()
        again = self.world.tick()
        assert self.world.mutations() == before
        assert not again.execution.results
        self.nothing_foreign_is_touched()
        self.no_bytes_are_lost()
        self.an_identity_always_shows_the_same_bytes()
        self._everything_possible_is_exported(again)

    def _everything_possible_is_exported(self, tick: Any) -> None:
        """Whatever is declared and not said to be held back is there."""
        said = {held.resource.name for held in tick.plan.held} | {
            r.resource.name for r in tick.plan.remarks if not r.ready
        }
        assert self.world.desired is not None
        for wish in self.world.desired.targets["n1"].subsystems:
            if wish.wish.key.name in said:
                continue
            live = self.world.subsystems()[wish.subsystem.nqn]
            absent = {n.nsid for n in wish.namespaces if n.volume and n.volume.wish.key.name in said}
            shown, declared = {ns["nsid"] for ns in live["namespaces"]}, {n.nsid for n in wish.namespaces}
            assert declared - absent <= shown <= declared
            assert {h["nqn"] for h in live["hosts"]} == set(wish.hosts)
            assert len(live["listen_addresses"]) == len(wish.listeners)


def _nth(at: int, fault: Any, counts: Callable[[str], bool]) -> Callable[[str, Any], Any]:
    """A hook that answers with the fault at the n-th call that counts; at every one when n is 0."""
    seen = 0

    def hook(method: str, _: Any) -> Any:
        nonlocal seen
        if not counts(method):
            return None
        seen += 1
        return fault if at in (0, seen) else None

    return hook


TestSite = Site.TestCase
TestSite.settings = settings(
    max_examples=int(os.environ.get("HOLDFAST_EXAMPLES", "60")),
    derandomize="HOLDFAST_EXAMPLES" not in os.environ,  # every day the same; a search is asked for
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_a_member_that_a_lost_ledger_does_not_know_waits_for_a_person() -> None:
    """Guards what a raid member holds: without the ledger it is written over only when somebody approves."""
    site = Site()
    try:
        site.begin(empty=0)
        site.pile(height=1, reclaim="Retain")
        site.more_ticks(times=2)
        site.ledger(act="delete")
        site.meddle_with_stack(act="raid_remove_base_bdev")
        before = site.world.mutations()
        for _ in range(3):
            tick = site.world.tick()
            assert "RaidMemberUnknown" in site.world.reasons(tick)
            site.world.clock.advance(70)
        assert site.world.mutations() == before
    finally:
        site.world.close()
        shutil.rmtree(site.folder, ignore_errors=True)
