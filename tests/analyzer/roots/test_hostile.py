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


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\ndata: {k: v}\n"
FOREVER = "so much is made"


def replacement(source: str, target: str, options: str) -> str:
    """A replacement of one field by another of the same ConfigMap."""
    return (
        f"- source: {{kind: ConfigMap, fieldPath: {source}}}\n"
        f"  targets: [{{select: {{kind: ConfigMap}}, fieldPaths: [{target}], options: {{{options}}}}}]\n"
    )


def copies(count: int) -> str:
    operations = "".join(f"    - {{op: copy, from: /data, path: /data/{at}}}\n" for at in range(count))
    return f"resources: [a.yaml]\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |-\n{operations}"


def test_texts_that_double() -> None:
    """A text that is put to itself forty times over is refused before it fills the memory."""
    doubling = replacement("data.k", "data.k", "delimiter: ',', index: 9") * 40
    told = deploy({"kustomization.yaml": f"resources: [a.yaml]\nreplacements:\n{doubling}", "a.yaml": CONFIG})
    assert any("makes a text of more than" in message for message in told)


def test_mappings_that_double() -> None:
    """A mapping that is put into itself again and again, by replacements or copies, is refused long before."""
    nested = "".join(replacement("data", f"data.a{at}", "create: true") for at in range(80))
    replaced = deploy({"kustomization.yaml": f"resources: [a.yaml]\nreplacements:\n{nested}", "a.yaml": CONFIG})
    copied = deploy({"kustomization.yaml": copies(80), "a.yaml": CONFIG})
    assert all(any(FOREVER in message for message in told) for told in (replaced, copied))


def test_a_mapping_within_itself() -> None:
    """What is put into itself is what it was before, not a value without an end."""
    files = {
        "kustomization.yaml": "resources: [a.yaml]\nreplacements:\n"
        + replacement("data", "data.a", "create: true")
        + replacement("data", "data.b", "create: true"),
        "a.yaml": CONFIG,
    }
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    found = deployment_of(files_of(Snapshot("", blobs)), sorted(blobs)).clusters[0].roots[0].declarations[0]
    inner = {"k": "v", "a": {"k": "v"}}
    assert found.document.value["data"] == {**inner, "b": inner}  # type: ignore[index, call-overload]


def test_variables_that_explode() -> None:
    """A long value in a hundred thousand places of one text is refused."""
    flux = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a, namespace: x}\n"
        "spec:\n  path: ./d\n  sourceRef: {kind: GitRepository, name: flux-system}\n"
        f"  postBuild: {{substitute: {{V: '{'x' * 10_000}'}}}}\n"
    )
    told = deploy({"c/f.yaml": flux, "d/a.yaml": CONFIG.replace("k: v", f"k: '{'${V}' * 10_000}'")})
    assert any("variables make a text of more than" in message for message in told)


@pytest.mark.parametrize("field", ["namePrefix", "nameSuffix"])
def test_endless_names(field: str) -> None:
    """No name gets longer than any cluster would take it, so that thousands of resources stay small."""
    told = deploy({"kustomization.yaml": f"resources: [a.yaml]\n{field}: {'x' * 300}\n", "a.yaml": CONFIG})
    assert told == ["a name of 301 characters (limit 253)"]


def test_thousands_of_patches_on_thousands_of_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that grows with the product of what two files hold has an end, and that is told."""
    monkeypatch.setattr("analyzer.roots.tree.Allowance.__init__.__defaults__", (10_000,))
    patches = "- {target: {kind: ConfigMap, name: 'b.*'}, patch: '[{op: add, path: /x, value: y}]'}\n" * 200
    many = "---\n".join(CONFIG.replace("name: a", f"name: a{at}") for at in range(100))
    told = deploy({"kustomization.yaml": f"resources: [a.yaml]\npatches:\n{patches}", "a.yaml": many})
    assert any(FOREVER in message for message in told)


def test_one_file_taken_in_again_and_again() -> None:
    """A file that is named very often does not become more resources than a root may have."""
    many = "---\n".join(CONFIG.replace("name: a", f"name: a{at}") for at in range(1000))
    told = deploy({"kustomization.yaml": f"resources: [{', '.join(['a.yaml'] * 30)}]\n", "a.yaml": many})
    assert any(f"more than {MAX_RESOURCES:,} resources" in message for message in told)


def test_an_index_that_is_no_number() -> None:
    """Which piece of a text is meant is a number; anything else is told."""
    odd = replacement("data.k", "data.k", "delimiter: ',', index: first")
    told = deploy({"kustomization.yaml": f"resources: [a.yaml]\nreplacements:\n{odd}", "a.yaml": CONFIG})
    assert told == ["index is a number, not 'first'"]
