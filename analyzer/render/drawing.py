"""What pictures have in common, whatever draws them: labels, a shape for each family of kinds, colours for states.

Shapes tell what a thing is, also without colours: bytes are cylinders, places boxes, doors hexagons, guests rounded.
"""

from __future__ import annotations

from itertools import groupby
from typing import Final, Literal, TypeAlias

from analyzer.picture import Node, Picture
from analyzer.render.text import printable
from schemas.quantity import counted
from schemas.resources import ResourceKey

Family: TypeAlias = Literal["bytes", "place", "door", "guest", "rule", "other"]
LABEL = 60  # characters of a name, or of a field; longer ones are cut

_MEMBERS: Final[dict[Family, tuple[str, ...]]] = {
    "bytes": ("Volume", "VolumeSnapshot", "Image", "core/PersistentVolumeClaim", "core/Secret", "core/ConfigMap"),
    "place": ("Target", "BlockDevice", "StoragePool", "StorageClass", "core/Service", "core/Namespace"),
    "door": (
        "Subsystem", "networking.k8s.io/Ingress", "traefik.io/IngressRoute", "gateway.networking.k8s.io/HTTPRoute",
        "hub.traefik.io/API", "hub.traefik.io/APIVersion", "hub.traefik.io/APIBundle", "hub.traefik.io/APIPortal",
    ),
    "guest": ("Host", "hub.traefik.io/ManagedApplication", "hub.traefik.io/ManagedSubscription"),
    "rule": (
        "QoSPolicy", "Quota", "AccessPolicy", "SnapshotSchedule", "Removal", "hub.traefik.io/APIPlan",
        "hub.traefik.io/APIRateLimit", "hub.traefik.io/APICatalogItem", "traefik.io/Middleware",
    ),
}  # fmt: skip
_FAMILIES: Final = {kind: family for family, kinds in _MEMBERS.items() for kind in kinds}
FILLS: Final[dict[Family, str]] = {
    "bytes": "#dbeafe",
    "place": "#e5e7eb",
    "door": "#dcfce7",
    "guest": "#fef9c3",
    "rule": "#f3e8ff",
    "other": "#ffffff",
}
STATES: Final = {
    "centre": "#93c5fd",
    "data-loss": "#fca5a5",
    "disruptive": "#fdba74",
    "refused": "#d1d5db",
    "safe": "#86efac",
    "reached": "#fef3c7",
    "missing": "#ffffff",
}


def family(key: ResourceKey) -> Family:
    return _FAMILIES.get(key.kind_name, "other")


def fill(node: Node) -> str:
    return STATES.get(node.state) or FILLS[family(node.key)]


def label(node: Node) -> tuple[str, ...]:
    """Lines: the kind, the name, and what is said of it."""
    words = ["not declared here"] if node.state == "missing" else [w for w in (node.action, _said(node)) if w]
    return tuple(map(cut, (node.key.kind, node.key.name, *([", ".join(words)] if words else []))))


def _said(node: Node) -> str:
    return node.state if node.state not in ("", "centre", "missing") else ""


def cut(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= LABEL else f"{shown[: LABEL - 2]}.."


def fields(names: tuple[str, ...]) -> str:
    """The label of an edge: the first field, and how many more there are."""
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return f"{cut(names[0])}{more}"


def tenants(picture: Picture) -> list[tuple[str, list[Node]]]:
    """The nodes by namespace; cluster-scoped ones under an empty name."""
    ordered = sorted(picture.nodes, key=lambda node: (node.key.namespace, node.key))
    return [(name, list(nodes)) for name, nodes in groupby(ordered, key=lambda node: node.key.namespace)]


def names(picture: Picture) -> dict[ResourceKey, str]:
    """A short name for each node, in the order of their keys."""
    return {node.key: f"n{number}" for number, node in enumerate(picture.nodes, 1)}


def omission(picture: Picture) -> str:
    """What is not drawn, in words; empty when all is."""
    parts = [counted(picture.left_out, "resource")] if picture.left_out else []
    parts += [counted(picture.unsaid, "reference")] if picture.unsaid else []
    return f"left out: {' and '.join(parts)}" if parts else ""
