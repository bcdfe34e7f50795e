"""Who may connect and who sees which namespace, through the real reconciler; on simulated and on live targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from live_world import KINDS, LiveTarget
from stacking import settled
from world import NQN, World, host, subsystem, volume, world

from reconciler.plan import Plan

S = f"{NQN}s"


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[World]:
    """A site with one target that is simulated or live, an empty ledger and a clock that stands still."""
    settings: dict[str, Any] = {"begin": lambda socket: LiveTarget(socket).start(), "patience": 5.0}
    with world(**(settings if request.param == "live" else {})) as made:
        yield made


def masked(visible: Mapping[int, list[str] | None], hosts: list[str], **more: Any) -> dict[str, Any]:
    """Subsystem s with a volume under each id, masked where hosts are given."""
    found = subsystem("s", {})
    found["spec"]["hosts"] = {"refs": hosts} | more
    found["spec"]["namespaces"] = [
        {"nsid": nsid, "volumeRef": f"v{nsid}"} | ({} if to is None else {"visibleTo": to})
        for nsid, to in visible.items()
    ]
    return found


def labelled(name: str, namespaces: list[str] | None = None, **labels: str) -> dict[str, Any]:
    found = host(name)
    found["metadata"]["labels"] = labels
    found["spec"] |= {"allowedNamespaces": namespaces} if namespaces is not None else {}
    return found


def calls(site: World, method: str) -> list[dict[str, Any]]:
    """The calls of a method that would make what is there."""
    config = site.call("framework_get_config", {"name": "nvmf"})
    return [call["params"] for call in config if call["method"] == method]


def seen(site: World) -> dict[int, set[str] | None]:
    """By whom each namespace is seen; None: by everybody."""
    found: dict[int, set[str] | None] = {}
    for call in calls(site, "nvmf_subsystem_add_ns"):
        found[call["namespace"]["nsid"]] = set() if call["namespace"]["no_auto_visible"] else None
    for call in calls(site, "nvmf_ns_add_host"):
        entry = found[call["nsid"]]
        assert entry is not None
        entry.add(call["host"].removeprefix(f"{NQN}host-"))
    return found


def allowed(site: World) -> set[str]:
    return {entry["nqn"].removeprefix(f"{NQN}host-") for entry in site.subsystems()[S]["hosts"]}


def stock(site: World, *more: Mapping[str, Any], hosts: tuple[str, ...] = ("web", "db")) -> None:
    site.commit(volume("v1"), volume("v2"), *(host(name) for name in hosts), *more)


def order(found: Plan, *ids: str) -> list[int]:
    names = [step.id for step in found.steps]
    return [names.index(f"{verb} {kind} {S}{name}") for verb, kind, name in (i.split(" ", 2) for i in ids)]


def test_a_masked_namespace_is_seen_by_whom_it_names_and_nobody_else(site: World) -> None:
    """Guards masking from the first moment, its change in place, and its coming back when the target restarts."""
    stock(site, masked({1: ["db"], 2: None}, ["web", "db"]))
    settled(site)
    assert seen(site) == {1: {"db"}, 2: None}

    stock(site, masked({1: ["web"], 2: None}, ["web", "db"]))
    settled(site)
    assert seen(site) == {1: {"web"}, 2: None}

    site.restart_target()
    settled(site)
    assert seen(site) == {1: {"web"}, 2: None}


def test_masking_can_be_put_on_and_taken_off_a_live_namespace(site: World) -> None:
    """Guards that it is removed and added again, because SPDK fixes who sees it when it is added."""
    stock(site, masked({1: None}, ["web", "db"]))
    settled(site)
    disk = site.exports()["s", 1]

    stock(site, masked({1: []}, ["web", "db"]))
    settled(site)
    assert (seen(site), site.exports()["s", 1]) == ({1: set()}, disk)

    stock(site, masked({1: None}, ["web", "db"]))
    settled(site)
    assert (seen(site), site.exports()["s", 1]) == ({1: None}, disk)


def test_what_somebody_unmasked_is_masked_again_before_another_host_is_let_in(site: World) -> None:
    """Guards that a namespace is never visible to a host that it is not meant for, not even for a moment."""
    stock(site, masked({1: ["db"]}, ["db"]))
    settled(site)
    disk = site.exports()["s", 1]
    site.call("nvmf_subsystem_remove_ns", {"nqn": S, "nsid": 1})
    site.call("nvmf_subsystem_add_ns", {"nqn": S, "namespace": {"nsid": 1, "bdev_name": disk, "uuid": disk}})
    stock(site, masked({1: ["db"]}, ["db", "web"]))

    tick = site.tick()

    away, again, named, let_in = order(
        tick.plan, "delete namespace #1", "create namespace #1", f"create visibility #1#{NQN}host-db",
        f"create host #{NQN}host-web",
    )  # fmt: skip
    assert away < again < named
    assert away < let_in
    settled(site)
    assert (seen(site), allowed(site)) == ({1: {"db"}}, {"db", "web"})


def test_a_host_is_not_let_in_while_a_stale_entry_would_show_it_what_it_must_not_see(site: World) -> None:
    """Guards entries of hosts that are not allowed: SPDK keeps them, and they count once the host may connect."""
    stock(site, masked({1: ["db"]}, ["db"]))
    settled(site)
    site.call("nvmf_ns_add_host", {"nqn": S, "nsid": 1, "host": f"{NQN}host-web"})
    stock(site, masked({1: ["db"]}, ["db", "web"]))

    tick = site.tick()

    gone, let_in = order(tick.plan, f"delete visibility #1#{NQN}host-web", f"create host #{NQN}host-web")
    assert gone < let_in
    settled(site)
    assert seen(site) == {1: {"db"}}


def test_hosts_come_and_go_with_their_labels(site: World) -> None:
    """Guards selectors: by label, where the Host allows the namespace, beside those that are named."""
    chosen = {"matchLabels": {"role": "web"}}
    fleet = [labelled("w1", role="web"), labelled("w2", role="web"), labelled("w3", ["other"], role="web")]
    stock(site, masked({1: None}, ["db"], selector=chosen), *fleet)
    settled(site)
    assert allowed(site) == {"db", "w1", "w2"}

    fleet[1] = labelled("w2", role="batch")
    stock(site, masked({1: None}, ["db"], selector=chosen), *fleet)
    settled(site)
    assert allowed(site) == {"db", "w1"}
