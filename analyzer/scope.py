"""What is judged together: the files of a snapshot as they were read, and what each cluster is made of."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from analyzer.config import AnalyzerConfig, PolicyProblem
from analyzer.document import MAX_REMEMBERED, Source, load
from analyzer.finding import Location
from analyzer.graph import ResourceGraph, link, unlinked
from analyzer.manifest import Declaration, Manifest
from analyzer.roots.charts import is_chart
from analyzer.roots.deployment import RAW, Cluster, Deployment, Root, deployment_of, is_stray
from analyzer.roots.files import files_of, is_kustomization
from analyzer.roots.flux import holds_flux
from analyzer.roots.rendered import declared
from analyzer.rule import File
from analyzer.snapshot import SETTINGS, Blob, Snapshot, Unread
from analyzer.suppression import Suppression, suppressions_in
from analyzer.vocabulary import Vocabulary, defines, vocabulary_of
from schemas.resources import OUR_GROUP, ResourceKey

Gaps: TypeAlias = tuple[tuple[Location, str], ...]
_AS_IT_IS = Root(RAW, (), rendered=False)


@dataclass(frozen=True, eq=False)
class Site:
    """A cluster. `files` hold what its roots declare, by the files that it comes from; `gaps`: where more of it may be
    beside them; `elsewhere`: what else it may refer to; `beside`: files that no root takes in, where others are.
    """

    name: str
    roots: tuple[Root, ...]
    files: tuple[File, ...]
    gaps: Gaps
    elsewhere: frozenset[ResourceKey] = frozenset()
    beside: frozenset[str] = frozenset()

    @functools.cached_property
    def stores(self) -> bool:
        """Whether anything of it is ours to apply."""
        return any(True for _ in self.ours())

    def ours(self) -> Iterator[Manifest]:
        return (manifest for manifest in self.manifests() if manifest.key.group == OUR_GROUP)

    def manifests(self) -> Iterator[Manifest]:
        found = (declaration for file in self.files for declaration in file.declarations)
        return (declaration for declaration in found if isinstance(declaration, Manifest))

    def linked(self, revision: str) -> ResourceGraph:
        return link(self.manifests(), self._all_gaps(), revision, self.elsewhere)

    def listed(self, revision: str) -> ResourceGraph:
        """As `linked`, without who refers to whom."""
        return unlinked(self.manifests(), self._all_gaps(), revision)

    def _all_gaps(self) -> Gaps:
        in_order = sorted(self.files, key=lambda file: file.path)
        return (*self.gaps, *chain.from_iterable(file.unread for file in in_order))

    @property
    def partial(self) -> Gaps:
        """Where more of it comes from elsewhere."""
        problems = (problem for root in self.roots for problem in root.problems if not problem.broken)
        return tuple((problem.location, problem.message) for problem in problems)

    def root_of(self, manifest: Manifest) -> Root | None:
        """The root that declares a resource."""
        return self.roots[0] if len(self.roots) == 1 else self._roots.get(id(manifest))

    @functools.cached_property
    def _roots(self) -> Mapping[int, Root]:
        return {id(declaration): root for root in self.roots for declaration in root.declarations}


@dataclass(frozen=True)
class Scope:
    """A snapshot, taken apart. `rest`: files of which nothing is judged but how they are written."""

    sites: tuple[Site, ...]
    rest: tuple[File, ...]
    files: int
    unread: tuple[Unread, ...]
    comments: tuple[Suppression, ...]  # what people allow, beside it
    plain: bool = False  # whether every file stands for itself
    odd: tuple[PolicyProblem, ...] = ()  # what is wrong with the schemas that the policy names

    @property
    def stores(self) -> Gaps:
        """Every cluster in which something is ours to apply, and where that is declared first."""
        found = ((site.name, next(site.ours(), None)) for site in self.sites)
        return tuple((manifest.location, name or ".") for name, manifest in found if manifest)

    @functools.cached_property
    def main(self) -> Site:
        """The site that Holdfast applies; where there is nothing to apply, the first."""
        if len(self.sites) == 1:
            return self.sites[0]
        return next((site for site in self.sites if site.stores), self.sites[0])


def scope_of(snapshot: Snapshot, config: AnalyzerConfig, problems: Iterable[PolicyProblem]) -> Scope:
    """What there is to judge."""
    paths = [path for path in sorted(snapshot.blobs) if path not in SETTINGS and not config.ignores(path)]
    read = {path: _file(snapshot.blobs[path]) for path in paths}
    vocabulary = vocabulary_of(snapshot, config.schemas, (path for path, file in read.items() if file.defines))
    files = {path: _learned(file, vocabulary) for path, file in read.items() if path not in vocabulary.files}
    odd, problems = vocabulary.problems, (*problems, *vocabulary.problems)
    unread = unread_of(snapshot, config)
    gaps = gaps_of(problems, unread)
    comments = tuple(chain.from_iterable(file.suppressions for file in files.values()))
    if not (config.roots or any(file.deploys for file in files.values())):
        site = Site(RAW, (_AS_IT_IS,), tuple(files.values()), gaps)
        plain = not (config.schemas or any(file.defines for file in files.values()))
        return Scope((site,), (), len(files), unread, comments, plain=plain, odd=odd)
    deployment = _all_learned(deployment_of(files_of(snapshot), [*files], config.roots), vocabulary)
    rest = _rest(deployment, files)
    gaps = (*gaps, *chain.from_iterable(file.unread for file in rest))
    return Scope(tuple(_sites(deployment, files, gaps)), rest, len(files), unread, comments, odd=odd)


def changed_files(changed: Mapping[str, Blob | None], config: AnalyzerConfig) -> dict[str, File | None] | None:
    """The files of which others are read now (None: that are gone); None where others follow from them."""
    counted = {path: blob for path, blob in changed.items() if path not in SETTINGS and not config.ignores(path)}
    files = {path: _file(blob) if blob else None for path, blob in counted.items()}
    return None if any(file.deploys or file.defines for file in files.values() if file) else files


def raw_scope(files: int, unread: Iterable[Unread], gaps: Gaps, comments: tuple[Suppression, ...]) -> Scope:
    """Of a repository without deployments, whose files a state holds."""
    return Scope((Site(RAW, (_AS_IT_IS,), (), gaps),), (), files, tuple(unread), comments, plain=True)


def unread_of(snapshot: Snapshot, config: AnalyzerConfig) -> tuple[Unread, ...]:
    """What should have been read. A link is no gap when what it leads to is read where it is."""
    counted = (gap for gap in snapshot.problems if not config.ignores(gap.path))
    return tuple(gap for gap in counted if not gap.goal or config.ignores(gap.goal))


def gaps_of(problems: Iterable[PolicyProblem], unread: Iterable[Unread]) -> Gaps:
    """Where there may be more than was read."""
    return (*problems, *((Location(gap.path, 1, 1), gap.because) for gap in unread))


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _file(blob: Blob) -> File:
    parsed = load(blob)
    declarations = tuple(declared(document, blob.path) for document in parsed.documents)
    comments = suppressions_in(blob.path, parsed.source)
    deploys = is_kustomization(blob.path) or is_chart(blob.path) or holds_flux(parsed.documents)
    return File(blob.path, parsed.source, declarations, parsed.defects, comments, deploys, defines(parsed))


def _learned(file: File, vocabulary: Vocabulary) -> File:
    """A file whose declarations have the kinds that the repository defines; the same file where it needs none."""
    learned = tuple(map(vocabulary.learned, file.declarations))
    same = all(one is other for one, other in zip(learned, file.declarations, strict=True))
    return file if same else _with_declarations(file, learned)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _with_declarations(file: File, declarations: tuple[Declaration, ...]) -> File:
    return replace(file, declarations=declarations)


def _all_learned(deployment: Deployment, vocabulary: Vocabulary) -> Deployment:
    if vocabulary.more is None:
        return deployment
    clusters = (
        replace(
            c, roots=tuple(replace(r, declarations=tuple(map(vocabulary.learned, r.declarations))) for r in c.roots)
        )
        for c in deployment.clusters
    )
    return replace(deployment, clusters=tuple(clusters))


def _rest(deployment: Deployment, files: Mapping[str, File]) -> tuple[File, ...]:
    """The files that no root shows as they are."""
    raw = any(not root.rendered for cluster in deployment.clusters for root in cluster.roots)
    left = (path for path in files if path not in deployment.served and (path in deployment.taken or not raw))
    return tuple(_bare(files[path]) for path in left)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _bare(file: File) -> File:
    """How it is written, and nothing of what it declares."""
    return replace(file, declarations=())


def _sites(deployment: Deployment, files: Mapping[str, File], gaps: Gaps) -> Iterator[Site]:
    everything: frozenset[ResourceKey] = frozenset()
    if any(cluster.alone for cluster in deployment.clusters):
        everything = frozenset(found.key for root in _roots(deployment.clusters) for found in _manifests(root))
    rendered = any(root.rendered for root in _roots(deployment.clusters))
    beside = frozenset(path for path in files if rendered and path not in deployment.taken)
    for cluster in deployment.clusters:
        lost = ((p.location, p.message) for root in cluster.roots for p in root.problems if p.broken or p.grave)
        held = tuple(_held(cluster, files, deployment.taken))
        other = everything if cluster.alone else frozenset()
        yield Site(cluster.name, cluster.roots, held, (*gaps, *lost), other, beside)


def _roots(clusters: Sequence[Cluster]) -> Iterator[Root]:
    return chain.from_iterable(cluster.roots for cluster in clusters)


def _manifests(root: Root) -> Iterator[Manifest]:
    return (declaration for declaration in root.declarations if isinstance(declaration, Manifest))


def _held(cluster: Cluster, files: Mapping[str, File], taken: frozenset[str]) -> Iterator[File]:
    """What a cluster declares, by file: what is not rendered as it was read."""
    rendered: dict[str, list[Declaration]] = defaultdict(list)
    for root in cluster.roots:
        if not root.rendered:
            yield from (_without_strays(file) for path, file in files.items() if path not in taken)
            continue
        for declaration in root.declarations:
            rendered[declaration.path].append(declaration)
    for path, declarations in rendered.items():
        once = tuple(dict.fromkeys(declarations))  # roots that take in the very same declare it at one place
        yield _rendered_file(path, once[0].document.source, once)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _without_strays(file: File) -> File:
    """What is no manifest at all is none of a root that is read beside others."""
    if not any(is_stray(declaration.document) for declaration in file.declarations):
        return file
    return replace(file, declarations=tuple(each for each in file.declarations if not is_stray(each.document)))


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _rendered_file(path: str, source: Source, declarations: tuple[Declaration, ...]) -> File:
    """What comes from a file: the same as long as that is the same."""
    return File(path, source, declarations, ())
