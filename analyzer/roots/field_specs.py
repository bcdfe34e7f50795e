"""Where built-in kinds keep labels, images, replica counts and names: the fields that a kustomization sets.

A path leads through lists by itself: `spec/template/spec/containers/image` is the image of every container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from analyzer.roots.item import Item
from analyzer.roots.merge_keys import POD_SPECS
from analyzer.roots.tree import Part
from schemas.kinds import FieldPath
from schemas.validation import Path


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field of some kinds. `create`: it is set also where it is missing, but no list is made for it: `listed` is how
    much of the path leads to the innermost one.
    """

    path: FieldPath
    kind: str = ""
    group: str = ""
    version: str = ""
    create: bool = False
    listed: int = 0

    def concerns(self, item: Item) -> bool:
        group, _, version = item.api_version.rpartition("/")
        wanted = ((self.kind, item.kind), (self.group, group), (self.version, version))
        return all(not want or want == have for want, have in wanted)


def spec_of(text: str, kind: str = "", group: str = "", version: str = "", *, create: bool = False) -> FieldSpec:
    """`spec/list[]/name` → a field spec; a slash inside a name has a backslash before it."""
    parts = text.strip("/").replace("\\/", "\0").split("/")
    path = tuple(part.replace("\0", "/").removesuffix("[]") for part in parts)
    listed = max((number for number, part in enumerate(parts, 1) if part.endswith("[]")), default=0)
    return FieldSpec(path, kind, group, version, create, listed)


def found(item: Item, path: FieldPath, here: Path = ()) -> Iterator[Path]:
    """Every place in a manifest that a path leads to."""
    value = item.tree.get(here)
    if isinstance(value, list):
        for index in range(len(value)):
            yield from found(item, path, (*here, index))
    elif not path:
        yield here
    elif isinstance(value, dict) and path[0] in value:
        yield from found(item, path[1:], (*here, path[0]))


def set_fields(item: Item, spec: FieldSpec, part: Part) -> None:
    """Set a field wherever it is, and where it is missing if the spec wants that."""
    for path in list(places(item, spec)):
        item.tree.create(path, part)


def places(item: Item, spec: FieldSpec) -> Iterator[Path]:
    """Where a field is, and where it would be if the spec wants it made."""
    return _places(item, spec.path, (), made=len(spec.path) - spec.listed if spec.create else 0)


def _places(item: Item, path: FieldPath, here: Path, *, made: int) -> Iterator[Path]:
    value = item.tree.get(here)
    if isinstance(value, list):
        for index in range(len(value)):
            yield from _places(item, path, (*here, index), made=made)
    elif not path:
        yield here
    elif isinstance(value, dict) and value.get(path[0]) is not None:
        yield from _places(item, path[1:], (*here, path[0]), made=made)
    elif len(path) <= made and (value is None or isinstance(value, dict)):
        yield (*here, *path)


_TEMPLATES: Final = tuple(kind for kind in POD_SPECS if kind not in ("Pod", "PodTemplate", "CronJob"))
_GROUPS: Final = {"StatefulSet": "apps", "Job": "batch", "CronJob": "batch"}


def _metadata(name: str) -> tuple[FieldSpec, ...]:
    """Labels or annotations of templates: of what a kind makes, not of itself."""
    made = tuple(
        spec_of(f"spec/template/metadata/{name}", kind, _GROUPS.get(kind, ""), create=True) for kind in _TEMPLATES
    )
    jobs = (f"spec/jobTemplate/metadata/{name}", f"spec/jobTemplate/spec/template/metadata/{name}")
    return (*made, *(spec_of(path, "CronJob", "batch", create=True) for path in jobs))


OWN_LABELS: Final = spec_of("metadata/labels", create=True)
TEMPLATE_LABELS: Final = _metadata("labels")
CLAIM_LABELS: Final = spec_of("spec/volumeClaimTemplates[]/metadata/labels", "StatefulSet", "apps", create=True)
ANNOTATIONS: Final = (spec_of("metadata/annotations", create=True), *_metadata("annotations"))

_MATCH = "selector/matchLabels"
_AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels"
SELECTORS: Final = (
    spec_of("spec/selector", "Service", version="v1", create=True),
    spec_of("spec/selector", "ReplicationController", version="v1", create=True),
    spec_of(f"spec/{_MATCH}", "Deployment", create=True),
    spec_of(f"spec/{_MATCH}", "ReplicaSet", create=True),
    spec_of(f"spec/{_MATCH}", "DaemonSet", create=True),
    spec_of(f"spec/{_MATCH}", "StatefulSet", "apps", create=True),
    spec_of(f"spec/{_MATCH}", "Job", "batch"),
    spec_of(f"spec/jobTemplate/spec/{_MATCH}", "CronJob", "batch"),
    spec_of(f"spec/{_MATCH}", "PodDisruptionBudget", "policy"),
    *(
        spec_of(path, "NetworkPolicy", "networking.k8s.io")
        for path in (
            "spec/podSelector/matchLabels",
            "spec/ingress/from/podSelector/matchLabels",
            "spec/egress/to/podSelector/matchLabels",
        )
    ),
    *(
        spec_of(f"spec/template/spec/{path}", kind, "apps")
        for kind in ("Deployment", "StatefulSet")
        for path in (
            f"affinity/podAffinity/{_PREFERRED}",
            f"affinity/podAffinity/{_AFFINITY}",
            f"affinity/podAntiAffinity/{_PREFERRED}",
            f"affinity/podAntiAffinity/{_AFFINITY}",
            "topologySpreadConstraints/labelSelector/matchLabels",
        )
    ),
)

REPLICAS: Final = tuple(
    spec_of("spec/replicas", kind, create=True)
    for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
)
REACHABLE_BY_NAMESPACE: Final = (
    spec_of("metadata/name", "Namespace", create=True),
    spec_of("spec/service/namespace", "APIService", "apiregistration.k8s.io", create=True),
    spec_of(
        "spec/conversion/webhook/clientConfig/service/namespace", "CustomResourceDefinition", "apiextensions.k8s.io"
    ),
)


def image_places(item: Item) -> Iterable[Path]:
    """Every image of a manifest: in its pods, and wherever else something calls itself a container."""
    if item.kind == "CustomResourceDefinition":
        return ()
    return sorted(_images(item.tree.value, ()), key=lambda path: [str(step) for step in path])


def _images(value: object, here: Path) -> Iterator[Path]:
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from _images(part, (*here, index))
    elif isinstance(value, dict):
        for name, part in value.items():
            if name in ("containers", "initContainers") and isinstance(part, list):
                yield from ((*here, name, n, "image") for n, one in enumerate(part) if _has_image(one))
            yield from _images(part, (*here, name))


def _has_image(container: object) -> bool:
    return isinstance(container, dict) and isinstance(container.get("image"), str)
