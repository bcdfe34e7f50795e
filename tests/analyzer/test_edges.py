"""How references are derived from manifests of kinds that are not ours."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.document import parse
from analyzer.graph import ResourceGraph, link
from analyzer.manifest import Manifest, decode
from schemas.fields import reference_of
from schemas.kinds import Kind, Kinds, kind_of_schema
from schemas.resources import ResourceKey
from schemas.selector import is_empty, matches

GROUP = "example.com"
TEXT = {"type": "string"}
FREE: dict[str, Any] = {"type": "object", "additionalProperties": True}


def made_up(name: str, scope: str = "Namespaced", body: str = "spec", **fields: Any) -> Kind:
    """A kind of example.com/v1 with these fields."""
    metadata = fields.pop("metadata", FREE)
    inside = {"spec": {"type": "object", "properties": fields}} if body == "spec" else fields
    about = {"group": GROUP, "version": "v1", "scope": scope, "plural": "", "shortNames": [], "dataBearing": False}
    return kind_of_schema(
        {"title": name, "x-kind": {**about, "body": body}, "properties": {"metadata": metadata, **inside}},
        lambda other: other != "example.com/Zone",
    )


def linked(text: str, *known: Kind) -> ResourceGraph:
    """The graph of these manifests, where only these kinds are known."""
    vocabulary = Kinds({(kind.api_version, kind.name): lambda kind=kind: kind for kind in known})  # type: ignore[misc]
    head = "apiVersion: example.com/v1\nkind: "
    documents = parse("---\n".join(head + part.strip() + "\n" for part in text.split("---")).encode()).documents
    found = [decode(document, "a.yaml", vocabulary) for document in documents]
    return link([manifest for manifest in found if isinstance(manifest, Manifest)])


def edges(graph: ResourceGraph) -> list[tuple[str, str, str]]:
    """Path, target and part of every reference."""
    return [
        (".".join(map(str, r.path)), f"{r.target.kind_name} {r.target.path}", r.part)
        for references in graph.outgoing.values()
        for r in references
    ]


def test_names_of_other_groups() -> None:
    """x-ref names a kind of any group; the core group, which has no name, is called core."""
    kind = made_up("Route", secretName={**TEXT, "x-ref": "core/Secret"}, volume={**TEXT, "x-ref": "Volume"})
    graph = linked("Route\nmetadata: {name: a, namespace: n}\nspec: {secretName: s, volume: v}", kind)
    assert edges(graph) == [("spec.secretName", "core/Secret n/s", ""), ("spec.volume", "Volume n/v", "")]
    targets = [reference.target for reference in graph.references(ResourceKey("Route", "n", "a", GROUP))]
    assert targets == [ResourceKey("Secret", "n", "s", ""), ResourceKey("Volume", "n", "v")]


def test_a_namespace_beside_the_name() -> None:
    """A field beside the name may name the namespace; nothing of a cluster-scoped kind has one."""
    ref = {"kind": "core/Service", "namespace": "namespace"}
    kind = made_up(
        "Route",
        to={"type": "object", "properties": {"name": {**TEXT, "x-ref": ref}, "namespace": TEXT}},
        zone={**TEXT, "x-ref": {"kind": "example.com/Zone", "namespace": "to"}},
    )
    here = "Route\nmetadata: {name: a, namespace: n}\nspec: {to: {name: s}, zone: z}"
    there = "Route\nmetadata: {name: b, namespace: n}\nspec: {to: {name: s, namespace: m}}"
    assert edges(linked(f"{here}\n---\n{there}", kind)) == [
        ("spec.to.name", "core/Service n/s", ""),
        ("spec.zone", "example.com/Zone z", ""),
        ("spec.to.name", "core/Service m/s", ""),
    ]


@pytest.mark.parametrize(
    ("said", "target"),
    [("", ["core/Service n/x"]), (", kind: Mirror", ["example.com/Mirror n/x"]), (", kind: Other", [])],
)
def test_one_of_several_kinds(said: str, target: list[str]) -> None:
    """A field beside the name says which kind is meant; of a kind that the schema does not speak of nothing is said."""
    ref = {"kind": "core/Service", "by": "kind", "choices": {"Service": "core/Service", "Mirror": "example.com/Mirror"}}
    kind = made_up("Route", to={"type": "object", "properties": {"name": {**TEXT, "x-ref": ref}, "kind": TEXT}})
    graph = linked(f"Route\nmetadata: {{name: a, namespace: n}}\nspec: {{to: {{name: x{said}}}}}", kind)
    assert [where for _, where, _ in edges(graph)] == target


@pytest.mark.parametrize(
    ("form", "text", "target"),
    [
        ("name@namespace", "api@prod", ["example.com/API prod/api"]),
        ("name@namespace", "api", ["example.com/API n/api"]),
        ("name@provider", "auth@file", []),
        ("name@provider", "auth", ["example.com/API n/auth"]),
        ("name", "odd@name", ["example.com/API n/odd@name"]),
    ],
)
def test_references_in_annotations(form: str, text: str, target: list[str]) -> None:
    """An annotation or a label may name a resource, also with its namespace or the provider that knows it."""
    noted = {"example.com/api": {**TEXT, "x-ref": {"kind": "example.com/API", "form": form}}}
    kind = made_up("Route", metadata={**FREE, "properties": {"annotations": {**FREE, "properties": noted}}})
    graph = linked(f'Route\nmetadata: {{name: a, namespace: n, annotations: {{example.com/api: "{text}"}}}}', kind)
    assert [where for _, where, _ in edges(graph)] == target
    assert all(path == "metadata.annotations.example.com/api" for path, _, _ in edges(graph))


def test_parts_by_name_or_number() -> None:
    """A part is named beside or above, by a name or a number, and there may be two places where its names are kept."""
    number = {"x-ref": {"kind": "example.com/Service", "via": "../name", "names": ["ports[].port", "ports[].name"]}}
    route = made_up(
        "Route",
        to={
            "type": "object",
            "properties": {
                "name": {**TEXT, "x-ref": "example.com/Service"},
                "port": {"type": "object", "properties": {"number": number}},
            },
        },
    )
    port = {"type": "object", "properties": {"port": {"type": "integer"}, "name": TEXT}}
    service = made_up("Service", ports={"type": "array", "items": port})
    text = "Service\nmetadata: {name: s, namespace: n}\nspec: {ports: [{port: 80, name: web}]}\n---\n"
    for said, dangles in (("80", False), ("web", False), ("81", True)):
        to = f"Route\nmetadata: {{name: a, namespace: n}}\nspec: {{to: {{name: s, port: {{number: {said}}}}}}}"
        graph = linked(text + to, route, service)
        assert ("spec.to.port.number", "example.com/Service n/s", said) in edges(graph)
        assert [graph.alternatives(r) for r in graph.dangling()] == ([("80", "web")] if dangles else [])


def test_what_has_no_spec() -> None:
    """A kind whose fields stand beside metadata declares all of them, and its references are found there."""
    kind = made_up("Class", "Cluster", "root", secret={**TEXT, "x-ref": "core/Secret"}, status=FREE)
    graph = linked("Class\nmetadata: {name: a}\nsecret: s\nextra: 1\nstatus: {phase: odd}", kind)
    assert edges(graph) == [("secret", "core/Secret s", "")]
    [manifest] = graph.manifests.values()
    assert manifest.resource.spec == {"secret": "s", "extra": 1}


def test_picking_by_labels() -> None:
    """A selector of another group picks resources of its own namespace only, and an empty one picks all of them."""
    api, plan = made_up("API"), made_up("Plan", apis={**FREE, "x-pick": "example.com/API"})
    apis = "\n---\n".join(
        f"API\nmetadata: {{name: {name}, namespace: {place}, labels: {{tier: {tier}}}}}"
        for name, place, tier in (("one", "n", "a"), ("two", "n", "b"), ("three", "m", "a"))
    )

    def picked(selector: str) -> list[str]:
        graph = linked(f"{apis}\n---\nPlan\nmetadata: {{name: p, namespace: n}}\nspec: {{apis: {selector}}}", api, plan)
        return [target for _, target, _ in edges(graph)]

    assert picked("{matchLabels: {tier: a}}") == ["example.com/API n/one"]
    assert picked("{matchExpressions: [{key: tier, operator: Exists}]}") == [
        "example.com/API n/one",
        "example.com/API n/two",
    ]
    assert picked("{}") == ["example.com/API n/one", "example.com/API n/two"]
    assert picked("{matchLabels: {tier: c}}") == []


def test_two_that_name_each_other() -> None:
    """Of two that name each other one reference is called back; it makes no circle and the order follows the other."""
    claim = made_up("Claim", volume={**TEXT, "x-ref": "example.com/Disk"})
    disk = made_up("Disk", claim={**TEXT, "x-ref": {"kind": "example.com/Claim", "back": True}})
    graph = linked(
        "Claim\nmetadata: {name: c, namespace: n}\nspec: {volume: d}\n---\n"
        "Disk\nmetadata: {name: d, namespace: n}\nspec: {claim: c}",
        claim,
        disk,
    )
    assert graph.cycles() == ()
    assert [key.kind for key in graph.order()] == ["Disk", "Claim"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "exists"}]}, False),
        ({"matchExpressions": {"key": "a"}}, False),
        ({"matchLabels": ["a"]}, False),
        ([], False),
    ],
)
def test_selectors_as_kubernetes_reads_them(selector: object, *, found: bool) -> None:
    """Every requirement must hold, an empty selector matches everything, a malformed one nothing."""
    assert matches(selector, {"a": "1"}) is found
    assert is_empty(selector) is (selector == {})


@pytest.mark.parametrize("said", [{"via": "a"}, {"kind": "A", "sometimes": True}, 3, ["A"]])
def test_an_x_ref_that_nobody_would_understand(said: object) -> None:
    """A word that no code reads is refused, so that no schema promises a reference that is never made."""
    with pytest.raises(ValueError, match="is no x-ref"):
        reference_of(said)
