"""Replacements: a value that one resource has is copied into fields of others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer.composer import MAX_SCALAR
from analyzer.roots.config import given, inside, listed, mapping_at, text_at
from analyzer.roots.item import Identity, Item, matches_selector
from analyzer.roots.problem import broken
from analyzer.roots.targets import fits, target_of
from analyzer.roots.tree import Origin, Part
from schemas.validation import Path

_WHERE = "metadata.name"


def replace(items: Sequence[Item], entry: Origin, *, sparing: bool = False) -> None:
    """Carry out one replacement. `sparing`: what it takes a value from may be elsewhere."""
    part = _source(items, entry, sparing=sparing)
    if part is None:
        return
    targets = list(listed(entry, "targets"))
    if not targets:
        raise broken(entry, "a replacement needs targets")
    for target in targets:
        _into(items, target, part)


def _source(items: Sequence[Item], entry: Origin, *, sparing: bool) -> Part | None:
    if mapping_at(entry).get("sourceValue") is not None:
        return Part(text_at(entry.at("sourceValue")), entry.at("sourceValue"))
    if mapping_at(entry).get("source") is None:
        raise broken(entry, "a replacement needs a source")
    source = entry.at("source")
    matching = [item for item in items if any(_is(identity, source) for identity in item.identities())]
    if sparing and not matching:
        return None
    if len(matching) != 1:
        count = "several resources are" if matching else "no resource is"
        raise broken(source, f"{count} the source that this selects")
    field = given(source, "fieldPath") or _WHERE
    tree = matching[0].tree
    path = next(iter(_paths(tree.value, split_path(field))), None)
    if path is None:
        raise broken(source, f"{matching[0].kind} {matching[0].name} has no {field}")
    part = tree.part(path)
    options = inside(source, "options")
    return Part(_piece(part.value, options, source), part.origin) if options.get("delimiter") else part


def _is(identity: Identity, source: Origin) -> bool:
    wanted = mapping_at(source)
    return all(not wanted.get(name) or str(wanted[name]) == getattr(identity, name) for name in Identity._fields)


def _checked(options: Mapping[str, Any], origin: Origin) -> Mapping[str, Any]:
    if type(options.get("index", 0)) is not int:
        raise broken(origin, f"index is a number, not {options['index']!r}")
    return options


def _piece(value: Any, options: Any, origin: Origin) -> str:  # noqa: ANN401  # JSON
    pieces, index = str(value).split(str(options["delimiter"])), options.get("index", 0)
    if not isinstance(index, int) or not 0 <= index < len(pieces):
        raise broken(origin, f"{value} has no part {index}")
    return pieces[index]


def _into(items: Sequence[Item], target: Origin, part: Part) -> None:
    if not isinstance(mapping_at(target).get("select"), dict):
        raise broken(target, "a target needs `select`")
    options = _checked(inside(target, "options"), target)
    rejects = list(listed(target, "reject"))
    for item in items:
        chosen = _selected(item, target.at("select")) and not any(_selected(item, reject) for reject in rejects)
        for field in [text_at(each) for each in listed(target, "fieldPaths")] or [_WHERE] if chosen else ():
            _set(item, field, part, options, target)


def _selected(item: Item, selector: Origin) -> bool:
    wanted = target_of(selector)
    labelled = matches_selector(wanted.labels, item.tree.get(("metadata", "labels")))
    annotated = matches_selector(wanted.annotations, item.tree.get(("metadata", "annotations")))
    return labelled and annotated and any(fits(wanted, identity) for identity in item.identities())


def _set(item: Item, field: str, part: Part, options: Any, origin: Origin) -> None:  # noqa: ANN401  # JSON
    steps = split_path(field)
    paths = list(_paths(item.tree.value, steps))
    if not paths and options.get("create") and not any("=" in step or step == "*" for step in steps):
        item.tree.create(tuple(steps), part)
        return
    if not paths:
        raise broken(origin, f"{item.kind} {item.name} has no {field}", "`options: {create: true}` would make it")
    for path in paths:
        old = item.tree.get(path)
        if options.get("delimiter") and len(str(old)) + len(str(part.value)) > MAX_SCALAR:
            raise broken(origin, f"this makes a text of more than {MAX_SCALAR:,} characters")
        value = _joined(old, part.value, options) if options.get("delimiter") else part.value
        item.tree.set(path, Part(_typed(old, value), part.origin, part.tree))


def _typed(old: Any, new: Any) -> Any:  # noqa: ANN401  # JSON
    """A text stays a text, whatever it is replaced with."""
    return str(new) if isinstance(old, str) and isinstance(new, (int, float)) and not isinstance(new, bool) else new


def _joined(old: Any, new: Any, options: Any) -> str:  # noqa: ANN401  # JSON
    delimiter, index = str(options["delimiter"]), options.get("index", 0)
    pieces = str(old).split(delimiter)
    if index < 0:
        pieces.insert(0, str(new))
    elif index >= len(pieces):
        pieces.append(str(new))
    else:
        pieces[index] = str(new)
    return delimiter.join(pieces)


def split_path(text: str) -> list[str]:
    """`spec.list.[name=a.b].image`, `metadata.annotations.[a.b/c]` → steps; a dot may have a backslash before it."""
    steps = re.findall(r"(?:\[[^\]]*\]|(?:\\.|[^.\\])+)", text)
    plain = (step[1:-1] if step.startswith("[") and "=" not in step else step for step in steps)
    return [step.replace("\\.", ".") for step in plain]


def _paths(value: Any, steps: Sequence[str], here: Path = ()) -> Iterator[Path]:  # noqa: ANN401  # JSON
    if not steps:
        yield here
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if _names(steps[0], index, part):
                yield from _paths(part, steps[1:], (*here, index))
    elif isinstance(value, dict):
        for name in list(value) if steps[0] == "*" else [steps[0]]:
            if name in value:
                yield from _paths(value[name], steps[1:], (*here, name))


def _names(step: str, index: int, item: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether a step means this item of a list: `*`, its number, or what one of its fields is."""
    if step.startswith("["):
        name, _, value = step[1:-1].partition("=")
        have = item.get(name) if isinstance(item, dict) else None if name else item
        return have is not None and str(have) == value
    return step in ("*", str(index))
