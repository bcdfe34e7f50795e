"""The vocabulary: every kind, read from its *.schema.json when it is first asked for.

A kind is called by its name if it is ours, and by "group/Kind" if not (core: "core/Service").

One table drives lint, graph, hazards, plan order, redaction and documentation. The annotations, all on the schema of
the field they speak of:

    x-ref        kind that the value names, or {kind, …} with any of
                   via, names    the value is a name (or number) inside the resource that the field `via` names
                   outlives      what is named may be gone while this one stays
                   elsewhere     what is named may well be declared in another place than this repository
                   back          what is named names this one, too, and neither need be there first
                   namespace     field that names the namespace, where it need not be the resource's own
                   by, choices   field that says which kind is meant, and the kinds that it may say
                   form          name (if left out) | name@namespace | name@provider
                   rule          the rule that tells of one that leads nowhere; dangling-reference if left out
                   foreign       why it should stay within the namespace, though it may name another one
    x-update     in-place | recreate | restart | refuse, or by direction: {add, remove, increase, decrease, change}
    x-hazard     safe | disruptive | data-loss, or by direction; nothing where it is refused, for then nothing is done
    x-reason     why, in words that stand by themselves, or by direction
    x-alone      a change concerns this resource alone: nobody who refers to it would notice
    x-unobservable  why no target shows whether the live value is the declared one; also of everything inside
    x-order      values from best to worst: a change to a later one counts as an increase
    x-list-key   field that identifies an item of the list; empty when the items identify themselves
    x-inherit    field that names a resource from which this one is taken where it is left out
    x-default-with  the default where another field beside it is given, which then comes before x-inherit
    x-select     kind whose resources the value (a selector) picks by their labels; they depend on this one
    x-pick       kind whose resources the value (a selector) names by their labels: this one depends on them; of a
                 kind of ours those that allow the namespace, of another one those of the same namespace
    x-whole      what it means that a list comes or goes as a whole: {update, hazard, reason}
    x-always     compared with the live state even when nobody declares it
    x-format     quantity | duration | percent | date | date-time | ip | cron | time-zone | power-of-two | ssh-key, or
                 of others: absolute-path | go-duration | https-url | kubernetes-quantity | ldap-url | semver | url
    x-least, x-most  bounds of a value with an x-format
    x-checks     what must hold between the fields of a mapping or the items of a list: see checks.py
    x-secret     the value is a secret, which no output shows
    x-removed    {in, use}: since when the field, or the whole kind, is no more, and what to write in its place
    x-deprecated {use}, perhaps {in}: that it should not be used any more, and what to write in its place
    x-replaced-by  kinds that take the place of a kind
    x-regex      the value is a regular expression as Go reads it
    x-rule       {missing, empty}: the rule that tells that the field is not there, or holds none of what it may hold,
                 where that is not left to invalid-resource
    x-unit, x-expects  words for people

A schema's root carries x-kind {group, version, scope, plural, shortNames, dataBearing}. Of a kind that is not ours it
says which `edition` is described, and `body: root` where there is no spec: then everything but apiVersion, kind,
metadata and status is what is declared. x-delete says what removal means, {hazard, reason}; by the value of a field
(`by`), and otherwise again where another field is given (`when`). Where the coming of a manifest is not safe by itself,
x-create says what it means, {hazard, reason}. x-used-by, {kinds, because}: who must name or select it, if it is to
count, and what it means when none does. x-holds, a list of {fields, because}: what it means when none of these fields
names anything.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from schemas.fields import ITEM, Direction, Field, FieldPath, Reference, Transition, fields_of
from schemas.kind import Kind, Scope, item_name
from schemas.resources import OUR_GROUP, qualified
from schemas.validation import Validator

__all__ = [
    "ITEM", "Direction", "Field", "FieldPath", "Kind", "Kinds", "Reference", "Scope", "Settings", "Transition",
    "config_validator", "item_name", "kind_of_schema", "kinds", "names_of_ours", "our_kinds", "settings", "shared",
]  # fmt: skip

HERE = Path(__file__).parent
NO_KINDS = ("config", "output")  # folders of other schemas

Loader: TypeAlias = Callable[[], Kind]


class Kinds(Mapping[tuple[str, str], Kind]):
    """Kinds by (apiVersion, kind). Each set of them is itself, whatever another holds."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __init__(self, loaders: Mapping[tuple[str, str], Loader]) -> None:
        self._loaders = loaders

    def __getitem__(self, key: tuple[str, str]) -> Kind:
        return self._loaders[key]()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def find(self, api_version: str, kind: str) -> Kind | None:
        """The kind of a manifest. Catalogues of schemas write the names of kinds in small letters."""
        found = self._loaders.get((api_version, kind)) or self._loaders.get((api_version, kind.lower()))
        return found() if found else None

    def with_more(self, more: Mapping[tuple[str, str], Loader]) -> Kinds:
        """These kinds and others; of two of one name ours."""
        return Kinds({**more, **self._loaders})

    @property
    def names(self) -> Iterable[str]:
        """What the kinds are called, each once however many versions it has."""
        return self._versions.keys()

    def called(self, name: str) -> Kind | None:
        """The newest version of a kind, by its name: `Volume`, `core/Service`."""
        versions = self._versions.get(name)
        return self[versions[0]] if versions else None

    def versions_of(self, name: str) -> tuple[str, ...]:
        """The apiVersions of a kind, the newest first."""
        return tuple(api_version for api_version, _ in self._versions.get(name, ()))

    def namespaced(self, name: str) -> bool:
        """Whether resources of a kind live in a namespace; those of a kind that nobody knows most likely do."""
        kind = self.called(name)
        return kind is None or kind.scope != "Cluster"

    @functools.cached_property
    def _versions(self) -> Mapping[str, list[tuple[str, str]]]:
        """(apiVersion, kind) by name, the newest first."""
        found: dict[str, list[tuple[str, str]]] = {}
        for api_version, kind in self._loaders:
            group, _, _ = api_version.rpartition("/")
            found.setdefault(qualified(group, kind), []).append((api_version, kind))
        return {name: sorted(versions, key=_age) for name, versions in found.items()}


def _age(key: tuple[str, str]) -> tuple[int, int, int]:
    """The order of versions in Kubernetes: v2, v1, v1beta2, v1beta1, v1alpha1."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", key[0].rpartition("/")[2])
    if match is None:
        return (3, 0, 0)
    return (("alpha", "beta", None)[::-1].index(match[2]), -int(match[1]), -int(match[3] or 0))


@functools.cache
def kinds() -> Kinds:
    """Every kind that Holdfast knows."""
    return Kinds({_named_by(path): functools.partial(_kind_at, path) for path in _files()})


@functools.cache
def our_kinds() -> Mapping[str, Kind]:
    """The kinds of storage.holdfast.dev by name."""
    return {name: kinds()[key] for key in kinds() if (name := _ours(*key))}


def names_of_ours() -> tuple[str, ...]:
    """What they are called; no schema is read for that."""
    return tuple(name for key in kinds() if (name := _ours(*key)))


def _ours(api_version: str, name: str) -> str:
    return name if api_version.startswith(f"{OUR_GROUP}/") else ""


def _files() -> Iterable[Path]:
    folders = (path for path in sorted(HERE.iterdir()) if path.is_dir() and path.name not in NO_KINDS)
    return [path for folder in folders for path in sorted(folder.glob("*/*.schema.json"))]


def _named_by(path: Path) -> tuple[str, str]:
    """(apiVersion, kind) of schemas/<group>/<version>/<Kind>.schema.json; the group "core" has no name."""
    version, group = path.parent.name, path.parent.parent.name
    return (version if group == "core" else f"{group}/{version}", path.name.removesuffix(".schema.json"))


@functools.cache
def _kind_at(path: Path) -> Kind:
    return kind_of_schema(_inline(_read(path), path.parent), lambda name: kinds().namespaced(name))


def kind_of_schema(schema: Mapping[str, Any], namespaced: Callable[[str], bool]) -> Kind:
    """The kind that a whole schema describes, among others of which it may name some."""
    about = schema["x-kind"]
    return Kind(
        name=schema["title"],
        group=about["group"],
        version=about["version"],
        scope=about["scope"],
        plural=about["plural"],
        short_names=tuple(about["shortNames"]),
        data_bearing=about["dataBearing"],
        schema=schema,
        fields=fields_of(schema),
        validator=Validator(schema),
        namespaced=namespaced,
    )


def shared(file: str, name: str) -> Mapping[str, Any]:
    """A piece that the schemas share."""
    piece: Mapping[str, Any] = _inline({"$ref": f"{file}#/$defs/{name}"}, HERE)
    return piece


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
    return {schema["title"]: Settings(schema["title"], schema, fields_of(schema)) for schema in schemas}


def _config_schema(name: str) -> Mapping[str, Any]:
    return _read(HERE / "config" / f"{name}.schema.json")


@functools.cache
def _read(path: Path) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return schema


def _inline(value: Any, folder: Path) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """Put the target of every `$ref` to a file of ours in its place; what stands beside it is added."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            file, _, pointer = value["$ref"].partition("#/")
            path = (folder / file).resolve()
            target: Any = functools.reduce(lambda here, step: here[step], pointer.split("/"), _read(path))
            return _inline(target, path.parent) | {n: _inline(v, folder) for n, v in value.items() if n != "$ref"}
        return {name: _inline(child, folder) for name, child in value.items()}
    return [_inline(item, folder) for item in value] if isinstance(value, list) else value
