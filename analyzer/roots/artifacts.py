"""Which folder a Flux Kustomization applies: of this repository, or of an artifact that is made of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from analyzer.document import Document
from analyzer.roots.files import Files
from analyzer.roots.flux import FluxKustomization
from schemas.loose import items, mapping

_GENERATORS: Final = "source.extensions.fluxcd.io/"
_SOURCES: Final = "source.toolkit.fluxcd.io/"
BOOTSTRAP: Final = "flux-system"
SourceName: TypeAlias = tuple[str, str]  # kind, name


@dataclass(frozen=True)
class Sources:
    """What is declared of where things come from."""

    urls: Mapping[SourceName, str] = field(default_factory=dict)
    copies: Mapping[str, tuple[tuple[str, str, SourceName], ...]] = field(default_factory=dict)
    """Artifact → what is copied into it: the folder in it, the folder of the source, the source."""

    @property
    def own(self) -> str | None:
        """The URL of this repository, as far as that is known: of the source that Flux was installed with."""
        return self.urls.get(("GitRepository", BOOTSTRAP))

    def is_here(self, source: SourceName) -> bool | None:
        """Whether a source is this repository; None where that cannot be told."""
        if source == ("GitRepository", BOOTSTRAP) or (self.own and self.urls.get(source) == self.own):
            return True
        if source[1] == BOOTSTRAP:
            return None  # made of it, most likely
        if source in self.urls and (self.own or source[0] != "GitRepository"):
            return False
        return None


def sources_of(documents: Iterable[Document]) -> Sources:
    urls: dict[SourceName, str] = {}
    copies: dict[str, tuple[tuple[str, str, SourceName], ...]] = {}
    for document in documents:
        value: Any = document.value
        version = str(value.get("apiVersion")) if isinstance(value, dict) else ""
        if version.startswith((_SOURCES, _GENERATORS)) and isinstance(value.get("spec"), dict):
            name = str(mapping(value.get("metadata")).get("name"))
            urls[str(value.get("kind")), name] = str(value["spec"].get("url"))
            if value.get("kind") == "ArtifactGenerator":
                for artifact, copied in _artifacts(value["spec"]):
                    copies[artifact] = (*copies.get(artifact, ()), *copied)
    return Sources(urls, copies)


def _artifacts(spec: Mapping[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, str, SourceName], ...]]]:
    known = [mapping(each) for each in items(spec.get("sources"))]
    sources = {str(each.get("alias")): (str(each.get("kind")), str(each.get("name"))) for each in known}
    for artifact in map(mapping, items(spec.get("artifacts"))):
        yield str(artifact.get("name")), tuple(_copies(items(artifact.get("copy")), sources))


def _copies(entries: list[Any], sources: Mapping[str, SourceName]) -> Iterator[tuple[str, str, SourceName]]:
    for entry in map(mapping, entries):
        start, _, path = str(entry.get("from")).lstrip("@").partition("/")
        _, _, into = str(entry.get("to")).partition("/")
        if start in sources and path.endswith(("**", "/")):
            yield _folder(into), _folder(path.removesuffix("**")), sources[start]


def _folder(path: str) -> str:
    folder = posixpath.normpath(path.strip("/") or ".")
    return "" if folder == "." else folder


def located(flux: FluxKustomization, files: Files, sources: Sources) -> FluxKustomization:
    """With the folder of this repository that it applies, as far as that can be told.

    A source that nobody declares may be this repository, or an artifact of one of its folders: it is when it has the
    folder.
    """
    if flux.source[0] == "ExternalArtifact":
        copied = _copied(flux, sources)
        return replace(flux, folder=_found(copied, flux, files) if copied is not None else None)
    here = sources.is_here(flux.source)
    if here:
        return replace(flux, folder=flux.path, expected=True)
    return replace(flux, folder=_found(flux.path, flux, files) if here is None and flux.path else None)


def _found(path: str | None, flux: FluxKustomization, files: Files) -> str | None:
    """A folder of the repository, or of one that the object is in, where an artifact was made of that."""
    above = flux.origin.file
    candidates = [path]
    while path is not None and "/" in above:
        above = above.rpartition("/")[0]
        candidates.append(posixpath.join(above, path))
    return next((each for each in candidates if each and each in files.folders), None)


def _copied(flux: FluxKustomization, sources: Sources) -> str | None:
    """The folder that an artifact was copied from."""
    for into, folder, source in sources.copies.get(flux.source[1], ()):
        holds = flux.path is not None and (not into or flux.path == into or flux.path.startswith(f"{into}/"))
        if holds and sources.is_here(source) is not False:
            return _folder(posixpath.join(folder, posixpath.relpath(flux.path or ".", into or ".")))
    return None
