"""Every rendered value is told where it was written last: file, line and column."""

from __future__ import annotations

import pytest

from analyzer.manifest import Manifest
from analyzer.roots.files import files_of
from analyzer.roots.kustomize import Renderer
from analyzer.roots.rendered import declaration_of
from analyzer.snapshot import Blob, Snapshot, blob_id
from schemas.validation import Path

FILES = {
    "base/kustomization.yaml": """\
resources:
  - web.yaml
configMapGenerator:
  - name: settings
    literals:
      - a=1
    files:
      - data.yaml
""",
    "base/data.yaml": "x: 1\n",
    "base/web.yaml": """\
# first
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app: web
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: app
          image: app:1
          envFrom:
            - configMapRef: {name: settings}
        - name: old
          image: old:1
""",
    "overlay/kustomization.yaml": """\
resources: [../base]
namespace: prod
namePrefix: p-
commonAnnotations:
  owner: team-a
labels:
  - pairs: {tier: front}
images:
  - name: app
    newTag: "2"
patches:
  - path: patch.yaml
  - target:
      kind: Deployment
    patch: |-

      - op: add
        path: /spec/paused
        value: true
      - op: add
        path: /spec/template/spec/containers/-
        value:
          name: last
          args: [one, two]
  - target: {kind: Deployment}
    patch: "[{op: add, path: /spec/quoted, value: 1}]"
replacements:
  - source: {kind: Deployment, fieldPath: spec.replicas}
    targets:
      - select: {kind: ConfigMap}
        fieldPaths: [data.a]
""",
    "overlay/patch.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: old
          $patch: delete
        - name: side
          image: side:1
          env:
            - {name: A, value: "1"}
""",
}


def declared(kind: str) -> Manifest:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in FILES.items()}
    layer = Renderer(files_of(Snapshot("", blobs))).render("overlay")
    assert (layer.problems, layer.sure) == ([], True)
    [found] = [
        each for item in layer.items if isinstance(each := declaration_of(item), Manifest) if each.key.kind == kind
    ]
    return found


CONTAINERS = ("spec", "template", "spec", "containers")
SPANS: list[tuple[str, Path, object, str]] = [
    ("Deployment", ("apiVersion",), "apps/v1", "base/web.yaml:2:13"),
    ("Deployment", ("metadata", "name"), "p-web", "base/web.yaml:5:9"),
    ("Deployment", ("metadata", "namespace"), "prod", "overlay/kustomization.yaml:2:12"),
    ("Deployment", ("metadata", "labels", "app"), "web", "base/web.yaml:7:10"),
    ("Deployment", ("metadata", "labels", "tier"), "front", "overlay/kustomization.yaml:7:19"),
    ("Deployment", ("metadata", "annotations", "owner"), "team-a", "overlay/kustomization.yaml:5:10"),
    ("Deployment", ("spec", "replicas"), 3, "overlay/patch.yaml:6:13"),
    ("Deployment", ("spec", "paused"), True, "overlay/kustomization.yaml:19:16"),
    ("Deployment", ("spec", "quoted"), 1, "overlay/kustomization.yaml:26:12"),
    ("Deployment", (*CONTAINERS, 0, "name"), "side", "overlay/patch.yaml:12:17"),
    ("Deployment", (*CONTAINERS, 0, "env", 0, "value"), "1", "overlay/patch.yaml:15:32"),
    ("Deployment", (*CONTAINERS, 1, "name"), "app", "base/web.yaml:13:17"),
    ("Deployment", (*CONTAINERS, 1, "image"), "app:2", "overlay/kustomization.yaml:10:13"),
    ("Deployment", (*CONTAINERS, 1, "envFrom", 0, "configMapRef"), None, "base/web.yaml:16:15"),
    ("Deployment", (*CONTAINERS, 2, "args", 1), "two", "overlay/kustomization.yaml:24:23"),
    ("ConfigMap", ("metadata", "name"), None, "base/kustomization.yaml:4:11"),
    ("ConfigMap", ("metadata", "namespace"), "prod", "overlay/kustomization.yaml:2:12"),
    ("ConfigMap", ("data", "a"), "3", "overlay/patch.yaml:6:13"),
    ("ConfigMap", ("data", "data.yaml"), "x: 1\n", "base/kustomization.yaml:8:9"),
    ("ConfigMap", ("data", "nothing"), None, "base/kustomization.yaml:6:9"),
]


@pytest.mark.parametrize(
    ("kind", "path", "value", "place"), SPANS, ids=[f"{kind}-{place}" for kind, _, _, place in SPANS]
)
def test_spans(kind: str, path: Path, value: object, place: str) -> None:
    """Base, patch, inline patch, transformer or generator: the place is that of whoever wrote the value last."""
    manifest = declared(kind)
    here = manifest.document.value
    for step in path if value is not None else ():
        here = here[step]  # type: ignore[index]
    assert value is None or here == value
    assert str(manifest.position_of(path)) == place


def test_the_line_itself() -> None:
    """An excerpt shows the line of the file that the value comes from, also inside a patch in a kustomization."""
    manifest = declared("Deployment")
    assert manifest.position_of(("spec", "paused")).text == "        value: true"
    assert manifest.position_of(("spec", "replicas")).text == "  replicas: 3"


def test_keys() -> None:
    """The place of a key is in the same file as its value's."""
    manifest = declared("Deployment")
    assert str(manifest.position_of(("spec", "replicas"), key=True)) == "overlay/patch.yaml:6:3"
    assert str(manifest.position_of(("metadata", "labels", "app"), key=True)) == "base/web.yaml:7:5"
