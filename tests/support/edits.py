"""A repository of few names that is edited at random: everything that people do to manifests, also by mistake."""

from __future__ import annotations

import copy
import functools
import json
import random  # noqa: TID251  # seeded: the same edits every time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from analyzer.snapshot import POLICY_FILE, Blob, Snapshot, Unread, blob_id
from schemas.kinds import kinds

EXAMPLE = Path(__file__).parents[2] / "examples" / "repo"
BROKEN = ("a: [", "a: 1\na: 2\n", "just text\n", "apiVersion: v1\nkind: 3\n", "{{ .Values.a }}: b\n")
POLICIES = (
    {"severities": {"duplicate-nqn": "warning", "dangling-reference": "warning"}},
    {"ignore": ["b*.yaml"]},
    {"failOn": "warning"},
    {"secrets": {"dirs": ["/etc/none"], "env": []}},
    {"no-such-key": 1},
)


@functools.cache
def documents() -> list[dict[str, Any]]:
    """What there is to begin with: the example of every kind, and the repository that is our example."""
    examples = [copy.deepcopy(kind.example) for kind in kinds().values()]
    written = [
        d for path in sorted(EXAMPLE.rglob("*.yaml")) for d in yaml.load_all(path.read_text(), yaml.CSafeLoader) if d
    ]
    plain: list[dict[str, Any]] = json.loads(json.dumps([*examples, *written], default=str))
    return plain


class Edited:
    """Files of documents, and a way to the next revision."""

    def __init__(self, seed: int, files: int = 12, size: int = 40, *, deployed: bool = True) -> None:
        """`deployed`: some of it may say how other files are deployed, or what kinds there are."""
        self.chance = random.Random(seed)  # noqa: S311  # see above
        self.stock = [each for each in documents() if deployed or not _says_of_others(each)]
        self.files: dict[str, list[dict[str, Any]] | str] = {}
        self.gaps: set[str] = set()
        self.policy: Mapping[str, Any] | None = None
        self.number = 0
        for _ in range(size):
            path = f"{self.chance.choice('abc')}{self.chance.randrange(files):02}.yaml"
            self._documents(path).append(copy.deepcopy(self.chance.choice(self.stock)))

    def snapshot(self) -> Snapshot:
        texts = {path: held if isinstance(held, str) else _text(held) for path, held in self.files.items()}
        if self.policy is not None:
            texts[POLICY_FILE] = json.dumps(self.policy)
        blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in sorted(texts.items())}
        gaps = tuple(Unread(path, "a symbolic link") for path in sorted(self.gaps))
        return Snapshot(f"{self.number:040x}", blobs, gaps)

    def edit(self, times: int = 1) -> Snapshot:
        """The next revision."""
        for _ in range(times):
            self.chance.choices(list(_ACTS), weights=list(_ACTS.values()))[0](self)
        self.number += 1
        return self.snapshot()

    # --- what people do

    def _set(self) -> None:
        """A value becomes what stands at the same place in another document, or goes."""
        held = self._some()
        if held is None:
            return
        document = self.chance.choice(held)
        places = [place for place in _leaves(document) if place != ("apiVersion",)]
        place = self.chance.choice(places)
        others = [value for other in self.stock for where, value in _leaves(other).items() if where[-1] == place[-1]]
        _put(document, place, self.chance.choice(others) if others else None)

    def _label(self) -> None:
        held = self._some()
        if held:
            metadata = self.chance.choice(held).get("metadata")
            if isinstance(metadata, dict):
                metadata["labels"] = {"tier": self.chance.choice(("gold", "silver")), "app": self.chance.choice("ab")}

    def _rename(self) -> None:
        held = self._some()
        metadata = self.chance.choice(held).get("metadata") if held else None
        if isinstance(metadata, dict):
            if self.chance.random() < 0.5:
                metadata["annotations"] = {"holdfast.dev/renamed-from": str(metadata.get("name"))}
            metadata["name"] = self.chance.choice(("a", "b", "db", "web-1", "fast"))

    def _add(self) -> None:
        path = f"{self.chance.choice('abc')}{self.chance.randrange(30):02}.yaml"
        self._documents(path).append(copy.deepcopy(self.chance.choice(self.stock)))

    def _copy(self) -> None:
        held = self._some()
        if held:
            self._documents(f"{self.chance.choice('abc')}dup.yaml").append(copy.deepcopy(self.chance.choice(held)))

    def _drop(self) -> None:
        held = self._some()
        if held:
            held.pop(self.chance.randrange(len(held)))

    def _drop_file(self) -> None:
        if self.files:
            del self.files[self.chance.choice(sorted(self.files))]

    def _move_file(self) -> None:
        if self.files:
            held = self.files.pop(self.chance.choice(sorted(self.files)))
            self.files[f"{self.chance.choice('abcz')}{self.chance.randrange(30):02}.yaml"] = held

    def _break(self) -> None:
        self.files[f"broken{self.chance.randrange(3)}.yaml"] = self.chance.choice(BROKEN)

    def _mend(self) -> None:
        for path in [path for path, held in self.files.items() if isinstance(held, str)]:
            del self.files[path]
        self.gaps.clear()

    def _gap(self) -> None:
        self.gaps ^= {self.chance.choice(("link.yaml", "other.yaml"))}

    def _policy(self) -> None:
        self.policy = self.chance.choice((None, *POLICIES))

    # --- helpers

    def _documents(self, path: str) -> list[dict[str, Any]]:
        held = self.files.get(path)
        if not isinstance(held, list):
            held = self.files[path] = []
        return held

    def _some(self) -> list[dict[str, Any]] | None:
        whole = [held for _, held in sorted(self.files.items()) if isinstance(held, list) and held]
        return self.chance.choice(whole) if whole else None


_ACTS = {
    Edited._set: 30, Edited._label: 6, Edited._rename: 5, Edited._add: 10, Edited._copy: 3, Edited._drop: 6,
    Edited._drop_file: 3, Edited._move_file: 4, Edited._break: 2, Edited._mend: 1, Edited._gap: 1, Edited._policy: 1,
}  # fmt: skip


def _says_of_others(document: Mapping[str, Any]) -> bool:
    return any(group in str(document.get("apiVersion")) for group in ("kustomize", "apiextensions"))


def _text(held: list[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(document, indent=1) for document in held) + "\n"


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    """Every value that is no mapping or list, and every list, by where it is."""
    if isinstance(value, dict):
        return {where: leaf for name, child in value.items() for where, leaf in _leaves(child, (*path, name)).items()}
    if isinstance(value, list):
        inside = {where: leaf for n, child in enumerate(value) for where, leaf in _leaves(child, (*path, n)).items()}
        return inside | {path: value}
    return {path: value}


def _put(document: Any, path: tuple[str | int, ...], value: Any) -> None:
    *way, last = path
    for step in way:
        document = document[step]
    if value is None and isinstance(document, dict):
        del document[last]
    else:
        document[last] = copy.deepcopy(value)


def revisions(seed: int, count: int, size: int = 40) -> Iterator[Snapshot]:
    """A history: mostly small steps."""
    edited = Edited(seed, size=size)
    yield replace(edited.snapshot(), revision="0" * 40)
    for _ in range(count):
        yield edited.edit(edited.chance.choice((1, 1, 2, 5)))
