"""A resource on its way through kustomizations, which remembers what it was called before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from analyzer.roots.merge_keys import is_built_in
from analyzer.roots.tree import Allowance, Tree
from schemas.kinds import kinds

_CLUSTER_WIDE = frozenset({
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
    "ComponentStatus", "CustomResourceDefinition", "FlowSchema", "IngressClass", "MutatingWebhookConfiguration",
    "Namespace", "Node", "PersistentVolume", "PodSecurityPolicy", "PriorityClass", "PriorityLevelConfiguration",
    "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeAttachment",
})  # fmt: skip


class Identity(NamedTuple):
    """What a resource is called at one point of its way. The namespace is empty for what has none."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str


@dataclass(slots=True)
class Item:
    """One resource of a root."""

    tree: Tree
    before: list[Identity] = field(default_factory=list)  # oldest first
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    hashed: bool = False  # a generator made it, and its name tells its content

    def fork(self, allowance: Allowance) -> Item:
        return Item(self.tree.fork(allowance), list(self.before), self.prefixes, self.suffixes, self.hashed)

    @property
    def api_version(self) -> str:
        return _text(self.tree.get(("apiVersion",)))

    @property
    def kind(self) -> str:
        return _text(self.tree.get(("kind",)))

    @property
    def name(self) -> str:
        return _text(self.tree.get(("metadata", "name")))

    @property
    def namespace(self) -> str:
        return _text(self.tree.get(("metadata", "namespace")))

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def cluster_wide(self) -> bool:
        return is_cluster_wide(self.api_version, self.kind)

    @property
    def identity(self) -> Identity:
        return identity_of(self.tree.value)

    @property
    def original(self) -> Identity:
        return self.before[0] if self.before else self.identity

    def identities(self) -> Iterator[Identity]:
        """Everything that it was and is called."""
        yield from self.before
        yield self.identity

    def remember(self) -> None:
        """It is about to be called otherwise."""
        self.before.append(self.identity)


def identity_of(value: Any) -> Identity:  # noqa: ANN401  # JSON
    """What a manifest is called; what is no manifest has no name."""
    frame = value if isinstance(value, dict) else {}
    given = frame.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    api_version, kind = _text(frame.get("apiVersion")), _text(frame.get("kind"))
    group, _, version = api_version.rpartition("/")
    namespace = "" if is_cluster_wide(api_version, kind) else _text(metadata.get("namespace")) or "default"
    return Identity(group, version, kind, namespace, _text(metadata.get("name")))


def is_cluster_wide(api_version: str, kind: str) -> bool:
    """Whether resources of a kind have no namespace. Of kinds that nobody knows here they may have one."""
    known = kinds().get((api_version, kind))
    if known:
        return known.scope == "Cluster"
    return kind in _CLUSTER_WIDE and is_built_in(api_version)


_REQUIREMENT = re.compile(
    r"\s*(?P<not>!)?\s*(?P<key>[^\s,=!()]+)\s*(?:(?P<op>==?|!=|\s+in\s+|\s+notin\s+)\s*(?P<value>\([^)]*\)|[^\s,]*))?\s*(?:,|$)"
)


def matches_selector(selector: str, labels: object) -> bool:
    """Whether labels fulfil a selector in the API's text form: `a=b,c!=d,e in (f,g),!h`. Raises ValueError."""
    have = labels if isinstance(labels, dict) else {}
    return all(requirement(have) for requirement in _requirements(selector))


def _requirements(selector: str) -> Iterable[Any]:
    at = 0
    while at < len(selector):
        found = _REQUIREMENT.match(selector, at)
        if not found or found.end() == at:
            raise ValueError(f"{selector!r} is no selector")
        yield _requirement(found)
        at = found.end()


def _requirement(found: re.Match[str]) -> Any:  # noqa: ANN401  # a function
    key, operator = found["key"], (found["op"] or "").strip()
    values = {value.strip() for value in (found["value"] or "").strip("()").split(",")}
    if not operator:
        return lambda have: (key in have) != bool(found["not"])
    if operator in ("!=", "notin"):
        return lambda have: str(have.get(key)) not in values or key not in have
    return lambda have: key in have and str(have[key]) in values


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
