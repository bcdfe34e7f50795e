"""What a change of a resource means, field by field, as the transitions in the schemas say. Pure.

Both sides are compared with their defaults filled in, quantities and durations by what they amount to, and lists that
have a key (`x-list-key`) item by item, so that reordering or spelling out a default is no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from analyzer.secrecy import SECRET
from schemas.annotations import RENAMED_FROM
from schemas.forms import parse_go_duration
from schemas.kind import HIDDEN, holds_secrets, without_secrets
from schemas.kinds import ITEM, Direction, Field, FieldPath, Kind, Transition, item_name, kinds
from schemas.quantity import parse_bytes, parse_percent, parse_seconds
from schemas.resources import OUR_GROUP, Json, Resource, ResourceKey
from schemas.validation import Path

Action: TypeAlias = Literal["create", "update", "delete"]
Hazard: TypeAlias = Literal["safe", "refused", "disruptive", "data-loss"]
HAZARDS: Final[tuple[Hazard, ...]] = ("safe", "refused", "disruptive", "data-loss")  # refused: nothing comes of it

_AMOUNTS = {
    "quantity": parse_bytes,
    "duration": parse_seconds,
    "go-duration": parse_go_duration,
    "percent": parse_percent,
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. An empty path means the resource as a whole. `path` counts list items as they are written
    (where they are now, or where they were); `name` says which item it is: `spec.portals[name=front].port`. `alone`: it
    concerns the resource itself and nobody who refers to it. `concerns`: nobody but these who refer to it notice.
    """

    path: Path
    name: str
    direction: Direction
    before: Json
    after: Json
    update: str
    hazard: Hazard
    reason: str
    alone: bool = False
    concerns: tuple[ResourceKey, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {
            "path": list(self.path),
            "field": self.name,
            "direction": self.direction,
            "before": self.before,
            "after": self.after,
            "update": self.update,
            "hazard": self.hazard,
            "reason": self.reason,
            "alone": self.alone,
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """A resource at two revisions; None where it is not declared. They have two keys when it was renamed."""

    before: Resource | None
    after: Resource | None

    @property
    def key(self) -> ResourceKey:
        present = self.after or self.before
        assert present is not None  # noqa: S101  # a pair of nothing is never made
        return present.key

    @property
    def action(self) -> Action:
        return "delete" if self.after is None else "update" if self.before else "create"


def pairs(base: Mapping[ResourceKey, Resource], head: Mapping[ResourceKey, Resource]) -> tuple[Pair, ...]:
    """The resources of two revisions side by side, in order of their keys. One renamed stays one resource."""
    former = _renames(base, head)
    arrived = [Pair(base.get(former.get(key, key)), resource) for key, resource in head.items()]
    gone = [Pair(base[key], None) for key in base.keys() - head.keys() - set(former.values())]
    return tuple(sorted(arrived + gone, key=lambda pair: pair.key))


def _renames(
    base: Mapping[ResourceKey, Resource], head: Mapping[ResourceKey, Resource]
) -> dict[ResourceKey, ResourceKey]:
    """New key → former key, of what was renamed in between."""
    return {key: former for key, former in former_names(head).items() if former in base and key not in base}


def former_names(head: Mapping[ResourceKey, Resource]) -> dict[ResourceKey, ResourceKey]:
    """Key → the key that it had before, where that name is free: nobody bears it, and one resource lays claim to it.

    Identity follows the name, and with it the bytes: they never pass to another tenant this way.
    """
    claims = {former_key(head[key]): key for key in sorted(head, reverse=True)}
    return {
        key: former
        for former, key in claims.items()
        if former and former not in head and former.namespace == key.namespace
    }


def former_key(resource: Resource) -> ResourceKey | None:
    """The key that a resource had before it was renamed, as its annotation says: `team-a/db`, or just `db`."""
    namespace, slash, name = resource.annotations.get(RENAMED_FROM, "").rpartition("/")
    key = resource.key
    if key.group != OUR_GROUP:  # nobody else knows the annotation: to them it is another resource
        return None
    return ResourceKey(key.kind, namespace if slash else key.namespace, name, key.group) if name else None


def removal_ref(removal: Resource) -> ResourceKey:
    """The resource whose bytes a Removal speaks of: one of its own namespace."""
    ref: Any = removal.spec["ref"]
    return ResourceKey(ref["kind"], removal.key.namespace, ref["name"], removal.key.group)


def changes(before: Resource | None, after: Resource | None, *, raw: bool = False) -> tuple[FieldChange, ...]:
    """Everything that differs, in order of the schema. Both must be as their schema says, unless `raw`: then it is only
    told that they differ.
    """
    match before, after:
        case None, None:
            return ()
        case None, Resource():
            return (_creation(after),)
        case Resource(), None:
            return (_deletion(before),)
        case Resource(), Resource():
            return (*_metadata_changes(before, after), *_spec_changes(before, after, raw=raw))
    return ()


def worst(hazards: Iterator[Hazard]) -> Hazard:
    """The worst of them; `safe` when there are none."""
    return max(hazards, key=HAZARDS.index, default="safe")


def kind_of(resource: Resource) -> Kind | None:
    if isinstance(resource.custom, Kind):
        return resource.custom
    return kinds().get((resource.api_version, resource.key.kind))


def deletion_hazard(resource: Resource) -> Transition:
    """What the disappearance of the manifest means."""
    kind = kind_of(resource)
    return kind.on_delete(resource.spec) if kind else Transition("delete", "safe", "this kind is not applied")


def _creation(resource: Resource) -> FieldChange:
    kind = kind_of(resource)
    meaning = kind.on_create if kind else Transition("create")
    return FieldChange((), "", "add", None, _shown(kind, resource), meaning.update, _hazard(meaning), meaning.reason)


def _deletion(resource: Resource) -> FieldChange:
    meaning = deletion_hazard(resource)
    return FieldChange(
        (),
        "",
        "remove",
        _shown(kind_of(resource), resource),
        None,
        meaning.update,
        _hazard(meaning),
        meaning.reason,
    )


def _metadata_changes(before: Resource, after: Resource) -> Iterator[FieldChange]:
    if before.key != after.key:
        name = ("metadata", "name")
        yield _plain(name, before.key.path, after.key.path, "renamed")
    for part in ("labels", "annotations"):
        old, new = getattr(before, part), getattr(after, part)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                secret = part == "annotations" and before.key.kind.casefold() == SECRET  # kubectl puts all of it there
                was, now = (each.get(name) and HIDDEN if secret else each.get(name) for each in (old, new))
                yield _plain(("metadata", part, name), was, now, "")


def _plain(path: tuple[str, ...], before: Json, after: Json, reason: str) -> FieldChange:
    direction: Direction = "add" if before is None else "remove" if after is None else "change"
    return FieldChange(path, ".".join(path), direction, before, after, "in-place", "safe", reason, alone=True)


def _spec_changes(before: Resource, after: Resource, *, raw: bool) -> Iterator[FieldChange]:
    kind = kind_of(after)
    if kind is None or kind_of(before) is None or raw:
        if before.spec != after.spec:
            reason = "it is not as its schema says" if raw else "this kind is not applied"
            yield _plain(("spec",), _shown(kind_of(before), before), _shown(kind, after), reason)
        return
    root = _Spot(kind, kind.body, kind.body, ".".join(kind.body))
    yield from _compare(root, kind.with_defaults(before.spec), kind.with_defaults(after.spec))


class _Missing:
    """Stands for a value that is not given."""

    def __repr__(self) -> str:
        return "absent"


_MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the comparison is: in the schema, in the values, and in words."""

    kind: Kind
    schema: FieldPath
    path: Path
    name: str

    @property
    def field(self) -> Field:
        """The field here; where the schema does not name it, one of which the same holds as of what is around it."""
        if self.schema == self.kind.body:
            return self.kind.fields.get(self.schema) or Field((), self.kind.body_schema, required=False)
        return self.kind.fields.get(self.schema) or Field(self.schema, self._around, required=False)

    @property
    def _around(self) -> Mapping[str, Any]:
        """What the nearest field around says of changes inside it that it does not name."""
        above = (self.kind.fields.get(self.schema[:depth]) for depth in range(len(self.schema) - 1, 0, -1))
        known = next((field.schema for field in above if field), {})
        kept = {name: known[name] for name in ("x-hazard", "x-reason", "x-secret") if name in known}
        parent = self.kind.fields.get(self.schema[:-1])
        beside = parent.schema if parent else self.kind.body_schema if self.schema[:-1] == self.kind.body else {}
        return {**kept, "x-secret": ""} if holds_secrets(beside) else kept

    def child(self, name: str) -> _Spot:
        return _Spot(self.kind, (*self.schema, name), (*self.path, name), f"{self.name}.{name}".lstrip("."))

    def at(self, index: int, item: Any) -> _Spot:  # noqa: ANN401  # JSON
        name = f"{self.name}{item_name(self.field.list_key, index, item)}"
        return _Spot(self.kind, (*self.schema, ITEM), (*self.path, index), name)


def _compare(spot: _Spot, before: Any, after: Any) -> Iterator[FieldChange]:  # noqa: ANN401  # JSON, or missing
    schema = spot.field.schema
    if before is _MISSING and after is _MISSING:
        return
    if _opens_up(schema, before, after):
        named = schema["properties"].keys()
        for name in (*named, *sorted((_names(before) | _names(after)) - named)):
            yield from _compare(spot.child(name), _get(before, name), _get(after, name))
    elif spot.field.whole and _MISSING in (before, after):
        yield _told(spot, spot.field, "add" if before is _MISSING else "remove", before, after, spot.field.whole)
    elif spot.field.list_key is not None:
        yield from _compare_items(spot, before, after)
    elif (old := _amount(schema, before)) != (new := _amount(schema, after)):
        yield _told(spot, spot.field, _direction(old, new), before, after)


def _opens_up(schema: Mapping[str, Any], before: Any, after: Any) -> bool:  # noqa: ANN401
    """Whether to look inside. A mapping that comes or goes counts as a whole where the schema says what that means."""
    return "properties" in schema and (_MISSING not in (before, after) or "x-update" not in schema)


def _compare_items(spot: _Spot, before: Any, after: Any) -> Iterator[FieldChange]:  # noqa: ANN401
    key = spot.field.list_key
    old, new = _by_identity(key, before), _by_identity(key, after)
    for identity in dict.fromkeys([*old, *new]):
        _, was = old.get(identity, (0, _MISSING))
        index, now = new.get(identity, (old.get(identity, (0,))[0], _MISSING))
        place = spot.at(index, was if now is _MISSING else now)
        if _MISSING in (was, now):
            direction: Direction = "add" if was is _MISSING else "remove"
            yield _told(place, spot.field, direction, was, now)  # the list says what that means
        elif key:
            yield from _compare(place, was, now)


def _by_identity(key: str | None, items: Any) -> dict[str, tuple[int, Any]]:  # noqa: ANN401
    listed = items if isinstance(items, list) else []
    return {_identity(key, index, item): (index, item) for index, item in enumerate(listed)}


def _identity(key: str | None, index: int, item: Any) -> str:  # noqa: ANN401
    """What an item is called; by its place where a manifest, of a kind that is not ours, is not as its schema says."""
    if not key:
        return str(item)
    return str(item[key]) if isinstance(item, Mapping) and key in item else f"#{index}"


def _told(  # noqa: PLR0913, PLR0917  # what a change consists of
    place: _Spot,
    field: Field,
    direction: Direction,
    before: Any,  # noqa: ANN401  # JSON, or missing
    after: Any,  # noqa: ANN401
    whole: Transition | None = None,
) -> FieldChange:
    meaning = whole or field.transition(direction)
    return FieldChange(
        place.path, place.name, direction, _readable(place.field, before), _readable(place.field, after),
        meaning.update, _hazard(meaning), meaning.reason, field.alone,
    )  # fmt: skip


def _hazard(meaning: Transition) -> Hazard:
    """What the schema says; what is refused is never done, so it can cost nothing."""
    return "refused" if meaning.update == "refuse" else next(hazard for hazard in HAZARDS if hazard == meaning.hazard)


def _names(value: Any) -> set[str]:  # noqa: ANN401
    return set(value) if isinstance(value, Mapping) else set()


def _get(value: Any, name: str) -> Any:  # noqa: ANN401
    return value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING


def _amount(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401
    """The value as a number where its form is one, or where values have an order."""
    if value in (order := schema.get("x-order", ())):
        return order.index(value)
    parse = _AMOUNTS.get(schema.get("x-format", ""))
    if parse is None or value is _MISSING:
        return value
    try:
        return parse(value)
    except (TypeError, ValueError):
        return value  # of a kind that is not ours, and not as its schema says


def _direction(before: Any, after: Any) -> Direction:  # noqa: ANN401
    if before is _MISSING:
        return "add"
    if after is _MISSING:
        return "remove"
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return "increase" if after > before else "decrease"
    return "change"


def _shown(kind: Kind | None, resource: Resource) -> dict[str, Json]:
    """What is declared, without its secrets: of something called a Secret, whatever its group, nothing is shown."""
    if kind is None and resource.key.kind.casefold() == SECRET:
        return dict.fromkeys(resource.spec, HIDDEN)
    return kind.without_secrets(resource.spec) if kind else dict(resource.spec)


def _readable(field: Field, value: Any) -> Json:  # noqa: ANN401
    """A value, without its secrets."""
    shown: Json = without_secrets(field.schema, _json(value))
    return shown


def _json(value: Any) -> Json:  # noqa: ANN401
    absent = value is _MISSING or value is None
    return None if absent else value
