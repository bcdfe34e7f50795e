"""Variables: `${name}` in a text, with the defaults and the cuts of a POSIX shell that Flux understands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from analyzer.composer import MAX_SCALAR
from analyzer.roots.item import Item
from analyzer.roots.problem import broken
from analyzer.roots.tree import Origin, Part
from analyzer.scalar import resolve
from schemas.validation import Path

Values: TypeAlias = Mapping[str, Part]

_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-=])([^{}]*))?\}")
_ANY: Final = re.compile(r"\$\{[^}]*\}|<[A-Z][A-Z0-9_]{2,}>")  # or what people write for a script to replace
_SWITCH: Final = "kustomize.toolkit.fluxcd.io/substitute"


def substitute(item: Item, values: Values, *, complete: bool) -> None:
    """Put values into every text of a resource. A variable that nobody knows is empty where all of them are known."""
    if any(item.tree.get(("metadata", name, _SWITCH)) == "disabled" for name in ("labels", "annotations")):
        return
    for path, text in list(_texts(item.tree.value, ())):
        _check_length(text, values, item.tree.written(path))
        new = _put_in(text, values, complete=complete)
        if new != text:
            item.tree.set(path, Part(_typed(item, path, new), item.tree.written(path)))


def _check_length(text: str, values: Values, origin: Origin) -> None:
    """A text is put together only where it is one that somebody could read."""
    known = (match[1] for match in _VARIABLE.finditer(text))
    length = len(text) + sum(len(str(values[name].value)) for name in known if name in values)
    if length > MAX_SCALAR:
        raise broken(origin, f"its variables make a text of more than {MAX_SCALAR:,} characters")


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401  # JSON
    if isinstance(value, str):
        if "${" in value:
            yield path, value
    elif isinstance(value, (dict, list)):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(part, (*path, step))


def _put_in(text: str, values: Values, *, complete: bool) -> str:
    def value_of(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        if name is None:
            return "${"  # what is written $${ is meant as it stands
        if name in values and (str(values[name].value) or operator not in (":-", ":=")):
            return str(values[name].value)
        if operator and complete:
            return str(default)
        return "" if complete else match[0]

    return _VARIABLE.sub(value_of, text)


def _typed(item: Item, path: Path, text: str) -> Any:  # noqa: ANN401  # JSON
    """Values are put in before the YAML is read, so a number that stands without quotes is a number."""
    written = item.tree.written(path)
    _, place, line = written.document.written(written.path)
    if line[place.column - 1 : place.column] != "$":
        return text
    try:
        return resolve(text)
    except ValueError:
        return text


def has_variables(value: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether a variable is left in a value."""
    if isinstance(value, str):
        return bool(_ANY.search(value))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(has_variables, parts))
