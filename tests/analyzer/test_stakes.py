"""What a change takes from hosts that are connected now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from analyzer.impact.difference import impact
from analyzer.impact.stakes import live
from analyzer.impact.usage import Live, UsageError, usage_of
from analyzer.render import impact as text
from analyzer.report import Report

Lint = Callable[..., Report]
House = Mapping[str, str]
WEB = "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432"
GUEST = "nqn.2014-08.org.nvmexpress:uuid:guest"
FRONT, BACK = "TCP:10.0.0.11:4420", "TCP:10.0.1.11:4420"
BOTH = "portals: [front, back]"


def named(kind: str, name: str) -> dict[str, str]:
    return {"group": "storage.holdfast.dev", "kind": kind, "namespace": "team-a", "name": name}


def document(**hosts: list[str] | None) -> dict[str, Any]:
    """A Usage: who is on the one subsystem (`web`, `guest`), through which paths; `web=None`: nobody can tell."""
    nqns = {"web": WEB, "guest": GUEST}
    unknown = None in hosts.values()
    listed = None if unknown else [{"nqn": nqns[name], "paths": paths} for name, paths in hosts.items()]
    subsystem = {"nqn": "nqn.2026-01.com.example.team-a:db", "resource": named("Subsystem", "db"), "hosts": listed}
    volume = {"resource": named("Volume", "db"), "uid": "u", "allocatedBytes": 5 << 30}
    target = {"name": "node-1", "error": None, "subsystems": [subsystem], "volumes": [volume]}
    return {"apiVersion": "holdfast.dev/v1alpha1", "kind": "Usage", "time": "2026-11-21T12:00:00Z", "targets": [target]}


def told(lint: Lint, base: House, head: House, usage: dict[str, Any]) -> Live:
    before, after = lint(base).graph, lint(head).graph
    return live(impact(before, after), before, after, usage_of(usage))


def lost(found: Live) -> list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[int, ...]]]:
    return [(loss.host, loss.loses, loss.keeps, loss.namespaces) for loss in found.losses]


def on_both(house: House) -> dict[str, str]:
    both = (
        house["db.yaml"].replace("portals: [front]", BOTH).replace("spec:\n  nqn", "spec:\n  anaReporting: true\n  nqn")
    )
    return {**house, "db.yaml": both}


def test_a_host_that_is_taken_off_a_mask_loses_that_namespace_alone(lint: Lint, house: House) -> None:
    """Guards masks: who does not see a namespace any more is told of it, and nobody else."""
    mask = "volumeRef: db, visibleTo: [web-1, guest]}"
    guest = house["host.yaml"].replace("name: web-1", "name: guest").replace(WEB, GUEST)
    both = on_both(house)
    base = {**both, "guest.yaml": guest, "db.yaml": both["db.yaml"].replace("volumeRef: db}", mask)}
    base["db.yaml"] = base["db.yaml"].replace("refs: [web-1]", "refs: [web-1, guest]")
    head = {**base, "db.yaml": base["db.yaml"].replace("visibleTo: [web-1, guest]", "visibleTo: [guest]")}

    found = told(lint, base, head, document(web=[FRONT], guest=[FRONT]))

    assert lost(found) == [(WEB, (), (f"node-1/{FRONT}",), (1,))]


CHANGES: dict[str, tuple[tuple[str, str, str], tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]]] = {
    "a portal is left": (
        ("db.yaml", BOTH, "portals: [back]"),
        ((f"node-1/{FRONT}",), (f"node-1/{BACK}",), ()),
    ),
    "a portal moves": (
        ("target.yaml", "port: 4420", "port: 4421"),
        ((f"node-1/{FRONT}",), (f"node-1/{BACK}",), ()),
    ),
    "the host is put out": (
        ("db.yaml", "hosts: {refs: [web-1]}", "hosts: {refs: []}"),
        ((f"node-1/{FRONT}", f"node-1/{BACK}"), (), ()),
    ),
    "made anew": (
        ("db.yaml", "spec:\n  ana", "spec:\n  serialNumber: OTHER\n  ana"),
        ((f"node-1/{FRONT}", f"node-1/{BACK}"), (), ()),
    ),
    "the export made anew": (
        ("db.yaml", BOTH, f"{BOTH}, cntlidRange: [1, 9]"),
        ((f"node-1/{FRONT}", f"node-1/{BACK}"), (), ()),
    ),
    "a namespace goes": (
        ("db.yaml", "namespaces: [{nsid: 1, volumeRef: db}]", "namespaces: []"),
        ((), (f"node-1/{FRONT}", f"node-1/{BACK}"), (1,)),
    ),
    "a namespace is masked": (
        ("db.yaml", "volumeRef: db}", "volumeRef: db, visibleTo: [web-1]}"),
        ((), (f"node-1/{FRONT}", f"node-1/{BACK}"), (1,)),
    ),
    "it cannot be reached any more": (
        ("db.yaml", BOTH, f"{BOTH}, anaState: inaccessible"),
        ((f"node-1/{FRONT}", f"node-1/{BACK}"), (), ()),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_connected_host_loses(lint: Lint, house: House, change: str) -> None:
    """Guards the paths: what goes, what stays, and which namespaces, for each change that is not safe."""
    (file, old, new), expected = CHANGES[change]
    base = on_both(house)
    head = {**base, file: base[file].replace(old, new, 1)}
    assert head != base
    assert lost(told(lint, base, head, document(web=[FRONT, BACK]))) == [(WEB, *expected)]


def test_the_subsystem_goes(lint: Lint, house: House) -> None:
    """Guards a deletion: every path of everybody, and the bytes in use of what it showed."""
    head = {**house, "db.yaml": house["db.yaml"].partition("---")[0]}
    found = told(lint, house, head, document(web=[FRONT], guest=[FRONT]))
    assert lost(found) == [(WEB, (f"node-1/{FRONT}",), (), ()), (GUEST, (f"node-1/{FRONT}",), (), ())]
    assert found.connected == 2


def test_nobody_loses_anything(lint: Lint, house: House) -> None:
    """Guards what is safe, and who is not connected: a host without a path there loses none."""
    safe = {**house, "db.yaml": house["db.yaml"].replace("size: 100Gi", "size: 200Gi")}
    assert told(lint, house, safe, document(web=[FRONT])).losses == ()
    base = on_both(house)
    head = {**base, "db.yaml": base["db.yaml"].replace(BOTH, "portals: [back]")}
    assert told(lint, base, head, document(web=[BACK])).losses == ()


def test_what_cannot_be_read_is_unknown(lint: Lint, house: House) -> None:
    """Guards unknown: hosts that nobody could read are no nobody."""
    head = {**house, "target.yaml": house["target.yaml"].replace("4420", "4421")}
    found = told(lint, house, head, document(web=None))
    assert (found.connected, found.unread, found.losses) == (None, ("Subsystem team-a/db",), ())


def test_it_is_told_at_the_end(lint: Lint, house: House) -> None:
    """Guards the text: the last path first, in words, below the totals."""
    base = on_both(house)
    head = {**base, "target.yaml": base["target.yaml"].replace("port: 4420", "port: 4421")}
    before, after = lint(base).graph, lint(head).graph
    found = impact(before, after)
    usage = usage_of(document(web=[FRONT, BACK], guest=[FRONT]))
    shown = text.render(replace(found, live=live(found, before, after, usage)))

    assert (
        shown.endswith(
            """\
Connected at 2026-11-21T12:00:00Z: 2 hosts; bytes in use: 5Gi.
  - nqn.2014-08.org.nvmexpress:uuid:guest on Subsystem team-a/db loses
    node-1/TCP:10.0.0.11:4420, which is all it has
  - nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432 on
    Subsystem team-a/db loses node-1/TCP:10.0.0.11:4420, keeps
    node-1/TCP:10.0.1.11:4420
"""
        )
        or shown
    )


@pytest.mark.parametrize("broken", [[], {}, {"kind": "Plan"}, {"kind": "Usage", "time": "", "targets": [{}]}, "x"])
def test_another_document_is_refused(broken: Any) -> None:
    """Guards --live: what is no Usage is said to be none."""
    with pytest.raises(UsageError, match="no Usage"):
        usage_of(broken)
