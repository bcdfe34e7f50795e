"""The vocabulary: every kind, read once from its *.schema.json.

One table drives lint, graph, hazards, plan order, redaction and documentation. The annotations, all on the schema of
the field they speak of:

    x-ref        kind that the value names; or {kind, via, names}: a name inside the resource that the field `via`
                 names; or {kind, outlives}: what is named may be gone while this one stays
    x-update     in-place | recreate | restart | refuse, or by direction: {add, remove, increase, decrease, change}
    x-hazard     safe | disruptive | data-loss, or by direction; nothing where it is refused, for then nothing is done
    x-reason     why, in words that stand by themselves, or by direction
    x-alone      a change concerns this resource alone: nobody who refers to it would notice
    x-unobservable  why no target shows whether the live value is the declared one; also of everything inside
    x-list-key   field that identifies an item of the list; empty when the items identify themselves
    x-inherit    field that names a resource from which this one is taken where it is left out
    x-default-with  the default where another field beside it is given, which then comes before x-inherit
    x-select     kind whose resources the value (a selector) picks by their labels; they depend on this one
    x-pick       cluster-scoped kind whose resources the value (a selector) names by their labels, of those that allow
                 the namespace: this one depends on them
    x-whole      what it means that a list comes or goes as a whole: {update, hazard, reason}
    x-always     compared with the live state even when nobody declares it
    x-format     quantity | duration | percent | date | date-time | ip | cron | time-zone | power-of-two
    x-unit, x-expects  words for people

A schema's root carries x-kind {group, version, scope, plural, shortNames, dataBearing} and x-delete: what removal
means, {hazard, reason}; by the value of a field (`by`), and otherwise again where another field is given (`when`).
Where the coming of a manifest is not safe by itself, x-create says what it means, {hazard, reason}.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from schemas.resources import Json, JsonObject
from schemas.validation import Problem, Validator

Direction: TypeAlias = Literal["add", "remove", "increase", "decrease", "change"]
Scope: TypeAlias = Literal["Cluster", "Namespaced", "Either"]
FieldPath: TypeAlias = tuple[str, ...]
ValuePath: TypeAlias = tuple[str | int, ...]

ITEM = "[]"
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Transition:
    """What happens when a field changes in one direction."""

    update: str = "in-place"
    hazard: str = "safe"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that names another resource, or something inside one."""

    kind: str
    via: str = ""
    names: FieldPath = ()
    outlives: bool = False  # the resource may stay when the one that it names goes


@dataclass(frozen=True)
class Field:
    """One field of a kind. `path` starts at the manifest's root; `[]` stands for an item of a list."""

    path: FieldPath
    schema: Mapping[str, Any]
    required: bool

    def __str__(self) -> str:
        return ".".join(self.path).replace(f".{ITEM}", ITEM)

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @property
    def whole(self) -> Transition | None:
        """What it means that a list comes or goes as a whole; None where that is no more than its items."""
        entry = self.schema.get("x-whole")
        return Transition(entry["update"], entry["hazard"], entry["reason"]) if entry else None

    @property
    def list_key(self) -> str | None:
        """Field that identifies an item; "" when items identify themselves; None for anything but such a list."""
        return self.schema.get("x-list-key")

    @property
    def always(self) -> bool:
        """Whether what is live counts also where nobody declares the field."""
        return bool(self.schema.get("x-always", False))

    @property
    def alone(self) -> bool:
        """Whether a change of it concerns nobody but the resource itself."""
        return bool(self.schema.get("x-alone", False))

    @functools.cached_property
    def reference(self) -> Reference | None:
        match self.schema.get("x-ref"):
            case None:
                return None
            case str(kind):
                return Reference(kind)
            case {"kind": kind, "outlives": bool(outlives)}:
                return Reference(kind, outlives=outlives)
            case {"kind": kind, "via": via, "names": names}:
                return Reference(kind, via, _split(names))
            case other:
                raise ValueError(f"{self}: {other!r} is no x-ref")

    def transition(self, direction: Direction) -> Transition:
        def at(annotation: str, default: str) -> str:
            value = self.schema.get(annotation, default)
            return str(value.get(direction, value.get("change", default)) if isinstance(value, Mapping) else value)

        return Transition(at("x-update", "in-place"), at("x-hazard", "safe"), at("x-reason", ""))


@dataclass(frozen=True)
class Kind:
    """A kind that can be declared."""

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

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def description(self) -> str:
        return str(self.schema["description"])

    @property
    def example(self) -> dict[str, Json]:
        """A whole manifest. Those of all kinds together make a sound repository."""
        manifest: dict[str, Json] = self.schema["examples"][0]
        return manifest

    @functools.cached_property
    def references(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if field.reference)

    @functools.cached_property
    def selectors(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if "x-select" in field.schema)

    @functools.cached_property
    def pickers(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields.values() if "x-pick" in field.schema)

    def problems(self, manifest: JsonObject) -> tuple[Problem, ...]:
        """What is wrong with a whole manifest (apiVersion, kind, metadata, spec)."""
        return self.validator.problems(manifest)

    def name_of(self, path: ValuePath, spec: JsonObject) -> str:
        """A path into a spec in words, items by what identifies them: `spec.portals[name=front].port`."""
        here: Any = {"spec": spec}
        schema: FieldPath = ()
        words: list[str] = []
        for step in path:
            here = here[step]
            field = self.fields.get(schema)
            words.append(item_name(field.list_key if field else None, step, here) if schema else str(step))
            schema = (*schema, ITEM if isinstance(step, int) else step)
        return "".join(words)

    def with_defaults(self, spec: JsonObject) -> dict[str, Json]:
        """The spec with the schema's defaults filled in, also inside objects and items that are given."""
        full: dict[str, Json] = _filled(self.schema["properties"]["spec"], spec)
        return full

    @functools.cached_property
    def inherited(self) -> Mapping[str, tuple[str, str]]:
        """Fields of the spec that may be left to another resource: name → (the field that names it, its kind)."""
        found: dict[str, tuple[str, str]] = {}
        for name, child in self.schema["properties"]["spec"]["properties"].items():
            via = self.field(("spec", child["x-inherit"])) if "x-inherit" in child else None
            if via and via.reference:
                found[name] = (via.path[-1], via.reference.kind)
        return found

    def inheriting(self, spec: JsonObject, spec_of: Callable[[str, str], JsonObject]) -> dict[str, Json]:
        """The spec with what it leaves to other resources filled in; `spec_of` looks one up by kind and name."""
        full = dict(spec)
        children = self.schema["properties"]["spec"]["properties"]
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
        entry = self.schema["x-delete"]
        if "by" in entry:
            entry = entry[self.with_defaults(spec)[entry["by"]]]
        entry = next((special for field, special in entry.get("when", {}).items() if field in spec), entry)
        return Transition("delete", entry["hazard"], entry["reason"])

    def unobservable(self, path: FieldPath) -> str:
        """Why no drift of a field can be seen; empty where it can."""
        above = (self.fields.get(path[:depth]) for depth in range(len(path), 0, -1))
        return next((str(f.schema["x-unobservable"]) for f in above if f and "x-unobservable" in f.schema), "")

    def leaves(self) -> tuple[Field, ...]:
        """The fields of the spec that hold values, not other fields."""
        inner = {path[:depth] for path in self.fields for depth in range(len(path))}
        return tuple(f for f in self.fields.values() if f.path[0] == "spec" and f.path not in inner)

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
    return f"[{key}={item[key]}]"


@functools.cache
def kinds() -> Mapping[tuple[str, str], Kind]:
    """Every kind by (apiVersion, kind)."""
    loaded = (
        _load(path)
        for path in sorted(HERE.glob("*/*/*.schema.json"))
        if path.parent.parent.name not in ("output", "config")
    )
    return {(kind.api_version, kind.name): kind for kind in loaded}


@functools.cache
def our_kinds() -> Mapping[str, Kind]:
    """The kinds of storage.holdfast.dev by name."""
    return {kind.name: kind for kind in kinds().values() if kind.group == "storage.holdfast.dev"}


@functools.cache
def config_validator(name: str) -> Validator:
    """The validator of one of our configuration files: `daemon` (holdfast.toml) or `policy` (.holdfast.yaml)."""
    return Validator(_config_schema(name))


@dataclass(frozen=True)
class Settings:
    """A configuration file of ours."""

    name: str
    schema: Mapping[str, Any]
    fields: Mapping[FieldPath, Field]


@functools.cache
def settings() -> Mapping[str, Settings]:
    """Our configuration files by name."""
    schemas = [_config_schema(path.name.partition(".")[0]) for path in sorted((HERE / "config").glob("*.schema.json"))]
    return {
        schema["title"]: Settings(schema["title"], schema, {f.path: f for f in _fields(schema, (), required=True)})
        for schema in schemas
    }


def _config_schema(name: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads((HERE / "config" / f"{name}.schema.json").read_text())
    return schema


def _load(path: Path) -> Kind:
    schema = _inline(json.loads(path.read_text()), path.parent)
    about = schema["x-kind"]
    fields = {field.path: field for field in _fields(schema, (), required=True)}
    return Kind(
        name=schema["title"],
        group=about["group"],
        version=about["version"],
        scope=about["scope"],
        plural=about["plural"],
        short_names=tuple(about["shortNames"]),
        data_bearing=about["dataBearing"],
        schema=schema,
        fields=fields,
        validator=Validator(schema),
    )


def _inline(value: Any, folder: Path) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """Put the target of every `$ref` to a file of ours in its place."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            file, _, pointer = value["$ref"].partition("#/")
            target = json.loads((folder / file).read_text())
            for step in pointer.split("/"):
                target = target[step]
            return target
        return {name: _inline(child, folder) for name, child in value.items()}
    return [_inline(item, folder) for item in value] if isinstance(value, list) else value


def _fields(schema: Mapping[str, Any], path: FieldPath, *, required: bool) -> Iterator[Field]:
    if path:
        yield Field(path, schema, required)
    for name, child in schema.get("properties", {}).items():
        yield from _fields(child, (*path, name), required=name in schema.get("required", ()))
    if isinstance(schema.get("items"), Mapping):
        yield from _fields(schema["items"], (*path, ITEM), required=True)


def _filled(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    if isinstance(value, Mapping) and "properties" in schema:
        children = schema["properties"].items()
        full = {name: _default(child, value) for name, child in children if "default" in child} | dict(value)
        return {name: _filled(schema["properties"].get(name, {}), child) for name, child in full.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_filled(schema["items"], item) for item in value]
    return value


def _default(schema: Mapping[str, Any], beside: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON
    """What a field has that is not given, among the fields that are."""
    special = (value for other, value in schema.get("x-default-with", {}).items() if other in beside)
    return next(special, schema["default"])


def _split(text: str) -> FieldPath:
    """`portals[].name` → ("portals", "[]", "name")."""
    return tuple(text.replace(ITEM, f".{ITEM}").split("."))
