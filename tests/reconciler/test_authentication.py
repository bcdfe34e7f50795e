"""A host of another SPDK process proves itself to a live target: who gets in, who does not, and who stays connected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hostkeys import dhchap, keyed, psk, put
from live_world import LiveTarget
from world import NQN, World, manifest, subsystem, volume, world

from backends.spdk.client import Call, Client
from backends.spdk.errors import RpcError
from backends.spdk.transport import connect_unix

S, WEB = f"{NQN}s", f"{NQN}host-web"
NOBODY = 65534

pytestmark = [pytest.mark.spdk, pytest.mark.timeout(180)]


@dataclass
class Machine:
    """A host: SPDK as an initiator, with keys of its own."""

    folder: Path
    socket: Path

    def call(self, method: str, **params: Any) -> Any:
        client = Client(connect_unix(str(self.socket)))
        try:
            return client.call(Call(method, params or None, timeout=60.0)).result()
        finally:
            client.close()

    def hold(self, name: str, text: str) -> str:
        """A key under a name that it has only once."""
        path = self.folder / f"host-{name}"
        path.touch(0o600)
        path.write_text(text)
        os.chown(path, self.socket.stat().st_uid, -1)
        self.call("keyring_file_add_key", name=name, path=str(path))
        return name

    def connects(self, port: int = 4420, **keys: str) -> bool:
        """Whether the target lets it in; it stays connected."""
        where = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": str(port)}
        try:
            self.call("bdev_nvme_attach_controller", name="R", subnqn=S, hostnqn=WEB, **where, **keys)
        except RpcError:
            return False
        return True

    def leave(self) -> None:
        self.call("bdev_nvme_detach_controller", name="R")


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    process = LiveTarget(folder / "host.sock").start()
    try:
        yield Machine(folder, process.socket)
    finally:
        process.stop()


@pytest.fixture
def site() -> Iterator[World]:
    with world(begin=lambda socket: LiveTarget(socket).start()) as made:
        yield made


@pytest.fixture
def web(site: World) -> Iterator[Machine]:
    with machine(site.folder) as made:
        yield made


def commit(site: World, web: dict[str, Any]) -> None:
    report = site.commit(web, volume("a"), subsystem("s", {1: "a"}, hosts=["web"]))
    assert not report.blocks, report.findings
    assert site.converge().settled


def controllers(site: World) -> list[int]:
    """Who is connected, as the target numbers them: another connection has another number."""
    return [found["cntlid"] for found in site.call("nvmf_subsystem_get_controllers", {"nqn": S})]


def test_only_the_right_key_opens_and_another_key_cuts_nobody_off(site: World, web: Machine) -> None:
    """DH-HMAC-CHAP: right key in, wrong key or none out; after rotation who is in stays in, and the old key is out."""
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}))
    old, new = web.hold("old", dhchap(1)), web.hold("new", dhchap(2))
    assert not web.connects()
    assert not web.connects(dhchap_key=new)
    assert web.connects(dhchap_key=old)
    before = controllers(site)
    assert len(before) == 1

    put(site, "web.key", dhchap(2))
    assert site.converge().settled
    assert controllers(site) == before
    assert len(site.call("keyring_get_keys")) == 1

    web.leave()
    assert not web.connects(dhchap_key=old)
    assert web.connects(dhchap_key=new)


def test_the_target_proves_itself_too(site: World, web: Machine) -> None:
    """A host that asks for the controller's key is content with the right one only."""
    controller = {"file": put(site, "controller.key", dhchap(7))}
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}, controllerKeyFrom=controller))
    own, right, wrong = web.hold("own", dhchap(1)), web.hold("right", dhchap(7)), web.hold("wrong", dhchap(8))
    assert not web.connects(dhchap_key=own, dhchap_ctrlr_key=wrong)
    assert web.connects(dhchap_key=own, dhchap_ctrlr_key=right)


def test_a_key_that_somebody_removed_opens_again(site: World, web: Machine) -> None:
    """A key that is taken out of the ring fails the host at its next connection, also once its name is back."""
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}))
    own = web.hold("own", dhchap(1))
    (key,) = site.call("keyring_get_keys")
    site.call("keyring_file_remove_key", {"name": key["name"]})
    assert not web.connects(dhchap_key=own)
    assert site.tick().plan.drifts
    assert site.converge().settled
    assert web.connects(dhchap_key=own)


def test_after_a_restart_the_host_proves_itself_as_before(site: World, web: Machine) -> None:
    """A target that starts empty lets nobody in without a key at any moment, and the host with it."""
    commit(site, keyed(keyFrom={"file": put(site, "web.key", dhchap(1))}))
    site.restart_target()
    while not site.converge().settled:
        pass
    own = web.hold("own", dhchap(1))
    assert not web.connects()
    assert web.connects(dhchap_key=own)


def test_a_host_over_tls(site: World, web: Machine) -> None:
    """TLS: the right pre-shared key opens, another or none does not; a new one takes over."""
    nodes = site.nodes()
    nodes[0]["spec"]["portals"][0] |= {"port": 4421, "secureChannel": True}
    site.nodes = lambda: nodes  # type: ignore[method-assign]
    tls = {"pskFrom": {"file": put(site, "web.psk", psk(1))}}
    commit(site, manifest("Host", "web", {"nqn": WEB, "tls": tls}))
    old, new = web.hold("old", psk(1)), web.hold("new", psk(2))
    assert not web.connects(4421)
    assert not web.connects(4421, psk=new)
    assert web.connects(4421, psk=old)
    web.leave()

    put(site, "web.psk", psk(2))
    assert site.converge().settled
    assert not web.connects(4421, psk=old)
    assert web.connects(4421, psk=new)


@pytest.fixture
def lesser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A target that runs as nobody, and a daemon that runs as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a target as somebody else")
    program, script = os.environ["SPDK_TGT"], tmp_path / "nvmf_tgt"
    drop = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    become = f"os.execv({program!r}, [{program!r}, *sys.argv[1:]])"
    script.write_text(f"#!{sys.executable}\nimport os, sys\n{drop}\n{become}\n")
    script.chmod(0o755)
    monkeypatch.setenv("SPDK_TGT", str(script))

    def begin(socket: Path) -> LiveTarget:
        socket.parent.chmod(0o733)
        os.chown(socket.with_suffix(".img"), NOBODY, NOBODY)
        return LiveTarget(socket).start()

    with world(begin=begin) as made:
        yield made


def test_a_target_of_another_user_is_given_files_of_its_own(lesser: World) -> None:
    """SPDK takes a key only from a file of its own user: root gives it one, and says so where it could not reach it."""
    keys = lesser.folder / "keys"
    keys.mkdir(mode=0o700)
    lesser.commit(keyed(keyFrom={"file": put(lesser, "web.key", dhchap(1))}), subsystem("s", {}, hosts=["web"]))
    held = lesser.converge().plan.held
    assert {item.reason for item in held} == {"KeyNotDelivered"}
    assert f"runs as uid {NOBODY}, which may not pass through {keys}" in held[0].message

    keys.chmod(0o711)
    assert lesser.converge().settled
    (key,) = lesser.call("keyring_get_keys")
    found = Path(key["path"]).stat()
    assert (found.st_uid, found.st_mode & 0o777) == (NOBODY, 0o600)
    with machine(lesser.folder) as web:
        own = web.hold("own", dhchap(1))
        assert not web.connects()
        assert web.connects(dhchap_key=own)
