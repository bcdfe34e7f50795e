"""Several clusters in one repository: each is compared with what it was, and Holdfast applies one of them."""

from __future__ import annotations

from datetime import date

from analyzer.analyze import analyze
from analyzer.impact.assess import assess
from analyzer.impact.difference import Impact
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id

HOST = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Host
metadata: {name: web-1}
spec: {nqn: "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432"}
"""
API = "apiVersion: hub.traefik.io/v1alpha1\nkind: API\nmetadata: {name: a, namespace: x}\nspec: {title: one}\n"
OVERLAYS = {
    "base/kustomization.yaml": "resources: [a.yaml]\n",
    "base/a.yaml": API,
    "one/kustomization.yaml": "resources: [../base]\nnamespace: one\n",
    "two/kustomization.yaml": "resources: [../base]\nnamespace: two\n",
}
AS_OF = date(2026, 6, 1)


def report(files: dict[str, str], base: Report | None = None) -> Report:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    return analyze(Snapshot("", blobs), as_of=AS_OF, base=base, keep=True)


def assessed(before: dict[str, str], after: dict[str, str]) -> Impact:
    base = report(before)
    return assess(base, report(after, base))


def changed(impact: Impact) -> list[tuple[str, str]]:
    return [(change.action, change.key.path) for change in impact.changes]


def test_a_change_of_a_base_changes_every_cluster() -> None:
    """Impact follows a base into all of its overlays."""
    after = OVERLAYS | {"base/a.yaml": API.replace("one", "two")}
    assert changed(assessed(OVERLAYS, after)) == [("update", "one/a"), ("update", "two/a")]


def test_a_cluster_that_goes() -> None:
    """What a cluster declared is told as deleted when its overlay goes."""
    after = {path: text for path, text in OVERLAYS.items() if not path.startswith("two/")}
    assert changed(assessed(OVERLAYS, after)) == [("delete", "two/a")]


def test_what_comes_from_elsewhere_is_not_deleted() -> None:
    """A base that is taken from another repository from now on is not made out, and nothing is told as deleted."""
    after = OVERLAYS | {"two/kustomization.yaml": "resources: [https://example.com/base]\nnamespace: two\n"}
    impact = assessed(OVERLAYS, after)
    assert (impact.changes, [place.because for place in impact.unreadable]) == (
        (),
        ["https://example.com/base is not fetched: nothing here uses a network"],
    )
    assert assessed(after, after).unreadable == ()


def test_a_root_that_cannot_be_rendered_is_not_a_deletion() -> None:
    """A broken kustomization leaves open what it holds."""
    after = OVERLAYS | {"two/kustomization.yaml": "resources: [../nowhere]\n"}
    impact = assessed(OVERLAYS, after)
    assert (impact.changes, [place.side for place in impact.unreadable]) == ((), ["head"])


def test_storage_in_two_clusters() -> None:
    """Holdfast does not choose between variants of storage; the policy does, and then nothing else counts."""
    files = OVERLAYS | {"base/a.yaml": HOST}
    found = report(files)
    assert [finding.rule for finding in found.findings] == ["ambiguous-cluster"]
    assert found.blocks
    named = report(files | {".holdfast.yaml": "roots: [{path: two, cluster: two}]\n"})
    assert (named.findings, list(named.graphs), len(named.graph.manifests)) == ((), ["two"], 1)


def test_roots_that_the_policy_names_and_nothing_else() -> None:
    """What is in no root that the policy names is not deployed, and that is told."""
    files = {".holdfast.yaml": "roots: [{path: a}]\n", "a/a.yaml": HOST, "b/b.yaml": HOST, "c.yaml": "a: [\n"}
    found = report(files)
    assert [(finding.rule, str(finding.location)) for finding in found.findings] == [
        ("undeployed-file", "b/b.yaml:1:1"),
        ("invalid-yaml", "c.yaml:2:1"),
    ]
    missing = report({".holdfast.yaml": "roots: [{path: nowhere}]\n", "a.yaml": HOST})
    assert [finding.rule for finding in missing.findings] == ["broken-kustomization", "undeployed-file"]
    assert str(missing.findings[0].location) == ".holdfast.yaml:1:16"


def test_a_file_that_is_left_out_is_told_once() -> None:
    """Who forgot a folder under `roots` is not told of each manifest in it that it should become one."""
    files = {".holdfast.yaml": "roots: [{path: a}]\n", "b.yaml": f"{HOST}---\n{API}", "c.yaml": "x: 1\n---\ny: 2\n"}
    [both, none] = report(files | {"a/a.yaml": ""}).findings
    assert (both.message, both.help) == (
        "no root takes in the 2 manifests of this file; nothing will come of it",
        "name its folder under `roots` in .holdfast.yaml, or the path under `ignore`",
    )
    assert (str(none.location), none.message) == (
        "c.yaml:1:1",
        "no manifest, and no root takes it in; nothing will come of it",
    )


def test_warm_equals_cold() -> None:
    """Going on from the report of an earlier revision says what starting anew says, with roots as without."""
    revisions = [
        OVERLAYS,
        OVERLAYS | {"base/a.yaml": API.replace("one", "two")},
        OVERLAYS | {"one/kustomization.yaml": "resources: [../base]\nnamespace: uno\n"},
        OVERLAYS | {"base/a.yaml": API.replace("title", "titel")},
        {path: text for path, text in OVERLAYS.items() if not path.startswith("two/")},
        {"base/a.yaml": API},
        {"base/a.yaml": API, ".holdfast.yaml": "roots: [{path: base}]\n"},
    ]
    warm: Report | None = None
    before: dict[str, str] | None = None
    for files in revisions:
        warm = report(files, warm)
        cold = report(files, report(before) if before else None)
        before = files
        assert [f.to_json() for f in warm.findings] == [f.to_json() for f in cold.findings]
        assert {n: sorted(g.manifests) for n, g in warm.graphs.items()} == {
            n: sorted(g.manifests) for n, g in cold.graphs.items()
        }
