"""Keys of hosts, on a whole site: laid down, in force, renewed without disconnecting, gone when nobody needs them."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import pytest
from world import NQN, World, manifest, subsystem, volume

from reconciler.plan import Hazard

S, WEB = f"{NQN}s", f"{NQN}host-web"


def dhchap(fill: int, hash_: str = "00") -> str:
    """A whole key in the form of `nvme gen-dhchap-key`, of 32 equal bytes."""
    key = bytes([fill]) * 32
    return f"DHHC-1:{hash_}:{base64.b64encode(key + zlib.crc32(key).to_bytes(4, 'little')).decode()}:"


def put(site: World, name: str, text: str) -> str:
    path = site.folder / name
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(f"{text}\n")
    return str(path)


def keyed(name: str = "web", **dhchap: Any) -> dict[str, Any]:
    return manifest("Host", name, {"nqn": f"{NQN}host-{name}", "dhchap": dhchap})


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
    assert Path(path).read_text() == f"{dhchap(1)}\n"
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
