"""A process that remembers nothing, as if it had just begun."""

from __future__ import annotations

import functools
import gc

from analyzer import document
from analyzer.roots import deployment, kept, kustomize


def forget() -> None:
    """Forget all that the analyzer has read, rendered and worked out of files."""
    document._remembered.clear()
    for module in (deployment, kustomize):
        module._KEPT = kept.Kept()
    for cache in _caches():
        cache.cache_clear()


@functools.cache
def _caches() -> tuple[functools._lru_cache_wrapper[object], ...]:
    """Those that hold what a repository holds: of limited size, unlike what our own schemas are kept in."""
    found = (each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper))
    return tuple(each for each in found if _is_ours(each))


def _is_ours(cache: functools._lru_cache_wrapper[object]) -> bool:
    return cache.__module__.startswith("analyzer.") and bool(cache.cache_parameters()["maxsize"])
