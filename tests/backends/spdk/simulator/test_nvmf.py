"""Subsystems: namespaces, hosts, listeners, and how nearly everything is refused alike."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from simulated import Rig, simulated

NQN, OTHER = "nqn.2026-01.io.example:s", "nqn.2026-01.io.example:t"
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
HOST = "nqn.2026-01.io.example:host"
INVALID, INTERNAL = (-32602, "Invalid parameters"), (-32603, "Internal error")


@pytest.fixture(autouse=True)
def _subsystem(rig: Rig) -> None:
    """A subsystem without anything, and two devices."""
    rig.call("nvmf_create_subsystem", nqn=NQN)
    for name in "MN":
        rig.call("bdev_malloc_create", name=name, num_blocks=8, block_size=512)


def shown(rig: Rig, nqn: str = NQN) -> dict[str, Any]:
    found: dict[str, Any] = rig.call("nvmf_get_subsystems", nqn=nqn)[0]
    return found


def export(rig: Rig, bdev: str = "M", **more: Any) -> int:
    nsid: int = rig.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": bdev, **more})
    return nsid


def address(port: int, host: str = "127.0.0.1", **more: str) -> dict[str, str]:
    return {"trtype": "TCP", "adrfam": "IPv4", "traddr": host, "trsvcid": str(port), **more}


def test_the_discovery_subsystem_is_there_from_the_start(rig: Rig) -> None:
    """Guards what every target has, and nobody created."""
    assert [subsystem["nqn"] for subsystem in rig.call("nvmf_get_subsystems")] == [DISCOVERY, NQN]


@pytest.mark.parametrize(
    "nqn",
    [
        "",
        "nqn.2026-01.io.example",
        "nqn.26-01.io.example:s",
        "nqn.2026-01.-io.example:s",
        "nqn.2026-01.io.x:" + "y" * 210,
    ],
)
def test_names_of_subsystems_are_checked(rig: Rig, nqn: str) -> None:
    """Guards the form of an NQN as the target checks it."""
    assert rig.refusal("nvmf_create_subsystem", nqn=nqn) == (-32603, f"Unable to create subsystem {nqn}")


def test_a_second_subsystem_of_a_name_is_refused(rig: Rig) -> None:
    """Guards that creating twice is an error, also with the same properties."""
    assert rig.refusal("nvmf_create_subsystem", nqn=NQN) == (-32603, f"Unable to create subsystem {NQN}")


def test_namespaces_get_the_lowest_free_number(rig: Rig) -> None:
    """Guards NSIDs where none is asked for."""
    assert export(rig, "M", nsid=2) == 2
    assert export(rig, "N") == 1
    assert sorted(namespace["nsid"] for namespace in shown(rig)["namespaces"]) == [1, 2]


@pytest.mark.parametrize(
    "namespace",
    [
        {"bdev_name": "none"},
        {"bdev_name": "N", "nsid": 1},
        {"bdev_name": "N", "nsid": 33},
        {"bdev_name": "N", "nsid": 2**32 - 1},
        {"bdev_name": "M"},
        {"bdev_name": "N", "nguid": "12"},
        {"bdev_name": "N", "anagrpid": 33},
    ],
)
def test_namespaces_that_cannot_be_are_refused_alike(rig: Rig, namespace: dict[str, Any]) -> None:
    """Guards that absent devices, taken numbers and claimed devices cannot be told apart by their errors."""
    export(rig, "M")
    assert rig.refusal("nvmf_subsystem_add_ns", nqn=NQN, namespace=namespace) == INVALID
    assert len(shown(rig)["namespaces"]) == 1


def test_a_namespace_has_the_uuid_of_its_device(rig: Rig) -> None:
    """Guards the identity that initiators see."""
    uuid = rig.call("bdev_get_bdevs", name="M")[0]["uuid"]
    export(rig)
    namespace = shown(rig)["namespaces"][0]
    assert (namespace["uuid"], namespace["nguid"]) == (uuid, uuid.replace("-", "").upper())


def test_removing_a_namespace_lets_go_of_its_device(rig: Rig) -> None:
    """Guards the claim, which ends with the export."""
    nsid = export(rig)
    assert rig.call("nvmf_subsystem_remove_ns", nqn=NQN, nsid=nsid) is True
    assert not rig.call("bdev_get_bdevs", name="M")[0]["claimed"]
    assert rig.refusal("nvmf_subsystem_remove_ns", nqn=NQN, nsid=nsid) == INVALID


def test_the_last_host_added_is_listed_first(rig: Rig) -> None:
    """Guards hosts: added once, removed once, in the order in which a target shows them."""
    for name in (HOST, HOST + "2"):
        rig.call("nvmf_subsystem_add_host", nqn=NQN, host=name)
    assert [host["nqn"] for host in shown(rig)["hosts"]] == [HOST + "2", HOST]
    assert rig.refusal("nvmf_subsystem_add_host", nqn=NQN, host=HOST) == INTERNAL
    rig.call("nvmf_subsystem_remove_host", nqn=NQN, host=HOST)
    assert rig.refusal("nvmf_subsystem_remove_host", nqn=NQN, host=HOST) == INTERNAL
    assert [host["nqn"] for host in shown(rig)["hosts"]] == [HOST + "2"]


def test_deleting_a_subsystem_lets_go_of_everything(rig: Rig) -> None:
    """Guards that devices, addresses and the name are free again."""
    export(rig)
    rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420))
    rig.call("nvmf_delete_subsystem", nqn=NQN)
    assert not rig.call("bdev_get_bdevs", name="M")[0]["claimed"]
    rig.call("nvmf_create_subsystem", nqn=NQN)
    assert shown(rig)["listen_addresses"] == shown(rig)["namespaces"] == []


def test_a_subsystem_that_is_being_deleted_is_in_the_way_until_it_is_gone(rig: Rig) -> None:
    """Guards requests in one go: the deletion is answered last, and what was sent behind it fails."""
    deleted, exported, again, created = rig.ask(
        ("nvmf_delete_subsystem", {"nqn": NQN}),
        ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": {"bdev_name": "M"}}),
        ("nvmf_delete_subsystem", {"nqn": NQN}),
        ("nvmf_create_subsystem", {"nqn": NQN}),
    )
    assert deleted["result"] is True
    assert exported["error"] == {"code": INTERNAL[0], "message": INTERNAL[1]}
    assert again["error"]["message"] == "Subsystem is already being destroyed."
    assert created["error"]["message"] == f"Unable to create subsystem {NQN}"


def test_a_transport_is_created_once(rig: Rig) -> None:
    """Guards the transport, which cannot be changed or removed while the target runs."""
    assert rig.refusal("nvmf_create_transport", trtype="TCP")[0] == -32603
    assert [transport["trtype"] for transport in rig.call("nvmf_get_transports")] == ["TCP"]


def test_exports_need_no_transport_and_listeners_do() -> None:
    """Guards the order in which a target must be set up."""
    with simulated() as rig:
        rig.call("nvmf_create_subsystem", nqn=NQN)
        assert rig.refusal("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420)) == INVALID
        rig.call("nvmf_create_transport", trtype="TCP")
        assert rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420)) is True


@pytest.mark.parametrize(
    "where",
    [
        address(4420, "192.0.2.1"),
        address(4420, "localhost"),
        address(0),
        address(65536),
        address(4420, adrfam="IPv6"),
        address(4420, adrfam="nonsense"),
        address(4420, trtype="RDMA"),
    ],
)
def test_addresses_that_cannot_be_listened_on_are_refused(rig: Rig, where: dict[str, str]) -> None:
    """Guards addresses of other hosts, names, ports and families that are none."""
    assert rig.refusal("nvmf_subsystem_add_listener", nqn=NQN, listen_address=where) == INVALID
    assert shown(rig)["listen_addresses"] == []


def test_subsystems_share_an_address_and_each_lets_go_of_it(rig: Rig) -> None:
    """Guards that one address serves many subsystems, each of which may have it once."""
    rig.call("nvmf_create_subsystem", nqn=OTHER)
    for nqn in (NQN, OTHER):
        rig.call("nvmf_subsystem_add_listener", nqn=nqn, listen_address=address(4420))
    assert rig.refusal("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420)) == INVALID
    rig.call("nvmf_subsystem_remove_listener", nqn=NQN, listen_address=address(4420))
    assert shown(rig, OTHER)["listen_addresses"] == [address(4420)]
    assert rig.refusal("nvmf_subsystem_remove_listener", nqn=NQN, listen_address=address(4420)) == INVALID


def test_naming_a_socket_implementation_for_a_shared_address_kills_the_target() -> None:
    """Guards a crash that was observed: the address had been opened by one who named none."""
    with simulated() as rig:
        rig.call("nvmf_create_transport", trtype="TCP")
        for nqn in (NQN, OTHER):
            rig.call("nvmf_create_subsystem", nqn=nqn)
        rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420))
        with pytest.raises(EOFError):
            rig.call("nvmf_subsystem_add_listener", nqn=OTHER, listen_address=address(4420), sock_impl="ssl")
        assert rig.simulator.died is not None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_listening_is_real_when_it_is_asked_for() -> None:
    """Guards the command line: the port is open to others, shared by subsystems, and free again at the end."""
    port = free_port()
    with simulated(bind_listeners=True) as rig:
        rig.call("nvmf_create_transport", trtype="TCP")
        for nqn in (NQN, OTHER):
            rig.call("nvmf_create_subsystem", nqn=nqn)
            rig.call("nvmf_subsystem_add_listener", nqn=nqn, listen_address=address(port))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
            assert caller.recv(1) == b""
        rig.call("nvmf_subsystem_remove_listener", nqn=NQN, listen_address=address(port))
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        rig.call("nvmf_delete_subsystem", nqn=OTHER)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_port_that_is_taken_is_refused_for_real() -> None:
    """Guards EADDRINUSE and EADDRNOTAVAIL, which a live target answers with the same words as everything else."""
    with simulated(bind_listeners=True) as rig, socket.create_server(("127.0.0.1", 0)) as taken:
        rig.call("nvmf_create_transport", trtype="TCP")
        rig.call("nvmf_create_subsystem", nqn=NQN)
        for where in (address(taken.getsockname()[1]), address(4420, "192.0.2.1")):
            assert rig.refusal("nvmf_subsystem_add_listener", nqn=NQN, listen_address=where) == INVALID


def test_in_a_test_no_port_is_touched(rig: Rig) -> None:
    """Guards that many simulators may have the same address at once."""
    rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420))
    with simulated() as other:
        other.call("nvmf_create_transport", trtype="TCP")
        other.call("nvmf_create_subsystem", nqn=NQN)
        assert other.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420)) is True


def test_ana_states_belong_to_a_listener_and_a_group(rig: Rig) -> None:
    """Guards multipath states, shown only where a subsystem reports them."""
    rig.call("nvmf_create_subsystem", nqn=OTHER, ana_reporting=True, max_namespaces=2)
    rig.call("nvmf_subsystem_add_listener", nqn=OTHER, listen_address=address(4420))
    asked = {"nqn": OTHER, "listen_address": address(4420), "ana_state": "inaccessible", "anagrpid": 2}
    rig.call("nvmf_subsystem_listener_set_ana_state", **asked)
    states = rig.call("nvmf_subsystem_get_listeners", nqn=OTHER)[0]["ana_states"]
    assert [state["ana_state"] for state in states] == ["optimized", "inaccessible"]


def test_a_saved_configuration_makes_the_same_subsystems(rig: Rig) -> None:
    """Guards framework_get_config: its calls, made to a fresh target, lead to the same state."""
    export(rig, nsid=3)
    rig.call("nvmf_subsystem_add_host", nqn=NQN, host=HOST)
    rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420))
    calls = rig.call("framework_get_config", name="nvmf")
    uuid = rig.call("bdev_get_bdevs", name="M")[0]["uuid"]
    with simulated() as other:
        other.call("bdev_malloc_create", name="M", num_blocks=8, block_size=512, uuid=uuid)
        early = {"nvmf_set_max_subsystems", "nvmf_set_config", "nvmf_set_crdt"}
        for call in calls:
            if call["method"] not in early:
                other.result(call["method"], call["params"])
        assert json.dumps(other.call("nvmf_get_subsystems")) == json.dumps(rig.call("nvmf_get_subsystems"))


def test_a_host_stays_connected_until_it_is_put_out(rig: Rig) -> None:
    """Guards who is in use: shown with its queue pairs, and gone with its entry, its listener or its subsystem."""
    rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4420))
    rig.call("nvmf_subsystem_add_listener", nqn=NQN, listen_address=address(4421))
    with pytest.raises(PermissionError, match="does not allow"):
        rig.simulator.connect(NQN, HOST, ("127.0.0.1", 4420))
    rig.call("nvmf_subsystem_add_host", nqn=NQN, host=HOST)
    with pytest.raises(ConnectionRefusedError):
        rig.simulator.connect(NQN, HOST, ("127.0.0.1", 4422))
    assert [rig.simulator.connect(NQN, HOST, ("127.0.0.1", port)) for port in (4420, 4421)] == [1, 2]
    qpairs = rig.call("nvmf_subsystem_get_qpairs", nqn=NQN)
    assert [(qpair["cntlid"], qpair["qid"], qpair["listen_address"]["trsvcid"]) for qpair in qpairs] == [
        (1, 0, "4420"),
        (1, 1, "4420"),
        (2, 0, "4421"),
        (2, 1, "4421"),
    ]
    rig.call("nvmf_subsystem_remove_listener", nqn=NQN, listen_address=address(4420))
    controllers = rig.call("nvmf_subsystem_get_controllers", nqn=NQN)
    assert [(each["cntlid"], each["hostnqn"], each["num_io_qpairs"]) for each in controllers] == [(2, HOST, 2)]
    rig.call("nvmf_subsystem_remove_host", nqn=NQN, host=HOST)
    assert rig.call("nvmf_subsystem_get_controllers", nqn=NQN) == []


def test_further_targets_must_be_named_everywhere(rig: Rig) -> None:
    """Guards nvmf_create_target: as soon as there are two, leaving the name out is an error."""
    assert rig.call("nvmf_create_target", name="second") == "second"
    assert rig.call("nvmf_get_targets") == ["second", "nvmf_tgt"]
    assert rig.refusal("nvmf_get_subsystems") == (-32603, "Unable to find a target.")
    rig.call("nvmf_create_subsystem", nqn=OTHER, tgt_name="second")
    assert [each["nqn"] for each in rig.call("nvmf_get_subsystems", tgt_name="second")] == [OTHER]
    rig.call("nvmf_delete_target", name="second")
    assert OTHER not in [each["nqn"] for each in rig.call("nvmf_get_subsystems")]


def test_a_transport_takes_sizes_of_io_up_to_two_mib() -> None:
    """Guards the largest I/O over TCP (asked of v26.05): powers of two from 8 KiB to 2 MiB, and nothing else."""
    with simulated() as rig:
        for size in (4096, 100_000, 4 << 20):
            assert rig.refusal("nvmf_create_transport", trtype="TCP", max_io_size=size)[0] == -32603
        assert rig.call("nvmf_create_transport", trtype="TCP", max_io_size=2 << 20) is True
