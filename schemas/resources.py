"""What is declared: resources and their keys. Frozen, ordered, digestible; no I/O."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "Mapping[str, Json]"

OUR_GROUP = "storage.holdfast.dev"
_ALIKE = 0.85
CORE = "core"  # stands for the group of Kubernetes that has no name

NOTHING: JsonObject = MappingProxyType({})
UNKNOWN = "unknown"  # what machine output says in place of what could not be known, which is never nothing


def qualified(group: str, kind: str) -> str:
    """What a kind is called among those of all groups: `Volume` (ours), `core/Service`, `hub.traefik.io/API`."""
    return kind if group == OUR_GROUP else f"{group or CORE}/{kind}"


@functools.cache
def unqualified(name: str) -> tuple[str, str]:
    """Group and kind of what is called so."""
    group, slash, kind = name.rpartition("/")
    return ("" if group == CORE else group) if slash else OUR_GROUP, kind


def is_like_ours(api_version: str) -> bool:
    """Whether an apiVersion is meant to be of our group, also when that is misspelt."""
    group = api_version.partition("/")[0]
    return len(group) < 2 * len(OUR_GROUP) and difflib.SequenceMatcher(None, group, OUR_GROUP).ratio() > _ALIKE


class ResourceKey(NamedTuple):
    """Identity of a declared resource. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str
    group: str = OUR_GROUP

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"

    @property
    def kind_name(self) -> str:
        """What its kind is called among those of all groups."""
        return qualified(self.group, self.kind)

    @property
    def path(self) -> str:
        """`namespace/name`, or the bare name of a cluster-scoped resource."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def text(self) -> str:
        """`Kind/namespace/name`, for storing; `of_text` reads it back (our own group only)."""
        return f"{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def of_text(cls, text: str) -> ResourceKey:
        kind, namespace, name = text.split("/")
        return cls(kind, namespace, name)

    def to_json(self) -> dict[str, Json]:
        return {"group": self.group, "kind": self.kind, "namespace": self.namespace, "name": self.name}


@dataclass(frozen=True, slots=True)
class Resource:
    """One declared thing: its key and what was written under `spec`."""

    key: ResourceKey
    api_version: str
    spec: JsonObject
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    custom: object = field(default=None, compare=False, repr=False)  # its Kind, where the repository itself defines it

    @property
    def digest(self) -> str:
        """SHA-256 over everything declared; equal digests mean equal resources."""
        return digest([self.key.to_json(), self.api_version, self.spec, dict(self.labels), dict(self.annotations)])


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no escapes."""
    return _ENCODER.encode(value)


def digest(value: object) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, frozenset, set)):
        return sorted(value) if isinstance(value, (frozenset, set)) else list(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
