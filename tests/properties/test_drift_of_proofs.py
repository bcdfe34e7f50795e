"""A drift in how hosts prove themselves is found and put right (invariant 8)."""

from __future__ import annotations

import pytest
from hostkeys import dhchap, psk, put
from proofs import PROOFS
from world import NQN, World, manifest, subsystem, volume


@pytest.mark.parametrize("field", PROOFS)
def test_a_drift_of_how_hosts_prove_themselves_is_found(site: World, field: str) -> None:
    """Guards invariant 8 for keys and TLS, also where only framework_get_config tells; and it is put right."""
    nodes = site.nodes()
    nodes[0]["spec"]["portals"][1] |= {"port": 4421, "secureChannel": True}
    texts = {"k": dhchap(1), "c": dhchap(2), "p": psk(3)}
    names = {name: {"file": put(site, name, text)} for name, text in texts.items()}
    proof = {"dhchap": {"keyFrom": names["k"], "controllerKeyFrom": names["c"]}, "tls": {"pskFrom": names["p"]}}
    exports = [{"targetRef": "n1", "portals": ["front", "back"]}]
    web = manifest("Host", "web", {"nqn": f"{NQN}host-web"} | proof)
    report = site.push([*nodes, web, volume("a"), subsystem("s", {1: "a"}, hosts=["web"], exports=exports)])
    assert not report.blocks, report.findings
    assert site.converge().settled
    before = site.call("framework_get_config", {"name": "nvmf"})

    PROOFS[field](site)

    assert site.tick().plan.strayed, f"nobody noticed {field}"
    assert site.converge().settled
    after = site.call("framework_get_config", {"name": "nvmf"})
    assert sorted(map(repr, after)) == sorted(map(repr, before))
