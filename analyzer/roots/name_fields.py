"""Where built-in kinds name others, so that a reference follows when a kustomization renames what it names.

kustomize knows these fields and no others; kinds of Holdfast's own are followed by what their schemas say.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analyzer.roots.field_specs import FieldSpec, spec_of
from analyzer.roots.merge_keys import POD_SPECS
from schemas.kinds import ITEM, kinds
from schemas.resources import OUR_GROUP

RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class NameField:
    """A field of some kinds, and the kind that it names (of this group, where one is given)."""

    field: FieldSpec
    names: str
    group: str | None = None


_CONTAINERS: Final = ("containers", "initContainers")
_IN_PODS: Final[dict[str, tuple[str, ...]]] = {
    "ConfigMap": (
        "volumes/configMap/name",
        "volumes/projected/sources/configMap/name",
        *(f"{each}/env/valueFrom/configMapKeyRef/name" for each in _CONTAINERS),
        *(f"{each}/envFrom/configMapRef/name" for each in _CONTAINERS),
    ),
    "Secret": (
        "volumes/secret/secretName",
        "volumes/projected/sources/secret/name",
        "imagePullSecrets/name",
        *(f"{each}/env/valueFrom/secretKeyRef/name" for each in _CONTAINERS),
        *(f"{each}/envFrom/secretRef/name" for each in _CONTAINERS),
    ),
    "ServiceAccount": ("serviceAccountName",),
    "PersistentVolumeClaim": ("volumes/persistentVolumeClaim/claimName",),
    "PriorityClass": ("priorityClassName",),
}
_NOT_FOLLOWED: Final = {
    "ConfigMap": ("ReplicationController",),
    "Secret": ("ReplicationController",),
    "ServiceAccount": ("ReplicaSet", "PodTemplate"),
    "PersistentVolumeClaim": ("ReplicaSet", "PodTemplate"),
    "PriorityClass": ("ReplicaSet", "PodTemplate"),
}
_ELSEWHERE: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("ConfigMap", "", "spec/configSource/configMap", "Node"),
    ("ConfigMap", "", "rules/resourceNames", "Role"),
    ("ConfigMap", "", "rules/resourceNames", "ClusterRole"),
    ("ConfigMap", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", "Ingress"),
    ("Secret", "", "spec/tls/secretName", "Ingress"),
    ("Secret", "", "metadata/annotations/ingress.kubernetes.io\\/auth-secret", "Ingress"),
    ("Secret", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret", "Ingress"),
    ("Secret", "", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", "Ingress"),
    ("Secret", "", "imagePullSecrets/name", "ServiceAccount"),
    ("Secret", "", "parameters/secretName", "StorageClass"),
    ("Secret", "", "parameters/adminSecretName", "StorageClass"),
    ("Secret", "", "parameters/userSecretName", "StorageClass"),
    ("Secret", "", "parameters/secretRef", "StorageClass"),
    ("Secret", "", "rules/resourceNames", "Role"),
    ("Secret", "", "rules/resourceNames", "ClusterRole"),
    ("Secret", "", "spec/azureFile/secretName", "PersistentVolume"),
    ("Service", "", "spec/serviceName", "StatefulSet"),
    ("Service", "", "spec/rules/http/paths/backend/serviceName", "Ingress"),
    ("Service", "", "spec/backend/serviceName", "Ingress"),
    ("Service", "", "spec/rules/http/paths/backend/service/name", "Ingress"),
    ("Service", "", "spec/defaultBackend/service/name", "Ingress"),
    ("Service", "", "spec/service/name", "APIService"),
    ("Service", "", "webhooks/clientConfig/service", "ValidatingWebhookConfiguration"),
    ("Service", "", "webhooks/clientConfig/service", "MutatingWebhookConfiguration"),
    ("Role", RBAC, "roleRef/name", "RoleBinding"),
    ("ClusterRole", RBAC, "roleRef/name", "RoleBinding"),
    ("ClusterRole", RBAC, "roleRef/name", "ClusterRoleBinding"),
    ("ServiceAccount", "", "subjects", "RoleBinding"),
    ("ServiceAccount", "", "subjects", "ClusterRoleBinding"),
    ("PersistentVolume", "", "spec/volumeName", "PersistentVolumeClaim"),
    ("PersistentVolume", "", "rules/resourceNames", "ClusterRole"),
    ("StorageClass", "storage.k8s.io", "spec/storageClassName", "PersistentVolume"),
    ("StorageClass", "storage.k8s.io", "spec/storageClassName", "PersistentVolumeClaim"),
    ("StorageClass", "storage.k8s.io", "spec/volumeClaimTemplates/spec/storageClassName", "StatefulSet"),
    *(
        (kind, "", "spec/scaleTargetRef/name", "HorizontalPodAutoscaler")
        for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
    ),
    ("ValidatingAdmissionPolicy", "", "spec/policyName", "ValidatingAdmissionPolicyBinding"),
)


@functools.cache
def name_fields() -> dict[str, tuple[NameField, ...]]:
    """Every such field, by the kind that has it."""
    found: dict[str, list[NameField]] = {}
    for each in (*_pods(), *_others(), *_ours()):
        found.setdefault(each.field.kind, []).append(each)
    return {kind: tuple(fields) for kind, fields in found.items()}


def _pods() -> Iterator[NameField]:
    for kind, pods in POD_SPECS.items():
        for named, paths in _IN_PODS.items():
            if kind not in _NOT_FOLLOWED[named]:
                yield from (NameField(spec_of("/".join((*pods, path)), kind), named) for path in paths)


def _others() -> Iterator[NameField]:
    for named, group, path, kind in _ELSEWHERE:
        yield NameField(spec_of(path, kind), named, group or None)


def _ours() -> Iterator[NameField]:
    for kind in kinds().values():
        if kind.group == OUR_GROUP:
            for field in kind.references:
                if field.reference and not field.reference.via:
                    path = tuple(step for step in field.path if step != ITEM)
                    spec = FieldSpec(path, kind.name, kind.group)
                    yield NameField(spec, field.reference.kind.rpartition("/")[2], OUR_GROUP)
