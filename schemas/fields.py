"""The fields of a kind, as its JSON Schema and the annotations in it say; kinds.py lists the annotations."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Direction: TypeAlias = Literal["add", "remove", "increase", "decrease", "change"]
Form: TypeAlias = Literal["name", "name@namespace", "name@provider"]
FieldPath: TypeAlias = tuple[str, ...]

ITEM = "[]"


@dataclass(frozen=True, slots=True)
class Transition:
    """What happens when a field changes in one direction."""

    update: str = "in-place"
    hazard: str = "safe"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that names another resource, or something inside one.

    Other fields are named by where they are, seen from the mapping that holds this one: `name`, `../name`.
    """

    kind: str  # "Volume" of our group, else "group/Kind"; of several the one that is meant where nothing says which
    via: str = ""  # field that names the resource, where this one names something inside it
    names: tuple[FieldPath, ...] = ()  # where that resource keeps such names
    outlives: bool = False  # the resource may stay when the one that it names goes
    elsewhere: bool = False  # what is named may well be declared in another place than this repository
    back: bool = False  # what is named names this one, too; neither need be there first
    namespace: str = ""  # field that names the namespace; the resource's own without it
    chosen_by: str = ""  # field that says which of the choices is meant
    choices: tuple[tuple[str, str], ...] = ()  # what is said there → kind; for anything else there is no telling
    form: Form = "name"  # name@provider: with an @ it is no resource of a repository
    rule: str = "dangling-reference"  # the rule that tells of one that leads nowhere
    foreign: str = ""  # why it should not leave the namespace; empty where it may

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind that may be meant."""
        return tuple(dict.fromkeys((self.kind, *(kind for _, kind in self.choices))))


def reference_of(annotation: Any) -> Reference:  # noqa: ANN401  # JSON
    """What an x-ref says. Raises ValueError for one that nobody would understand."""
    said: Mapping[str, Any] = {"kind": annotation} if isinstance(annotation, str) else annotation
    if not isinstance(said, Mapping) or "kind" not in said or not said.keys() <= _WORDS:
        raise ValueError(f"{annotation!r} is no x-ref")
    return Reference(
        said["kind"],
        via=said.get("via", ""),
        names=tuple(map(split_path, _listed(said.get("names", ())))),
        outlives=said.get("outlives", False),
        elsewhere=said.get("elsewhere", False),
        back=said.get("back", False),
        namespace=said.get("namespace", ""),
        chosen_by=said.get("by", ""),
        choices=tuple(said.get("choices", {}).items()),
        form=said.get("form", "name"),
        rule=said.get("rule", "dangling-reference"),
        foreign=said.get("foreign", ""),
    )


_WORDS = {"kind", "via", "names", "outlives", "elsewhere", "back", "namespace", "by", "choices", "form", "rule",
          "foreign"}  # fmt: skip


def _listed(value: Any) -> tuple[str, ...]:  # noqa: ANN401  # JSON
    return (value,) if isinstance(value, str) else tuple(value)


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
        return reference_of(self.schema["x-ref"]) if "x-ref" in self.schema else None

    def transition(self, direction: Direction) -> Transition:
        def at(annotation: str, default: str) -> str:
            value = self.schema.get(annotation, default)
            return str(value.get(direction, value.get("change", default)) if isinstance(value, Mapping) else value)

        return Transition(at("x-update", "in-place"), at("x-hazard", "safe"), at("x-reason", ""))


def fields_of(schema: Mapping[str, Any]) -> dict[FieldPath, Field]:
    """Every field that a schema names, by path; in the order of the schema."""
    return {field.path: field for field in _fields(schema, (), required=True)}


def _fields(schema: Mapping[str, Any], path: FieldPath, *, required: bool) -> Iterator[Field]:
    if path:
        yield Field(path, schema, required)
    for name, child in schema.get("properties", {}).items():
        if not isinstance(child, Mapping):
            continue  # true or false, in schemas of others
        yield from _fields(child, (*path, name), required=name in schema.get("required", ()))
    if isinstance(schema.get("items"), Mapping):
        yield from _fields(schema["items"], (*path, ITEM), required=True)


def split_path(text: str) -> FieldPath:
    """`portals[].name` → ("portals", "[]", "name")."""
    return tuple(text.replace(ITEM, f".{ITEM}").split("."))
