"""Strategic merge patches, as kustomize applies them: mappings are merged, null removes, lists are replaced or, where
the kind says how items are told apart, merged item by item; what the patch brings stands first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from analyzer.roots.merge_keys import merge_keys
from analyzer.roots.problem import broken
from analyzer.roots.tree import Allowance, Origin, Part, Tree
from schemas.kinds import ITEM, FieldPath
from schemas.validation import Path

DIRECTIVE = "$patch"
_UNKNOWN_DIRECTIVES = ("$setElementOrder", "$deleteFromPrimitiveList", "$retainKeys")


class Merge:
    """One patch on its way into one manifest."""

    def __init__(self, tree: Tree, api_version: str, kind: str) -> None:
        self._tree, self._api_version, self._kind = tree, api_version, kind

    def apply(self, patch: Part) -> bool:
        """Merge a whole patch; whether anything of the manifest is left."""
        match _directive(patch):
            case "delete":
                return False
            case "replace":
                self._tree.set((), _cleaned(patch, self._tree.allowance))
            case _:
                self._mapping((), (), patch)
        return True

    def _mapping(self, path: Path, fields: FieldPath, patch: Part, known: FieldPath = ()) -> None:
        """`known`: what the patch only says to tell which item it is for."""
        for name in patch.value:
            if name != DIRECTIVE and not (name in known and self._tree.get((*path, name)) == patch.value[name]):
                self._value((*path, name), (*fields, name), Part(patch.value[name], patch.origin.at(name)))

    def _value(self, path: Path, fields: FieldPath, patch: Part) -> None:
        here, there = self._tree.get(path), patch.value
        _check_name(fields, patch.origin)
        if there is None or _directive(patch) == "delete":
            if self._tree.has(path):
                self._tree.remove(path)
        elif here is None or _directive(patch) == "replace":
            self._tree.set(path, _cleaned(patch, self._tree.allowance))
        elif isinstance(here, dict) and isinstance(there, dict):
            self._mapping(path, fields, patch)
        elif isinstance(here, list) and isinstance(there, list):
            self._list(path, fields, patch)
        elif isinstance(here, (dict, list)) or isinstance(there, (dict, list)):
            raise broken(patch.origin, f"this patch has {_form(there)} for {'.'.join(fields)}, which is {_form(here)}")
        else:
            self._tree.set(path, patch)

    def _list(self, path: Path, fields: FieldPath, patch: Part) -> None:
        keys = merge_keys(self._api_version, self._kind, fields)
        theirs = [Part(item, patch.origin.at(index)) for index, item in enumerate(patch.value)]
        if keys is None:
            self._tree.set(path, patch)
        elif keys == ():
            mine = list(self._tree.items(path))
            self._tree.set_items(path, _distinct([*theirs, *mine]))
        else:
            self._items(path, fields, theirs, _Keys(keys, [*patch.value, *self._tree.get(path)]))

    def _items(self, path: Path, fields: FieldPath, theirs: list[Part], keys: _Keys) -> None:
        """Merge into the items that are there, then put what the patch names first."""
        touched: list[int] = []
        gone: set[int] = set()
        added: list[Part | int] = []
        for item in theirs:
            directive = _directive(item)
            self._tree.allowance.spend(len(self._tree.get(path)), item.origin)
            at = next((n for n, mine in enumerate(self._tree.get(path)) if keys.same(item.value, mine)), None)
            if at is None:
                added += [] if directive else [_cleaned(item, self._tree.allowance)]
            elif directive == "delete":
                gone.add(at)
            elif directive == "replace":
                self._tree.set((*path, at), _cleaned(item, self._tree.allowance))
            else:
                self._mapping((*path, at), (*fields, ITEM), item, keys.names)
            if at is not None and at not in touched:
                touched.append(at)
                added.append(at)
        mine = list(self._tree.items(path))
        first = [
            mine[item] if isinstance(item, int) else item
            for item in added
            if isinstance(item, Part) or item not in gone
        ]
        rest = (part for n, part in enumerate(mine) if n not in touched)
        self._tree.set_items(path, [*first, *rest])


class _Keys:
    """What tells the items of a list apart, of the keys that are used in it at all."""

    def __init__(self, names: FieldPath, items: Iterable[Any]) -> None:
        used = {name for item in items if isinstance(item, dict) for name in names if item.get(name) is not None}
        self.names = tuple(name for name in names if name in used) or names

    def same(self, one: Any, other: Any) -> bool:  # noqa: ANN401  # JSON
        """Whether two items are meant to be one: where both say something, they say the same."""
        if not isinstance(one, dict) or not isinstance(other, dict):
            return False
        pairs = [(one.get(name), other.get(name)) for name in self.names]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        return bool(known) and all(str(a) == str(b) for a, b in known)


def _directive(patch: Part) -> str | None:
    """`delete` or `replace` where a part of a patch says so; a list says it in an item of its own."""
    value = patch.value
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict) and set(item) == {DIRECTIVE}), None)
    found = value.get(DIRECTIVE) if isinstance(value, dict) else None
    if found not in (None, "delete", "replace", "merge"):
        raise broken(patch.origin, f"{DIRECTIVE} is delete, replace or merge, not {found!r}")
    return found


def _check_name(fields: FieldPath, origin: Origin) -> None:
    if fields and fields[-1].startswith(_UNKNOWN_DIRECTIVES):
        raise broken(origin, f"{fields[-1]} is not known to kustomize", "name the items, or use a JSON patch")


def _cleaned(patch: Part, allowance: Allowance) -> Part:
    """What a patch brings where nothing was: without directives, and without what it would remove.

    Parts keep their places, for a mapping or list is only built anew where something is left out of it.
    """
    tree = Tree(patch.value, patch.origin, allowance)
    for path in sorted(_superfluous(patch.value, ()), key=len, reverse=True):
        if isinstance(tree.get(path[:-1]), dict):
            tree.remove(path)
    for path in sorted(_directive_items(patch.value, ()), key=lambda path: [str(s) for s in path], reverse=True):
        tree.remove(path)
    return tree.part(())


def _superfluous(value: Any, path: Path) -> Iterator[Path]:  # noqa: ANN401  # JSON
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        if part is None or step == DIRECTIVE:
            yield (*path, step)
        else:
            yield from _superfluous(part, (*path, step))


def _directive_items(value: Any, path: Path) -> Iterator[Path]:  # noqa: ANN401  # JSON
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        if isinstance(step, int) and isinstance(part, dict) and set(part) == {DIRECTIVE}:
            yield (*path, step)
        else:
            yield from _directive_items(part, (*path, step))


def _distinct(parts: Iterable[Part]) -> Iterator[Part]:
    seen: list[Any] = []
    for part in parts:
        if part.value not in seen:
            seen.append(part.value)
            yield part


def _form(value: Any) -> str:  # noqa: ANN401  # JSON
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"
