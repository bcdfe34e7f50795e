"""Patterns of paths, as in `ignore`: `*` stays within a name, `**` crosses folders, a folder takes what is in it along.

They come with pull requests from anybody, so none of them may be slow.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable
from typing import TypeAlias

Step: TypeAlias = "re.Pattern[str] | None"  # None stands for `**`: any number of folders


def matches_path(pattern: str, path: str) -> bool:
    """Whether a pattern matches the path or one of the folders it is in."""
    return _matches(_compiled(pattern), tuple(path.split("/")))


def matches_name(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns matches a name."""
    return any(_name(pattern).match(name) for pattern in patterns)


@functools.cache
def _name(pattern: str) -> re.Pattern[str]:
    """Fnmatch's expressions take linear time."""
    return re.compile(fnmatch.translate(pattern))


@functools.cache
def _compiled(pattern: str) -> tuple[Step, ...]:
    """One step for each part of the path."""
    parts = pattern.strip("/").split("/")
    return tuple(None if part == "**" else _name(part) for part in parts)


def _matches(steps: tuple[Step, ...], parts: tuple[str, ...]) -> bool:
    """Follow every way through the pattern at once, until one ends at a folder of the path or at the path itself."""
    here = _skip(steps, {0})
    for part in parts:
        if len(steps) in here:
            return True
        here = _skip(steps, {at for step in here for at in _next(steps, step, part)})
    return len(steps) in here


def _next(steps: tuple[Step, ...], at: int, part: str) -> tuple[int, ...]:
    step = steps[at]
    if step is None:
        return (at,)
    return (at + 1,) if step.match(part) else ()


def _skip(steps: tuple[Step, ...], here: set[int]) -> set[int]:
    """A `**` may also stand for no folder at all."""
    for at in range(len(steps)):
        if at in here and steps[at] is None:
            here.add(at + 1)
    return here
