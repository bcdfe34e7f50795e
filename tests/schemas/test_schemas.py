# ruff: noqa: E501  # schemas are JSON; a table has one row a line
"""The schemas themselves: they are valid, they document every field, and both validators read them alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
import schemas.kinds as kinds_module
from analyzer.analyze import analyze
from analyzer.hazards import HAZARDS
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.kinds import ITEM, Field, Kind, config_validator, our_kinds
from schemas.validation import _FORMATS, Problem, Validator

ROOT = Path(schemas.__file__).parent
FILES = sorted(ROOT.rglob("*.schema.json"))
KINDS = list(our_kinds().values())
FIELDS = [(kind, field) for kind in KINDS for field in kind.fields.values()]
UPDATES = {"in-place", "recreate", "restart", "refuse"}
COUNTS_AND_IDS = {  # numbers that count or name something, so that no unit would tell more
    "port", "nsid", "maxNamespaces", "maxQueueDepth", "maxIOQpairsPerController", "overcommitRatio", "cntlidRange", "group", "anaGroup",
}  # fmt: skip

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
each_field = pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "name", str(value)))


@each_file
def test_valid_2020_12(path: Path) -> None:
    """Every schema is a JSON Schema of draft 2020-12 and names itself."""
    schema = json.loads(path.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://holdfast.dev/schemas/{path.relative_to(ROOT)}".removesuffix(".schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every subschema of an object with named fields."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for child in schema.values():
            yield from objects(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from objects(child)


@each_file
def test_unknown_fields_are_errors(path: Path) -> None:
    """Wherever fields are listed, no other is let through."""
    for schema in objects(json.loads(path.read_text())):
        assert "additionalProperties" in schema, schema


@each_field
def test_fields_are_documented(kind: Kind, field: Field) -> None:
    """Every field has a description and an example, and every number that measures something its unit."""
    schema = field.schema
    if field.path[-1] == ITEM:
        return
    assert field.description.endswith("."), field
    if len(field.path) > 1:
        assert schema.get("examples"), field
    if {"integer", "number"} & set(
        [schema.get("type")] if isinstance(schema.get("type"), str) else schema.get("type", [])
    ):
        assert "x-unit" in schema or field.path[-1] in COUNTS_AND_IDS, field


@each_field
def test_examples_and_defaults_are_valid(kind: Kind, field: Field) -> None:
    """What a field gives as example and as default is what it lets through."""
    validator = Validator(field.schema)
    for value in (*field.schema.get("examples", ()), *([field.schema["default"]] if "default" in field.schema else ())):
        assert validator.problems(value) == (), field


@each_field
def test_annotations_are_known(kind: Kind, field: Field) -> None:
    """Annotations say what the code understands, and name kinds and fields that there are."""
    schema = field.schema
    updates, hazards = schema.get("x-update", "in-place"), schema.get("x-hazard", "safe")
    assert set(updates.values() if isinstance(updates, dict) else [updates]) <= UPDATES
    assert set(hazards.values() if isinstance(hazards, dict) else [hazards]) <= set(HAZARDS)
    assert schema.get("x-format", "quantity") in _FORMATS
    if field.reference:
        target = our_kinds()[field.reference.kind]
        assert all(target.field(("spec", *path)) for path in field.reference.names)
    if field.list_key:
        item = kind.field((*field.path, ITEM, field.list_key))
        assert item
        assert item.required


def test_every_annotation_is_documented_and_read() -> None:
    """Guards against words that nobody heeds: what schemas say, the head of kinds.py explains, and code reads."""
    said = set(re.findall(r'"(x-[a-z-]+)":', "".join(path.read_text() for path in FILES)))
    said = {word for word in said if not word.startswith("x-kubernetes-")}  # in the example of a definition
    explained = set(re.findall(r"x-[a-z-]+", kinds_module.__doc__ or ""))
    code = "".join(
        path.read_text() for folder in ("schemas", "analyzer") for path in ROOT.parent.glob(f"{folder}/**/*.py")
    )
    assert said == explained
    assert said - set(re.findall(r'"(x-[a-z-]+)"', code)) == set()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.json")), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_said_twice(path: Path) -> None:
    """Guards against a key that is given twice, of which a reader would take the last without a word."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), [name for name, _ in pairs]
        return dict(pairs)

    assert json.loads(path.read_text("utf-8"), object_pairs_hook=once)


@each_kind
def test_examples_of_kinds(kind: Kind) -> None:
    """The example of a kind follows its schema."""
    assert kind.problems(kind.example) == ()


def test_the_examples_together() -> None:
    """The examples of all kinds make one sound repository."""
    contents = {f"{kind.name}.yaml": json.dumps(kind.example).encode() for kind in KINDS}
    blobs = {path: Blob(path, blob_id(data), data) for path, data in contents.items()}
    from datetime import date  # noqa: PLC0415  # beside its only use

    report = analyze(Snapshot("", blobs), as_of=date(2026, 6, 1))
    assert [finding.message for finding in report.findings] == []
    assert report.counts.resources == len(KINDS)


def test_every_kind_says_what_removal_means() -> None:
    """x-delete gives hazard and reason for every value of the field that it depends on."""
    for kind in KINDS:
        meaning = kind.schema["x-delete"]
        if "by" in meaning:
            field = kind.field(("spec", meaning["by"]))
            assert field
            assert set(field.schema["enum"]) == set(meaning) - {"by"}
        for spec in ({}, {"reclaimPolicy": "Delete"}, {"reclaimPolicy": "Delete", "malloc": {}}):
            assert kind.on_delete(spec).hazard in HAZARDS
            assert kind.on_delete(spec).reason


# Values near the schema: its examples, changed in one or two places.

SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(["100Gi", "1.5T", "60s", "10%", "2026-12-31", "nqn.2026-01.com.example:a", "a", "*", "127.0.0.1:1"])  # fmt: skip
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=2)
    | st.dictionaries(st.sampled_from(["name", "spec", "x"]), SCALARS, max_size=2)
)


def containers(value: Any) -> Iterator[Any]:
    """Every mapping and list inside a value."""
    if isinstance(value, (dict, list)):
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from containers(child)


@st.composite
def near(draw: st.DrawFn, value: Any) -> Any:
    """The value with a few places changed, taken away or added to."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(0, 3))):
        here = draw(st.sampled_from(list(containers(value))))
        if isinstance(here, list):
            here.append(draw(VALUES))
        else:
            name = draw(st.sampled_from([*here, "qos", "status", "uid", "x", "namespaces"]))
            if name in here and draw(st.booleans()):
                del here[name]
            else:
                here[name] = draw(VALUES)
    return value


def reference(schema: Any, value: Any) -> set[tuple[Any, ...]]:
    """What the jsonschema library finds: the place and the keyword of every error."""
    found: set[tuple[Any, ...]] = set()
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            found |= {(*path, name) for name in set(error.instance) - set(error.schema["properties"])}
        else:
            found.add(path)
    return found


def ours(problems: tuple[Problem, ...]) -> set[tuple[Any, ...]]:
    return {problem.path for problem in problems}


def ends_with_a_line_break(value: Any) -> bool:
    """Python's `$` lets a last line break through; the pattern of a schema does not."""
    if isinstance(value, dict):
        return any(ends_with_a_line_break(child) for child in value.values())
    if isinstance(value, list):
        return any(map(ends_with_a_line_break, value))
    return isinstance(value, str) and value.endswith("\n")


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), near(kind.example))))
@settings(max_examples=1500, derandomize=True, deadline=None)
def test_both_validators_agree(case: tuple[Kind, Any]) -> None:
    """jsonschema-rs finds what the jsonschema library finds, at the same places; formats are checked on top."""
    kind, value = case
    problems = kind.problems(value)
    formats = {p.path for p in kind.validator._format_problems(value)}
    if not ends_with_a_line_break(value):
        assert ours(problems) - formats == reference(kind.schema, value) - formats
    for problem in problems:
        assert problem.message
        assert "\n" not in problem.message


@pytest.mark.parametrize("name", ["policy"])
def test_configuration_is_documented(name: str) -> None:
    """Every key of a configuration file has a description, a default (or is needed, or says what absence means), and an example."""
    schema = config_validator(name)._schema
    assert schema["description"]
    for inner in objects(schema):
        for field, entry in inner["properties"].items():
            assert entry["description"].endswith("."), field
            required = field in inner.get("required", ())
            assert required or "default" in entry or "Absent:" in entry["description"], field
            assert "default" not in entry or Validator(entry).problems(entry["default"]) == (), field
            assert all(Validator(entry).problems(value) == () for value in entry["examples"]), field


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("Volume", {"size": "100 GB"}, '"100 GB" is not a quantity; did you mean "100G" or "100Gi"?'),
        ("Volume", {"size": "256MB"}, '"256MB" is not a quantity; did you mean "256M" or "256Mi"?'),
        ("Volume", {"size": "64KiB"}, '"64KiB" is not a quantity; did you mean "64Ki"?'),
        ("Volume", {"size": "1.5kb"}, '"1.5kb" is not a quantity; did you mean "1.5k" or "1.5Ki"?'),
        ("Volume", {"size": "512B"}, '"512B" is not a quantity; did you mean "512"?'),
        ("Volume", {"size": "big"}, '"big" is not a quantity, such as "100Gi"'),
        ("Volume", {"size": "1.0000001Ki"}, '"1.0000001Ki" is not a quantity, such as "100Gi"'),
        ("Volume", {"size": "100Gi\n"}, '"100Gi\\n" is not a quantity; did you mean "100Gi"?'),
        ("Volume", {"thin": "yes"}, '"yes" is not true or false, such as true'),
        ("Volume", {"reclaimPolicy": "delete"}, '"delete" is not one of Retain, Delete; did you mean "Delete"?'),
        ("Target", {"transports": [{"type": "TCP", "maxIOSize": 100000}]}, "100000 is not a power of two from 8192 to 2097152, such as 131072"),
        ("Target", {"transports": [{"type": "TCP", "maxAQDepth": 5000}]}, "5000 is larger than 4096, the maximum here"),
        ("Volume", {"qos": {"iops": -1}}, "-1 is smaller than 0, the minimum here"),
        ("StoragePool", {"lvstoreUUID": "86b25858-0754-4031-8e53-7d936a7ab16c"}, "exactly one of initialize, lvstoreUUID is needed; initialize and lvstoreUUID are given"),
        ("Subsystem", {"exports": []}, 'the list needs at least 1 item(s), such as [{"targetRef": "node-1", "portals": ["front"]}]'),
        ("Subsystem", {"nqn": "iqn.2026-01.com.example"}, '"iqn.2026-01.com.example" is not an NQN (nqn.YYYY-MM.reverse.domain:name), such as "nqn.2026-01.com.example.team-a:db"'),
        ("Removal", {"expires": "2026-02-30"}, '"2026-02-30" is not a date (YYYY-MM-DD), such as "2026-12-31"'),
        ("Target", {"portals": [{"name": "a", "address": "300.1.1.1"}]}, '"300.1.1.1" is not an IPv4 or IPv6 address, such as "10.0.0.11"'),
    ],
)  # fmt: skip
def test_messages(kind: str, change: dict[str, Any], message: str) -> None:
    """A message says what is wrong in words and shows what would be right."""
    example = our_kinds()[kind].example
    [problem] = our_kinds()[kind].problems(example | {"spec": example["spec"] | change})  # type: ignore[operator]
    assert problem.message == message


KEYLESS, POOLLESS = "encrypted-pool-without-key", "pool-neither-initialised-nor-imported"


@pytest.mark.parametrize(
    ("kind", "change", "rule"),
    [
        ("Volume", {"encryption": {}}, KEYLESS),
        ("Volume", {"encryption": {"keyFrom": {}}}, KEYLESS),
        ("Volume", {"encryption": {"keyFrom": {"file": "/k", "env": "K"}}}, "invalid-resource"),
        ("Volume", {"encryption": {"keyFrom": "k"}}, "invalid-resource"),
        ("StorageClass", {"encryption": {}}, KEYLESS),
        ("StoragePool", {"initialize": ...}, POOLLESS),
        ("StoragePool", {"lvstoreUUID": "86b25858-0754-4031-8e53-7d936a7ab16c"}, "invalid-resource"),
    ],
)
def test_what_is_missing_may_have_a_rule_of_its_own(kind: str, change: dict[str, Any], rule: str) -> None:
    """Guards `x-rule`: it is for what is not there at all; what is there and wrong is invalid."""
    example = our_kinds()[kind].example
    spec = {name: value for name, value in (example["spec"] | change).items() if value is not ...}  # type: ignore[operator]
    assert {problem.rule for problem in our_kinds()[kind].problems(example | {"spec": spec})} - {"unknown-field"} == {
        rule
    }
