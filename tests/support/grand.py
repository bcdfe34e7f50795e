"""One site on which every request that Holdfast can make is made: it is built, changed and taken down again.

What a request does under a mishap is asked of it in turn; `strike` lets one of them befall one request.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crashing import Crash, settle
from hostkeys import dhchap, put
from stacking import device, file, key_file, pool
from world import NQN, World, host, manifest, removal, subsystem, volume

from backends.spdk.client import Call, Client
from backends.spdk.simulator import DropAfter, Fault, Hold, Restart, Simulator
from backends.spdk.transport import Transport, connect_unix
from reconciler.reconcile import Keeper, Tick, Verdict

MIB = 1 << 20
FAR = f"{NQN}far"
GROWS = "77777777-0000-4000-8000-00000000beef"
PHASES = ("build", "change", "take down")
MODES = ("killed before", "killed after", "reply lost", "reply late", "target killed", "socket hanging")
LATE = 0.1  # seconds; longer than a tick waits
PATIENCE = 0.05  # seconds
OF_ITS_BYTES = re.compile("-[0-9a-f]{8}$")  # in the name of what encrypts a volume
READS = ("_get_", "spdk_get_version", "bdev_wait_for_examine")  # what changes nothing


def mutates(method: str) -> bool:
    return not any(part in method for part in READS)


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th request of one method in one phase."""

    phase: str
    method: str
    nth: int


def nothing(_: str) -> bool:
    return False


@dataclass
class Cut:
    """A connection that kills the daemon right before or right after one request leaves.

    At its other end is whatever life of the target there is, as if each were a process of its own.
    """

    inner: Transport
    peer_pid: int | None
    due: Callable[[str], bool] = nothing
    after: bool = False

    @property
    def peer_user(self) -> int | None:
        return self.inner.peer_user

    def send(self, requests_: Sequence[bytes]) -> None:
        if self.due is nothing:
            self.inner.send(requests_)
            return
        for request in requests_:
            is_due = self.due(json.loads(request)["method"])
            if not is_due or self.after:
                self.inner.send([request])
            if is_due:
                raise Crash

    def receive(self, timeout: float) -> bytes:
        return self.inner.receive(timeout)

    def close(self) -> None:
        self.inner.close()


@dataclass
class Grand(World):
    """The site, and another target whose disk it attaches."""

    patience: float = PATIENCE
    far: Simulator = field(init=False)
    first_asked: dict[int, str] = field(default_factory=dict)  # of each life of the target that a mishap ended or began
    struck: int = -1  # how many requests there had been when the mishap came; -1: it has not come

    def __post_init__(self) -> None:
        super().__post_init__()
        self.far = Simulator(self.folder / "far.sock").start()
        client = Client(connect_unix(str(self.folder / "far.sock")))
        ways = [{"trtype": "TCP", "adrfam": "IPv4", "traddr": a, "trsvcid": "4429"} for a in ("127.0.0.8", "127.0.0.9")]
        for method, params in (
            ("bdev_malloc_create", {"name": "m", "num_blocks": 4096, "block_size": 4096, "uuid": f"{GROWS[:-1]}0"}),
            ("nvmf_create_transport", {"trtype": "TCP"}),
            ("nvmf_create_subsystem", {"nqn": FAR, "allow_any_host": True}),
            ("nvmf_subsystem_add_ns", {"nqn": FAR, "namespace": {"bdev_name": "m"}}),
            *(("nvmf_subsystem_add_listener", {"nqn": FAR, "listen_address": way}) for way in ways),
        ):
            client.call(Call(method, params)).result()
        client.close()

    def close(self) -> None:
        super().close()
        self.far.stop()

    def keeper(self, target: str, path: Path) -> Keeper:
        made = super().keeper(target, path)
        made.backend.connect = self._door  # type: ignore[attr-defined]
        return made

    def _door(self, due: Callable[[str], bool] = nothing, *, after: bool = False) -> Cut:
        inner = connect_unix(str(self.socket("n1")))
        lives = self.simulators["n1"]._lives - 1  # by which the simulator counts its pids
        return Cut(inner, os.getpid() + lives, due, after)

    # --- what is declared

    def start(self, phase: str) -> None:
        """Declare a phase, and do what others do before it."""
        if phase == "change":
            with (self.folder / "large.img").open("r+b") as disk:
                disk.truncate(128 * MIB)
            self.call("bdev_raid_remove_base_bdev", {"name": self.named("two")})
        manifests = {"build": self.built, "change": self.changed, "take down": self.taken_down}[phase]()
        report = self.push(manifests)
        assert not report.blocks, report.findings

    def named(self, device_name: str) -> str:
        return next(str(b["name"]) for b in self.call("bdev_get_bdevs") if b["name"].endswith(f"-{device_name}"))

    def _target(self, **spec: Any) -> list[dict[str, Any]]:
        target, *rest = self.nodes()
        portals = [
            *target["spec"]["portals"],
            {"name": "find", "address": "127.0.0.4", "port": 8009, "discovery": True},
        ]
        return [target | {"spec": target["spec"] | {"portals": portals} | spec}, *rest]

    def _keyed(self, fill: int) -> dict[str, Any]:
        key = {"keyFrom": {"file": put(self, "web.key", dhchap(fill))}}
        return manifest("Host", "web", {"nqn": f"{NQN}host-web", "dhchap": key})

    def _far(self, *addresses: str, policy: str) -> dict[str, Any]:
        first, *others = ({"address": address, "port": 4429} for address in addresses)
        about = {"address": first | {"transport": "TCP"}, "subsystemNQN": FAR}
        return device(
            "remote", nvme=about | {"multipath": {"addresses": others, "policy": policy}}, reclaimPolicy="Delete"
        )

    def _devices(self, delay: int) -> list[dict[str, Any]]:
        kept = {"reclaimPolicy": "Delete"}
        return [
            *(file(self, name, **kept) for name in ("one", "two", "plain")),
            file(self, "ring", "uring", **kept),
            device("array", raid={"level": "raid1", "members": ["one", "two"]}, **kept),
            device("vault", crypto={"deviceRef": "array", "keyFrom": {"file": key_file(self)}}, **kept),
            device("slow", delay={"deviceRef": "vault", "readMicroseconds": delay}, **kept),
            device("through", passthru={"deviceRef": "ring"}, **kept),
            device("memory", malloc={"size": "16Mi"}, **kept),
            device("nothing", null={"size": "16Mi"}, **kept),
            file(self, "large", uuid=GROWS, **kept),
        ]

    def _large(self, size: str) -> dict[str, Any]:
        made = pool("large", GROWS, 64 * MIB, "large", reclaimPolicy="Delete")
        return made | {"spec": made["spec"] | {"size": size}}

    def _volumes(self, a: str, iops: int) -> list[dict[str, Any]]:
        golden = self.folder / "golden.img"
        golden.write_bytes(bytes(8 * MIB))
        gone = {"reclaimPolicy": "Delete"}
        return [
            volume("a", size=a, qos={"iops": iops}, **gone),
            volume("b"),
            manifest("VolumeSnapshot", "moment", {"volumeRef": "a"} | gone, "team"),
            volume("c", source={"snapshotRef": "moment"}, **gone),
            volume("d", size="12Mi", source={"volumeRef": "b", "detach": True}, **gone),
            volume("f", source={"snapshotRef": "moment"}, thin=False, **gone),
            manifest("Image", "golden", {"targetRef": "n1", "path": str(golden)}),
            volume("i", source={"imageRef": "golden"}, **gone),
            volume("e", encryption={"keyFrom": {"file": key_file(self)}}, **gone),
            manifest("Volume", "g", {"poolRef": "large", "size": "8Mi", "thin": True} | gone, "team"),
        ]

    def built(self) -> list[dict[str, Any]]:
        """Everything that can be declared, once."""
        spaces = subsystem("s", {1: "a", 2: "b", 3: "c", 4: "d", 5: "i", 6: "e"}, hosts=["web"])
        spaces["spec"]["namespaces"][1]["visibleTo"] = ["web"]
        spaces["spec"]["anaReporting"] = True
        alone = subsystem("t", {}, hosts=["web"])
        alone["spec"]["namespaces"] = [
            {"nsid": 1, "deviceRef": "through", "anaGroup": 1},
            {"nsid": 2, "deviceRef": "plain"},
        ]
        alone["spec"] |= {"anaReporting": True, "exports": [_door("non-optimized")]}
        referral = {"transport": "TCP", "address": "127.0.0.12", "port": 8009}
        return [
            *self._target(referrals=[referral]),
            self._keyed(1),
            host("guest"),
            *self._devices(delay=5),
            self._large("64Mi"),
            self._far("127.0.0.8", "127.0.0.9", policy="active_passive"),
            *self._volumes("8Mi", 1000),
            spaces,
            alone,
        ]

    def changed(self) -> list[dict[str, Any]]:
        """All of it in place, only otherwise."""
        spaces = subsystem("s", {1: "a", 2: "b", 3: "c", 4: "d", 6: "e"}, hosts=["web", "guest"])
        spaces["spec"]["namespaces"][1]["visibleTo"] = ["guest"]
        spaces["spec"]["exports"] = [{"targetRef": "n1", "portals": ["back"]}]
        spaces["spec"]["anaReporting"] = True
        alone = subsystem("t", {}, hosts=[])
        alone["spec"]["hosts"]["any"] = True
        alone["spec"]["namespaces"] = [{"nsid": 1, "deviceRef": "through", "anaGroup": 2}]
        alone["spec"] |= {"anaReporting": True, "exports": [_door("optimized")]}
        alone["metadata"]["annotations"] = {"holdfast.dev/suppress": "open-subsystem: test"}
        referral = {"transport": "TCP", "address": "127.0.0.13", "port": 8009}
        return [
            *self._target(referrals=[referral]),
            self._keyed(2),
            host("guest"),
            *self._devices(delay=50),
            self._large("128Mi"),
            self._far("127.0.0.8", policy="active_active"),
            *self._volumes("16Mi", 2000),
            spaces,
            alone,
        ]

    def taken_down(self) -> list[dict[str, Any]]:
        """Nothing is left but the node; the bytes of some go by consent, those of others are retained."""
        lvols = {lvol["name"].rpartition("-")[2]: lvol["uuid"] for lvol in self.call("bdev_lvol_get_lvols")}
        consents = [removal(name, lvols[name]) for name in ("a", "c", "d", "e", "f", "g", "i")]
        consents.append(removal("moment", lvols["moment"], "VolumeSnapshot"))
        memory = self.call("bdev_get_bdevs", {"name": self.named("memory")})[0]["uuid"]
        consents.append(removal("memory", memory, "BlockDevice"))
        store = next(s["uuid"] for s in self.call("bdev_lvol_get_lvstores") if s["name"].endswith("-large"))
        empty = subsystem("t", {})
        return [*self.nodes(), *consents, removal("large", store, "StoragePool"), empty]

    # --- what becomes of it

    def state(self) -> Any:
        """What matters at the target, under names that are the same in every run."""
        names = {uid: name for name, uid in self.lvols().items()}
        bdevs = self.call("bdev_get_bdevs")
        plain = {b["name"]: names.get(b["uuid"], OF_ITS_BYTES.sub("", b["name"])) for b in bdevs}
        plain |= {b["uuid"]: plain[b["name"]] for b in bdevs}
        spaces = {
            (nqn, space["nsid"]): plain[space["bdev_name"]]
            for nqn, found in self.subsystems().items()
            for space in found["namespaces"]
        }
        doors = {
            nqn: (sorted(h["nqn"] for h in s["hosts"]), len(s["listen_addresses"]), s["allow_any_host"])
            for nqn, s in self.subsystems().items()
        }
        sizes = sorted((plain[b["name"]], b["num_blocks"], b["assigned_rate_limits"]["rw_ios_per_sec"]) for b in bdevs)
        ways = [c["name"] + str(len(c["ctrlrs"])) for c in self.call("bdev_nvme_get_controllers")]
        elsewhere = [r["address"]["traddr"] for r in self.call("nvmf_discovery_get_referrals")]
        members = [
            (r["state"], r["num_base_bdevs_discovered"]) for r in self.call("bdev_raid_get_bdevs", {"category": "all"})
        ]
        return sorted(names.values()), spaces, doors, sizes, ways, elsewhere, members

    def settled(self, target: str = "n1", tick: Tick | None = None) -> bool:
        return super().settled(target, tick)

    def settle(self) -> Tick:
        return settle(self)

    def arm(self, point: Point, mode: str) -> None:
        """Let one request of the phase that is declared meet a mishap."""
        seen, simulator = itertools.count(1), self.simulators["n1"]

        def due(method: str) -> bool:
            found = self.struck < 0 and method == point.method and next(seen) == point.nth
            if found:
                self.struck = self.mutations()
            return found

        def hook(method: str, _: Any) -> Fault | None:
            self._hear(method)
            return mishap(due(method))

        def mishap(is_due: bool) -> Fault | None:  # noqa: FBT001  # one question
            match mode:
                case "reply lost" if is_due:
                    return DropAfter()
                case "reply late" if is_due:
                    return Hold(LATE)
                case "target killed" if is_due:
                    return Restart(after=point.nth % 2 == 0)
                case "socket hanging" if self.struck >= 0:
                    return Hold(None)
            return None

        if mode.startswith("killed"):
            backend = self.keepers["n1"].backend
            backend.close()
            backend.connect = lambda: self._door(due, after=mode == "killed after")  # type: ignore[attr-defined]
        else:
            simulator.before("*", hook)

    def _hear(self, method: str, _: Any = None) -> None:
        if mutates(method):
            self.first_asked.setdefault(self.simulators["n1"]._lives, method)

    def disarm(self, mode: str) -> None:
        self.simulators["n1"].forget_hooks()
        self.simulators["n1"].before("*", self._hear)
        if mode.startswith("killed") or mode == "socket hanging":
            self.die()
            self.wake()

    def strike(self, point: Point, mode: str) -> None:
        """Tick until the mishap has come."""
        self.struck = -1
        self.arm(point, mode)
        for _ in range(25):
            with suppress(Crash):
                tick = self.tick()
                self.clock.advance(1.0 if tick.verdict is Verdict.BUSY else 70.0)
            if self.struck >= 0:
                break
        self.disarm(mode)
        assert self.struck >= 0, (point, mode)

    def asked(self, since: int) -> list[tuple[str, Mapping[str, Any]]]:
        """Requests that change something, after the first so many."""
        return [call for call in self.simulators["n1"].mutations[since:] if mutates(call[0])]


def _door(ana: str) -> dict[str, Any]:
    return {"targetRef": "n1", "portals": ["front"], "anaState": ana}


@contextmanager
def grand(until: str) -> Iterator[Grand]:
    """The site with every phase before `until` behind it, and that one declared."""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    site = Grand(folder)
    try:
        for phase in PHASES[: PHASES.index(until)]:
            site.start(phase)
            site.settle()
        site.start(until)
        yield site
    finally:
        site.close()
        shutil.rmtree(folder, ignore_errors=True)
