"""Manifests that are nearly right, of every kind: whatever is wrong with them is told, and nothing breaks."""

from __future__ import annotations

import copy
import json
import random  # noqa: TID251  # seeded
from datetime import date
from typing import Any

import pytest

from analyzer.analyze import analyze
from analyzer.impact.difference import impact
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.kinds import kinds

ODD = [
    None, True, 0, -1, 1.5, "", "x", "a/b", "${X}", [], {}, [None], [[]], [{}], {"name": None}, {"name": []}, "x" * 300,
    {"a": {"b": 1}}, ["a", "a"], 10**30,
]  # fmt: skip
KINDS = [*kinds().values()]
DEFINITION = kinds()["apiextensions.k8s.io/v1", "CustomResourceDefinition"].example


def mutated(value: Any, chance: random.Random) -> Any:
    """The same with one thing changed, renamed or taken out somewhere."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice([*value])
        if chance.random() < 0.15:
            return {key: child for key, child in value.items() if key != name}
        if chance.random() < 0.15:
            return {key if key != name else f"{key}x": child for key, child in value.items()}
        return value | {name: mutated(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], mutated(value[at], chance), *value[at + 1 :]]
    return copy.deepcopy(chance.choice(ODD))


def near(schema: Any, chance: random.Random, depth: int = 0) -> Any:
    """A value that has most of the fields of a schema."""
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "properties" in schema:
        share = 0.7 if depth < 4 else 0.3
        inside = schema["properties"].items()
        return {name: near(child, chance, depth + 1) for name, child in inside if chance.random() < share}
    if schema.get("type") == "array":
        return [near(schema.get("items", {}), chance, depth + 1) for _ in range(chance.randrange(3))]
    return copy.deepcopy(chance.choice([*schema.get("examples", ()), "a", 1, True]))


def manifest(chance: random.Random) -> Any:
    kind = chance.choice(KINDS)
    found: Any = copy.deepcopy(kind.example)
    if chance.random() < 0.6:
        body = near(kind.body_schema, chance)
        found = {**found, "spec": body} if kind.body else {**found, **body}
    for _ in range(chance.randrange(3)):
        found = mutated(found, chance)
    return found


def analysed(chance: random.Random, base: Report | None = None) -> Report:
    values = [manifest(chance) for _ in range(16)]
    values += [mutated(DEFINITION, chance)] if chance.random() < 0.5 else []
    files = {f"{number}.yaml": json.dumps(value).encode() for number, value in enumerate(values)}
    blobs = {path: Blob(path, blob_id(data), data) for path, data in files.items()}
    return analyze(Snapshot("head" if base else "base", blobs), as_of=date(2026, 6, 1), base=base)


@pytest.mark.parametrize("seed", range(24))
def test_nothing_breaks(seed: int) -> None:
    """Guards rules, references and impact against values that a schema refuses: findings, never a traceback."""
    chance = random.Random(seed)  # noqa: S311  # the same every time
    base = analysed(chance)
    head = analysed(chance, base)
    assert all(finding.message and finding.location.line > 0 for finding in (*base.findings, *head.findings))
    assert impact(base.graph, head.graph).to_json()
