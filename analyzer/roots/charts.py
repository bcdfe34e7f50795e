"""Helm charts: their templates are no manifests, and only Helm could make such of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from analyzer.document import load
from analyzer.finding import Location
from analyzer.roots.files import Files
from analyzer.roots.problem import Problem
from schemas.resources import OUR_GROUP

CHART_FILE: Final = "Chart.yaml"
_OWN: Final = re.compile(r"(?:Chart|requirements|[^/]*values[^/]*)\.ya?ml|(?:templates|charts|ci|tests)/.*")


@dataclass(frozen=True, slots=True)
class Chart:
    """A folder that holds a chart, and the files of it that are no manifests."""

    folder: str
    files: tuple[str, ...]

    @property
    def templates(self) -> tuple[str, ...]:
        start = len(self.folder) + 1 if self.folder else 0
        return tuple(path for path in self.files if path[start:].startswith("templates/"))


def is_chart(path: str) -> bool:
    return path.rpartition("/")[2] == CHART_FILE


def charts_of(paths: Iterable[str]) -> Iterator[Chart]:
    """The charts among these files; one inside another is part of that."""
    ordered = sorted(paths)
    folders = sorted(path.rpartition("/")[0] for path in ordered if is_chart(path))
    outer: list[str] = []
    for folder in folders:
        if not any(_inside(folder, other) for other in outer):
            outer.append(folder)
    held: Mapping[str, list[str]] = {folder: [] for folder in outer}
    for path in ordered:
        chart = next((each for each in _above(path) if each in held), None)
        if chart is not None and _OWN.fullmatch(path[len(chart) + 1 if chart else 0 :]):
            held[chart].append(path)
    return (Chart(folder, tuple(files)) for folder, files in held.items())


def problem_of(chart: Chart, files: Files) -> Problem | None:
    """That its templates are not rendered; nothing where it has none."""
    if not chart.templates:
        return None
    path = f"{chart.folder}/{CHART_FILE}".lstrip("/")
    first = load(files.blobs[path]).source.line(1)
    ours = any(OUR_GROUP.encode() in files.blobs[template].data for template in chart.templates)
    many = f"{len(chart.templates)} templates" if len(chart.templates) > 1 else "a template"
    message = f"a Helm chart with {many}, not rendered here"
    if ours:
        message += f"; there may be kinds of {OUR_GROUP} in it"
    advice = "commit what it renders to, or add the folder to `ignore` in .holdfast.yaml"
    return Problem(Location(path, 1, 1, text=first), message, broken=False, help=advice, grave=ours)


def _inside(folder: str, outer: str) -> bool:
    return folder == outer or not outer or folder.startswith(f"{outer}/")


def _above(path: str) -> Iterator[str]:
    """The folders that a file is in, the innermost first."""
    while path:
        path = path.rpartition("/")[0]
        yield path
