"""configMapGenerator and secretGenerator: resources made of literals and files, named after what they hold."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from analyzer.roots.config import Kustomization, given, inside, listed, mapping_at, text_at
from analyzer.roots.item import Item
from analyzer.roots.problem import broken
from analyzer.roots.tree import Allowance, Origin, Part, Tree

Read: TypeAlias = Callable[[Origin, str], bytes | None]
"""The content of a file that a place names; None where it is there and not read. Raises Unrenderable."""


_LINE = 70  # characters


@dataclass(slots=True)
class Generated:
    """A resource that a generator makes, and what becomes of one that is there already."""

    item: Item
    behavior: str  # create, merge, replace
    origin: Origin
    complete: bool = True  # whether every file of it was read


def generate(kustomization: Kustomization, read: Read, allowance: Allowance) -> Iterator[Generated]:
    """Everything that the generators of a kustomization make."""
    for field, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        for entry in kustomization.entries(field):
            yield _generated(kustomization, entry, kind, read, allowance)


def _generated(kustomization: Kustomization, entry: Origin, kind: str, read: Read, allowance: Allowance) -> Generated:
    mapping_at(entry)
    if not given(entry, "name"):
        raise broken(entry, f"this {kind} has no name")
    tree = Tree({}, entry, allowance)
    tree.set(("apiVersion",), Part("v1", entry))
    tree.set(("kind",), Part(kind, entry))
    tree.create(("metadata", "name"), _copy(entry.at("name")))
    if given(entry, "namespace"):
        tree.create(("metadata", "namespace"), _copy(entry.at("namespace")))
    if kind == "Secret":
        kinds = entry.at("type") if given(entry, "type") else entry
        tree.set(("type",), Part(given(entry, "type") or "Opaque", kinds))
    complete = True
    for key, content, origin in _pairs(entry, read):
        complete = complete and content is not None
        allowance.put(content, origin)
        _put(tree, kind, key, Part(content or b"", origin))
    hashed = _apply_options(kustomization, entry, tree)
    return Generated(Item(tree, hashed=hashed), _behavior(entry), entry, complete)


def _behavior(entry: Origin) -> str:
    """What kustomize does not know it takes for `create`."""
    said = given(entry, "behavior")
    return said if said in ("merge", "replace") else "create"


def _put(tree: Tree, kind: str, key: str, part: Part) -> None:
    encoded = _encoded(part.value)
    if kind == "Secret":
        tree.create(("data", key), Part(encoded, part.origin))
        return
    try:
        tree.create(("data", key), Part(part.value.decode(), part.origin))
    except UnicodeDecodeError:
        tree.create(("binaryData", key), Part(encoded, part.origin))


def _encoded(content: bytes) -> str:
    """In lines, as kustomize writes it: the name depends on that."""
    text = base64.b64encode(content).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))


def _pairs(entry: Origin, read: Read) -> Iterator[tuple[str, bytes | None, Origin]]:
    """Keys and contents in the order in which kustomize takes them. Raises Unrenderable for a key that comes twice."""
    seen: set[str] = set()
    for key, content, origin in (*_from_envs(entry, read), *_from_literals(entry), *_from_files(entry, read)):
        if key in seen:
            raise broken(origin, f"the key {key} is given twice")
        seen.add(key)
        yield key, content, origin


def _from_literals(entry: Origin) -> Iterator[tuple[str, bytes, Origin]]:
    for origin in listed(entry, "literals"):
        key, equals, value = text_at(origin).partition("=")
        if not equals or not key:
            raise broken(origin, "a literal is written key=value")
        quote = value[:1]
        unquoted = value[1:-1] if len(value) > 1 and quote in ("'", '"') and value[-1] == quote else value
        yield key, unquoted.encode(), origin


def _from_files(entry: Origin, read: Read) -> Iterator[tuple[str, bytes | None, Origin]]:
    for origin in listed(entry, "files"):
        key, equals, path = text_at(origin).partition("=")
        path = path if equals else key
        name = key if equals else path.rpartition("/")[2]
        if not name or not path:
            raise broken(origin, "a file is written path, or key=path")
        yield name, read(origin, path), origin


def _from_envs(entry: Origin, read: Read) -> Iterator[tuple[str, bytes | None, Origin]]:
    single = [entry.at("env")] if given(entry, "env") else []
    for origin in (*listed(entry, "envs"), *single):
        content = read(origin, text_at(origin))
        if content is None:
            yield f"?{text_at(origin)}", None, origin  # which keys it has, nobody knows here
            continue
        for line in content.decode("utf-8-sig", "replace").splitlines():
            text = line.lstrip()
            if text and not text.startswith("#"):
                key, _, value = text.partition("=")
                yield key, value.encode(), origin


def _apply_options(kustomization: Kustomization, entry: Origin, tree: Tree) -> bool:
    """Labels, annotations and immutability; whether the name is to tell the content."""
    hashed = True
    everywhere = [kustomization.at("generatorOptions")] if kustomization.value("generatorOptions") else []
    for options in (*everywhere, *([entry.at("options")] if mapping_at(entry).get("options") else [])):
        value = mapping_at(options)
        hashed = hashed and not value.get("disableNameSuffixHash", False)
        for name in ("labels", "annotations"):
            for key in inside(options, name):
                tree.create(("metadata", name, key), _copy(options.at(name, key)))
        if value.get("immutable"):
            tree.set(("immutable",), Part(True, options.at("immutable")))  # noqa: FBT003  # a value
    return hashed


def _copy(origin: Origin) -> Part:
    return Part(text_at(origin), origin)


def content_hash(item: Item) -> str:
    """The end of a name that tells the content: ten characters, as kustomize computes them."""
    value: Any = item.tree.value
    content = {
        "kind": item.kind,
        "name": "",
        "data": value.get("data", {} if item.kind == "Secret" else ""),
    }  # nobody's name is looked at
    extra = "binaryData" if item.kind == "ConfigMap" else "stringData"
    if extra in value:
        content[extra] = value[extra]
    if item.kind == "Secret":
        content["type"] = value.get("type", "")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:10]
    return digest.translate(str.maketrans("013ae", "ghkmt"))
