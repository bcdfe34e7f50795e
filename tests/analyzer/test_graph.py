"""Who refers to whom, as the schemas say."""

from __future__ import annotations

import random  # noqa: TID251  # a seeded shuffle
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from analyzer.document import Document, parse
from analyzer.graph import ResourceGraph, link
from analyzer.manifest import Manifest, decode
from analyzer.report import Report
from schemas.kinds import Kind, Reference, our_kinds
from schemas.resources import Resource, ResourceKey

Lint = Callable[..., Report]

TARGET = ResourceKey("Target", "", "node-1")
DISK = ResourceKey("BlockDevice", "", "disk-0")
POOL = ResourceKey("StoragePool", "", "fast")
VOLUME = ResourceKey("Volume", "team-a", "db")
SUBSYSTEM = ResourceKey("Subsystem", "team-a", "db")
HOST = ResourceKey("Host", "", "web-1")


def test_references(lint: Lint, house: dict[str, str]) -> None:
    """Each x-ref becomes a reference with the place of the value; a portal is a part of the target beside it."""
    graph = lint(house).graph
    assert [(r.path, r.target, r.part) for r in graph.references(SUBSYSTEM)] == [
        (("spec", "exports", 0, "targetRef"), TARGET, ""),
        (("spec", "exports", 0, "portals", 0), TARGET, "front"),
        (("spec", "namespaces", 0, "volumeRef"), VOLUME, ""),
        (("spec", "hosts", "refs", 0), HOST, ""),
    ]
    assert graph.references(HOST) == ()
    assert graph.references(ResourceKey("Volume", "team-a", "nobody")) == ()


def test_dependents(lint: Lint, house: dict[str, str]) -> None:
    """Everything that leads to a resource, nearest first, each with the references that explain it."""
    found = lint(house).graph.dependents(DISK)
    assert [dependent.key for dependent in found] == [POOL, VOLUME, SUBSYSTEM]
    assert [reference.target for reference in found[-1].path] == [VOLUME, POOL, DISK]
    assert [dependent.key for dependent in lint(house).graph.dependents(TARGET)] == [DISK, SUBSYSTEM, POOL, VOLUME]


def test_names_stay_within_the_namespace(lint: Lint, house: dict[str, str]) -> None:
    """A namespaced resource refers to its own namespace and to cluster-scoped kinds, never to a neighbour."""
    house["other.yaml"] = (
        house["db.yaml"].split("---\n")[1].replace("team-a", "team-b").replace("volumeRef: db", "volumeRef: db")
    )
    [dangling] = lint(house).graph.dangling()
    assert dangling.target == ResourceKey("Volume", "team-b", "db")


def test_a_missing_part(lint: Lint, house: dict[str, str]) -> None:
    """A portal that its target lacks dangles and offers those there are; without the target only the target dangles."""
    house["db.yaml"] = house["db.yaml"].replace("[front]", "[fornt]")
    graph = lint(house).graph
    [dangling] = graph.dangling()
    assert (dangling.target, dangling.part) == (TARGET, "fornt")
    assert graph.alternatives(dangling) == ("front", "back")
    del house["target.yaml"]
    assert {(r.target, r.part) for r in lint(house).graph.dangling()} == {(TARGET, "")}


def test_what_could_have_been_meant(lint: Lint, house: dict[str, str]) -> None:
    """Of very many names only those next to the wrong one in the alphabet are looked at, so that a mess stays quick."""
    volume, subsystem = house["db.yaml"].split("---\n")
    many = {f"{n:04}.yaml": volume.replace("name: db", f"name: v{n:04}") for n in range(500)}
    graph = lint(house | many | {"db.yaml": subsystem.replace("volumeRef: db", "volumeRef: v0250x")}).graph
    [dangling] = graph.dangling()
    found = graph.alternatives(dangling)
    assert (len(found), "v0250" in found) == (60, True)


def test_order(lint: Lint, house: dict[str, str]) -> None:
    """Every resource stands after those it refers to, and ties are in order of the keys."""
    assert lint(house).graph.order() == (HOST, TARGET, DISK, POOL, VOLUME, SUBSYSTEM)


def test_order_of_files_is_irrelevant(lint: Lint, house: dict[str, str]) -> None:
    """The graph, its order and its duplicates are the same whatever order the manifests come in."""
    house["again.yaml"] = house["pool.yaml"]
    graph = lint(house).graph
    manifests = [*graph.manifests.values(), *graph.duplicates]
    for seed in range(20):
        random.Random(seed).shuffle(manifests)  # noqa: S311  # the same order every time
        other = link(manifests)
        assert list(other.manifests) == list(graph.manifests)
        assert other.duplicates == graph.duplicates
        assert (other.outgoing, other.incoming, other.order()) == (graph.outgoing, graph.incoming, graph.order())


def test_of_two_manifests_the_first_counts(lint: Lint, house: dict[str, str]) -> None:
    """First by path and then by place in the file."""
    house["again.yaml"] = house["pool.yaml"]
    graph = lint(house).graph
    assert graph.manifests[POOL].path == "again.yaml"
    assert [manifest.path for manifest in graph.duplicates] == ["pool.yaml"]


class Link(SimpleNamespace):
    """A kind: each is itself."""

    __hash__ = object.__hash__


def ring(**leads_to: str) -> ResourceGraph:
    """Resources of one made-up kind whose `next` names another of it."""
    field = SimpleNamespace(path=("spec", "next"), reference=Reference("example.com/Link"))
    fields = {"references": (field,), "selectors": (), "pickers": (), "field": lambda _: field, "body": ("spec",)}
    kind: Any = Link(name="Link", api_version="example.com/v1", namespaced=lambda _: False, **fields)
    template = decode(_document(), "a.yaml")
    assert isinstance(template, Manifest)
    return link(_manifest(template, kind, name, target) for name, target in leads_to.items())


def _manifest(template: Manifest, kind: Kind, name: str, target: str) -> Manifest:
    key = ResourceKey("Link", "", name, "example.com")
    resource = Resource(key, "example.com/v1", {"next": target} if target else {})
    return Manifest(f"{name}.yaml", template.document, "example.com/v1", "Link", kind, (), resource)


def _document() -> Document:
    return parse(b"apiVersion: a/v1\nkind: Link\nmetadata: {name: a}\n").documents[0]


def test_cycles() -> None:
    """Each knot is told once, by a shortest way from its smallest member; what only leads there is no part of it."""
    graph = ring(a="c", c="b", b="a", d="a", e="e", f="")
    assert [[key.name for key in cycle] for cycle in graph.cycles()] == [["a", "c", "b", "a"], ["e", "e"]]
    with pytest.raises(ValueError, match="Link a → Link c → Link b → Link a is a cycle"):
        graph.order()


def test_the_rule_tells_cycles() -> None:
    """reference-cycle has a finding at the first reference of the circle, with the others beside it."""
    from analyzer.rules.reference_cycle import check  # noqa: PLC0415  # beside its only use

    case: Any = SimpleNamespace(graph=ring(a="b", b="a"))
    [hit] = (hit for manifest in case.graph.manifests.values() for hit in check(case, manifest))
    assert hit.location.path == "a.yaml"
    assert hit.message == "Link a → Link b → Link a: none of them can be made first"
    assert [(place.path, note) for place, note in hit.related] == [("b.yaml", "names Link a")]


def test_no_cycles() -> None:
    """Long chains and two ways to one end are no circle."""
    assert ring(a="b", b="c", c="", d="c").cycles() == ()


def test_references_follow_the_scope() -> None:
    """No cluster-scoped kind refers to a namespaced one: there would be no telling which namespace is meant."""
    for kind in our_kinds().values():
        for field in kind.references:
            assert field.reference
            assert kind.scope != "Cluster" or our_kinds()[field.reference.kind].scope != "Namespaced"


def test_networkx_is_left_alone() -> None:
    """Looking up references, dependents and cycles of a sound repository does not import networkx."""
    code = "import sys, analyzer.analyze, analyzer.impact.difference; sys.exit('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
