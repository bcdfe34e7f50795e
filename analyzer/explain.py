"""What a word means: kinds, fields, settings from their schemas, rules from their pages, reasons from their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from analyzer.rule import Rule
from analyzer.rules import RULES
from schemas.annotations import Annotation, known_annotations
from schemas.kinds import (
    ITEM,
    Direction,
    Field,
    FieldPath,
    Kind,
    Reference,
    Settings,
    Transition,
    kinds,
    our_kinds,
    settings,
)
from schemas.reasons import Reason, reasons
from schemas.resources import Json
from schemas.validation import did_you_mean, quoted

DIRECTIONS: tuple[Direction, ...] = ("change", "add", "remove", "increase", "decrease")
_ANNOTATIONS = ("x-update", "x-hazard", "x-reason")


@dataclass(frozen=True)
class FieldTopic:
    """A field, in its kind."""

    kind: Kind
    field: Field


Topic: TypeAlias = "Kind | FieldTopic | Rule | Reason | Settings | Annotation"


class UnknownTopic(Exception):
    """Nothing has that name; the message offers what is near."""


def find(subject: str) -> Topic:
    """What a subject means: `Volume`, `vol`, `Volume.size`, `dangling-reference`, `KeptLarger`, an annotation.

    Raises UnknownTopic.
    """
    rules = {rule.id: rule for rule in RULES}
    if subject in rules:
        return rules[subject]
    if reason := next((reason for name, reason in reasons().items() if name.casefold() == subject.casefold()), None):
        return reason
    if subject in settings():
        return settings()[subject]
    if subject in (
        notes := {short(name): name for name in known_annotations()} | {name: name for name in known_annotations()}
    ):
        return known_annotations()[notes[subject]]
    name, path = _split(subject)
    kind = _kind_names().get(name.casefold())
    if kind is None:
        known = [*rules, *reasons(), *(kind.name for kind in kinds().values()), *notes]
        raise UnknownTopic(f"no kind, rule, reason or annotation is called {quoted(name)}{did_you_mean(name, known)}")
    return FieldTopic(kind, _field(kind, path)) if path else kind


def short(annotation: str) -> str:
    """`adopt` of `holdfast.dev/adopt`."""
    return annotation.rpartition("/")[2]


def children(whole: Kind | Settings, path: FieldPath) -> tuple[Field, ...]:
    """The fields directly inside a field, looking through lists."""
    inside = (*path, ITEM) if (*path, ITEM) in whole.fields else path
    return tuple(field for field in whole.fields.values() if field.path[:-1] == inside and field.path[-1] != ITEM)


def to_json(topic: Topic) -> dict[str, Json]:
    match topic:
        case Rule():
            return {"rule": topic.id, "severity": str(topic.severity), "fixed": topic.fixed, "page": topic.page}
        case Settings():
            return {"file": topic.name, "fields": [_setting_json(field) for field in topic.fields.values()]}
        case Reason():
            return {"reason": topic.name, "meaning": topic.meaning, "act": topic.act}
        case Annotation():
            return {"annotation": topic.name, "meaning": topic.meaning, "value": topic.value, "example": topic.example}
        case FieldTopic():
            return field_json(topic.kind, topic.field)
    return kind_json(topic)


def kind_json(kind: Kind) -> dict[str, Json]:
    return {
        "kind": kind.name,
        "apiVersion": kind.api_version,
        "scope": kind.scope,
        "plural": kind.plural,
        "shortNames": [*kind.short_names],
        "description": kind.description,
        "example": kind.example,
        "onCreate": kind.schema.get("x-create", {"hazard": "safe", "reason": ""}),
        "onDelete": kind.schema.get("x-delete", {"hazard": "safe", "reason": ""}),
        "references": [_reference_json(field) for field in kind.references],
        "fields": [field_json(kind, field) for field in kind.body_fields()],
    } | _lifecycle_json(kind)


def _lifecycle_json(kind: Kind) -> dict[str, Json]:
    """Only of a kind that is not ours: whose release is described, and whether it is still in use."""
    if not kind.edition:
        return {}
    schema = kind.schema
    return {
        "edition": kind.edition,
        "removed": schema.get("x-removed"),
        "deprecated": schema.get("x-deprecated"),
        "replacedBy": schema.get("x-replaced-by", []),
    }


def field_json(kind: Kind, field: Field) -> dict[str, Json]:
    return {
        "kind": kind.name,
        **_setting_json(field),
        "reference": reference.kind if (reference := reference_of(kind, field)) else None,
        "onChange": [
            {"direction": direction, "update": meaning.update, "hazard": meaning.hazard, "reason": meaning.reason}
            for direction, meaning in transitions(field)
        ],
        "always": field.always,
        "unobservable": kind.unobservable(field.path) or None,
        "fields": [str(child) for child in children(kind, field.path)],
    }


def _setting_json(field: Field) -> dict[str, Json]:
    schema = field.schema
    return {
        "field": str(field),
        "description": field.description,
        "type": type_name(field),
        "required": field.required,
        "unit": schema.get("x-unit"),
        "default": schema.get("default"),
        "example": next(iter(schema.get("examples", ())), None),
    }


def reference_of(whole: Kind | Settings, field: Field) -> Reference | None:
    """What a field names, or what the items of a list name."""
    item = whole.fields.get((*field.path, ITEM))
    return field.reference or (item.reference if item else None)


def transitions(field: Field) -> Iterator[tuple[Direction, Transition]]:
    """What the schema says about changes of this field, by direction; `change` stands for every one."""
    given = [field.schema[name] for name in _ANNOTATIONS if name in field.schema]
    named = {direction for value in given if isinstance(value, Mapping) for direction in value}
    for direction in DIRECTIONS:
        if direction in named or (direction == "change" and given and not named):
            yield direction, field.transition(direction)


def type_name(field: Field) -> str:
    """`integer from 1 to 65535`, `one of correct, warn, ignore`, `list of strings` …"""
    schema = field.schema
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "x-expects" in schema:
        return str(schema["x-expects"])
    kind = schema.get("type", "any")
    name = " or ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = [f"{word} {schema[key]}" for word, key in (("from", "minimum"), ("to", "maximum")) if key in schema]
    return " ".join([_TYPE_NAMES.get(name, name), *bounds])


_TYPE_NAMES = {"object": "mapping", "array": "list"}


def _reference_json(field: Field) -> Json:
    return {"field": str(field), "kind": field.reference.kind if field.reference else None}


def _kind_names() -> dict[str, Kind]:
    """Every way to name a kind. A bare name means ours before another's, and the newest version."""
    newest = (kinds().called(name) for name in kinds().names)
    ordered = sorted(
        (kind for kind in newest if kind), key=lambda kind: kind.name in our_kinds() and "/" not in kind.qualified
    )
    return {
        name.casefold(): kind
        for kind in ordered
        for name in (kind.qualified, kind.name, kind.plural, *kind.short_names, f"{kind.api_version}/{kind.name}")
        if name
    }


def _split(subject: str) -> tuple[str, str]:
    """Kind and field of `Volume.size`, `hub.traefik.io/API.openApiSpec`, `hub.traefik.io/v1alpha1/API`."""
    group, slash, rest = subject.rpartition("/")
    name, _, path = rest.partition(".")
    return f"{group}{slash}{name}", path


def _field(kind: Kind, path: str) -> Field:
    """The field at a path as people write it: without `spec.` in front and without `[]` if they like."""
    steps = path.replace(ITEM, "").strip(".").split(".")
    start: FieldPath = () if (steps[0],) in kind.fields else kind.body
    here = start
    for step in steps:
        near = {child.path[-1]: child for child in children(kind, here)}
        if step not in near:
            inside = kind.name if here == start else str(kind.fields[here])
            raise UnknownTopic(f"{inside} has no field {quoted(step)}{did_you_mean(step, near)}")
        here = near[step].path
    return kind.fields[here]


def index() -> dict[str, Json]:
    """Every kind, rule, reason, annotation and configuration file by name."""
    rules = sorted(rule.id for rule in RULES)
    return {
        "kinds": [*our_kinds(), *(name for name in sorted(kinds().names) if name not in our_kinds())],
        "rules": [*rules],
        "reasons": [*sorted(reasons())],
        "annotations": [*known_annotations()],
        "settings": [*settings()],
    }
