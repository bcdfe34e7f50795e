"""A kind that can be declared: what its schema says, in one place. kinds.py lists the annotations and finds kinds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from schemas.fields import ITEM, Field, FieldPath, Transition
from schemas.resources import OUR_GROUP, Json, JsonObject, qualified
from schemas.validation import Problem, Validator

Scope: TypeAlias = Literal["Cluster", "Namespaced", "Either"]
ValuePath: TypeAlias = tuple[str | int, ...]

HIDDEN = "(secret)"
FRAME = ("apiVersion", "kind", "metadata", "status")  # what every manifest may have, whatever it declares


@dataclass(frozen=True, slots=True)
class UsedBy:
    """Kinds that use a resource, and what it means when none of them does."""

    kinds: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Holds:
    """Fields of which one must name something, and what it means when none does."""

    fields: tuple[str, ...]
    because: str


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind that can be declared. Each is itself: two that say the same are two."""

    name: str
    group: str
    version: str
    scope: Scope
    plural: str
    short_names: tuple[str, ...]
    data_bearing: bool
    schema: Mapping[str, Any]
    fields: Mapping[FieldPath, Field]
    validator: Validator
    namespaced: Callable[[str], bool]  # whether the resources of another kind, by its qualified name, have a namespace

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def edition(self) -> str:
        """Whose release the schema describes, where it is not ours."""
        return str(self.schema["x-kind"].get("edition", ""))

    @property
    def is_custom(self) -> bool:
        """Whether the repository itself defines it."""
        return self.group != OUR_GROUP and not self.edition

    @property
    def qualified(self) -> str:
        """What it is called among the kinds of all groups."""
        return qualified(self.group, self.name)

    @functools.cached_property
    def body(self) -> FieldPath:
        """Where what is declared stands in a manifest: in the spec, or (an empty path) all over it."""
        return () if self.schema["x-kind"].get("body") == "root" else ("spec",)

    @functools.cached_property
    def body_schema(self) -> Mapping[str, Any]:
        """The schema of what is declared."""
        properties: Mapping[str, Any] = self.schema.get("properties", {})
        if self.body:
            spec = properties.get("spec")
            return spec if isinstance(spec, Mapping) else {}
        inside = {name: child for name, child in properties.items() if name not in FRAME}
        return {**self.schema, "properties": inside}

    def body_of(self, manifest: Mapping[str, Json]) -> dict[str, Json]:
        """What a manifest declares."""
        if self.body:
            spec = manifest.get("spec")
            return spec if isinstance(spec, dict) else {}
        return {name: value for name, value in manifest.items() if name not in FRAME}

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @property
    def example(self) -> dict[str, Json]:
        """A whole manifest. Those of all kinds together make a sound repository."""
        manifest: dict[str, Json] = self.schema["examples"][0]
        return manifest

    @functools.cached_property
    def references(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if field.reference)

    @functools.cached_property
    def named_lists(self) -> tuple[Field, ...]:
        """Lists whose items have a name."""
        return tuple(field for field in self.fields.values() if field.list_key)

    @functools.cached_property
    def former(self) -> tuple[Field, ...]:
        """Fields that are no more, or should not be used any more."""
        return tuple(f for f in self.fields.values() if "x-removed" in f.schema or "x-deprecated" in f.schema)

    @functools.cached_property
    def selectors(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if "x-select" in field.schema)

    @functools.cached_property
    def pickers(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if "x-pick" in field.schema)

    @functools.cached_property
    def regexes(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if field.schema.get("x-regex"))

    @functools.cached_property
    def label_selectors(self) -> tuple[Field, ...]:
        """Where it has selectors of labels: whatever has the fields of one."""
        inside = {path[:-1] for path in self.fields if path[-1] in ("matchExpressions", "matchLabels")}
        return tuple(self.fields[path] for path in sorted(inside) if path in self.fields)

    @functools.cached_property
    def used_by(self) -> UsedBy | None:
        """Who must name or select it, if it is to count."""
        entry = self.schema.get("x-used-by")
        return UsedBy(tuple(entry["kinds"]), entry["because"]) if entry else None

    @functools.cached_property
    def holds(self) -> tuple[Holds, ...]:
        """What it must name, if it is to do anything."""
        return tuple(Holds(tuple(entry["fields"]), entry["because"]) for entry in self.schema.get("x-holds", ()))

    def problems(self, manifest: JsonObject) -> tuple[Problem, ...]:
        """What is wrong with a whole manifest (apiVersion, kind, metadata, spec)."""
        return self.validator.problems(manifest)

    def as_accepted(self, manifest: dict[str, Json]) -> dict[str, Json]:
        """A manifest as an API server takes it: a field that is null counts as one that is not given, unless the schema
        lets null through. Of ours null is wrong.
        """
        if self.group == OUR_GROUP:
            return manifest
        accepted: dict[str, Json] = _without_nulls(self.schema, manifest)
        return accepted

    def name_of(self, path: ValuePath, spec: JsonObject) -> str:
        """A path into a spec in words, items by what identifies them: `spec.portals[name=front].port`."""
        here: Any = {"spec": spec} if self.body else spec
        schema: FieldPath = ()
        words: list[str] = []
        for step in path:
            here = here[step]
            field = self.fields.get(schema)
            words.append(item_name(field.list_key if field else None, step, here) if words else str(step))
            schema = (*schema, ITEM if isinstance(step, int) else step)
        return "".join(words)

    def with_defaults(self, spec: JsonObject) -> dict[str, Json]:
        """The spec with the schema's defaults filled in, also inside objects and items that are given."""
        full: dict[str, Json] = self._filler.fill(spec) if self._filler else dict(spec)
        return full

    @functools.cached_property
    def _filler(self) -> _Filler | None:
        return _filler_of(self.body_schema)

    def without_secrets(self, spec: JsonObject) -> dict[str, Json]:
        """What is declared, with every secret replaced by a word that says so."""
        shown: dict[str, Json] = without_secrets(self.body_schema, dict(spec))
        return shown

    @functools.cached_property
    def inherited(self) -> Mapping[str, tuple[str, str]]:
        """Fields of the spec that may be left to another resource: name → (the field that names it, its kind)."""
        found: dict[str, tuple[str, str]] = {}
        for name, child in self.body_schema.get("properties", {}).items():
            via = self.field((*self.body, child["x-inherit"])) if "x-inherit" in child else None
            if via and via.reference:
                found[name] = (via.path[-1], via.reference.kind)
        return found

    def inheriting(self, spec: JsonObject, spec_of: Callable[[str, str], JsonObject]) -> dict[str, Json]:
        """The spec with what it leaves to other resources filled in; `spec_of` looks one up by kind and name."""
        full = dict(spec)
        children = self.body_schema.get("properties", {})
        for name, (via, kind) in self.inherited.items():
            own = name in spec or not spec.keys().isdisjoint(children[name].get("x-default-with", ()))
            value = None if own else spec_of(kind, str(spec.get(via, ""))).get(name)
            if value is not None:
                full[name] = value
        return full

    @property
    def on_create(self) -> Transition:
        """What the coming of a manifest means."""
        entry = self.schema.get("x-create", {})
        return Transition("create", entry.get("hazard", "safe"), entry.get("reason", ""))

    def on_delete(self, spec: JsonObject) -> Transition:
        """What the disappearance of this resource's manifest means."""
        entry = self.schema.get("x-delete", {"hazard": "safe", "reason": ""})
        if "by" in entry:
            entry = entry[self.with_defaults(spec)[entry["by"]]]
        entry = next((special for field, special in entry.get("when", {}).items() if field in spec), entry)
        return Transition("delete", entry["hazard"], entry["reason"])

    def unobservable(self, path: FieldPath) -> str:
        """Why no drift of a field can be seen; empty where it can."""
        above = (self.fields.get(path[:depth]) for depth in range(len(path), 0, -1))
        return next((str(f.schema["x-unobservable"]) for f in above if f and "x-unobservable" in f.schema), "")

    def leaves(self) -> tuple[Field, ...]:
        """The fields of what is declared that hold values, not other fields."""
        inner = {path[:depth] for path in self.fields for depth in range(len(path))}
        return tuple(field for field in self.body_fields() if field.path not in inner)

    def body_fields(self) -> tuple[Field, ...]:
        """The fields of what is declared."""
        return tuple(f for f in self.fields.values() if (f.path[0] == "spec" if self.body else f.path[0] not in FRAME))

    def field(self, path: FieldPath) -> Field | None:
        """The field at a schema path (`[]` for items); None for one below a free-form mapping."""
        return self.fields.get(path)


def item_name(key: str | None, step: str | int, item: Any) -> str:  # noqa: ANN401  # JSON
    """How a step of a path is written: `.port`, `[nsid=3]`, `[web-1]`; by its number where nothing identifies it."""
    if isinstance(step, str):
        return f".{step}"
    match key:
        case None:
            return f"[{step}]"
        case "":
            return f"[{item}]"
    return f"[{key}={item[key]}]" if isinstance(item, Mapping) and key in item else f"[{step}]"


def _without_nulls(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    if isinstance(value, dict):
        named, other = schema.get("properties", {}), schema.get("additionalProperties")
        beside = other if isinstance(other, Mapping) else {}
        inside = {name: named[name] if isinstance(named.get(name), Mapping) else beside for name in value}
        kept = {name: child for name, child in value.items() if child is not None or _takes_null(inside[name])}
        return {name: _without_nulls(inside[name], child) for name, child in kept.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_without_nulls(schema["items"], item) for item in value]
    return value


def _takes_null(schema: Any) -> bool:  # noqa: ANN401  # JSON
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return kind is None or (kind == "null" if isinstance(kind, str) else "null" in kind)


def without_secrets(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A value of a schema, with every secret (`x-secret`) replaced by a word that says so."""
    if "x-secret" in schema and value is not None:
        return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN
    if isinstance(value, Mapping) and "properties" in schema:
        other = {"x-secret": ""} if holds_secrets(schema) else {}  # what is misspelt beside a secret may be one
        return {name: without_secrets(schema["properties"].get(name, other), child) for name, child in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [without_secrets(schema["items"], item) for item in value]
    return value


def holds_secrets(schema: Mapping[str, Any]) -> bool:
    """Whether a field right inside is secret."""
    return any(isinstance(child, Mapping) and "x-secret" in child for child in schema.get("properties", {}).values())


@dataclass(frozen=True)
class _Filler:
    """What of a schema fills in defaults, and nothing else of it: most values are passed through as they are."""

    own: tuple[tuple[str, Mapping[str, Any]], ...]  # fields that have one
    inside: Mapping[str, _Filler]
    items: _Filler | None

    def fill(self, value: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
        if type(value) is list:
            return [self.items.fill(item) for item in value] if self.items else value
        if not isinstance(value, Mapping):
            return value
        full = {name: _default(child, value) for name, child in self.own}
        full.update(value)
        for name, filler in self.inside.items():
            if name in full:
                full[name] = filler.fill(full[name])
        return full


def _filler_of(schema: Mapping[str, Any]) -> _Filler | None:
    """None where nothing is to be filled in."""
    properties = {name: child for name, child in schema.get("properties", {}).items() if isinstance(child, Mapping)}
    own = tuple((name, child) for name, child in properties.items() if "default" in child)
    inside = {name: filler for name, child in properties.items() if (filler := _filler_of(child))}
    items = _filler_of(schema["items"]) if isinstance(schema.get("items"), Mapping) else None
    return _Filler(own, inside, items) if own or inside or items else None


def _default(schema: Mapping[str, Any], beside: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON
    """What a field has that is not given, among the fields that are."""
    special = (value for other, value in schema.get("x-default-with", {}).items() if other in beside)
    return next(special, schema["default"])
