"""Which files are deployed together, and what is told of them: roots, clusters, confidence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pytest

from analyzer.analyze import analyze
from analyzer.document import load
from analyzer.finding import Confidence, Finding, Severity
from analyzer.report import Report
from analyzer.roots.deployment import Deployment, RootSetting, deployment_of
from analyzer.roots.files import files_of
from analyzer.snapshot import Blob, Snapshot, blob_id, from_directory

Lint: TypeAlias = Callable[..., Report]

API = "apiVersion: storage.holdfast.dev/v1alpha1\n"
VOLUME = f"{API}kind: Volume\nmetadata: {{name: db, namespace: team-a}}\nspec:\n  poolRef: fast\n  size: 1Gi\n"
POOL = f"""{API}kind: StoragePool
metadata: {{name: fast}}
spec: {{deviceRef: disk-0, lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c}}
"""
DISK = f"""{API}kind: BlockDevice
metadata: {{name: disk-0}}
spec: {{targetRef: node-1, aio: {{path: /dev/disk/by-id/nvme-0}}}}
"""
TARGET = f"""{API}kind: Target
metadata: {{name: node-1}}
spec:
  connection: {{unixSocket: /var/tmp/spdk.sock}}
  portals: [{{name: front, address: 10.0.0.11}}]
"""
BELOW = {"disk.yaml": DISK, "pool.yaml": POOL, "target.yaml": TARGET}
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {}\n"


def deployed(files: dict[str, str], settings: tuple[RootSetting, ...] = ()) -> Deployment:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    assert not any(load(blob).defects for blob in blobs.values())
    return deployment_of(files_of(Snapshot("", blobs)), sorted(blobs), settings)


def clusters(files: dict[str, str], settings: tuple[RootSetting, ...] = ()) -> dict[str, list[str]]:
    return {cluster.name: [root.name for root in cluster.roots] for cluster in deployed(files, settings).clusters}


def flux(name: str, path: str, source: str = "{kind: GitRepository, name: flux-system}", more: str = "") -> str:
    return (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata: {{name: {name}, namespace: flux-system}}\nspec:\n  path: {path}\n  sourceRef: {source}\n{more}"
    )


def test_a_folder_without_kustomizations_is_one_root() -> None:
    """Plain manifests are one root, read as they stand."""
    assert clusters({"a.yaml": CONFIG, "b/c.yaml": CONFIG}) == {"": ["."]}


def test_roots_that_share_nothing_are_one_cluster() -> None:
    """Kustomizations of different things are deployed side by side, and so is what none of them takes in."""
    files = {"a/kustomization.yaml": "resources: [a.yaml]\n", "a/a.yaml": CONFIG, "b.yaml": TARGET}
    assert clusters(files) == {"": ["a", "."]}


OVERLAYS = {
    "base/kustomization.yaml": "resources: [a.yaml]\n",
    "base/a.yaml": CONFIG,
    "one/kustomization.yaml": "resources: [../base]\nnamespace: one\n",
    "two/kustomization.yaml": "resources: [../base]\nnamespace: two\n",
    "unused/kustomization.yaml": "kind: Component\npatches: []\n",
}


def test_overlays_of_one_base_are_variants() -> None:
    """Two overlays are two clusters; a base that somebody takes in is no root; an unused component is one."""
    assert clusters(OVERLAYS) == {"one": ["one"], "two": ["two"], "unused": ["unused"]}


def test_the_policy_names_roots() -> None:
    """Roots that the policy names are the roots, and make the clusters that it says."""
    settings = (RootSetting("one", "x"), RootSetting("plain", "x"), RootSetting("two", "two"))
    assert clusters(OVERLAYS | {"plain/b.yaml": CONFIG}, settings)["x"] == ["one", "plain"]


def test_kustomizations_that_only_take_in_each_other() -> None:
    """A circle has no beginning; it is not passed over for that."""
    files = {"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"}
    [cluster] = deployed(files).clusters
    assert any("take each other in" in problem.message for root in cluster.roots for problem in root.problems)


FLUX = {
    "clusters/prod/flux-system/gotk-sync.yaml": flux("flux-system", "./clusters/prod"),
    "clusters/prod/flux-system/kustomization.yaml": "resources: [gotk-sync.yaml]\n",
    "clusters/prod/apps.yaml": flux("apps", "./apps/prod", more="  targetNamespace: shop\n"),
    "clusters/test/apps.yaml": flux("apps", "apps/test"),
    "apps/base/kustomization.yaml": "resources: [a.yaml]\n",
    "apps/base/a.yaml": CONFIG,
    "apps/prod/kustomization.yaml": "resources: [../base]\n",
    "apps/test/kustomization.yaml": "resources: [../base]\nnamePrefix: t-\n",
}


def test_flux_says_what_each_cluster_applies() -> None:
    """A cluster begins in the folder that applies itself, or that holds objects which nobody applies."""
    assert clusters(FLUX) == {
        "clusters/prod": ["clusters/prod", "apps/prod"],
        "clusters/test": ["clusters/test", "apps/test"],
    }
    prod = next(cluster for cluster in deployed(FLUX).clusters if cluster.name == "clusters/prod")
    [found] = prod.roots[1].declarations
    assert (found.subject and found.subject.path, str(found.position_of(("metadata", "namespace")))) == (
        "shop/a",
        "clusters/prod/apps.yaml:7:20",
    )


def test_flux_reads_a_folder_without_a_kustomization() -> None:
    """Everything in it and below, and kustomizations on the way as such."""
    files = {"c/all.yaml": flux("all", "plain"), "plain/x/a.yaml": CONFIG} | {
        f"plain/k/{name.rpartition('/')[2]}": text for name, text in OVERLAYS.items() if name.startswith("base/")
    }
    [cluster] = deployed(files).clusters
    assert [len(root.declarations) for root in cluster.roots if root.path == "plain"] == [2]


def test_an_artifact_of_a_folder_of_this_repository() -> None:
    """Where the source is made of a folder, paths begin in that folder: one that the object itself is in."""
    files = {
        "deploy/clusters/a/a.yaml": flux("a", "./apps/x", "{kind: OCIRepository, name: flux-system}"),
        "deploy/apps/x/a.yaml": CONFIG,
    }
    assert clusters(files) == {"deploy/clusters/a": ["deploy/clusters/a", "deploy/apps/x"]}


def test_objects_that_nobody_applies_beside_some_that_are() -> None:
    """What stands among folders that a cluster applies, and is applied by none, may be put away: nobody is sure."""
    files = {
        "clusters/a/all.yaml": flux("all", "apps/one"),
        "apps/one/kustomization.yaml": "resources: [a.yaml]\n",
        "apps/one/a.yaml": CONFIG,
        "apps/two/ks.yaml": flux("two", "apps/two/app"),
        "apps/two/app/a.yaml": CONFIG,
    }
    found = {cluster.name: cluster.roots for cluster in deployed(files).clusters}
    assert {name: [(root.path, root.sure) for root in roots] for name, roots in found.items()} == {
        "apps/two": [("apps/two", False), ("apps/two/app", False)],
        "clusters/a": [("clusters/a", True), ("apps/one", True)],
    }
    assert [len(root.declarations) for root in found["apps/two"]] == [1, 1]


def test_what_flux_takes_from_elsewhere() -> None:
    """A Kustomization of another repository is none of this one; a folder of this one that is missing is told."""
    other = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: NAME}\n"
        "spec: {url: https://example.com/NAME}\n"
    )
    files = {
        "c/a.yaml": flux("a", "apps/prod", "{kind: GitRepository, name: other}"),
        "c/b.yaml": flux("b", "nowhere"),
        "c/s.yaml": f"{other.replace('NAME', 'flux-system')}---\n{other.replace('NAME', 'other')}",
        "apps/prod/a.yaml": CONFIG,
    }
    [cluster, rest] = deployed(files).clusters
    assert [root.path for root in cluster.roots] == ["c", "nowhere"]
    assert [problem.message for root in cluster.roots for problem in root.problems] == [
        "the repository has no folder nowhere"
    ]
    assert [root.path for root in rest.roots] == [""]


def test_artifacts_of_this_repository() -> None:
    """An artifact that is copied from folders of this repository is followed to them."""
    generator = (
        "apiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\nmetadata: {name: all}\nspec:\n"
        "  sources: [{alias: repo, kind: GitRepository, name: flux-system}]\n  artifacts:\n    - name: apps\n"
        '      copy: [{from: "@repo/deep/apps/**", to: "@artifact/apps/"}]\n'
    )
    files = {
        "c/a.yaml": flux("a", "./apps/x", "{kind: ExternalArtifact, name: apps}"),
        "c/g.yaml": generator,
        "deep/apps/x/a.yaml": CONFIG,
    }
    assert clusters(files) == {"c": ["c", "deep/apps/x"]}


SUBSTITUTED = """\
  postBuild:
    substitute: {who: world, count: 3}
"""


def test_variables() -> None:
    """Known variables are put in, as numbers where no quotes stand; defaults hold; unknown ones are empty."""
    config = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: hello ${who}\n  b: ${count}\n"
        "  c: '${count}'\n  d: ${none:=x}-${who:-y}\n  e: $${who}\n  f: ${none}\n"
    )
    files = {"c/a.yaml": flux("a", "apps", more=SUBSTITUTED), "apps/a.yaml": config}
    [cluster] = deployed(files).clusters
    [found] = next(root for root in cluster.roots if root.path == "apps").declarations
    value = found.document.value
    assert isinstance(value, dict)
    assert value["data"] == {"a": "hello world", "b": 3, "c": "3", "d": "x-world", "e": "${who}", "f": None}
    assert str(found.position_of(("data", "a"))) == "apps/a.yaml:5:6"


def test_charts_are_no_manifests() -> None:
    """Templates and values of a chart are Helm's; that it is there is told, and gravely where our kinds are in it."""
    files = {
        "chart/Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\n",
        "chart/values.yaml": "a: 1\n",
        "chart/templates/a.yaml": "a: 1\n",
        "chart/crds/a.yaml": CONFIG,
    }
    [cluster] = deployed(files).clusters
    [root] = cluster.roots
    assert [found.path for found in root.declarations] == ["chart/crds/a.yaml"]
    assert [(problem.message, problem.grave) for problem in root.problems] == [
        ("a Helm chart with a template, not rendered here", False)
    ]
    [cluster] = deployed(files | {"chart/templates/b.yaml": VOLUME}).clusters
    assert [problem.grave for problem in cluster.roots[0].problems] == [True]


def found(report: Report, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule == rule]


def test_findings_stand_where_the_value_was_written(lint: Lint) -> None:
    """A reference that an overlay sets is told at the overlay, and with the root that shows it."""
    files = {f"base/{name}": text for name, text in BELOW.items()} | {
        "base/kustomization.yaml": "resources: [target.yaml, disk.yaml, pool.yaml, db.yaml]\n",
        "base/db.yaml": VOLUME,
        "prod/kustomization.yaml": "resources: [../base]\npatches:\n  - target: {kind: Volume}\n    patch: |\n"
        "      - {op: replace, path: /spec/poolRef, value: slow}\n",
    }
    [finding] = found(lint(files), "dangling-reference")
    assert (str(finding.location), finding.roots) == ("prod/kustomization.yaml:5:51", ("prod",))
    assert finding.confidence is Confidence.HIGH


def test_one_mistake_in_several_overlays_is_told_once(lint: Lint) -> None:
    """What is wrong in a base is one finding, with every root that shows it; duplicates count within one root."""
    base = {"base/kustomization.yaml": "resources: [db.yaml]\n", "base/db.yaml": VOLUME}
    overlays = {f"{name}/kustomization.yaml": "resources: [../base]\n" for name in ("one", "two")}
    report = lint(base | overlays)
    [finding] = found(report, "dangling-reference")
    assert (str(finding.location), finding.roots) == ("base/db.yaml:5:12", ("one", "two"))
    assert found(report, "duplicate-resource") == []


def test_another_root_may_satisfy_a_reference(lint: Lint) -> None:
    """Where nobody says which roots live together, what another root declares is not missing."""
    files = BELOW | {
        "base/kustomization.yaml": "resources: [db.yaml]\n",
        "base/db.yaml": VOLUME,
        **{f"{name}/kustomization.yaml": "resources: [../base]\n" for name in ("one", "two")},
    }
    assert found(lint(files), "dangling-reference") == []
    named = {".holdfast.yaml": "roots: [{path: one}, {path: two}]\n"}
    assert len(found(lint(files | named), "dangling-reference")) == 1


def test_what_was_not_rendered_is_not_sure(lint: Lint) -> None:
    """In a root that takes in something remote every finding about a resource has low confidence."""
    files = {
        "kustomization.yaml": "resources: [https://example.com/base, db.yaml]\n",
        "db.yaml": VOLUME,
    }
    report = lint(files)
    assert [f.confidence for f in found(report, "dangling-reference")] == [Confidence.LOW]
    assert [(f.severity, f.confidence) for f in found(report, "unrendered-root")] == [(Severity.ERROR, Confidence.HIGH)]


def test_templates_are_told_once(lint: Lint) -> None:
    """A file of template braces that cannot be read is one finding of low confidence, not one for every brace."""
    report = lint({"a.yaml": "a:\n  b: {{ .x }}\n  c: {{ .y }}\n"})
    [finding] = found(report, "invalid-yaml")
    assert (str(finding.location), finding.confidence) == ("a.yaml:2:6", Confidence.LOW)
    assert report.blocks


def test_what_no_root_takes_in_may_be_nobodys(lint: Lint) -> None:
    """Beside roots, a finding about a file of other tools is not sure; about storage, which is applied, it is."""
    files = {"k/kustomization.yaml": "resources: [a.yaml]\n", "k/a.yaml": TARGET, "left.yaml": "kind: Patch\n"}
    [finding] = found(lint(files), "invalid-resource")
    assert finding.confidence is Confidence.LOW
    [finding] = found(lint(files | {"left.yaml": VOLUME}), "dangling-reference")
    assert finding.confidence is Confidence.HIGH


@pytest.mark.parametrize("path", ["a.yaml", "deep/b.yaml"])
def test_what_no_root_takes_in_is_still_read(lint: Lint, path: str) -> None:
    """A manifest beside the roots is judged as it stands, and one that cannot be read is told."""
    files = {"k/kustomization.yaml": "resources: [a.yaml]\n", "k/a.yaml": TARGET}
    assert found(lint(files | {path: VOLUME}), "dangling-reference")
    assert found(lint(files | {path: "a: [\n"}), "invalid-yaml")


def test_what_a_cluster_leaves_out_of_its_own_folders_is_not_sure() -> None:
    """A Flux object below a kustomization that a cluster takes in, which does not take it in, is perhaps of nobody."""
    files = {
        "clusters/a/apps.yaml": flux("apps", "./apps/all"),
        "apps/all/kustomization.yaml": "resources: [../base/one]\n",
        "apps/base/one/kustomization.yaml": "resources: [namespace.yaml]\n",
        "apps/base/one/namespace.yaml": CONFIG,
        "apps/base/one/off/ks.yaml": flux("off", "./app", "{kind: ExternalArtifact, name: off}"),
    }
    found = {cluster.name: [root.sure for root in cluster.roots] for cluster in deployed(files).clusters}
    assert found == {"apps/base/one/off": [False], "clusters/a": [True, True]}


def test_links_inside_the_tree(tmp_path: Path) -> None:
    """What a link leads to is read once, where it is; a kustomization may name it; what is ignored there is a gap."""
    for path, text in {"one/a/kustomization.yaml": "resources: [a.yaml]\n", "one/a/a.yaml": CONFIG}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "top").mkdir()
    (tmp_path / "top/kustomization.yaml").write_text("namePrefix: x-\nresources: [../two/a]\n")
    report = analyze(from_directory(tmp_path), as_of=date(2026, 6, 1))
    assert ([*report.findings], [str(key) for key in report.graph.manifests]) == ([], ["ConfigMap x-a"])
    (tmp_path / ".holdfast.yaml").write_text("ignore: [one]\n")
    report = analyze(from_directory(tmp_path), as_of=date(2026, 6, 1))
    assert {(finding.rule, finding.location.path) for finding in report.findings} >= {("unreadable-file", "two")}
