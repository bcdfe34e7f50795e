"""Kustomizations as kustomize applies them. What is expected here is what `kustomize build` prints (v5.5.0)."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.document import parse
from analyzer.roots.files import files_of
from analyzer.roots.kustomize import Layer, Renderer
from analyzer.snapshot import Blob, Snapshot, blob_id

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: example.com/app:1
          ports: [{containerPort: 80, protocol: TCP}]
          envFrom: [{configMapRef: {name: settings}}]
        - name: proxy
          image: proxy@sha256:aa
"""


def render(files: dict[str, str], folder: str = "", others: tuple[str, ...] = ()) -> Layer:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    return Renderer(files_of(Snapshot("", blobs, others=dict.fromkeys(others)))).render(folder)


def rendered(files: dict[str, str], folder: str = "") -> list[Any]:
    layer = render(files, folder)
    assert [problem.message for problem in layer.problems] == []
    return [item.tree.value for item in layer.items]


def one(kustomization: str, manifest: str = DEPLOYMENT, **more: str) -> Any:
    files = {f"{name}.yaml": text for name, text in more.items()}
    [value] = rendered({"kustomization.yaml": f"resources: [web.yaml]\n{kustomization}", "web.yaml": manifest, **files})
    return value


def test_a_patch_merges_what_kubernetes_merges() -> None:
    """Containers are told apart by name, ports by number; what the patch names stands first; null removes."""
    patch = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: null, tier: front}}
    spec:
      containers:
        - name: proxy
          $patch: delete
        - name: extra
          image: extra:1
        - name: app
          ports: [{containerPort: 80, protocol: UDP}, {containerPort: 81}]
"""
    value = one("patches: [{path: patch.yaml}]", patch=patch)
    assert value["spec"]["replicas"] == 3
    assert value["spec"]["template"]["metadata"]["labels"] == {"tier": "front"}
    extra, app = value["spec"]["template"]["spec"]["containers"]
    assert (extra, app["name"], app["image"]) == ({"name": "extra", "image": "extra:1"}, "app", "example.com/app:1")


def test_lists_of_unknown_kinds_are_replaced() -> None:
    """Nobody knows how the items of a custom resource are told apart, so a patch replaces the whole list."""
    manifest = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {parts: [{name: x}, {name: y}]}\n"
    patch = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {parts: [{name: z}]}\n"
    assert one("patches: [{path: patch.yaml}]", manifest, patch=patch)["spec"] == {"parts": [{"name": "z"}]}


def test_json_patches_and_their_targets() -> None:
    """Operations apply to what a target's whole-word expressions and selectors pick, and to nothing else."""
    kustomization = """\
patches:
  - target: {kind: Deploy.*, name: w.b, labelSelector: "team in (a,b),!old"}
    patch: |
      - {op: add, path: /metadata/annotations, value: {a~b: "1"}}
      - {op: add, path: /metadata/annotations/a~1b, value: "2"}
      - {op: remove, path: /spec/template/spec/containers/1}
      - {op: add, path: /spec/template/spec/containers/-, value: {name: last}}
      - {op: copy, from: /metadata/name, path: /spec/template/spec/containers/0/image}
  - target: {}
    patch: '[{"op": "replace", "path": "/spec/paused", "value": true}]'
  - target: {kind: Deploy}
    patch: '[{"op": "remove", "path": "/spec"}]'
"""
    value = one(kustomization, DEPLOYMENT.replace("{name: web}\nspec", "{name: web, labels: {team: a}}\nspec"))
    assert value["metadata"]["annotations"] == {"a~b": "1", "a/b": "2"}
    assert value["spec"]["paused"] is True
    names = [(each["name"], each.get("image")) for each in value["spec"]["template"]["spec"]["containers"]]
    assert names == [("app", "web"), ("last", None)]


def test_names_and_the_references_to_them() -> None:
    """A generated ConfigMap is named after its content, and who uses it uses that name."""
    files = {
        "kustomization.yaml": "resources: [base]\nnamePrefix: prod-\nnamespace: front\n",
        "base/kustomization.yaml": (
            "resources: [web.yaml]\nconfigMapGenerator:\n  - name: settings\n    literals: [a=1, b='x y']\n"
        ),
        "base/web.yaml": DEPLOYMENT,
    }
    deployment, settings = rendered(files)
    assert settings["metadata"] == {"name": "prod-settings-8h58kkhgh4", "namespace": "front"}
    assert settings["data"] == {"a": "1", "b": "x y"}
    assert deployment["metadata"] == {"name": "prod-web", "namespace": "front"}
    [source] = deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert source == {"configMapRef": {"name": settings["metadata"]["name"]}}


def test_our_kinds_are_followed_by_their_schemas() -> None:
    """Kinds of Holdfast's own name each other in fields that kustomize does not know; those follow all the same."""
    volume = (
        "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Volume\nmetadata: {name: db, namespace: a}\n"
        "spec: {poolRef: fast, size: 1Gi}\n"
    )
    pool = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: StoragePool\nmetadata: {name: fast}\nspec: {}\n"
    files = {"kustomization.yaml": "resources: [m.yaml]\nnameSuffix: '-2'\n", "m.yaml": f"{volume}---\n{pool}"}
    found, _ = rendered(files)
    assert (found["metadata"]["name"], found["spec"]["poolRef"]) == ("db-2", "fast-2")


def test_labels_images_replicas() -> None:
    """Labels reach selectors only where that is asked for; images keep what is not changed; replicas go by name."""
    value = one(
        "labels: [{pairs: {a: '1'}}, {pairs: {b: '2'}, includeSelectors: true}]\ncommonAnnotations: {note: x}\n"
        "images: [{name: example.com/app, newTag: '2'}, {name: proxy, newName: other/proxy}]\n"
        "replicas: [{name: web, count: 4}]\n"
    )
    assert value["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert value["spec"]["selector"]["matchLabels"] == {"app": "web", "b": "2"}
    assert value["spec"]["template"]["metadata"] == {"labels": {"app": "web", "b": "2"}, "annotations": {"note": "x"}}
    images = [each["image"] for each in value["spec"]["template"]["spec"]["containers"]]
    assert images == ["example.com/app:2", "other/proxy@sha256:aa"]
    assert value["spec"]["replicas"] == 4


def test_replacements() -> None:
    """A value is copied as a whole, or as a part of a text that a delimiter cuts."""
    value = one(
        "replacements:\n"
        "  - source: {kind: Deployment, name: web, fieldPath: metadata.name}\n"
        "    targets:\n"
        "      - select: {kind: Deployment}\n"
        "        fieldPaths: ['spec.template.spec.containers.[name=app].image']\n"
        "        options: {delimiter: ':', index: 1}\n"
        "      - select: {name: web}\n"
        "        fieldPaths: ['metadata.annotations.[example.com/name]']\n"
        "        options: {create: true}\n"
    )
    assert value["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:web"
    assert value["metadata"]["annotations"] == {"example.com/name": "web"}


def test_components_change_what_takes_them_in() -> None:
    """A component sees the resources of the kustomization that names it."""
    files = {
        "a/kustomization.yaml": "resources: [web.yaml]\ncomponents: [../c]\nnamePrefix: x-\n",
        "a/web.yaml": DEPLOYMENT,
        "c/kustomization.yaml": "kind: Component\npatches:\n  - target: {kind: Deployment}\n    patch: |\n"
        "      - {op: add, path: /spec/paused, value: true}\n",
    }
    [value] = rendered(files, "a")
    assert (value["metadata"]["name"], value["spec"]["paused"]) == ("x-web", True)


def test_a_base_that_two_take_in_stays_as_it_is() -> None:
    """Two overlays of one base do not see each other's changes."""
    files = {
        "kustomization.yaml": "resources: [one, two]\n",
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": DEPLOYMENT,
        "one/kustomization.yaml": "resources: [../base]\nnamespace: one\ncommonAnnotations: {only: one}\n",
        "two/kustomization.yaml": "resources: [../base]\nnamespace: two\n",
    }
    first, second = rendered(files)
    assert (first["metadata"]["namespace"], second["metadata"]["namespace"]) == ("one", "two")
    assert "annotations" not in second["metadata"]
    [base] = rendered(files, "base")
    assert base == parse(DEPLOYMENT.encode()).documents[0].value


BROKEN = [
    ("resources: [nothing.yaml]", "there is no nothing.yaml"),
    ("resources: [../web.yaml]", "../web.yaml leads out of the repository"),
    ("resources: [/etc/passwd]", "/etc/passwd leads out of the repository"),
    ("resources: [.]", "kustomizations take each other in: . → ."),
    ("resources: [empty]", "empty has no kustomization.yaml"),
    ("resource: [web.yaml]", 'a kustomization has no field "resource"; did you mean "resources"?'),
    ("resources: web.yaml", '"web.yaml" is not a list'),
    ("patches: [{patch: '{kind: Deployment, metadata: {name: x}}'}]", "there is no Deployment x in namespace default"),
    ("patches: [{path: web.yaml, patch: 'a: 1'}]", "an entry has either `patch` or `path`"),
    ("patches: [{target: {name: '('}, patch: 'a: 1'}]", '"^(?:()$" is not a regular expression'),
    ("patches: [{target: {labelSelector: 'a in'}, patch: 'a: 1'}]", "'a in' is no selector"),
    ("replicas: [{name: nobody, count: 1}]", "there is no nobody that has replicas"),
    ("configMapGenerator: [{literals: [a=1]}]", "this ConfigMap has no name"),
    ("configMapGenerator: [{name: a, behavior: merge}]", "there is no ConfigMap a to merge"),
    ("- a", "a kustomization is one mapping"),
    ("a: [", "this kustomization cannot be read"),
]


@pytest.mark.parametrize(("kustomization", "message"), BROKEN)
def test_what_kustomize_would_refuse(kustomization: str, message: str) -> None:
    """What kustomize fails on is a problem with a place and words, never an exception, and nothing else is lost."""
    files = {"kustomization.yaml": f"{kustomization}\n", "web.yaml": DEPLOYMENT, "empty/a.yaml": "a: 1\n"}
    [problem] = render(files).problems
    assert problem.broken
    assert message in problem.message
    assert problem.location.path == "kustomization.yaml"


ELSEWHERE = [
    "resources: [https://example.com/base]",
    "resources: ['github.com/example/base?ref=v1']",
    "resources: ['git@github.com:example/base.git']",
    "helmCharts: [{name: a}]",
    "transformers: [a.yaml]",
]


@pytest.mark.parametrize("kustomization", ELSEWHERE)
def test_what_takes_a_network_or_a_program(kustomization: str) -> None:
    """What cannot be applied here is told, the rest is rendered, and nobody is sure."""
    layer = render({"kustomization.yaml": f"{kustomization}\nnamespace: a\n", "a.yaml": ""})
    assert [problem.broken for problem in layer.problems] == [False]
    assert not layer.sure


def test_content_that_was_not_read_is_not_taken_for_empty() -> None:
    """A generator may name a file that is no manifest: it is there, its content is not known, and nobody is sure."""
    files = {"kustomization.yaml": "configMapGenerator: [{name: a, files: [settings.ini]}]\n"}
    layer = render(files, others=("settings.ini",))
    assert (layer.problems, layer.sure, list(layer.items[0].tree.value["data"])) == ([], False, ["settings.ini"])
    assert [problem.message for problem in render(files).problems] == ["there is no settings.ini"]


def test_labels_make_no_claims_for_what_has_none() -> None:
    """Labels for volume claims go into the claims that there are; an empty one in their place would be no list."""
    stateful = DEPLOYMENT.replace("Deployment", "StatefulSet")
    claim = "  volumeClaimTemplates: [{metadata: {name: data}}]\n"
    without = one("commonLabels: {team: a}\n", stateful)
    having = one("commonLabels: {team: a}\n", stateful + claim)
    assert "volumeClaimTemplates" not in without["spec"]
    assert having["spec"]["volumeClaimTemplates"] == [{"metadata": {"name": "data", "labels": {"team": "a"}}}]


def test_patches_may_be_a_mere_list_of_files() -> None:
    """A list of files under `patches` is the old form of patchesStrategicMerge, which kustomize still takes."""
    patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n"
    assert one("patches: [three.yaml]\n", three=patch)["spec"]["replicas"] == 3


def test_a_generator_with_another_behavior_creates() -> None:
    """Kustomize takes a behavior that it does not know for none, so that the resource is made."""
    made = rendered({"kustomization.yaml": "configMapGenerator: [{name: a, behavior: add, literals: [x=y]}]\n"})
    assert [value["data"] for value in made] == [{"x": "y"}]


def test_what_a_component_takes_a_value_from_may_be_elsewhere() -> None:
    """A component that nothing here uses is not called broken for want of what it is to be put into."""
    replacement = "replacements: [{source: {kind: Secret, name: a}, targets: [{select: {kind: Deployment}}]}]\n"
    files = {"kustomization.yaml": f"kind: Component\nresources: [web.yaml]\n{replacement}", "web.yaml": DEPLOYMENT}
    alone, root = render(files), render({**files, "kustomization.yaml": f"resources: [web.yaml]\n{replacement}"})
    assert (alone.problems, alone.sure) == ([], False)
    assert [problem.message for problem in root.problems] == ["no resource is the source that this selects"]


def test_annotations_are_there_before_a_json_patch_adds_one() -> None:
    """Kustomize keeps notes of its own in the annotations while it patches, so that one can be added to none."""
    patch = "[{op: add, path: /metadata/annotations/example.com~1a, value: b}]"
    value = one(f"patches: [{{target: {{kind: Deployment}}, patch: '{patch}'}}]\n")
    assert value["metadata"]["annotations"] == {"example.com/a": "b"}


def test_a_folder_without_manifests_is_there() -> None:
    """Of a folder that holds other files it is not said that there is none."""
    layer = render({"kustomization.yaml": "resources: [notes]\n"}, others=("notes/README.md",))
    assert [problem.message for problem in layer.problems] == ["notes has no kustomization.yaml"]
