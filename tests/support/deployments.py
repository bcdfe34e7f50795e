"""Random repositories that say how they are deployed, and are edited: bases, overlays, components, patches, generators,
Flux, several clusters, kinds of their own. Every part is drawn anew by itself, so that much stays as it was.
"""

from __future__ import annotations

import copy
import json
import random  # noqa: TID251  # seeded: the same edits every time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from edits import documents

from analyzer.snapshot import KUSTOMIZATION_FILES, POLICY_FILE, Blob, Snapshot, blob_id, is_manifest
from schemas.resources import OUR_GROUP

BASES, OVERLAYS, COMPONENTS, CLUSTERS = ("one", "two"), ("lab", "prod", "edge"), ("tls", "small"), ("east", "west")
GADGET = "gadgets.example.com"


class Deployments:
    """A repository as the texts of its files."""

    def __init__(self, seed: int, *, flux: bool | None = None) -> None:
        self.chance = random.Random(seed)  # noqa: S311  # see above
        self._ours = [each for each in documents() if str(each.get("apiVersion")).startswith(OUR_GROUP)]
        self._stock = [*self._ours, *(each for each in documents() if each.get("kind") in ("Service", "ConfigMap"))]
        self.files: dict[str, str] = {}
        self.number = 0
        self._parts = dict(self._all(flux=self.chance.random() < 0.5 if flux is None else flux))
        for path, draw in self._parts.items():
            if self.chance.random() < 0.85:
                self.files[path] = draw()

    def snapshot(self) -> Snapshot:
        found = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in sorted(self.files.items())}
        manifests = {path: blob for path, blob in found.items() if is_manifest(path)}
        others = {path: blob for path, blob in found.items() if path not in manifests}
        return Snapshot(f"{self.number:040x}", manifests, others=others)

    def edit(self, times: int = 1) -> Snapshot:
        """The next revision."""
        for _ in range(times):
            path = self.chance.choice(sorted(self._parts))
            if path in self.files and self.chance.random() < 0.2:
                del self.files[path]
            else:
                self.files[path] = self._parts[path]()
        self.number += 1
        return self.snapshot()

    # --- the parts

    def _all(self, *, flux: bool) -> Iterator[tuple[str, Callable[[], str]]]:
        for base in BASES:
            for name in "abc":
                yield f"bases/{base}/{name}.yaml", self._manifests
            yield f"bases/{base}/kustomization.yaml", self._base
        for component in COMPONENTS:
            yield f"components/{component}/kustomization.yaml", self._component
        for overlay in OVERLAYS:
            yield f"overlays/{overlay}/patch.yaml", self._patch
            yield f"overlays/{overlay}/own.yaml", self._manifests
            yield f"overlays/{overlay}/settings.txt", lambda: f"size={self.chance.randrange(3)}\n"
            yield f"overlays/{overlay}/{self.chance.choice(KUSTOMIZATION_FILES)}", self._overlay
        for cluster in CLUSTERS if flux else ():
            yield f"clusters/{cluster}/apps.yaml", self._applied
            yield f"clusters/{cluster}/more.yaml", self._applied
        yield "loose/a.yaml", self._manifests
        yield "loose/b.yaml", self._manifests
        yield "definitions.yaml", self._definition
        yield "gadget.yaml", self._gadget
        yield POLICY_FILE, self._policy

    def _manifests(self) -> str:
        if self.chance.random() < 0.05:
            return "a: [\n"
        return _text(*(copy.deepcopy(self.chance.choice(self._stock)) for _ in range(self.chance.choice((1, 1, 2)))))

    def _base(self) -> str:
        names = [f"{name}.yaml" for name in "abc" if self.chance.random() < 0.9]
        return _text({"resources": names} | self._changes(0.2))

    def _component(self) -> str:
        frame = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        return _text(frame | {"commonAnnotations": {"from": self.chance.choice("ab")}} | self._changes(0.2))

    def _overlay(self) -> str:
        bases = [f"../../bases/{base}" for base in BASES if self.chance.random() < 0.8]
        found: dict[str, Any] = {"resources": [*bases, *(["own.yaml"] if self.chance.random() < 0.6 else [])]}
        if self.chance.random() < 0.5:
            found["components"] = [f"../../components/{self.chance.choice(COMPONENTS)}"]
        if self.chance.random() < 0.6:
            found["patches"] = [self._named_patch() for _ in range(self.chance.choice((1, 2)))]
        if self.chance.random() < 0.4:
            found["configMapGenerator"] = [{"name": "settings", "files": ["settings.txt"]}]
        if self.chance.random() < 0.1:
            found["resources"].append("https://example.com/elsewhere//base?ref=v1")
        return _text(found | self._changes(0.4))

    def _named_patch(self) -> dict[str, Any]:
        if self.chance.random() < 0.5:
            return {"path": "patch.yaml"}
        operation = {"op": "add", "path": "/metadata/labels", "value": {"tier": self.chance.choice("ab")}}
        kind = self.chance.choice(self._ours)["kind"]
        return {"patch": json.dumps([operation], indent=1), "target": {"kind": kind}}

    def _patch(self) -> str:
        document = self.chance.choice(self._ours)
        metadata = {"name": document["metadata"]["name"], "labels": {"patched": self.chance.choice("ab")}}
        if "namespace" in document["metadata"]:
            metadata["namespace"] = document["metadata"]["namespace"]
        return _text({"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata})

    def _changes(self, often: float) -> dict[str, Any]:
        every = {
            "namePrefix": self.chance.choice(("x-", "y-")),
            "nameSuffix": "-z",
            "namespace": self.chance.choice(("team-a", "team-b")),
            "labels": [{"pairs": {"part": self.chance.choice("ab")}}],
            "commonAnnotations": {"by": self.chance.choice("ab")},
        }
        return {name: value for name, value in every.items() if self.chance.random() < often}

    def _applied(self) -> str:
        folders = [f"./overlays/{each}" for each in OVERLAYS] + [f"./bases/{each}" for each in BASES] + ["./loose"]
        spec: dict[str, Any] = {
            "path": self.chance.choice(folders),
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        }
        if self.chance.random() < 0.3:
            spec["targetNamespace"] = "team-c"
        if self.chance.random() < 0.4:
            spec["postBuild"] = {"substitute": {"size": self.chance.choice(("1Gi", "2Gi"))}}
        metadata = {"name": f"apps-{self.chance.randrange(9)}", "namespace": "flux-system"}
        return _text({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata, "spec": spec,
        })  # fmt: skip

    def _definition(self) -> str:
        size = {"type": self.chance.choice(("string", "integer"))}
        spec = {"type": "object", "properties": {"size": size}}
        schema = {"type": "object", "properties": {"spec": spec}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        group, names = "example.com", {"kind": "Gadget", "plural": "gadgets"}
        whole = {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}
        crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
        return _text(crd | {"metadata": {"name": GADGET}, "spec": whole})

    def _gadget(self) -> str:
        spec = {"size": self.chance.choice(("many", 3)), "colour": "red"}
        metadata = {"name": "gadget", "namespace": "team-a"}
        return _text({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": metadata, "spec": spec})

    def _policy(self) -> str:
        policies: tuple[dict[str, Any], ...] = (
            {},
            {},
            {"ignore": ["loose/"]},
            {"roots": [{"path": "overlays/lab", "cluster": "lab"}, {"path": "overlays/prod", "cluster": "prod"}]},
        )
        return json.dumps(self.chance.choice(policies))


def _text(*held: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(document, indent=1) for document in held) + "\n"


def deployed(seed: int, count: int, *, flux: bool | None = None) -> Iterator[Snapshot]:
    """A history: mostly small steps."""
    world = Deployments(seed, flux=flux)
    yield replace(world.snapshot(), revision="0" * 40)
    for _ in range(count):
        yield world.edit(world.chance.choice((1, 1, 1, 3)))
