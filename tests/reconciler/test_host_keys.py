"""Keys of hosts, on a whole site: laid down, in force, renewed without disconnecting, gone when nobody needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostkeys import dhchap, keyed, psk, put
from world import NQN, World, manifest, subsystem, volume

from backends.objects import ObjectKind
from backends.spdk.simulator import Refuse
from reconciler.plan import Hazard, Outcome

S, WEB = f"{NQN}s", f"{NQN}host-web"


def commit(site: World, *hosts: dict[str, Any]) -> None:
    report = site.commit(*hosts, volume("a"), subsystem("s", {1: "a"}, hosts=[h["metadata"]["name"] for h in hosts]))
    assert not report.blocks, report.findings


def shown(site: World) -> dict[str, dict[str, str]]:
    """Keys of each host of the subsystem, as the target tells."""
    return {found.pop("nqn"): found for found in site.subsystems()[S]["hosts"]}


def ring(site: World) -> dict[str, str]:
    return {key["name"]: key.get("path", "removed") for key in site.call("keyring_get_keys")}


@pytest.fixture
def settled(site: World) -> World:
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}))
    site.converge()
    return site


def test_a_host_is_let_in_with_its_key_and_never_without(settled: World) -> None:
    """The thinnest path: a key by file reaches the target's ring and the host's entry, and nothing is left to do."""
    ((name, path),) = ring(settled).items()
    assert shown(settled) == {WEB: {"dhchap_key": name}}
    assert Path(path).read_text() == dhchap(1)
    assert Path(path).stat().st_mode & 0o777 == 0o600
    before = settled.mutations()
    assert settled.tick().settled
    assert settled.mutations() == before


def test_another_key_is_in_force_without_taking_the_host_off_the_list(settled: World) -> None:
    """Rotation: the new key is given, the old one is removed once nobody holds it, its file goes, nobody is cut off."""
    ((old, path),) = ring(settled).items()
    put(settled, "web.key", dhchap(2))

    steps = settled.tick().plan.steps
    assert {step.hazard for step in steps} == {Hazard.SAFE}
    assert "nvmf_subsystem_remove_host" not in settled.simulators["n1"].mutations
    settled.converge()

    ((new, _),) = ring(settled).items()
    assert new != old
    assert shown(settled) == {WEB: {"dhchap_key": new}}
    assert not Path(path).exists()


# --- keys that cannot be had


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("not a key", "not a whole key"),
        (dhchap(1)[:-6] + "AAAA:", "not a whole key"),  # another checksum
        (dhchap(1, "03"), "not a whole key"),  # too short for the hash that it names
    ],
)
def test_a_host_without_its_key_is_not_let_in_and_nobody_else_waits(site: World, text: str | None, told: str) -> None:
    """A key that is missing or broken holds exactly its host, before anything is sent; the rest is served."""
    where = put(site, "web.key", text) if text else str(site.folder / "nowhere")
    commit(site, keyed(keyFrom={"file": where}), manifest("Host", "db", {"nqn": f"{NQN}host-db"}))
    tick = site.converge()

    assert set(shown(site)) == {f"{NQN}host-db"}
    assert site.subsystems()[S]["listen_addresses"]
    assert ring(site) == {}
    (held,) = tick.plan.held
    assert held.reason == "KeyUnavailable"
    assert held.message.startswith(f"spec.dhchap.keyFrom: file:{where}: ")
    assert told in held.message
    assert text is None or text not in repr(tick.plan)

    put(site, where.rpartition("/")[2], dhchap(1))
    site.converge()
    assert set(shown(site)) == {WEB, f"{NQN}host-db"}


def test_a_host_stays_as_it_is_while_its_key_is_lost(settled: World) -> None:
    """A host that is in keeps the key that it has: losing a file cuts nobody off, and takes no key out of force."""
    before, keys = shown(settled), ring(settled)
    (settled.folder / "web.key").unlink()

    assert "KeyUnavailable" in settled.reasons(settled.converge())

    assert (shown(settled), ring(settled)) == (before, keys)
    assert all(Path(path).exists() for path in keys.values())


def test_files_stay_while_nobody_tells_which_keys_a_target_has(settled: World) -> None:
    """A target that may not tell its keys is not one without keys: what it may be reading is left where it is."""
    (path,) = ring(settled).values()
    first = settled.simulators["n1"]
    permitted = [name for name in settled.call("rpc_get_methods") if name != "keyring_get_keys"]
    first.stop()
    settled.simulators["n1"] = type(first)(settled.socket("n1"), rpcs_allowed=permitted).start()
    put(settled, "web.key", dhchap(2))

    for _ in range(3):
        tick = settled.tick()

    assert Path(path).exists()
    assert shown(settled) == {}
    assert "this target does not offer keyring_get_keys" in str(tick.plan)


@pytest.mark.parametrize("source", [{"env": "HOLDFAST_WEB"}, {"credential": "web"}])
def test_keys_from_the_environment_and_from_systemd(site: World, source: dict[str, str]) -> None:
    """A key that is in no file reaches the target in one of its own, and goes with the host."""
    put(site, "web", dhchap(3))
    site.environment |= {"HOLDFAST_WEB": dhchap(3), "CREDENTIALS_DIRECTORY": str(site.folder)}
    commit(site, keyed(keyFrom=source))
    site.converge()
    ((name, path),) = ring(site).items()
    assert shown(site) == {WEB: {"dhchap_key": name}}
    assert Path(path).read_text() == dhchap(3)

    site.commit()
    site.converge()
    assert ring(site) == {}
    assert not Path(path).exists()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"file": "/etc/hostname"}, "manifests may name files in"),
        ({"env": "PATH"}, "manifests may name HOLDFAST_* only"),
    ],
)
def test_what_no_manifest_may_name_is_not_read(site: World, source: dict[str, str], told: str) -> None:
    """Whoever may commit may not read the daemon's machine: the error says what is allowed and how to allow more."""
    commit(site, keyed(keyFrom=source))
    tick = site.converge()
    (held,) = tick.plan.held
    assert held.message.startswith(f"spec.dhchap.keyFrom: {next(iter(source))}:")
    assert told in held.message
    assert "[secrets]" in held.message


def test_a_link_out_of_the_directory_is_not_followed(site: World) -> None:
    """A symbolic link in an allowed directory does not make its target allowed."""
    (site.folder / "web.key").symlink_to("/etc/hostname")
    commit(site, keyed(keyFrom={"file": str(site.folder / "web.key")}))
    (held,) = site.converge().plan.held
    assert "it leads to /etc/hostname" in held.message


def test_two_keys_that_are_one_are_refused(site: World) -> None:
    """A controller's key that is the host's own proves nothing: whoever is asked can send the question back."""
    keys = [{"file": put(site, name, dhchap(1))} for name in ("one", "two")]
    commit(site, keyed(keyFrom=keys[0], controllerKeyFrom=keys[1]))
    (held,) = site.converge().plan.held
    assert (held.reason, shown(site)) == ("KeyUnavailable", {})
    put(site, "two", dhchap(2))
    site.converge()
    assert shown(site)[WEB].keys() == {"dhchap_key", "dhchap_ctrlr_key"}


def test_two_hosts_with_one_key_are_told_of(site: World) -> None:
    """Guards identities: a key that two hosts have proves neither, whichever file it is read from."""
    hosts = [keyed(name, keyFrom={"file": put(site, f"{name}.key", dhchap(1))}) for name in ("web", "db")]
    commit(site, *hosts)
    assert "KeyShared" in {remark.reason for remark in site.converge().plan.remarks}

    put(site, "db.key", dhchap(2))

    assert "KeyShared" not in {remark.reason for remark in site.converge().plan.remarks}


# --- drift, restart, withdrawal


def test_a_key_that_somebody_removed_is_put_back_and_given_again(settled: World) -> None:
    """Removing a key that a host holds fails it at its next connection, also once the key is back: it is given anew."""
    ((name, path),) = ring(settled).items()
    settled.call("keyring_file_remove_key", {"name": name})

    assert settled.tick().plan.drifts
    settled.converge()

    assert ring(settled) == {name: path}
    assert shown(settled) == {WEB: {"dhchap_key": name}}
    assert settled.converge().settled


def test_a_key_file_that_somebody_changed_is_written_again(settled: World) -> None:
    """The target reads the file at every connection, so what is in it is looked after although no getter shows it."""
    ((_, path),) = ring(settled).items()
    Path(path).write_text(dhchap(9))
    settled.tick()
    assert Path(path).read_text() == dhchap(1)
    Path(path).chmod(0o644)
    settled.tick()
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_after_a_restart_keys_come_before_hosts_and_listeners_last(settled: World) -> None:
    """Nobody is let in without a key while a restarted target is being set up again."""
    settled.restart_target()
    settled.converge()
    order = [method for method, _ in settled.simulators["n1"].mutations]
    last = {method: place for place, method in enumerate(order)}
    assert last["keyring_file_add_key"] < last["nvmf_subsystem_add_host"] < last["nvmf_subsystem_add_listener"]
    assert shown(settled)[WEB].keys() == {"dhchap_key"}


def test_a_withdrawn_key_is_taken_from_the_host_first(settled: World) -> None:
    """A host that need not prove itself any more is told so before its key goes from the ring; it is not cut off."""
    commit(settled, manifest("Host", "web", {"nqn": WEB}))
    settled.converge()
    assert shown(settled) == {WEB: {}}
    assert ring(settled) == {}
    methods = [method for method, _ in settled.simulators["n1"].mutations]
    assert "nvmf_subsystem_remove_host" not in methods
    assert methods.index("nvmf_subsystem_set_keys") < methods.index("keyring_file_remove_key")


def test_keys_of_others_are_left_alone(settled: World) -> None:
    """What somebody else put into the ring is not ours to remove, and no drift."""
    settled.call("keyring_file_add_key", {"name": "theirs", "path": put(settled, "theirs", "anything")})
    assert settled.converge().settled
    assert "theirs" in ring(settled)


def test_both_keys_of_a_host(site: World) -> None:
    """A host that asks the target to prove itself, too: the controller's key is another, and is renewed alone."""
    key, controller = put(site, "web.key", dhchap(1)), put(site, "controller.key", dhchap(2))
    commit(site, keyed(keyFrom={"file": key}, controllerKeyFrom={"file": controller}))
    site.converge()
    before = shown(site)[WEB]
    assert before.keys() == {"dhchap_key", "dhchap_ctrlr_key"}
    put(site, "controller.key", dhchap(3))
    site.converge()
    after = shown(site)[WEB]
    assert after["dhchap_key"] == before["dhchap_key"]
    assert after["dhchap_ctrlr_key"] != before["dhchap_ctrlr_key"]


# --- TLS


def config(site: World, method: str) -> list[dict[str, Any]]:
    found = site.call("framework_get_config", {"name": "nvmf"})
    return [call["params"] for call in found if call["method"] == method]


@pytest.fixture
def secure(site: World) -> World:
    site.nodes = lambda: over_tls(World.nodes(site))  # type: ignore[method-assign]
    put(site, "web.psk", psk(1))
    commit(site, manifest("Host", "web", {"nqn": WEB, "tls": {"pskFrom": {"file": str(site.folder / "web.psk")}}}))
    site.converge()
    return site


def over_tls(nodes: list[dict[str, Any]], secure: bool = True) -> list[dict[str, Any]]:  # noqa: FBT001, FBT002
    nodes[0]["spec"]["portals"][0]["secureChannel"] = secure
    return nodes


def test_a_host_over_tls(secure: World) -> None:
    """A pre-shared key by reference, and the portal that takes it: both shown, and nothing left to do."""
    ((name, _),) = ring(secure).items()
    assert [call["psk"] for call in config(secure, "nvmf_subsystem_add_host")] == [name]
    assert [call["secure_channel"] for call in config(secure, "nvmf_subsystem_add_listener")] == [True]
    assert secure.converge().settled


def test_another_psk_takes_the_host_off_the_list_and_puts_it_back(secure: World) -> None:
    """SPDK copies the key when it lets the host in, so a new one costs the connection: a disruptive step."""
    ((old, _),) = ring(secure).items()
    put(secure, "web.psk", psk(2))
    steps = {step.id.partition(" ")[0]: step.hazard for step in secure.tick().plan.steps if "host nqn" in step.id}
    assert steps == {"delete": Hazard.DISRUPTIVE, "create": Hazard.SAFE}
    secure.converge()
    ((new, _),) = ring(secure).items()
    assert new != old
    assert [call["psk"] for call in config(secure, "nvmf_subsystem_add_host")] == [new]


def test_a_withdrawn_psk_is_out_of_force(secure: World) -> None:
    """A host that loses its pre-shared key is let in anew without it, and the key goes from the ring."""
    report = secure.commit(manifest("Host", "web", {"nqn": WEB}), volume("a"), subsystem("s", {1: "a"}, hosts=["web"]))
    assert {finding.rule for finding in report.findings} == {"disruptive-change", "secure-channel-mismatch"}
    assert secure.converge().settled
    assert ["psk" in call for call in config(secure, "nvmf_subsystem_add_host")] == [False]
    assert ring(secure) == {}


def test_another_dhchap_key_while_psks_cannot_be_read_disconnects_nobody(secure: World) -> None:
    """What the target does not tell at the moment is not taken to be otherwise."""
    secure.simulators["n1"].before("framework_get_config", lambda *_: Refuse(-1, "Operation not permitted"))
    spec = {"dhchap": {"keyFrom": {"file": put(secure, "web.key", dhchap(1))}}}
    psks = {"tls": {"pskFrom": {"file": str(secure.folder / "web.psk")}}}
    commit(secure, manifest("Host", "web", {"nqn": WEB} | spec | psks))
    secure.converge()
    assert shown(secure)[WEB].keys() == {"dhchap_key"}
    methods = [method for method, _ in secure.simulators["n1"].mutations]
    assert "nvmf_subsystem_remove_host" not in methods


def test_a_listener_that_somebody_made_plain_is_drift(secure: World) -> None:
    """No getter tells whether a listener speaks TLS; framework_get_config does, and it is compared."""
    (told,) = config(secure, "nvmf_subsystem_add_listener")
    secure.call("nvmf_subsystem_remove_listener", {"nqn": S, "listen_address": told["listen_address"]})
    secure.call("nvmf_subsystem_add_listener", {"nqn": S, "listen_address": told["listen_address"]})
    assert secure.tick().plan.drifts
    secure.converge()
    assert [call["secure_channel"] for call in config(secure, "nvmf_subsystem_add_listener")] == [True]


def test_a_portal_that_several_subsystems_share_turns_to_tls_only_by_approval(secure: World) -> None:
    """The listeners of an address share one socket, which keeps its kind until all are closed."""
    hosts = [manifest("Host", "web", {"nqn": WEB, "tls": {"pskFrom": {"file": str(secure.folder / "web.psk")}}})]
    both = [volume("a"), volume("b"), subsystem("s", {1: "a"}, hosts=["web"]), subsystem("t", {1: "b"}, hosts=["web"])]
    secure.commit(*hosts, *both)
    secure.converge()

    secure.push([*over_tls(World.nodes(secure), secure=False), *hosts, *both], unchecked=True)
    plan = secure.converge().plan
    assert {held.reason for held in plan.held if held.approvable} == {"PortalShared"}
    assert {call["secure_channel"] for call in config(secure, "nvmf_subsystem_add_listener")} == {True}

    secure.house.ledger.approve(plan.approval_id, "test", secure.clock.now(), secure.clock.now() + 60)
    secure.converge()
    assert [call["secure_channel"] for call in config(secure, "nvmf_subsystem_add_listener")] == [False, False]
    methods = [method for method, _ in secure.simulators["n1"].mutations]
    closed, opened = "nvmf_subsystem_remove_listener", "nvmf_subsystem_add_listener"
    assert methods[-4:] == [closed, closed, opened, opened]


# --- targets that do not see what is laid down


def test_a_target_that_does_not_see_the_file_is_told_apart(site: World) -> None:
    """Behind a forwarder nobody knows where the target runs: it is asked, and what it lacks is said of that host."""
    site.simulators["n1"].before("keyring_file_add_key", lambda *_: Refuse(-2, "No such file or directory"))
    commit(
        site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}), manifest("Host", "db", {"nqn": f"{NQN}host-db"})
    )
    failed = [result.message for result in site.tick().execution.of(Outcome.FAILED)]
    assert len(failed) == 1
    assert "has to see this file" in failed[0]
    site.converge()
    assert set(shown(site)) == {f"{NQN}host-db"}


def test_a_key_that_somebody_else_put_there_is_used(site: World) -> None:
    """A target on another machine: it is said under which name its operator adds the key, and then it is in force."""
    backend: Any = site.keepers["n1"].backend
    connect = backend.connect

    def far() -> Any:
        transport = connect()
        transport.peer_user = None
        return transport

    backend.connect = far
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}))
    held = {held.change.key.kind: held for held in site.converge().plan.held}
    assert {item.reason for item in held.values()} == {"KeyNotDelivered"}
    name = held[ObjectKind.KEY].change.key.name
    assert f"keyring_file_add_key {name} FILE" in held[ObjectKind.KEY].message
    assert not (site.folder / "keys").exists()

    site.call("keyring_file_add_key", {"name": name, "path": put(site, "theirs", dhchap(1))})
    assert site.converge().settled
    assert shown(site) == {WEB: {"dhchap_key": name}}


def test_what_keeps_hosts_out_is_not_said_to_be_in_force_while_it_cannot_be_read(secure: World) -> None:
    """Guards unknown: TLS and pre-shared keys, of which only the configuration tells, are not taken for granted."""
    secure.simulators["n1"].before("framework_get_config", lambda *_: Refuse(-32603, "Internal error"))

    tick = secure.tick()

    assert not tick.settled
    (told,) = [remark for remark in tick.plan.remarks if remark.reason == "Unknown"]
    assert "TLS, pre-shared keys" in told.message
    secure.simulators["n1"].forget_hooks()
    assert secure.converge().settled
