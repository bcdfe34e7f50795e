"""Documents → Manifests: declared resources with their place in the files and what their schema says of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from analyzer.document import Document
from analyzer.finding import Location
from analyzer.secrecy import SECRET, is_open, masked
from schemas.kind import FRAME
from schemas.kinds import ITEM, Kind, Kinds, kinds
from schemas.loose import mapping
from schemas.resources import OUR_GROUP, Json, Resource, ResourceKey, is_like_ours
from schemas.validation import Path, Problem

_OF_MANIFESTS = frozenset(("apiVersion", "kind", "metadata", "spec"))


def resembles_a_manifest(value: Json) -> bool:
    """Whether a document has something of a manifest; without, it is most likely meant for another tool."""
    return isinstance(value, dict) and not _OF_MANIFESTS.isdisjoint(value)


@dataclass(frozen=True, eq=False)
class Declaration:
    """A document of the repository, whatever it turns out to be."""

    path: str
    document: Document
    api_version: str  # empty when it is not in Kubernetes form
    kind_name: str
    kind: Kind | None
    problems: tuple[Problem, ...]

    @property
    def location(self) -> Location:
        return self.position_of(())

    @property
    def subject(self) -> ResourceKey | None:
        """The resource that it declares."""
        return None

    @property
    def ours(self) -> bool:
        """Whether it is meant to be one of our kinds, also when the group is misspelt."""
        return is_like_ours(self.api_version)

    @property
    def lost(self) -> bool:
        """Whether it may be a resource of ours that nobody can make out, for another reason than its YAML."""
        if self.api_version and (self.kind is None or self.kind.group != OUR_GROUP):
            return self.kind is None and self.ours
        return not isinstance(self, Manifest) and not self.document.broken

    @property
    def because(self) -> str:
        """What is wrong with it, in words."""
        if self.problems:
            return self.problems[0].message
        return f"{self.api_version} has no kind {self.kind_name}" if self.kind is None else "its YAML is defective"

    def position_of(self, path: Path, *, key: bool = False) -> Location:
        """Where the value at `path` is written (or its key); for a path that is not there, what should hold it."""
        file, place, text = self.document.written(path, key=key)
        shown = masked(text) if file and self._is_secret(path) else text
        return Location(file or self.path, place.line, place.column, text=shown)

    def _is_secret(self, path: Path) -> bool:
        """Whether what stands there is not to be shown, also in a patch that does not say what it is for."""
        if self.kind_name.casefold() == SECRET:
            return not is_open(path)
        steps = tuple(ITEM if isinstance(step, int) else step for step in path)
        fields = self.kind.fields if self.kind else {}
        above = (fields.get(steps[:depth]) for depth in range(1, len(steps) + 1))
        return any(field is not None and "x-secret" in field.schema for field in above)


@dataclass(frozen=True, eq=False)
class Manifest(Declaration):
    """A declared resource. Only a sound one may be taken apart by its schema."""

    resource: Resource
    key: ResourceKey = field(init=False, repr=False)
    sound: bool = field(init=False, repr=False)  # whether every field that the schema knows is as the schema says

    def __post_init__(self) -> None:
        broken = self.kind is None or self.document.broken
        known = not self.problems or all(problem.rule == "unknown-field" for problem in self.problems)
        self.__dict__.update(key=self.resource.key, sound=known and not broken)  # asked very often

    @property
    def subject(self) -> ResourceKey | None:
        return self.key

    @functools.cached_property
    def spec(self) -> Mapping[str, Any]:
        """The spec of a sound manifest, defaults filled in."""
        assert self.kind is not None  # noqa: S101  # that is part of being sound
        return self.kind.with_defaults(self.resource.spec)


Decoded: TypeAlias = "Manifest | Declaration"


def decode(document: Document, path: str, vocabulary: Kinds | None = None, *, valid: bool = False) -> Decoded:
    """A Manifest, or a mere Declaration when the document names no resource. Other kinds than those of `vocabulary`
    (all that Holdfast knows, if left out) are unknown. `valid`: it is known already that its schema has no problem.
    """
    value = document.value
    if not _in_kubernetes_form(value):
        because = Problem((), "invalid-resource", "not a manifest: it has no apiVersion and kind")
        return Declaration(path, document, "", "", None, () if document.broken else (because,))
    assert isinstance(value, dict)  # noqa: S101  # _in_kubernetes_form said so
    api_version, name = str(value["apiVersion"]), str(value["kind"])
    kind = (vocabulary or kinds()).find(api_version, name)
    problems = kind.problems(value) if kind and not (document.broken or valid) else ()
    if kind and problems:
        value = kind.as_accepted(value)
        problems = kind.problems(value)
    resource = _resource(value, kind)
    if resource is None:
        return Declaration(path, document, api_version, name, kind, problems)
    return Manifest(path, document, api_version, name, kind, problems, resource)


def _in_kubernetes_form(value: Json) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(field), str) and value[field] for field in ("apiVersion", "kind")
    )


def _resource(value: Mapping[str, Json], kind: Kind | None) -> Resource | None:
    metadata = mapping(value.get("metadata"))
    name, namespace = metadata.get("name"), metadata.get("namespace") or ""
    if not isinstance(name, str) or not isinstance(namespace, str):
        return None
    api_version = str(value["apiVersion"])
    group = api_version.rpartition("/")[0]
    key = ResourceKey(str(value["kind"]), "" if kind and kind.scope == "Cluster" else namespace, name, group)
    spec = kind.body_of(value) if kind else {name: value[name] for name in value if name not in FRAME}
    labels, annotations = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
    return Resource(key, api_version, spec, labels, annotations, kind if kind and kind.is_custom else None)


def _texts(value: Json) -> dict[str, str]:
    return {name: text for name, text in mapping(value).items() if isinstance(text, str)}
