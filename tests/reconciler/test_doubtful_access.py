"""Who may reach what while something goes wrong: lost answers, unread volumes, paths that lead nowhere."""

from __future__ import annotations

import pytest
from hostkeys import dhchap, keyed, put
from world import NQN, World, host, manifest, subsystem, volume

from backends.spdk.simulator.faults import Deny, DropAfter, Fault, Hold, Refuse
from reconciler.reconcile import Tick

S = f"{NQN}s"
WEB, STRANGER = f"{NQN}host-web", f"{NQN}stranger"
FRONT, BACK = ("127.0.0.2", 4420), ("127.0.0.3", 4420)


def once(site: World, method: str, fault: Fault) -> None:
    """One call of a method, the next one, ends so."""
    left = [fault]
    site.simulators["n1"].before(method, lambda *_: left.pop() if left else None)


def remarked(tick: Tick) -> set[str]:
    return {remark.reason for remark in tick.plan.remarks}


@pytest.mark.parametrize(
    "fault", [DropAfter(), Deny(-32603, "Internal error"), Hold()], ids=["lost", "denied", "hangs"]
)
def test_a_stranger_who_stayed_is_told_of_whatever_became_of_the_answer(site: World, fault: Fault) -> None:
    """Guards sessions from when any host could connect: that the answer was lost does not make them disappear."""
    site.commit(host("web"), subsystem("s", {}, hosts=["web"]))
    site.converge()
    site.call("nvmf_subsystem_allow_any_host", {"nqn": S, "allow_any_host": True})
    site.simulators["n1"].connect(S, STRANGER, FRONT)
    once(site, "nvmf_subsystem_allow_any_host", fault)

    for _ in range(4):
        tick = site.tick()
        site.clock.advance(70)

    assert site.simulators["n1"].calls["nvmf_subsystem_allow_any_host"] >= 2
    assert not site.subsystems()[S]["allow_any_host"]
    assert "SessionsNotAllowed" in remarked(tick)


def test_a_stranger_who_stayed_is_told_of_after_the_daemon_was_killed(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards sessions from when any host could connect, over a crash between closing and writing that down."""
    site.commit(host("web"), subsystem("s", {}, hosts=["web"]))
    site.converge()
    site.call("nvmf_subsystem_allow_any_host", {"nqn": S, "allow_any_host": True})
    site.simulators["n1"].connect(S, STRANGER, FRONT)

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(site.keepers["n1"].backend, "seen", killed)  # asked once all is sent
    with pytest.raises(SystemExit):
        site.tick()
    site.die()
    site.wake()

    tick = site.converge()

    assert not site.subsystems()[S]["allow_any_host"]
    assert "SessionsNotAllowed" in remarked(tick)


def set_ana(site: World, address: tuple[str, int], state: str) -> None:
    where = {"trtype": "TCP", "adrfam": "IPv4", "traddr": address[0], "trsvcid": str(address[1])}
    asked = {"nqn": S, "listen_address": where, "ana_state": state}
    site.call("nvmf_subsystem_listener_set_ana_state", asked)


def test_a_path_without_access_to_the_bytes_is_none(site: World) -> None:
    """Guards the last path: one whose ANA state is inaccessible does not stand in for the one that works."""

    def exported(*portals: str) -> None:
        found = subsystem("s", {1: "v"}, hosts=["web"], anaReporting=True)
        found["spec"]["exports"] = [{"targetRef": "n1", "portals": [*portals]}]
        found["spec"]["driftPolicy"] = "warn"
        assert not site.commit(host("web"), volume("v"), found).blocks

    exported("front", "back")
    site.converge()
    set_ana(site, BACK, "inaccessible")
    for address in (FRONT, BACK):
        site.simulators["n1"].connect(S, WEB, address)
    exported("back")

    tick = site.tick()

    assert len(site.subsystems()[S]["listen_addresses"]) == 2
    (held,) = tick.plan.held
    assert (held.reason, [(at.host, at.keeps) for at in held.hosts]) == ("HostsConnected", [(WEB, ())])


def test_paths_that_change_places_keep_hosts_at_work_without_anybody_asked(site: World) -> None:
    """Guards a failover between two portals: the one that gets better counts, because it goes first."""

    def exported(front: str, back: str) -> None:
        nodes = site.nodes()
        nodes[0]["spec"]["portals"] = [{"name": "front", "address": FRONT[0]}, {"name": "back", "address": BACK[0]}]
        found = subsystem("s", {1: "v"}, hosts=["web"], anaReporting=True)
        groups = {"front": front, "back": back}
        found["spec"]["exports"] = [{"targetRef": "n1", "portals": [p for p, state in groups.items() if state]}]
        assert not site.push([*nodes, host("web"), volume("v"), found]).blocks

    exported("optimized", "optimized")
    site.converge()
    set_ana(site, BACK, "inaccessible")
    for address in (FRONT, BACK):
        site.simulators["n1"].connect(S, WEB, address)
    exported("", "optimized")

    site.converge()

    assert [at["traddr"] for at in site.subsystems()[S]["listen_addresses"]] == [BACK[0]]


def test_who_sees_a_namespace_stays_while_its_volume_cannot_be_read(site: World) -> None:
    """Guards unknown: the mask of a namespace whose volume is not to be read for now is left as it is."""
    found = subsystem("s", {1: "v"}, hosts=["web"])
    found["spec"]["namespaces"][0]["visibleTo"] = ["web"]
    site.commit(host("web"), volume("v"), found)
    site.converge()

    site.simulators["n1"].before("bdev_lvol_get_lvols", lambda *_: Refuse(-32603, "Internal error"))
    for _ in range(3):
        tick = site.tick()
        site.clock.advance(70)

    config = site.call("framework_get_config", {"name": "nvmf"})
    assert [c["params"]["host"] for c in config if c["method"] == "nvmf_ns_add_host"] == [WEB], tick.plan


def test_that_any_host_may_connect_is_said_though_nothing_is_done_about_it(site: World) -> None:
    """Guards drift that is ignored: it is not put right, and nobody is told that all is as declared."""
    found = subsystem("s", {}, hosts=["web"])
    found["metadata"]["annotations"] = {"holdfast.dev/drift-ignore": "spec.hosts.any"}
    site.commit(host("web"), found)
    site.converge()
    site.call("nvmf_subsystem_allow_any_host", {"nqn": S, "allow_any_host": True})

    tick = site.converge()

    assert site.subsystems()[S]["allow_any_host"]
    assert [(drift.action, [d.path for d in drift.differences]) for drift in tick.plan.drifts] == [
        ("Ignored", ["spec.hosts.any"])
    ]


def test_a_host_is_put_out_though_other_peoples_writes_fail(site: World) -> None:
    """Guards withdrawals from the circuit breaker: a tenant whose volumes cannot be made holds nobody's access open."""
    stays, goes = host("web"), host("gone")
    volumes = [volume(f"v{number}") for number in range(12)]
    opened = subsystem("s", {}, hosts=["web", "gone"])
    site.commit(stays, goes, opened)
    site.converge()
    site.simulators["n1"].before("bdev_lvol_create", lambda *_: Refuse(-32602, "No space left on device"))
    site.commit(stays, goes, opened, *volumes)
    site.tick()
    site.clock.advance(30)
    assert "CircuitOpen" in remarked(site.tick())
    site.commit(stays, subsystem("s", {}, hosts=["web"]), *volumes)

    site.tick()

    assert [entry["nqn"] for entry in site.subsystems()[S]["hosts"]] == [WEB]


def test_a_host_that_is_to_prove_itself_does_so_where_any_host_may_connect(site: World) -> None:
    """Guards masks where every host may connect: without its entry, whoever gives the NQN sees what only it may see."""
    key = {"keyFrom": {"file": put(site, "web.key", dhchap(1))}}
    found = subsystem("s", {1: "v", 2: "w"})
    found["spec"]["hosts"] = {"any": True}
    found["spec"]["namespaces"][0]["visibleTo"] = ["web", "db"]
    assert not site.commit(keyed("web", **key), host("db"), volume("v"), volume("w"), found).blocks

    assert site.converge().settled

    shown = site.subsystems()[S]
    assert shown["allow_any_host"]
    assert [(entry["nqn"], "dhchap_key" in entry) for entry in shown["hosts"]] == [(WEB, True)]


def test_a_device_of_another_tenant_is_not_exported(site: World) -> None:
    """Guards whole devices: as with pools and hosts, the Block Device says which tenants may use it."""
    device = manifest("BlockDevice", "memory", {"targetRef": "n1", "malloc": {"size": "16Mi"}})
    device["spec"]["allowedNamespaces"] = ["finance"]
    found = subsystem("s", {})
    found["spec"]["namespaces"] = [{"nsid": 1, "deviceRef": "memory"}]

    report = site.commit(device, found)

    assert report.blocks
    assert "namespace-not-allowed" in {finding.rule for finding in report.findings}
    device["spec"]["allowedNamespaces"] = ["team"]
    assert not site.commit(device, found).blocks


def test_what_opens_a_way_in_is_an_event_of_its_own(site: World) -> None:
    """Guards withdrawn keys and open subsystems: among a thousand safe steps each is told of, as a warning."""
    key = {"keyFrom": {"file": put(site, "web.key", dhchap(1))}}
    site.commit(keyed("web", **key), subsystem("s", {}, hosts=["web"]))
    site.converge()
    opened = subsystem("s", {}, hosts=["web"])
    opened["spec"]["hosts"]["any"] = True
    site.commit(host("web"), opened, *(volume(f"v{number}") for number in range(5)))

    site.converge()

    told = [event.message for event in site.house.history.events() if event.warning and event.reason == "Updated"]
    assert {"the host need prove nothing any more", "any host may connect"} <= {
        text.rpartition(": ")[2] for text in told
    }
