"""Flux Kustomizations: objects that say which folder of which repository a cluster applies, and with what changes."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.document import Document
from analyzer.roots.config import Kustomization, inside
from analyzer.roots.files import Files
from analyzer.roots.item import Item
from analyzer.roots.kustomize import Layer, Renderer
from analyzer.roots.problem import Problem, Unrenderable, place_of, problem_of
from analyzer.roots.substitute import Values, substitute
from analyzer.roots.tree import Misfit, Origin, Part
from schemas.loose import items, mapping

GROUP: Final = "kustomize.toolkit.fluxcd.io"
_MADE_BY_FLUX: Final = {"namespace": "targetNamespace"}


@dataclass(frozen=True)
class FluxKustomization:
    """One such object, and where it is declared."""

    origin: Origin
    folder: str | None = None  # of this repository; None where what it applies is not here
    expected: bool = False  # whether it must be here

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping(self.origin.value.get("spec"))

    @property
    def name(self) -> str:
        return str(mapping(self.origin.value.get("metadata")).get("name"))

    @property
    def path(self) -> str | None:
        """The folder of its source that it applies; None when that leads out of it."""
        path = self.spec.get("path") or "."
        folder = posixpath.normpath(str(path).lstrip("/") or ".")
        return None if folder.startswith("..") else "" if folder == "." else folder

    @property
    def source(self) -> tuple[str, str]:
        """Kind and name of its source."""
        reference = self.spec.get("sourceRef")
        return (str(reference.get("kind")), str(reference.get("name"))) if isinstance(reference, dict) else ("", "")

    @property
    def at(self) -> tuple[str, int, tuple[str | int, ...]]:
        """What tells it from all others of a revision."""
        return (self.origin.file, self.origin.document.number, self.origin.document.within)


def flux_kustomization(origin: Origin) -> FluxKustomization | None:
    """The Flux Kustomization that a document is."""
    value = origin.document.value
    if not isinstance(value, dict) or value.get("kind") != "Kustomization":
        return None
    group = str(value.get("apiVersion")).partition("/")[0]
    return FluxKustomization(Origin(origin.file, origin.document)) if group == GROUP else None


def holds_flux(documents: Iterable[Document]) -> bool:
    """Whether one of these documents is a Flux Kustomization."""
    return any(flux_kustomization(Origin("", document)) for document in documents)


def render_flux(flux: FluxKustomization, files: Files, renderer: Renderer) -> Layer:
    """What a cluster gets from one Flux Kustomization, before variables are put in."""
    layer = Layer()
    folder = flux.folder
    if folder is None or folder not in files.folders:
        if flux.expected:
            place = place_of(flux.origin.at("spec", "path"))
            layer.problems.append(Problem(place, f"the repository has no folder {flux.spec.get('path')}", broken=True))
        return layer
    collect(folder, layer, files, renderer)
    spec = flux.origin.at("spec")
    try:
        changes = Kustomization(folder, spec, _MADE_BY_FLUX)
        renderer.change(changes, layer)
        _common_metadata(spec, layer.items)
    except (Unrenderable, Misfit) as found:
        layer.problems.append(problem_of(found))
    layer.sure = layer.sure and not layer.problems
    return renderer.finish(layer)


def collect(
    folder: str, layer: Layer, files: Files, renderer: Renderer, without: Collection[str] = frozenset()
) -> None:
    """A folder as Flux reads it: its kustomization, or everything in it and below, kustomizations taken as such.

    `without`: folders below that are applied by themselves.
    """
    if folder in files.kustomizations:
        layer.include(renderer.base(folder, ()))
        return
    apart = [each for each in without if _below(each, folder)]
    inner = [each for each in sorted(files.kustomizations) if _below(each, folder) and not _is_in(each, apart)]
    outermost = [each for each in inner if not any(_below(each, other) for other in inner)]
    for each in outermost:
        layer.include(renderer.base(each, ()))
    layer.reads |= {f"{folder}/"}  # what comes new there is part of it, too
    for path in files.below(folder):
        if not _is_in(path, outermost) and not _is_in(path, apart):
            renderer.take(path, layer)


def _is_in(path: str, folders: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in folders)


def _below(path: str, folder: str) -> bool:
    return path != folder and (not folder or path.startswith(f"{folder}/"))


def _common_metadata(spec: Origin, items: Iterable[Item]) -> None:
    common = inside(spec, "commonMetadata")
    for name in ("labels", "annotations"):
        for key in mapping(common.get(name)):
            origin = spec.at("commonMetadata", name, key)
            for item in items:
                item.tree.create(("metadata", name, key), Part(origin.value, origin))


def has_values(flux: FluxKustomization) -> bool:
    """Whether it puts values into what it applies."""
    return isinstance(flux.spec.get("postBuild"), dict)


def put_in(flux: FluxKustomization, layer: Layer, items: Iterable[Item]) -> None:
    """Put the values of variables into a layer. `items` of the whole cluster may hold some of them."""
    post_build = mapping(flux.spec.get("postBuild"))
    values, complete = _values(flux, post_build, {(i.kind, i.name): i for i in items if i.kind == "ConfigMap"})
    try:
        for item in layer.items:
            substitute(item, values, complete=complete)
    except (Unrenderable, Misfit) as found:
        layer.problems.append(problem_of(found))
        layer.sure = False


def _values(
    flux: FluxKustomization, post_build: Mapping[str, Any], known: Mapping[tuple[str, str], Item]
) -> tuple[Values, bool]:
    """The variables with their places, and whether those are all that there are."""
    values: dict[str, Part] = {}
    complete = True
    for source in map(mapping, items(post_build.get("substituteFrom"))):
        item = known.get((str(source.get("kind")), str(source.get("name"))))
        complete = complete and item is not None
        if item:
            values.update({key: item.tree.part(("data", key)) for key in mapping(item.tree.get(("data",)))})
    for key, value in _own_values(post_build):
        values[key] = Part(value, flux.origin.at("spec", "postBuild", "substitute", key))
    return values, complete


def _own_values(post_build: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in mapping(post_build.get("substitute")).items():
        yield key, str(value).lower() if isinstance(value, bool) else str(value)
