"""Kustomizations that nobody wrote in good faith: never an exception, and never more than a bounded amount of work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.roots.config import FIELDS
from analyzer.roots.deployment import deployment_of
from analyzer.roots.files import files_of
from analyzer.roots.kustomize import MAX_RESOURCES
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.resources import canonical

DEPLOYMENT = (
    '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": '
    '{"containers": [{"name": "a", "image": "a"}]}}}}'
)
TEXTS = st.sampled_from(
    [
        "a.yaml",
        "a",
        ".",
        "..",
        "",
        "b",
        "[{op: add, path: /x/y, value: 1}]",
        "kind: A",
        "metadata.name",
        "(",
        "a in (",
        "*",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | TEXTS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["name", "path", "patch", "target", "options", "kind", "op", "from", "value", "literals", "files", "pairs",
             "fields", "source", "targets", "select", "fieldPaths", "delimiter", "count", "labelSelector", "$patch",
             "metadata", "spec", "template", "containers", "a"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


def deploy(files: dict[str, str]) -> list[str]:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    found = deployment_of(files_of(Snapshot("", blobs)), sorted(blobs))
    return [problem.message for cluster in found.clusters for root in cluster.roots for problem in root.problems]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON, max_size=4), JSON)
def test_anything_as_a_kustomization(kustomization: dict[str, Any], patch: Any) -> None:
    """Whatever stands in a kustomization or a patch file is applied or told, and never an exception."""
    top = {"resources": ["a.yaml"], **kustomization}
    deploy(
        {"kustomization.yaml": canonical(top), "a.yaml": DEPLOYMENT, "b": canonical(patch), "b.yaml": canonical(patch)}
    )


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_anything_as_a_flux_kustomization(spec: Any) -> None:
    """The same for what Flux is told to apply."""
    top = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    deploy({"c/a.yaml": canonical(top), "a.yaml": DEPLOYMENT, "a/b.yaml": DEPLOYMENT})


def test_bases_that_double() -> None:
    """Each level takes in the one below twice: two to the power of forty resources are refused long before."""
    files = {"0/kustomization.yaml": "resources: [a.yaml]\n", "0/a.yaml": DEPLOYMENT}
    for level in range(1, 40):
        below = f"../{level - 1}"
        files[f"{level}/kustomization.yaml"] = f"resources: [{below}, {below}]\n"
    assert any(f"more than {MAX_RESOURCES:,} resources" in message for message in deploy(files))


def test_a_long_chain() -> None:
    """Kustomizations within kustomizations have an end before Python's stack has."""
    files = {f"{level}/kustomization.yaml": f"resources: [../{level + 1}]\n" for level in range(400)}
    assert any("within each other" in message for message in deploy(files))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "([a-z]+)*1"])
def test_expressions_take_linear_time(pattern: str) -> None:
    """A target's expression that would keep a backtracking engine busy for years is answered like any other."""
    name = "a" * 200
    files = {
        "kustomization.yaml": f"resources: [a.yaml]\npatches: [{{target: {{name: '{pattern}'}}, patch: 'a: 1'}}]\n",
        "a.yaml": DEPLOYMENT.replace('"name": "a"}, "spec"', f'"name": "{name}!"}}, "spec"'),
    }
    assert deploy(files) == []
