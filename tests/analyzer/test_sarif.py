"""SARIF: valid by the standard's own schema, and as GitHub's code scanning wants it."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.render import sarif
from analyzer.report import Report
from analyzer.rules import RULES
from schemas.resources import ResourceKey

Lint = Callable[..., Report]
House = dict[str, str]

SHARED = os.environ.get("HOLDFAST_SHARED_DATA")
SCHEMA = Path(SHARED or "") / "sarif-schema-2.1.0.json"

CYCLE = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: chicken, namespace: team-a}
spec: {poolRef: fast, size: 1Gi, source: {snapshotRef: egg}}
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: VolumeSnapshot
metadata: {name: egg, namespace: team-a}
spec: {volumeRef: chicken}
"""


@pytest.fixture
def troubled(lint: Lint, house: House) -> Report:
    """A report with related places, a way, a suggestion, a place of another revision, and names that are none."""
    base = house | {"old.yaml": house["db.yaml"].split("---")[0].replace("name: db", "name: old")}
    head = house | {
        "cycle.yaml": CYCLE,
        "a b/ü#%.yaml": house["db.yaml"],
        "typo.yaml": house["host.yaml"].replace("spec: {nqn", "spec: {nqm"),
        "bad.yaml": b"a: \xff\n",
        "gone.yaml": "",
    }
    report = lint(head, base)
    surrogate = Finding("unknown-kind", Severity.INFO, "a lone \ud800", Location("\udcff.yaml", 1, 1, text="\udcff"))
    way = replace(report.findings[0], way=True, related=report.findings[0].related or ((Location("c", 1, 1), "n"),))
    return replace(report, findings=(*report.findings, surrogate, way))


def run_of(report: Report, **limits: int) -> Any:
    text = sarif.render(report, **limits)
    assert text.isascii()
    [run] = json.loads(text)["runs"]
    return run


def test_the_official_schema(lint: Lint, house: House, troubled: Report) -> None:
    """What is written is valid by the schema that OASIS publishes, with findings and without."""
    if not SHARED or not SCHEMA.is_file():
        pytest.skip("needs the official schema: set HOLDFAST_SHARED_DATA to the folder of sarif-schema-2.1.0.json")
    validator = jsonschema.Draft4Validator(json.loads(SCHEMA.read_text()))
    for report in (lint(house), lint({}), troubled):
        assert [error.message for error in validator.iter_errors(json.loads(sarif.render(report)))] == []


def test_clean(lint: Lint, house: House) -> None:
    """Nothing found is an empty list, not a missing one, and every rule is described all the same."""
    run = run_of(lint(house))
    assert run["results"] == []
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}\n")
        assert rule["helpUri"].startswith("https://")
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]


def test_a_result(lint: Lint, house: House) -> None:
    """Rule, level, place, resource, text and fix of one finding."""
    house["db.yaml"] = house["db.yaml"].replace("size:", "sizes:")
    report = replace(lint(house), root="site")
    [result] = [r for r in run_of(report)["results"] if r["ruleId"] == "unknown-field"]
    [place] = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "site/db.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 4, "startColumn": 23, "snippet": {"text": "spec: {poolRef: fast, sizes: 100Gi}"}},
    }
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "Volume team-a/db/spec/sizes"
    assert RULES[result["ruleIndex"]].id == result["ruleId"]
    assert result["level"] == "error"
    [change] = result["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["deletedRegion"] == {
        "startLine": 4, "startColumn": 23, "endLine": 4, "endColumn": 28,
    }  # fmt: skip
    assert change["replacements"][0]["insertedContent"] == {"text": "size"}


def test_paths_are_uris(troubled: Report) -> None:
    """Names with blanks, hashes and letters of other alphabets are escaped, and stay relative."""
    uris = {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for result in run_of(troubled)["results"]
        for place in (*result["locations"], *result.get("relatedLocations", ()))
    }
    assert "a%20b/%C3%BC%23%25.yaml" in uris
    assert all(not uri.startswith(("/", "file:")) for uri in uris)
    outside = run_of(replace(troubled, root="/srv/a b"))["results"][0]["locations"][0]["physicalLocation"]
    assert outside["artifactLocation"]["uri"].startswith("file:///srv/a%20b/")
    assert "uriBaseId" not in outside["artifactLocation"]


def test_fingerprints(lint: Lint) -> None:
    """GitHub's hash is ours and a number among its likes: unmoved by lines and files, apart where two are alike."""
    twice = "a: 1\na: 2\n"
    hashes = [
        [r["partialFingerprints"]["primaryLocationLineHash"] for r in run_of(lint(files))["results"]]
        for files in ({"a.yaml": twice, "b.yaml": twice}, {"c/d.yaml": f"\n# moved\n{twice}", "e.yaml": twice})
    ]
    assert len(set(hashes[0])) == 2
    assert hashes[0] == hashes[1]
    assert [text[-2:] for text in hashes[0]] == [":1", ":2"]


def test_a_way(lint: Lint, house: House) -> None:
    """A cycle is told step by step, as a way through the code."""
    [result] = [r for r in run_of(lint(house | {"c.yaml": CYCLE}))["results"] if r["ruleId"] == "reference-cycle"]
    [flow] = result["codeFlows"]
    steps = [
        step["location"]["physicalLocation"]["region"]["startLine"] for step in flow["threadFlows"][0]["locations"]
    ]
    assert steps == [4, 9]
    assert [place["id"] for place in result["relatedLocations"]] == [1]


def test_the_worst_are_kept(lint: Lint, house: House) -> None:
    """Beyond what GitHub takes the mildest are left out, and the run says how many; the same by compressed size."""
    place, key = Location("a.yaml", 1, 1), ResourceKey("Volume", "a", "b", "c")
    found = [
        Finding("unknown-kind", severity, f"m{n}", place, key, confidence=confidence)
        for n in range(30)
        for severity in Severity
        for confidence in Confidence
    ]
    report = replace(lint(house), findings=tuple(sorted(found)))
    run = run_of(report, results=40)
    assert [result["level"] for result in run["results"]] == ["error"] * 40
    assert [r["properties"]["confidence"] for r in run["results"]] == ["high"] * 30 + ["low"] * 10
    [note] = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("140 milder findings are left out")
    size = len(gzip.compress(sarif.render(report).encode(), mtime=0))
    smaller = sarif.render(report, size=size - 1)
    assert len(gzip.compress(smaller.encode(), mtime=0)) < size
    assert len(json.loads(smaller)["runs"][0]["results"]) == 90


def test_the_level_is_the_policys(lint: Lint) -> None:
    """A rule's default level is what this repository's policy makes of it."""
    run = run_of(lint({".holdfast.yaml": "severities: {open-subsystem: error}"}))
    levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in run["tool"]["driver"]["rules"]}
    assert (levels["open-subsystem"], levels["rounded-iops"]) == ("error", "note")


def test_what_does_not_count(lint: Lint, house: House) -> None:
    """Suppressed results are there when asked for, valid, and come after all that counts when there is no room."""
    policy = "suppressions: [{rules: [unknown-kind], reason: another tool}]\n"
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    other = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Quota\nmetadata: {name: a, namespace: b}\nspec: {x: 1}\n"
    report = lint(house | {".holdfast.yaml": policy, "a.yaml": foreign, "b.yaml": other})
    known = report.since(report)
    for one in (report, known):
        text = sarif.render(one, aside=True)
        if SHARED and SCHEMA.is_file():
            jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate(json.loads(text))
    states = [
        (r["ruleId"], r.get("baselineState"), "suppressions" in r) for r in json.loads(text)["runs"][0]["results"]
    ]
    assert sorted(states, key=str) == [("unknown-field", "unchanged", True), ("unknown-kind", None, True)]
    run = json.loads(sarif.render(report, aside=True, results=1))["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == ["unknown-field"]
