"""The repository's policy."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import schemas
from analyzer.config import AnalyzerConfig, read_config
from analyzer.finding import Severity
from analyzer.report import Report
from analyzer.rule import AnyRule
from analyzer.rules import RULES
from analyzer.snapshot import Snapshot

Make = Callable[..., Snapshot]
Lint = Callable[..., Report]


def policy(snapshot: Make, text: str) -> AnalyzerConfig:
    config, problems = read_config(snapshot({".holdfast.yaml": text}))
    assert problems == ()
    return config


def test_without_a_policy(snapshot: Make) -> None:
    """No file, an empty one and `{}` all mean the built-in values."""
    assert read_config(snapshot({})) == (AnalyzerConfig(), ())
    assert policy(snapshot, "") == policy(snapshot, "# later\n") == policy(snapshot, "{}") == AnalyzerConfig()


def test_a_whole_policy(snapshot: Make) -> None:
    """Every key is understood; budgets are handed on as they were written."""
    text = """\
severities: {unknown-kind: info}
failOn: warning
ignore: [charts]
budget: {window: 24h, disruptiveSubsystems: 1, dataLosingResources: 0}
driftBudget: {window: 24h, disruptiveSubsystems: 10}
contested: {corrections: 5, within: 10m}
driftPolicy: warn
"""
    config = policy(snapshot, text)
    assert config.severities == {"unknown-kind": Severity.INFO}
    assert (config.fail_on, config.ignore) == (Severity.WARNING, ("charts",))
    assert config.settings["budget"] == {"window": "24h", "disruptiveSubsystems": 1, "dataLosingResources": 0}


BROKEN = [
    ("budgets: {}", "1:1", 'unknown field "budgets"; did you mean "budget"?'),
    ("budget:\n  windw: 1h", "2:3", 'unknown field "windw"; did you mean "window"?'),
    ("budget:\n  window: soon", "2:11", '"soon" is not a duration, such as "24h"'),
    ("severities: {dangling-refs: info}", "1:14", 'unknown field "dangling-refs"; did you mean "dangling-reference"?'),
    ("severities: {invalid-yaml: info}", "1:28", '"info" is not "error", the only value that is allowed here'),
    ("severities: {open-subsystem: 3}", "1:30", "3 is not one of error, warning, info, off"),
    ("failOn: x", "1:9", '"x" is not one of error, warning, info'),
    ("ignore: charts", "1:9", '"charts" is not a list, such as ["charts", "**/values.yaml"]'),
    ("- a", "1:1", '["a"] is not a mapping'),
    ("a: [", "2:1", "did not find expected node content"),
    ("{}\n---\n{}", "3:1", "a second document; the policy is one"),
]


@pytest.mark.parametrize(("text", "place", "message"), BROKEN)
def test_broken_policies(lint: Lint, text: str, place: str, message: str) -> None:
    """What is not understood is a finding at its place; it blocks, and nothing of the file counts."""
    report = lint({".holdfast.yaml": text, "a.yaml": "{{"})
    [finding] = [finding for finding in report.findings if finding.rule == "invalid-policy"]
    assert (f"{finding.location.line}:{finding.location.column}", finding.message) == (place, message)
    assert report.blocks
    assert report.policy_is_broken
    assert report.config == AnalyzerConfig()


GLOBS = [
    ("charts", ["charts", "charts/a.yaml", "charts/b/c.yaml"], ["a/charts", "chart/a.yaml", "charts.yaml"]),
    ("charts/", ["charts/a.yaml"], ["a.yaml"]),
    ("*.yaml", ["a.yaml"], ["a/b.yaml", "a.yml"]),
    ("**/values.yaml", ["values.yaml", "a/values.yaml", "a/b/values.yaml"], ["a/xvalues.yaml"]),
    ("a/**/z", ["a/z", "a/b/z", "a/b/c/z/d.yaml"], ["z", "b/a/z"]),
    ("a/*/z", ["a/b/z"], ["a/z", "a/b/c/z"]),
    ("a?.yaml", ["ab.yaml"], ["a.yaml", "a/.yaml"]),
    ("**", ["a", "a/b"], []),
    ("[ab].yaml", ["a.yaml"], ["c.yaml"]),
    ("a.yaml", ["a.yaml"], ["aXyaml", "A.yaml"]),
]


@pytest.mark.parametrize(("pattern", "ignored", "kept"), GLOBS)
def test_ignore(pattern: str, ignored: list[str], kept: list[str]) -> None:
    """`*` stays within a name, `**` crosses folders, and a folder takes everything in it along."""
    config = AnalyzerConfig(ignore=(pattern,))
    assert [path for path in ignored + kept if config.ignores(path)] == ignored


@pytest.mark.timeout(10)
def test_no_pattern_is_slow() -> None:
    """Patterns come with pull requests from anybody; the worst of them must not hang the check."""
    config = AnalyzerConfig(ignore=("a*" * 40 + "b", "**/a/" * 40 + "b", "**/" * 200 + "b"))
    assert not config.ignores("/".join(["a" * 100] * 40))
    assert not config.ignores("/".join(["a"] * 200))


def test_ignored_files_are_not_declared(lint: Lint, house: dict[str, str]) -> None:
    """What is ignored is neither judged nor applied, also when it could not be read."""
    files = house | {"charts/a.yaml": "{{", ".holdfast.yaml": "ignore: [charts, host.yaml]"}
    report = lint(files)
    assert [finding.rule for finding in report.findings] == ["dangling-reference"]


def test_severities(lint: Lint) -> None:
    """The policy makes findings worse or milder; what a rule raises above its own severity stays there."""
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    ours = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Volum\nmetadata: {name: a}\n"
    report = lint({"a.yaml": foreign, "b.yaml": ours, ".holdfast.yaml": "severities: {unknown-kind: info}"})
    assert [finding.severity for finding in report.findings] == [Severity.INFO, Severity.ERROR]


def test_fail_on(lint: Lint) -> None:
    """What blocks is decided by failOn."""
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    assert not lint({"a.yaml": foreign}).blocks
    assert lint({"a.yaml": foreign, ".holdfast.yaml": "failOn: warning"}).blocks


def test_the_schema_knows_every_rule() -> None:
    """The schema lists each rule with its severity as default, and lets nobody lower what nothing works without.

    `HOLDFAST_WRITE_PAGES=1 pytest tests/analyzer/test_config.py` writes the list.
    """
    path = Path(schemas.__file__).parent / "config" / "policy.schema.json"
    schema = json.loads(path.read_text())
    wanted = {rule.id: severities_of(rule) for rule in sorted(RULES, key=lambda rule: rule.id)}
    if os.environ.get("HOLDFAST_WRITE_PAGES"):
        schema["properties"]["severities"]["properties"] = wanted
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    assert schema["properties"]["severities"]["properties"] == wanted


def severities_of(rule: AnyRule) -> dict[str, object]:
    """What the policy may make of a rule."""
    always = " Always an error: no policy makes less of it."
    return {
        "description": f"Severity of {rule.id}.{always if rule.fixed else ''}",
        "type": "string",
        "enum": ["error"] if rule.fixed else ["error", "warning", "info", "off"],
        "default": str(rule.severity),
        "examples": [str(rule.severity)],
    }
