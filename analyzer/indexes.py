"""Indexes: who shares a value with whom. A rule that asks "is another the same?" asks an index, and not everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analyzer.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Index:
    """Sound manifests of some kinds by a value that follows from each manifest alone.

    Every index is known from when its module is imported, because whoever keeps a graph keeps its indexes with it.
    """

    name: str
    kinds: tuple[str, ...]
    values: Callable[[Manifest], Iterable[str]]

    def __post_init__(self) -> None:
        if self.name in _known:
            raise ValueError(f"two indexes are called {self.name}")
        _known[self.name] = self


_known: dict[str, Index] = {}
INDEXES: Mapping[str, Index] = MappingProxyType(_known)
