"""Kinds that people bring: CustomResourceDefinitions and plain JSON Schemas, made into Kinds at run time.

What a CRD says in CEL (x-kubernetes-validations) is not evaluated. A reference to a file or an address is refused:
nothing is fetched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from schemas.fields import reference_of
from schemas.kinds import Kind, Kinds, kind_of_schema, shared
from schemas.loose import items, mapping, texts
from schemas.validation import Path, Validator, did_you_mean, quoted

CRD_GROUP, CRD_KIND = "apiextensions.k8s.io", "CustomResourceDefinition"
_KEPT = (
    "description", "default", "enum", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "examples",
    "x-ref", "x-pick", "x-secret",
)  # fmt: skip
_CATALOGUE = re.compile(r"(?:.*/)?([a-z0-9.-]+\.[a-z0-9.-]+)/([a-z0-9]+)_(v[0-9a-z]+)\.(?:json|ya?ml)")


@dataclass(frozen=True, order=True, slots=True)
class Flaw:
    """Something for which a definition cannot be used. `path` leads to it."""

    path: Path
    message: str


@dataclass(frozen=True, eq=False)
class Definition:
    """What somebody defines: whole schemas in our form, each of one version of a kind, and what is wrong."""

    schemas: tuple[Mapping[str, Any], ...] = ()
    flaws: tuple[Flaw, ...] = ()

    def kinds_among(self, namespaced: Callable[[str], bool]) -> Iterator[tuple[tuple[str, str], Callable[[], Kind]]]:
        """The kinds that it defines by (apiVersion, kind), each made when it is first asked for: most never are.

        One that names no others is the same one whatever others there are.
        """
        for number, schema in enumerate(self.schemas):
            about = schema["x-kind"]
            api_version = f"{about['group']}/{about['version']}" if about["group"] else about["version"]
            made = functools.partial(self._kind, number, namespaced)
            yield (api_version, schema["title"]), functools.cache(made)

    def _kind(self, number: int, namespaced: Callable[[str], bool]) -> Kind:
        if number not in self._alone:
            self._alone[number] = kind_of_schema(self.schemas[number], _knows_none)
        alone = self._alone[number]
        names_others = alone.references or alone.selectors or alone.pickers
        return kind_of_schema(alone.schema, namespaced) if names_others else alone

    @functools.cached_property
    def _alone(self) -> dict[int, Kind]:
        """Kinds as they are where there are no others."""
        return {}


def _knows_none(_: str) -> bool:
    """Of those that name no others nobody asks."""
    return True


def is_crd(value: object) -> bool:
    """Whether this is a CustomResourceDefinition, of whatever version."""
    return (
        isinstance(value, Mapping)
        and value.get("kind") == CRD_KIND
        and str(value.get("apiVersion", "")).startswith(f"{CRD_GROUP}/")
    )


def extended(known: Kinds, definitions: Iterable[Definition]) -> Kinds:
    """The kinds that are known, and those of these definitions that are not."""
    more: dict[tuple[str, str], Callable[[], Kind]] = {}

    def namespaced(name: str) -> bool:
        return together.namespaced(name)

    for name, kind in chain.from_iterable(definition.kinds_among(namespaced) for definition in definitions):
        more.setdefault(name, kind)
    together = known.with_more(more)
    return together


# --- CustomResourceDefinitions


def definition_of_crd(crd: Mapping[str, Any]) -> Definition:
    """The kinds that a CRD defines, one for each version that is served."""
    spec = crd.get("spec")
    if not isinstance(spec, Mapping):
        return Definition(flaws=(Flaw((), "a definition needs a spec"),))
    names = spec.get("names") if isinstance(spec.get("names"), Mapping) else {}
    flaws = [*_frame_flaws(spec, names)]
    if flaws:
        return Definition(flaws=tuple(flaws))
    found = []
    for path, version, schema in _versions(spec):
        if not isinstance(version, str) or not isinstance(schema, Mapping):
            what = "a version needs a name" if not isinstance(version, str) else "a version needs an openAPIV3Schema"
            flaws.append(Flaw(path, what))
            continue
        whole = _of_crd(spec, names, version, schema)
        here = [Flaw((*path, *inside.path), inside.message) for inside in _schema_flaws(schema, whole)]
        flaws += here
        found += [] if here else [whole]
    return Definition(tuple(found), tuple(sorted(flaws)))


def _frame_flaws(spec: Mapping[str, Any], names: Any) -> Iterator[Flaw]:  # noqa: ANN401  # JSON
    if not isinstance(spec.get("group"), str) or not spec["group"]:
        yield Flaw(("spec",) if "group" not in spec else ("spec", "group"), "a definition needs a group")
    for name in ("kind", "plural"):
        if not isinstance(names.get(name), str) or not names[name]:
            yield Flaw(("spec", "names"), f"a definition needs names.{name}")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        given = f"{quoted(spec['scope'])} is not" if "scope" in spec else "scope must be"
        yield Flaw(("spec", "scope") if "scope" in spec else ("spec",), f"{given} Namespaced or Cluster")
    if not isinstance(spec.get("versions"), list) and "version" not in spec:
        yield Flaw(("spec",), "a definition needs versions")


def _versions(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Any, Any]]:
    """Where the schema of each served version is, the version's name, and the schema; older definitions have one."""
    shared_schema = _at(spec, "validation", "openAPIV3Schema")
    listed = spec.get("versions")
    if not isinstance(listed, list):
        yield ("spec", "validation", "openAPIV3Schema"), spec["version"], shared_schema
        return
    for index, version in enumerate(listed):
        own = version if isinstance(version, Mapping) else {}
        if own.get("served", True):
            schema = _at(own, "schema", "openAPIV3Schema")
            inside: Path = () if schema is None else ("schema", "openAPIV3Schema")
            yield ("spec", "versions", index, *inside), own.get("name"), schema or shared_schema


def _of_crd(spec: Mapping[str, Any], names: Any, version: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401
    about = {
        "group": spec["group"],
        "version": version,
        "scope": spec["scope"],
        "plural": names["plural"],
        "shortNames": [*texts(names.get("shortNames"))],
        "dataBearing": False,
    }
    inside = {name: child for name, child in mapping(schema.get("properties")).items() if name not in _FRAME}
    api_version = f"{spec['group']}/{version}"
    return {
        "title": names["kind"],
        "description": str(schema.get("description", f"{names['kind']}, as {spec['group']} defines it.")),
        "x-kind": about | ({} if set(inside) <= {"spec"} else {"body": "root"}),
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", *(n for n in schema.get("required", ()) if n in inside)],
        "properties": {
            "apiVersion": {"const": api_version},
            "kind": {"const": names["kind"]},
            "metadata": shared("metadata.schema.json", f"kubernetes{spec['scope']}"),
            **{name: _converted(child) for name, child in inside.items()},
            "status": {"type": "object", "additionalProperties": True},
        },
        "examples": [{"apiVersion": api_version, "kind": names["kind"], "metadata": {"name": "example"}}],
    }


_FRAME = ("apiVersion", "kind", "metadata", "status")


def _converted(schema: Any, *, closed: bool = True) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A structural schema as JSON Schema says it. `closed`: fields that are not named are refused."""
    if not isinstance(schema, Mapping):
        return _spelt_out(schema)
    found = {name: schema[name] for name in _KEPT if name in schema}
    for name in ("minimum", "maximum"):
        exclusive = f"exclusive{name.capitalize()}"
        if schema.get(exclusive) is True and name in found:
            found[exclusive] = found.pop(name)
    if "items" in schema:
        found["items"] = _converted(schema["items"], closed=closed)
    if isinstance(schema.get("properties"), Mapping):
        found["properties"] = {n: _converted(child, closed=closed) for n, child in schema["properties"].items()}
    for name in ("allOf", "anyOf", "oneOf"):
        if isinstance(schema.get(name), list) and not schema.get("x-kubernetes-int-or-string"):
            found[name] = [_converted(branch, closed=False) for branch in schema[name]]
    if "not" in schema:
        found["not"] = _converted(schema["not"], closed=False)
    return found | _kind_of_value(schema) | _openness(schema, closed=closed) | _identity(schema)


def _kind_of_value(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What sort of value it is; `nullable` lets null through."""
    types = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else schema.get("type")
    if schema.get("nullable") is not True or types is None:
        return {} if types is None else {"type": types}
    listed = [*types, "null"] if isinstance(types, list) else [types, "null"]
    enum = schema.get("enum")
    return {"type": listed} | ({"enum": [*enum, None]} if isinstance(enum, list) and None not in enum else {})


def _openness(schema: Mapping[str, Any], *, closed: bool) -> dict[str, Any]:
    """What becomes of fields that are not named: the API server keeps them, or drops them where all are named."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return {"additionalProperties": True}
    if "additionalProperties" in schema:
        return {"additionalProperties": _converted(schema["additionalProperties"], closed=closed)}
    return {"additionalProperties": False} if closed and isinstance(schema.get("properties"), Mapping) else {}


def _identity(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the items of a list apart."""
    keys, item = schema.get("x-kubernetes-list-map-keys"), mapping(schema.get("items"))
    if isinstance(keys, list) and len(keys) == 1 and keys[0] in items(item.get("required")):
        return {"x-list-key": keys[0]}
    if schema.get("x-kubernetes-list-type") == "set" and item.get("type") in ("string", "integer"):
        return {"x-list-key": ""}
    return {}


# --- plain JSON Schemas


def definition_of_schema(schema: object, path: str) -> Definition:
    """The kind that a JSON Schema describes: as it says itself, or as a catalogue of schemas names its files,
    <group>/<kind>_<version>.json.
    """
    if not isinstance(schema, Mapping):
        return Definition(flaws=(Flaw((), "a JSON Schema is a mapping"),))
    named = _named_in(schema) or _named_by(path)
    if named is None:
        message = (
            "nothing says of which kind this is the schema: give properties.apiVersion and properties.kind a const, "
            "add x-kubernetes-group-version-kind, or call the file <group>/<kind>_<version>.json"
        )
        return Definition(flaws=(Flaw((), message),))
    group, version, kind = named
    about = {"group": group, "version": version, "scope": "Namespaced", "plural": "", "shortNames": []}
    inside = mapping(schema.get("properties")).keys() - set(_FRAME)
    whole = {
        "description": f"{kind}, as {path} defines it.",
        "examples": [{"kind": kind}],
        **{name: value for name, value in _plain(schema).items() if name not in ("$schema", "$id", "id")},
        "title": kind,
        "x-kind": {**about, "dataBearing": False} | ({} if inside == {"spec"} else {"body": "root"}),
    }
    flaws = (*_schema_flaws(schema, whole),)
    return Definition(() if flaws else (whole,), flaws)


def _spelt_out(schema: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A schema as a mapping: true lets everything through, and false nothing."""
    if isinstance(schema, Mapping):
        return schema
    return {"not": {}} if schema is False else {}


def _plain(schema: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A schema without other annotations than those that anybody may write."""
    if isinstance(schema, list):
        return [_plain(child) for child in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {name: child for name, child in schema.items() if not name.startswith("x-") or name in _KEPT}
    plain = {name: _plain(child) for name, child in kept.items() if name not in _BY_NAME}
    by_name = {
        name: {n: _spelt_out(_plain(child)) for n, child in mapping(kept[name]).items()}
        for name in _BY_NAME & kept.keys()
    }
    return plain | by_name


_BY_NAME = {"properties", "patternProperties", "definitions", "$defs"}  # their keys are names, whatever they look like


def _named_in(schema: Mapping[str, Any]) -> tuple[str, str, str] | None:
    match schema.get("x-kubernetes-group-version-kind"):
        case [{"group": str(group), "version": str(version), "kind": str(kind)}, *_]:
            return group, version, kind
    properties = mapping(schema.get("properties"))
    api_version, kind = (_only(mapping(properties.get(name))) for name in ("apiVersion", "kind"))
    if not (api_version and kind):
        return None
    group, _, version = api_version.rpartition("/")
    return group, version, kind


def _named_by(path: str) -> tuple[str, str, str] | None:
    match = _CATALOGUE.fullmatch(path)
    return (match[1], match[3], match[2]) if match else None


def _only(schema: Mapping[str, Any]) -> str:
    """The one value that a field may have."""
    enum = schema.get("enum")
    value = schema.get("const", enum[0] if isinstance(enum, list) and len(enum) == 1 else None)
    return value if isinstance(value, str) else ""


# --- what is wrong


def _schema_flaws(written: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Flaw]:
    found = [*_foreign_references(written, ()), *_odd_annotations(written, ()), *_misshapen(written, ())]
    yield from found
    if not found and (flaw := Validator(whole).flaw()):
        path, wrong = flaw
        yield Flaw(_as_far_as_written(written, path), f"not a schema: {wrong}")


def _as_far_as_written(schema: Any, path: Path) -> Path:  # noqa: ANN401  # JSON
    """The beginning of a path that the author's own file has, too."""
    for length, step in enumerate(path):
        if not (isinstance(schema, Mapping) and step in schema):
            return path[:length]
        schema = schema[step]
    return path


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def _misshapen(schema: Any, path: Path) -> Iterator[Flaw]:  # noqa: ANN401  # JSON
    """What would keep others from reading the schema at all."""
    if not isinstance(schema, (Mapping, bool)):
        yield Flaw(path, f"{quoted(schema)} is not a schema")
    elif isinstance(schema, Mapping):
        kinds = schema.get("type", [])
        odd = [name for name in (kinds if isinstance(kinds, list) else [kinds]) if name not in _TYPES]
        yield from (Flaw((*path, "type"), f"{quoted(n)} is not a type{did_you_mean(str(n), _TYPES)}") for n in odd)
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            yield Flaw((*path, "properties"), "the properties of a schema are a mapping")
        for name, child in mapping(properties).items():
            yield from _misshapen(child, (*path, "properties", name))
        if isinstance(schema.get("items"), Mapping):
            yield from _misshapen(schema["items"], (*path, "items"))


def _foreign_references(schema: Any, path: Path) -> Iterator[Flaw]:  # noqa: ANN401  # JSON
    for name, child in _children(schema):
        if name == "$ref" and isinstance(child, str) and not child.startswith("#"):
            yield Flaw((*path, name), f"{quoted(child)} leads out of this file; nothing is fetched")
        yield from _foreign_references(child, (*path, name))


def _odd_annotations(schema: Any, path: Path) -> Iterator[Flaw]:  # noqa: ANN401  # JSON
    for name, child in _children(schema):
        if name == "x-ref":
            try:
                reference_of(child)
            except (ValueError, TypeError, AttributeError):
                yield Flaw((*path, name), f"{quoted(child)} is no x-ref")
        elif name == "x-pick" and not isinstance(child, str):
            yield Flaw((*path, name), f"{quoted(child)} is not the name of a kind")
        yield from _odd_annotations(child, (*path, name))


def _children(value: Any) -> Iterable[tuple[str | int, Any]]:  # noqa: ANN401  # JSON
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _at(value: Any, *steps: str) -> Any:  # noqa: ANN401  # JSON
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
