"""A host works on a volume of a live target while this, that and the other is done around it, and to the volume itself.

It must notice nothing: no connection is lost or made anew, no I/O fails, and it reads what it wrote.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bystander import undisturbed
from livehouse import LiveHouse, live_house
from world import NQN, host, manifest, removal, subsystem, volume

import reconciler
from reconciler.demo.patience import until

BUSY, SIDE = f"{NQN}busy", f"{NQN}side"
MIB = 1 << 20
GROWN = 64 * MIB

pytestmark = [pytest.mark.spdk, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def house() -> Iterator[LiveHouse]:
    """A volume that the host works on, one whose bytes are known, and things that may go."""
    with live_house(
        host("web"),
        volume("busy", size="32Mi"),
        volume("known", size="16Mi"),
        volume("doomed", reclaimPolicy="Delete"),
        subsystem("busy", {1: "busy"}, hosts=["web"]),
        subsystem("side", {1: "known", 2: "doomed"}, hosts=["web"]),
    ) as made:
        yield made


def push(house: LiveHouse, message: str = "A change") -> None:
    house.converge(house.push(message))


# --- what is done


def grow(house: LiveHouse) -> None:
    house.declare(volume("busy", size="64Mi"))
    push(house)
    assert house.witness.size(house.uid("busy")) == GROWN


def snapshot(house: LiveHouse) -> None:
    house.declare(manifest("VolumeSnapshot", "moment", {"volumeRef": "busy"}, "team"))
    push(house)
    assert house.view.uid("VolumeSnapshot team/moment") in house.witness.lvols()


def clone(house: LiveHouse) -> None:
    """Of the snapshot, shown to the same host in another subsystem."""
    copy = volume("copy", size="64Mi", source={"snapshotRef": "moment"})
    house.declare(copy, subsystem("side", {1: "known", 2: "doomed", 3: "copy"}, hosts=["web"]))
    push(house)
    assert house.witness.namespaces()[house.uid("copy")] == (SIDE, 3)


def limit(house: LiveHouse) -> None:
    """Set, change and take off the limits of the volume itself."""
    for qos in ({"iops": 5000}, {"iops": 9000, "writeMBps": 20}, {}):
        house.declare(volume("busy", size="64Mi", **({"qos": qos} if qos else {})))
        push(house)
        assert house.witness.limits(house.uid("busy"))["rw_ios_per_sec"] == qos.get("iops", 0)


def repair(house: LiveHouse) -> None:
    """Somebody takes away a namespace, a host and a whole subsystem, none of them the host's."""
    before = house.witness.exports()
    for method, params in (
        ("nvmf_subsystem_remove_ns", {"nqn": SIDE, "nsid": 1}),
        ("nvmf_subsystem_remove_host", {"nqn": SIDE, "host": f"{NQN}host-web"}),
        ("nvmf_delete_subsystem", {"nqn": SIDE}),
    ):
        house.witness.call(method, **params)
        house.until(lambda: house.witness.exports() == before, "the exports to be as they were")


def remove(house: LiveHouse) -> None:
    """Another volume is destroyed, by consent."""
    uid = house.uid("doomed")
    house.withdraw("Volume doomed")
    house.declare(removal("doomed", uid), subsystem("side", {1: "known", 3: "copy"}, hosts=["web"]))
    push(house)
    assert uid not in house.witness.lvols()


def revert(house: LiveHouse) -> None:
    """`git revert` of a commit that made something else."""
    house.declare(volume("new"), host("db"), subsystem("new", {1: "new"}, hosts=["db"]))
    push(house, "Something new")
    made = house.uid("new")
    house.repository.revert(["HEAD"])
    house.converge(house.repository.push())
    house.withdraw("Volume new", "Host db", "Subsystem new")
    assert f"{NQN}new" not in house.witness.subsystems()
    assert made in house.witness.lvols()


def upgrade(house: LiveHouse) -> None:
    """The daemon ends as an operator ends it, and another installation takes over, which then changes something."""
    house.daemon.stop()
    own, command = Path(reconciler.__file__).parents[1], house.daemon.command
    other = house.folder / "other"
    for package in ("schemas", "analyzer", "backends", "reconciler"):
        shutil.copytree(
            own / package, other / package, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
    house.daemon.command = ("env", f"PYTHONPATH={other}", *command)
    house.start_daemon()
    house.declare(volume("busy", size="64Mi", qos={"iops": 8000}))
    push(house)
    house.daemon.stop()
    house.daemon.command = command
    house.start_daemon()
    house.declare(volume("busy", size="64Mi"))
    push(house)


def kill_daemon(house: LiveHouse) -> None:
    """With kill -9, while a commit is carried out; the next daemon ends what was begun."""
    house.declare(*(volume(f"many-{number}") for number in range(40)))
    revision, before = house.push(), len(house.witness.lvols())
    until(lambda: len(house.witness.lvols()) > before, "the first of many volumes")
    house.daemon.kill()
    house.start_daemon()
    house.converge(revision)
    assert len(house.witness.lvols()) == before + 40


def reject(house: LiveHouse) -> None:
    """A commit that does not pass."""
    before = house.witness.exports()
    house.declare(subsystem("busy", {1: "nobody"}, hosts=["web"]))
    revision = house.push()
    house.until(lambda: house.view.rejected().get("revision") == revision, "the commit to be rejected")
    house.declare(subsystem("busy", {1: "busy"}, hosts=["web"]))
    push(house)
    assert house.witness.exports() == before


DONE: tuple[Callable[[LiveHouse], None], ...] = (
    grow, snapshot, clone, limit, repair, remove, revert, reject, kill_daemon, upgrade,
)  # fmt: skip


@pytest.mark.parametrize("do", DONE, ids=lambda do: do.__name__)
def test_a_host_at_work_notices_nothing(house: LiveHouse, do: Callable[[LiveHouse], None]) -> None:
    """Guards hosts: whatever else is declared, repaired or begun anew, their sessions, I/O and bytes are left alone."""
    known = house.initiator.write(house.witness, house.uid("known"))
    with undisturbed(house.folder, house.witness, BUSY) as host_:
        do(house)
        host_.goes_on()
        if do is grow:
            until(lambda: host_.size() == GROWN, "the host to see the new size")
    assert house.initiator.read(house.witness, house.uid("known")) == known


def test_a_host_that_is_put_out_is_noticed(house: LiveHouse) -> None:
    """Guards the guard: somebody closes the portal, the daemon opens it again, and the sessions are not the same."""
    portal = house.witness.subsystems()[BUSY]["listen_addresses"][0]
    with pytest.raises(AssertionError), undisturbed(house.folder, house.witness, BUSY):  # noqa: PT012  # the whole of it
        house.witness.call("nvmf_subsystem_remove_listener", nqn=BUSY, listen_address=portal)
        house.until(lambda: house.witness.subsystems()[BUSY]["listen_addresses"] == [portal], "the portal")
