"""Which lists of the built-in kinds are merged item by item, and what tells their items apart.

The Kubernetes API says so for its own kinds; a list of any other kind is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.kinds import ITEM, FieldPath

POD: Final[FieldPath] = ("spec",)
TEMPLATE: Final[FieldPath] = ("spec", "template", "spec")

POD_SPECS: Final[Mapping[str, FieldPath]] = {
    "Pod": POD,
    "PodTemplate": ("template", "spec"),
    "Deployment": TEMPLATE,
    "ReplicaSet": TEMPLATE,
    "ReplicationController": TEMPLATE,
    "StatefulSet": TEMPLATE,
    "DaemonSet": TEMPLATE,
    "Job": TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *TEMPLATE),
}
"""Where a kind keeps the specification of its pods."""

CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")

_OF_PODS: Final[Mapping[FieldPath, FieldPath]] = {
    ("volumes",): ("name",),
    ("imagePullSecrets",): ("name",),
    ("hostAliases",): ("ip",),
    ("topologySpreadConstraints",): ("topologyKey", "whenUnsatisfiable"),
    ("resourceClaims",): ("name",),
    ("schedulingGates",): ("name",),
    **{(name,): ("name",) for name in CONTAINERS},
}
_OF_CONTAINERS: Final[Mapping[FieldPath, FieldPath]] = {
    ("env",): ("name",),
    ("ports",): ("containerPort", "protocol"),
    ("volumeMounts",): ("mountPath",),
    ("volumeDevices",): ("devicePath",),
    ("resources", "claims"): ("name",),
}
_OF_KINDS: Final[Mapping[tuple[str, FieldPath], FieldPath]] = {
    ("Service", ("spec", "ports")): ("port", "protocol"),
    ("ServiceAccount", ("secrets",)): ("name",),
    ("ServiceAccount", ("imagePullSecrets",)): ("name",),
    ("MutatingWebhookConfiguration", ("webhooks",)): ("name",),
    ("ValidatingWebhookConfiguration", ("webhooks",)): ("name",),
    ("Node", ("spec", "podCIDRs")): (),
}
_OF_EVERY_KIND: Final[Mapping[FieldPath, FieldPath]] = {
    ("metadata", "ownerReferences"): ("uid",),
    ("metadata", "finalizers"): (),
    ("status", "conditions"): ("type",),
}


def merge_keys(api_version: str, kind: str, path: FieldPath) -> FieldPath | None:
    """The fields that identify an item of this list; () where items identify themselves; None: replaced as a whole."""
    if not is_built_in(api_version):
        return None
    if path in _OF_EVERY_KIND:
        return _OF_EVERY_KIND[path]
    if (kind, path) in _OF_KINDS:
        return _OF_KINDS[kind, path]
    pods = POD_SPECS.get(kind)
    return _of_pod(path[len(pods) :]) if pods and path[: len(pods)] == pods else None


def is_built_in(api_version: str) -> bool:
    """Whether a kind of this version is one of Kubernetes itself."""
    group, slash, _ = api_version.rpartition("/")
    return not slash or "." not in group or group in _BUILT_IN_GROUPS


_BUILT_IN_GROUPS: Final = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization", "certificates",
        "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver", "networking", "node",
        "rbac.authorization", "resource", "scheduling", "storage", "storagemigration",
    )
)  # fmt: skip


def _of_pod(path: FieldPath) -> FieldPath | None:
    if path in _OF_PODS:
        return _OF_PODS[path]
    if len(path) > 2 and path[0] in CONTAINERS and path[1] == ITEM:
        return _OF_CONTAINERS.get(path[2:])
    return None
