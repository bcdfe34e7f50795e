"""Who refers to whom, derived from manifests as their schemas say (`x-ref`, `x-pick`, `x-select`)."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.manifest import Manifest
from schemas import selector
from schemas.fields import ITEM, Field, FieldPath
from schemas.fields import Reference as FieldReference
from schemas.kind import Kind
from schemas.limits import picks, selects
from schemas.resources import Json, ResourceKey, unqualified
from schemas.validation import Path


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a resource names another, or (`part`) something inside another."""

    source: ResourceKey
    path: Path
    target: ResourceKey
    part: str = ""
    outlives: bool = False  # the target may be gone while the source stays
    elsewhere: bool = False  # the target may well be declared in another place than this repository
    back: bool = False  # the target names the source, too; neither need be there first
    rule: str = "dangling-reference"  # the rule that tells of one that leads nowhere

    def __lt__(self, other: Reference) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        return (self.source, tuple(map(str, self.path)), self.target, self.part)

    def to_json(self) -> dict[str, Json]:
        source, target = self.source.to_json(), self.target.to_json()
        return {"from": source, "to": target, "field": list(self.path), "part": self.part}


def references_of(manifest: Manifest) -> Iterator[Reference]:
    """What a manifest names, in the order of its schema."""
    kind = manifest.kind
    if kind is None:
        return
    for meant, part, way, here in _ways(kind):
        whole = getattr(manifest.resource, part)
        if way[0] in whole:  # most fields are not given
            for path, holders, value in _walk(whole, way, here):
                yield from _reference(manifest, kind, path, holders, value, meant)


@functools.lru_cache(maxsize=4096)
def _ways(kind: Kind) -> Sequence[tuple[FieldReference, str, FieldPath, Path]]:
    """The fields of a kind that name something: what each means, and where it is."""
    ways = ((field.reference, *_where(kind, field.path)) for field in kind.references)
    return tuple((meant, part, way, here) for meant, part, way, here in ways if meant and way)


def selections(manifests: Iterable[Manifest]) -> Mapping[ResourceKey, Sequence[Reference]]:
    """References that labels make, under the resource that is the source: to those who pick it by its labels, and to
    what it names by theirs.
    """
    known = [manifest for manifest in manifests if manifest.kind]
    choosers = [chooser for manifest in known for chooser in choosers_of(manifest)]
    kinds = {chooser.wanted for chooser in choosers}
    wanted = [manifest for manifest in known if manifest.key.kind_name in kinds] if kinds else []
    candidates, sound = _Candidates(wanted), _Candidates(manifest for manifest in wanted if manifest.sound)
    found: dict[ResourceKey, list[Reference]] = defaultdict(list)
    for chooser in sorted(choosers, key=lambda chooser: chooser.names):  # those that it names come after those it is in
        for manifest in (sound if chooser.names else candidates).of(chooser):
            if chooser.matches(manifest):
                reference = chooser.reference(manifest)
                found[reference.source].append(reference)
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Chooser:
    """A selector of a resource. With `names` the resource depends on what is chosen, otherwise it is the other way."""

    owner: Manifest
    path: Path
    wanted: str  # the kind of what is chosen
    namespace: str | None  # None: all of them
    chosen: Json
    names: bool

    @property
    def label(self) -> tuple[str, str] | None:
        """A label that all have that are chosen; None where there is no telling."""
        wanted: Any = self.chosen.get("matchLabels") if isinstance(self.chosen, dict) else None
        name, value = next(iter(wanted.items())) if isinstance(wanted, dict) and wanted else ("", None)
        return (name, value) if isinstance(value, str) else None

    def matches(self, manifest: Manifest) -> bool:
        """Whether it chooses a resource of the kind that it wants, of a namespace that it looks into."""
        if not self.names:
            return selects(self.chosen, manifest.resource.labels)
        if "/" in self.wanted:
            return selector.matches(self.chosen, manifest.resource.labels)
        return picks(self.chosen, self.owner.key.namespace, manifest.resource)

    def reference(self, manifest: Manifest) -> Reference:
        if self.names:
            return Reference(self.owner.key, self.path, manifest.key)
        return Reference(manifest.key, ("metadata", "labels"), self.owner.key)


def has_selectors(kind: Kind) -> bool:
    """Whether any of its resources may have one."""
    return bool(kind.selectors or kind.pickers)


def choosers_of(owner: Manifest) -> Iterator[Chooser]:
    """The selectors of a resource. A cluster-scoped one looks into all namespaces, and so does one that names kinds of
    ours, which say themselves who may use them.
    """
    kind = owner.kind
    if kind is None:
        return
    for field in kind.selectors:
        for path, _, chosen in values_of(owner, field):
            yield Chooser(owner, path, field.schema["x-select"], owner.key.namespace or None, chosen, names=False)
    for field in kind.pickers if owner.sound else ():
        wanted = field.schema["x-pick"]
        namespace = None if "/" not in wanted or kind.scope == "Cluster" else owner.key.namespace
        for path, _, chosen in values_of(owner, field):
            yield Chooser(owner, path, wanted, namespace, chosen, names=True)


def values_at(value: Any, path: FieldPath, here: Path = ()) -> Iterator[tuple[Path, Any, Any]]:  # noqa: ANN401  # JSON
    """Every value at a schema path: (where, the mapping that holds it, the value)."""
    for place, holders, found in _walk(value, path, here):
        yield place, holders[-1] if holders else None, found


def values_of(manifest: Manifest, field: Field) -> Iterator[tuple[Path, Any, Any]]:
    """Every value of a field in a manifest of its kind: (where, the mapping that holds it, the value)."""
    if manifest.kind:
        part, way, here = _where(manifest.kind, field.path)
        whole = getattr(manifest.resource, part)
        if not way or way[0] in whole:
            yield from values_at(whole, way, here)


def field_path(path: Path) -> FieldPath:
    """The schema path of a value's path."""
    return tuple(ITEM if isinstance(step, int) else step for step in path)


@functools.lru_cache(maxsize=65536)
def _where(kind: Kind, path: FieldPath) -> tuple[str, FieldPath, Path]:
    """In what part of a resource a field is, the way from there, and where that part is in the manifest."""
    if path[0] == "metadata" and path[1] in ("annotations", "labels"):
        return path[1], path[2:], path[:2]
    return "spec", path[len(kind.body) :], kind.body


def _walk(value: Any, path: FieldPath, here: Path) -> Sequence[tuple[Path, tuple[Any, ...], Any]]:  # noqa: ANN401
    """Every value at a schema path: (where, the mappings around it from the outermost, the value).

    Step by step for all values at once: this is asked for every field of every manifest.
    """
    found: list[tuple[Path, tuple[Any, ...], Any]] = [(here, (), value)]
    for step in path:
        if step == ITEM:
            found = [
                ((*place, index), holders, item)
                for place, holders, items in found
                if isinstance(items, list)
                for index, item in enumerate(items)
            ]
        else:
            found = [
                ((*place, step), (*holders, holder), holder[step])
                for place, holders, holder in found
                if (type(holder) is dict or isinstance(holder, Mapping)) and step in holder
            ]
        if not found:
            break
    return found


def _reference(  # noqa: PLR0913, PLR0917  # a value, where it stands, and what that means
    manifest: Manifest, kind: Kind, path: Path, holders: tuple[Any, ...], value: Json, meant: FieldReference
) -> Iterator[Reference]:
    named = _beside(holders, meant.via) if meant.via else value
    target_kind = _kind_meant(holders, meant)
    is_part = meant.via and isinstance(value, (str, int)) and not isinstance(value, bool)
    if isinstance(named, str) and named and target_kind and (is_part or named is value):
        target = _target(manifest, kind, target_kind, named, holders, meant)
        part = str(value) if meant.via else ""
        if target:
            yield Reference(
                manifest.key, path, target, part, meant.outlives, meant.elsewhere, meant.back, meant.rule
            )  # fmt: skip


def _kind_meant(holders: tuple[Any, ...], meant: FieldReference) -> str:
    """The kind of what is named; empty when it is one that the schema does not speak of."""
    said = _beside(holders, meant.chosen_by) if meant.chosen_by else None
    return meant.kind if said is None else dict(meant.choices).get(str(said), "")


def _target(  # noqa: PLR0913, PLR0917  # see above
    manifest: Manifest, kind: Kind, target_kind: str, name: str, holders: tuple[Any, ...], meant: FieldReference
) -> ResourceKey | None:
    """A name means a resource of the same namespace if nothing else is said, or a cluster-scoped one."""
    said: Any = _beside(holders, meant.namespace) if meant.namespace else None
    name, at, behind = name.partition("@")
    if at and meant.form != "name@namespace":
        if meant.form == "name@provider":
            return None
        name += at + behind
        behind = ""
    namespace = behind or (said if isinstance(said, str) and said else manifest.key.namespace)
    group, bare = unqualified(target_kind)
    namespace = namespace if kind.namespaced(target_kind) else ""
    return ResourceKey(bare, namespace, name, group)


def _beside(holders: tuple[Any, ...], place: str) -> Json:
    """The value of a field that is named by where it stands, seen from a field inside these mappings."""
    *up, name = place.split("/")
    if len(up) >= len(holders):
        return None
    holder: Any = holders[-1 - len(up)]
    found: Json = holder.get(name)
    return found


class _Candidates:
    """Manifests by kind, by namespace and by label, so that nobody has to look at all of them for each selector."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._all: dict[tuple[str, str | None], list[Manifest]] = defaultdict(list)
        self._labelled: dict[tuple[str, str | None], dict[tuple[str, str], list[Manifest]]] = {}
        for manifest in manifests:
            name = manifest.key.kind_name
            self._all[name, None].append(manifest)
            self._all[name, manifest.key.namespace].append(manifest)

    def of(self, chooser: Chooser) -> Sequence[Manifest]:
        """Those that a selector could choose, in their order."""
        place = (chooser.wanted, chooser.namespace)
        everybody = self._all.get(place, [])
        if chooser.label is None:
            return everybody
        if place not in self._labelled:
            by_label: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
            self._labelled[place] = by_label
            for manifest in everybody:
                for label in manifest.resource.labels.items():
                    by_label[label].append(manifest)
        return self._labelled[place].get(chooser.label, [])
