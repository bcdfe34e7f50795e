"""A password in a repository is in no report, however it got into a manifest, and in nothing that is kept."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date

import pytest

from analyzer.analyze import analyze
from analyzer.check import Check
from analyzer.impact.assess import assess
from analyzer.incremental.state import State
from analyzer.incremental.stored import rows_of
from analyzer.render import github, junit, markdown, pull_request, rdjson, sarif, text
from analyzer.render import json as machine
from tests.analyzer.conftest import API, snapshot_of

WORD = "correcthorsebattery"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: a}}\nstringData:\n  password: {WORD}\n"
PLACEHOLDER = SECRET.replace(WORD, "${X}")
TAKEN = "resources: [s.yaml]\n"
APPLICATION = (
    "apiVersion: hub.traefik.io/v1alpha1\nkind: ManagedApplication\nmetadata: {name: d, namespace: a}\n"
    "spec: {appId: x, owner: y, apiKeys: [{value: other}]}\n"
)


def patched(patch: str, **files: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """A Secret without a value, and the same with what a kustomization puts into it."""
    before = {"kustomization.yaml": TAKEN, "s.yaml": PLACEHOLDER}
    named = {name.replace("_", "."): content for name, content in files.items()}
    return before, {**before, "kustomization.yaml": TAKEN + patch, **named}


TARGET = "patches:\n- target: {kind: Secret}\n"
CASES = {
    "misspelt": ({"s.yaml": SECRET}, {"s.yaml": SECRET.replace("stringData", "stringDat")}),
    "beside the data": ({}, {"s.yaml": f"{SECRET}more: {WORD}\n"}),
    "of another version": ({"s.yaml": SECRET.replace("v1", "v2")}, {"s.yaml": PLACEHOLDER.replace("v1", "v2")}),
    "in small letters": ({}, {"s.yaml": SECRET.replace("kind: Secret", "kind: secret")}),
    "in an annotation": (
        {"s.yaml": PLACEHOLDER.replace("namespace: a", "namespace: a, annotations: {a: x}")},
        {"s.yaml": PLACEHOLDER.replace("namespace: a", f"namespace: a, annotations: {{a: {WORD}}}")},
    ),
    "by a JSON patch": patched(
        f"{TARGET}  patch: |-\n    - op: replace\n      path: /stringData/password\n      value: [{WORD}]\n"
    ),
    "by a JSON patch in one line": patched(
        f"{TARGET}  patch: '[{{op: replace, path: /stringData/password, value: {WORD}}}]'\n"
    ),
    "by a JSON patch in a file": patched(
        f"{TARGET}  path: p.yaml\n", p_yaml=f"- op: replace\n  path: /stringData/password\n  value: {WORD}\n"
    ),
    "by a patch in a file": patched(f"{TARGET}  path: p.yaml\n", p_yaml=f"stringData:\n  password: {WORD}\n"),
    "by a patch that does not fit": patched(f"{TARGET}  path: p.yaml\n", p_yaml=f"stringData: {WORD}\n"),
    "by a replacement": patched(
        f"replacements:\n- sourceValue: {WORD}\n"
        "  targets: [{select: {kind: Secret}, fieldPaths: [stringData.password]}]\n"
    ),
    "in an address": (
        {},
        {"t.yaml": f"{API}kind: Target\nmetadata: {{name: t}}\nspec: {{connection: {{http: {{url: 'x://u:{WORD}@h'}}}}}}\n"},
    ),
    "beside a key": ({"a.yaml": APPLICATION}, {"a.yaml": APPLICATION.replace("other", f"other, foo: {WORD}")}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_no_report_shows_it(case: str) -> None:
    """Guards logs, comments and code scanning against passwords: in text, JSON, SARIF, and what a change does."""
    before, after = CASES[case]
    base = analyze(snapshot_of(before, "b" * 40), as_of=date(2026, 11, 21), keep=True)
    head = analyze(snapshot_of(after, "a" * 40), as_of=date(2026, 11, 21), base=base)
    found = Check(head, head.config.fail_on, base, assess(base, head))
    reports = [each.render(head) for each in (text, machine, sarif, github, markdown, junit, rdjson)]
    told = "\n".join((*reports, pull_request.render(found), machine.render_check(found)))
    assert WORD not in told
    assert base64.b64encode(WORD.encode()).decode() not in told


@pytest.mark.parametrize("manifest", [SECRET, APPLICATION.replace("other", WORD), SECRET.replace("Secret", "secret")])
def test_nothing_that_is_kept_holds_it(manifest: str) -> None:
    """Guards caches, which travel further than repositories: what holds secrets is read from the repository again."""
    report = analyze(snapshot_of({"s.yaml": manifest}), as_of=date(2026, 11, 21), keep=True)
    assert isinstance(report.state, State)
    assert WORD not in str(rows_of(report.state.layer))
