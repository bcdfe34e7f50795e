"""JSON patches (RFC 6902) on a manifest. What is copied or moved keeps the place where it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.composer import holds
from analyzer.roots.config import items_at, mapping_at
from analyzer.roots.problem import broken
from analyzer.roots.tree import Origin, Part, Tree
from schemas.validation import Path

_NEEDS = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from", "remove": "path"}


def apply_operations(tree: Tree, operations: Part) -> None:
    """Carry out every operation in turn."""
    for origin in items_at(operations.origin):
        _apply(tree, mapping_at(origin), origin)


def is_json_patch(value: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether a patch is a list of operations."""
    return isinstance(value, list) and all(isinstance(item, Mapping) and "op" in item for item in value)


def _apply(tree: Tree, operation: Mapping[str, Any], origin: Origin) -> None:
    action, pointer = operation.get("op"), operation.get("path")
    if action not in _NEEDS or not isinstance(pointer, str) or _NEEDS[action] not in operation:
        known = ", ".join(_NEEDS)
        raise broken(origin, f"an operation needs op ({known}), path, and value or from", "see RFC 6902")
    match action:
        case "add":
            _add(tree, pointer, Part(operation["value"], origin.at("value")), origin.at("path"))
        case "replace":
            _replace(tree, pointer, Part(operation["value"], origin.at("value")), origin.at("path"))
        case "remove":
            tree.remove(_existing(tree, pointer, origin.at("path")))
        case "test":
            _test(tree, _existing(tree, pointer, origin.at("path")), operation["value"], origin)
        case _:
            _transfer(tree, pointer, operation, origin)


def _transfer(tree: Tree, pointer: str, operation: Mapping[str, Any], origin: Origin) -> None:
    source = _existing(tree, str(operation["from"]), origin.at("from"))
    part = tree.fork().part(source)
    if operation["op"] == "move":
        tree.remove(source)
    _add(tree, pointer, part, origin.at("path"))


def _test(tree: Tree, path: Path, wanted: Any, origin: Origin) -> None:  # noqa: ANN401  # JSON
    if tree.get(path) != wanted:
        raise broken(origin, f"the test fails: {'/'.join(map(str, path))} has another value")


def _replace(tree: Tree, pointer: str, part: Part, origin: Origin) -> None:
    *steps, last = _steps(pointer, origin) or [""]
    if _are_annotations(tree, steps):
        tree.create((*steps, last), part)
        return
    path = _resolved(tree, steps, origin, pointer)
    if pointer and isinstance(tree.get(path), dict):
        tree.set((*path, last), part)  # kustomize puts it there also where nothing was
    else:
        tree.set(_existing(tree, pointer, origin), part)


def _add(tree: Tree, pointer: str, part: Part, origin: Origin) -> None:
    *steps, last = _steps(pointer, origin) or [""]
    if not pointer:
        tree.set((), part)
        return
    if _are_annotations(tree, steps):
        tree.create((*steps, last), part)
        return
    path = _resolved(tree, steps, origin, pointer)
    holder = tree.get(path)
    if isinstance(holder, list):
        items = list(tree.items(path))
        items.insert(_index(last, len(items), origin, pointer), part)
        tree.set_items(path, items)
    elif isinstance(holder, dict):
        tree.set((*path, last), part)
    else:
        raise _missing(origin, pointer)


def _are_annotations(tree: Tree, steps: list[str]) -> bool:
    """Whether that is where annotations are, in a manifest without: kustomize puts its own there before it patches."""
    return steps == ["metadata", "annotations"] and tree.get(("metadata", "annotations")) is None


def _existing(tree: Tree, pointer: str, origin: Origin) -> Path:
    path = _resolved(tree, _steps(pointer, origin), origin, pointer)
    if not path:
        raise broken(origin, "the whole manifest cannot be meant here")
    return path


def _resolved(tree: Tree, steps: list[str], origin: Origin, pointer: str) -> Path:
    path: Path = ()
    for step in steps:
        here = tree.get(path)
        number = isinstance(here, list) and step.lstrip("-").isdigit()
        at: str | int = int(step) + (len(here) if step.startswith("-") else 0) if number else step
        if not holds(here, at):
            raise _missing(origin, pointer)
        path = (*path, at)
    return path


def _index(step: str, length: int, origin: Origin, pointer: str) -> int:
    if step == "-":
        return length
    if not step.lstrip("-").isdigit() or not -length <= int(step) <= length:
        raise _missing(origin, pointer)
    return int(step) + (length + 1 if step.startswith("-") else 0)


def _steps(pointer: str, origin: Origin) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise broken(origin, f"the path {pointer} does not begin with /", f"write /{pointer}")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _missing(origin: Origin, pointer: str) -> Exception:
    return broken(origin, f"there is nothing at {pointer} in the manifest", "an add makes only the last part of a path")
