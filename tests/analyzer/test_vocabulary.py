# ruff: noqa: E501  # a table has one row a line
"""Kinds that a repository defines itself: CustomResourceDefinitions and JSON Schemas count like kinds that are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analyzer.analyze import analyze
from analyzer.impact.difference import impact
from analyzer.report import Report
from analyzer.snapshot import from_directory
from schemas.custom import definition_of_crd, definition_of_schema, extended
from schemas.kinds import Kind, kinds

Lint = Callable[..., Report]
DAY = date(2026, 6, 1)

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "note": {"type": "string", "nullable": True},
        "mode": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {"type": "object", "x-kubernetes-embedded-resource": True},
        "choice": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "volumeRef": {"type": "string", "x-ref": "Volume"},
    },
}  # fmt: skip


def crd(**changes: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": SPEC}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"]},
        "versions": [version],
    }
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "widgets.example.com"}, "spec": spec | changes}


def widget(version: str = "v1", **spec: Any) -> str:
    metadata = {"name": "a", "namespace": "n"}
    return json.dumps({"apiVersion": f"example.com/{version}", "kind": "Widget", "metadata": metadata, "spec": spec})


def told(report: Report) -> list[tuple[str, str, str]]:
    return [(f.rule, str(f.location), f.message) for f in report.findings]


def test_a_definition_in_the_repository_counts(lint: Lint) -> None:
    """Without it a kind is unknown; with it, a manifest is checked field by field, wherever the definition is."""
    assert [rule for rule, _, _ in told(lint({"a.yaml": widget(size=0)}))] == ["unknown-kind"]
    found = told(lint({"a.yaml": widget(size=0, sise=1), "deep/in/it.yaml": json.dumps(crd())}))
    assert [(rule, message) for rule, _, message in found] == [
        ("invalid-resource", "0 is not larger than 0"),
        ("unknown-field", 'unknown field "sise"; did you mean "size"?'),
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"size": 1, "port": 80}, ""),
        ({"size": 1, "port": "http"}, ""),
        ({"size": 1, "port": True}, "true is not a whole number or a string"),
        ({"size": 1, "note": None, "mode": None}, ""),
        ({"size": None}, "null is not a whole number"),
        ({"size": 1, "free": {"a": "b", "c": {"d": 1}}}, ""),
        ({"size": 1, "free": {"a": 1}}, "1 is not a string"),
        ({"size": 1, "labels": {"a": "b"}}, ""),
        ({"size": 1, "labels": {"a": 1}}, "1 is not a string"),
        ({"size": 1, "template": {"kind": "Pod", "spec": {}}}, ""),
        ({"size": 1, "choice": {"a": "x"}}, ""),
        ({"size": 1, "choice": {}}, "exactly one of a, b is needed; none is given"),
        ({"size": 1, "items": [{"name": "a", "odd": 1}]}, 'unknown field "odd"'),
        ({}, '"size" is missing'),
    ],
)
def test_structural_schemas(spec: dict[str, Any], problem: str) -> None:
    """What a structural schema says is what is checked: nullable, int-or-string, what may be unknown, choices."""
    kind = kind_of(crd())
    found = kind.problems(json.loads(widget(**spec)))
    assert [each.message for each in found] == ([problem] if problem else [])


def kind_of(definition: dict[str, Any], version: str = "v1") -> Kind:
    found = definition_of_crd(definition)
    assert found.flaws == ()
    return extended(kinds(), [found])[f"example.com/{version}", "Widget"]


def test_what_a_definition_says_of_the_kind() -> None:
    """Scope, names and the fields that tell items of a list apart are taken from it; metadata is that of Kubernetes."""
    kind = kind_of(crd(scope="Cluster"))
    assert (kind.scope, kind.plural, kind.short_names) == ("Cluster", "widgets", ("wd",))
    assert [str(field) for field in kind.named_lists] == ["spec.items"]
    manifest = json.loads(widget(size=1))
    manifest["metadata"] |= {"generateName": "a-", "uid": "b", "managedFields": []}
    assert kind.problems(manifest) == ()
    manifest["metadata"]["lables"] = {}
    assert len(kind.problems(manifest)) == 1


def test_several_versions() -> None:
    """Every version that is served has its own schema; one that is not served is no kind."""
    other = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"old": {"type": "string"}}}}}
    versions = [
        *crd()["spec"]["versions"],
        {"name": "v1beta1", "served": True, "schema": {"openAPIV3Schema": other}},
        {"name": "v1alpha1", "served": False, "schema": {"openAPIV3Schema": other}},
    ]
    known = extended(kinds(), [definition_of_crd(crd(versions=versions))])
    assert known["example.com/v1beta1", "Widget"].problems(json.loads(widget("v1beta1", old="x"))) == ()
    assert known.called("example.com/Widget") is known["example.com/v1", "Widget"]
    assert ("example.com/v1alpha1", "Widget") not in known


def test_definitions_of_the_older_form() -> None:
    """A definition of apiextensions.k8s.io/v1beta1 has one schema for all of its versions."""
    old = crd()
    schema = old["spec"].pop("versions")[0]["schema"]
    old["spec"] |= {"version": "v1", "validation": schema}
    assert kind_of({**old, "apiVersion": "apiextensions.k8s.io/v1beta1"}).problems(json.loads(widget(size=1))) == ()


def test_references_of_kinds_of_ones_own(lint: Lint, house: dict[str, str]) -> None:
    """x-ref in a definition makes references like those of known kinds: they can dangle, and lead to dependents."""
    files = {**house, "crds/widget.yaml": json.dumps(crd()), "a.yaml": widget(size=1, volumeRef="dbb")}
    moved = {**files, "a.yaml": files["a.yaml"].replace('"n"', '"team-a"')}
    [(rule, _, message)] = told(lint(moved))
    assert (rule, message) == (
        "dangling-reference",
        'Volume "dbb" is not declared in namespace team-a; did you mean "db"?',
    )


BROKEN = [
    ({"scope": "Everywhere"}, "spec.scope", '"Everywhere" is not Namespaced or Cluster'),
    ({"group": ""}, "spec.group", "a definition needs a group"),
    ({"names": {"kind": "Widget"}}, "spec.names", "a definition needs names.plural"),
    ({"versions": [{"name": "v1"}]}, "spec.versions.0", "a version needs an openAPIV3Schema"),
    ({"versions": [{"schema": {"openAPIV3Schema": {}}}]}, "spec.versions.0.schema.openAPIV3Schema", "a version needs a name"),
    ({"versions": ["v1"]}, "spec.versions.0", "a version needs a name"),
    ({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"$ref": "http://127.0.0.1:1/a"}}}}}]}, "spec.versions.0.schema.openAPIV3Schema.properties.spec.$ref", '"http://127.0.0.1:1/a" leads out of this file; nothing is fetched'),
    ({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"x-ref": 3}}}}}]}, "spec.versions.0.schema.openAPIV3Schema.properties.spec.x-ref", "3 is no x-ref"),
    ({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": 3}}}}]}, "spec.versions.0.schema.openAPIV3Schema.properties.spec", "3 is not a schema"),
    ({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"type": "strng"}}}}}]}, "spec.versions.0.schema.openAPIV3Schema.properties.spec.type", '"strng" is not a type; did you mean "string"?'),
    ({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": []}}}]}, "spec.versions.0.schema.openAPIV3Schema.properties", "the properties of a schema are a mapping"),
]  # fmt: skip


AT_SPEC = ("spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec")


@pytest.mark.parametrize(("change", "path", "message"), BROKEN)
def test_a_broken_definition_is_told_at_its_place(change: dict[str, Any], path: str, message: str) -> None:
    """A definition that cannot be used says where and why, and defines nothing."""
    found = definition_of_crd(crd(**change))
    assert found.schemas == ()
    assert [(".".join(map(str, flaw.path)), flaw.message) for flaw in found.flaws] == [(path, message)]


@pytest.mark.parametrize("wrong", [{"type": "string", "pattern": "("}, {"required": 3}])
def test_what_is_no_schema_at_all(lint: Lint, wrong: dict[str, Any]) -> None:
    """Guards against a traceback: a schema that no validator takes is a finding of its file."""
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": wrong}}}}
    report = lint({"a.yaml": json.dumps(crd(versions=[version])), "b.yaml": widget(size=1)})
    assert [rule for rule, _, _ in told(report)] == ["invalid-resource", "unknown-kind"]
    assert report.findings[0].message.startswith("not a schema: ")
    assert report.findings[0].path == (*AT_SPEC, next(name for name in wrong if name != "type"))


@pytest.mark.parametrize("spec", [None, [], "x", {"names": 3}, {"versions": {}}])
def test_hostile_definitions(lint: Lint, spec: object) -> None:
    """Whatever stands in a definition, it is told and nothing breaks."""
    definition = {**crd(), "spec": spec}
    assert {rule for rule, _, _ in told(lint({"a.yaml": json.dumps(definition)}))} == {"invalid-resource"}


def test_what_is_known_stays_as_it_is(lint: Lint) -> None:
    """A definition of a kind that Holdfast knows, as in a folder with all CRDs of a product, changes nothing."""
    names = {"kind": "API", "plural": "apis"}
    definition = crd(group="hub.traefik.io", names=names)
    definition["spec"]["versions"][0]["name"] = "v1alpha1"
    api = "apiVersion: hub.traefik.io/v1alpha1\nkind: API\nmetadata: {name: a, namespace: n}\nspec: {title: A}\n"
    assert told(lint({"crd.yaml": json.dumps(definition), "a.yaml": api})) == []


SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
GVK = {"x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Widget"}]}
CONST = {"apiVersion": {"const": "example.com/v1"}, "kind": {"enum": ["Widget"]}}


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("crds/any.json", SCHEMA | GVK),
        ("crds/any.yaml", {**SCHEMA, "properties": {**SCHEMA["properties"], **CONST}}),  # type: ignore[dict-item]
        ("crds/example.com/widget_v1.json", SCHEMA),
    ],
)
def test_plain_json_schemas(tmp_path: Path, path: str, schema: dict[str, Any]) -> None:
    """A schema says itself which kind it is of, or its file is named as in a catalogue; it is no manifest."""
    for name, text in (
        (".holdfast.yaml", "schemas: [./crds]\n"),
        ("a.yaml", widget(size="x")),
        (path, json.dumps(schema)),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    report = analyze(from_directory(tmp_path), as_of=DAY)
    assert [(f.rule, f.message) for f in report.findings] == [("invalid-resource", '"x" is not a whole number')]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (json.dumps(SCHEMA), "nothing says of which kind this is the schema"),
        (json.dumps(SCHEMA | GVK | {"$ref": "defs.json#/a"}), '"defs.json#/a" leads out of this file'),
        ("[1]", "a JSON Schema is a mapping"),
        ("{", "did not find expected"),
    ],
)
def test_a_schema_that_cannot_be_used(tmp_path: Path, schema: str, message: str) -> None:
    """It is told at its place as part of the policy, which names it; nothing is fetched from anywhere."""
    (tmp_path / "crds").mkdir()
    (tmp_path / ".holdfast.yaml").write_text("schemas: [crds]\n")
    (tmp_path / "crds/odd.json").write_text(schema)
    report = analyze(from_directory(tmp_path), as_of=DAY)
    [finding] = report.findings
    assert (finding.rule, finding.location.path) == ("invalid-policy", "crds/odd.json")
    assert message in finding.message


def test_a_folder_without_schemas(lint: Lint) -> None:
    """A folder that is not there would leave its kinds unchecked without a word."""
    report = lint({".holdfast.yaml": "failOn: error\nschemas: [./crds]\n"})
    [(rule, _, message)] = told(report)
    assert (rule, message) == ("invalid-policy", "there is no schema in crds; `schemas` names folders and files")
    assert str(report.findings[0].location) == ".holdfast.yaml:2:11"


def test_local_references_in_a_schema() -> None:
    """`$ref` inside the file is followed, and a message comes out even where it is not ours to phrase."""
    schema = {**SCHEMA, **GVK, "properties": {"spec": {"$ref": "#/definitions/s"}}, "definitions": {"s": {"type": "object", "required": ["a"]}}}  # fmt: skip
    found = definition_of_schema(schema, "any.json")
    kind = extended(kinds(), [found])["example.com/v1", "Widget"]
    [problem] = kind.problems(json.loads(widget()))
    assert "a" in problem.message


def test_the_same_files_have_the_same_kinds(lint: Lint) -> None:
    """Guards the cache: what was learnt is learnt again from other definitions, and not from the same ones."""
    files = {"crd.yaml": json.dumps(crd()), "a.yaml": widget(size="x")}
    first, again = lint(files), lint(files)
    one, two = ([*report.graph.manifests.values()][-1] for report in (first, again))
    assert one is two
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": free}}}}
    assert told(lint({**files, "crd.yaml": json.dumps(crd(versions=[version]))})) == []


@pytest.mark.parametrize(
    ("api_version", "kind", "said"),
    [
        ("hub.traefik.io/v1alpha1", "APIPlans", 'did you mean "APIPlan"?'),
        ("hub.traefik.oi/v1alpha1", "APIPlan", 'did you mean "hub.traefik.io"?'),
        ("hub.traefik.io/v1", "APIPlan", "hub.traefik.io/v1alpha1 is"),
        ("v1", "Sevice", 'did you mean "Service"?'),
        ("example.com/v1", "Widget", "nothing of it is checked"),
    ],
)
def test_what_an_unknown_kind_may_have_been(lint: Lint, api_version: str, kind: str, said: str) -> None:
    """A kind, a group or a version that is nearly right is named."""
    [(rule, _, message)] = told(lint({"a.yaml": f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n"}))
    assert rule == "unknown-kind"
    assert message.endswith(said)


@pytest.mark.parametrize(("inside", "count"), [(True, 0), (False, 1), ({}, 0)])
def test_schemas_that_are_true_or_false(inside: object, *, count: int) -> None:
    """JSON Schema has true and false for what lets everything and nothing through; nobody who reads them trips."""
    schema = {**GVK, "properties": {"spec": {"type": "object", "properties": {"size": inside}}}}
    found = definition_of_schema(schema, "any.json")
    kind = extended(kinds(), [found])["example.com/v1", "Widget"]
    assert len(kind.problems(json.loads(widget(size={"a": 1})))) == count
    assert kind.with_defaults({"size": {"a": 1}}) == kind.without_secrets({"size": {"a": 1}})


@pytest.mark.parametrize("properties", [{}, {"status": {"type": "object"}}])
def test_schemas_without_fields(properties: dict[str, Any]) -> None:
    """A schema that names no field at all defines a kind that takes anything."""
    found = definition_of_schema({**GVK, "properties": properties} if properties else GVK, "any.json")
    kind = extended(kinds(), [found])["example.com/v1", "Widget"]
    manifest = json.loads(widget(size=1))
    assert kind.problems(manifest) == ()
    assert kind.with_defaults(kind.body_of(manifest)) == {"spec": {"size": 1}}


def test_what_a_change_of_ones_own_kinds_is(lint: Lint) -> None:
    """A change is told field by field as the definition names them, and what it marks as secret is never shown."""
    properties = {"size": {"type": "integer"}, "password": {"type": "string", "x-secret": True}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
    definition = json.dumps(crd(versions=[{"name": "v1", "schema": {"openAPIV3Schema": schema}}]))
    before, after = (
        lint({"crd.yaml": definition, "a.yaml": widget(size=size, password=f"s3cret{size}")}).graph for size in (1, 2)
    )
    [change] = impact(before, after).changes
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("spec.size", 1, 2),
        ("spec.password", "(secret)", "(secret)"),
    ]


@pytest.mark.parametrize("name", ["Subsystem", "Volume", "StoragePool", "Removal", "Target", "SnapshotSchedule"])
def test_a_kind_that_is_called_as_one_of_ours(lint: Lint, house: dict[str, str], name: str) -> None:
    """Guards impact and rules: a definition of another group may use our names, and means something else by them."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": free}}}}
    definition = json.dumps(crd(names={"kind": name, "plural": "odds"}, versions=[version]))
    one, two = ({**house, "crd.yaml": definition, "a.yaml": widget(size=n).replace("Widget", name)} for n in (1, 2))
    gone = {path: text for path, text in one.items() if path != "a.yaml"}
    for before, after in ((one, two), (one, gone), (gone, one)):
        report = lint(after, before)
        assert told(report) == []
        [change] = impact(lint(before).graph, report.graph).changes
        assert change.hazard == "safe"
