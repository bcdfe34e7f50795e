"""Which files are deployed together: a repository's roots, and the clusters that they make.

Roots that the policy names are the roots. Otherwise Flux Kustomizations say what each cluster applies; a kustomization
that nobody else takes in is a root by itself; and what no root takes in is one more, read as it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from analyzer.document import Document, load
from analyzer.finding import Location
from analyzer.manifest import Decoded, Manifest, resembles_a_manifest
from analyzer.roots.artifacts import BOOTSTRAP, located, sources_of
from analyzer.roots.charts import charts_of, problem_of
from analyzer.roots.config import read_kustomization
from analyzer.roots.files import Files, is_kustomization, joined
from analyzer.roots.flux import FluxKustomization, collect, flux_kustomization, has_values, put_in, render_flux
from analyzer.roots.kept import Kept, trace_of
from analyzer.roots.kustomize import Layer, Renderer
from analyzer.roots.problem import Problem, Unrenderable
from analyzer.roots.rendered import declaration_of, declared
from analyzer.roots.tree import Origin
from analyzer.snapshot import POLICY_FILE

RAW = ""  # the root of what no other root takes in, and the cluster of roots of which nobody says more


@dataclass(frozen=True)
class RootSetting:
    """A root that the policy names, and the cluster that it is part of. `place`: where it names it."""

    path: str
    cluster: str
    place: Location = field(default_factory=lambda: Location(POLICY_FILE, 1, 1))


@dataclass(frozen=True, eq=False)
class Root:
    """One thing that is deployed as a whole. `sure`: what it holds is all, and exactly, what a cluster gets."""

    path: str
    declarations: tuple[Decoded, ...]
    problems: tuple[Problem, ...] = ()
    sure: bool = True
    rendered: bool = True  # whether a kustomization, or Flux, makes it
    taken: frozenset[str] = frozenset()  # the files that it is made of
    strays: tuple[Origin, ...] = ()  # documents that are no manifests, and that no root has asked for

    @property
    def name(self) -> str:
        return self.path or "."


@dataclass(frozen=True)
class Cluster:
    """Roots whose resources live together. `alone`: whatever it refers to may as well be in another root."""

    name: str
    roots: tuple[Root, ...]
    alone: bool = False


@dataclass(frozen=True)
class Deployment:
    """Everything that a repository deploys, and the files that roots have taken in."""

    clusters: tuple[Cluster, ...]
    taken: frozenset[str] = frozenset()
    served: frozenset[str] = frozenset()  # those that are no manifests there: what generators put into ConfigMaps


@dataclass
class _Plan:
    """Clusters in the making."""

    taken: set[str] = field(default_factory=set)
    clusters: dict[str, list[Root]] = field(default_factory=lambda: defaultdict(list))
    alone: list[Root] = field(default_factory=list)

    served: set[str] = field(default_factory=set)

    def take(self, layer: Layer) -> None:
        self.taken |= layer.taken
        self.served |= layer.served


def deployment_of(files: Files, paths: Sequence[str], settings: Sequence[RootSetting] = ()) -> Deployment:
    """The roots and clusters of a repository; `paths` are the manifest files that count."""
    renderer, plan = Renderer(files), _Plan()
    if settings:
        return _configured(settings, files, renderer, paths)
    _applied_by_flux(files, paths, renderer, plan)
    _kustomized(files, paths, renderer, plan)
    plan.taken |= plan.served
    charts = list(charts_of(path for path in paths if path not in plan.taken))
    plan.taken.update(path for chart in charts for path in chart.files)
    problems = tuple(found for chart in charts if (found := problem_of(chart, files)))
    raw = _raw(files, [path for path in paths if not (path in plan.taken or is_kustomization(path))], problems)
    clusters = [Cluster(name, tuple(roots)) for name, roots in sorted(plan.clusters.items())]
    alone = [
        *plan.alone,
        *([raw] if raw.declarations or raw.problems or raw.strays or not (clusters or plan.alone) else []),
    ]
    plan.served.update(path for chart in charts for path in chart.files)
    served = frozenset(plan.served - {path for root in (*_all(clusters), *alone) for path in root.taken})
    return Deployment((*clusters, *_by_themselves(alone)), frozenset(plan.taken), served)


def _all(clusters: Iterable[Cluster]) -> Iterator[Root]:
    return chain.from_iterable(cluster.roots for cluster in clusters)


def _by_themselves(roots: Sequence[Root]) -> Iterator[Cluster]:
    """Roots of which nobody says which cluster they are for.

    They are taken for one, unless some are variants of each other: made of the same files, or of the same names.
    """
    if _are_variants(roots):
        yield from (Cluster(root.name, (root,), alone=True) for root in roots)
    elif roots:
        yield Cluster(RAW, tuple(roots))


def _are_variants(roots: Sequence[Root]) -> bool:
    seen: set[object] = set()
    for root in roots:
        mine = {*root.taken, *(found.key for found in root.declarations if isinstance(found, Manifest))}
        if not mine.isdisjoint(seen):
            return True
        seen |= mine
    return False


def _raw(files: Files, paths: Iterable[str], problems: tuple[Problem, ...]) -> Root:
    found = [Origin(path, document) for path in paths for document in load(files.blobs[path]).documents]
    strays = tuple(origin for origin in found if origin.document.value is not None and is_stray(origin.document))
    left = (origin for origin in found if not is_stray(origin.document))
    declarations = tuple(declared(origin.document, origin.file) for origin in left)
    return Root(RAW, declarations, problems, rendered=False, strays=strays)


def is_stray(document: Document) -> bool:
    """Whether a document has nothing of a manifest. Where roots say what is deployed, it means nothing then."""
    return not (document.broken or resembles_a_manifest(document.value))


def _root(path: str, layer: Layer) -> Root:
    rendered = (declaration_of(item, path) for item in layer.items)
    declarations = (*rendered, *(declared(odd.document, odd.file) for odd in layer.odd))
    problems = tuple(dict.fromkeys(layer.problems))
    return Root(path, declarations, problems, layer.sure, taken=frozenset(layer.taken))


def _configured(settings: Sequence[RootSetting], files: Files, renderer: Renderer, paths: Sequence[str]) -> Deployment:
    """The roots that the policy names, and nothing else. What is in none of them is told, and not deployed."""
    plan = _Plan()
    for setting in settings:
        layer = Layer()
        collect(setting.path, layer, files, renderer)
        if setting.path not in files.folders:
            layer.problems.append(_no_folder(setting))
        layer = renderer.finish(layer)
        plan.take(layer)
        plan.clusters[setting.cluster].append(_root(setting.path, layer))
    taken = plan.taken | plan.served
    charts = {path for chart in charts_of(path for path in paths if path not in taken) for path in chart.files}
    left = (path for path in paths if path not in taken | charts and not is_kustomization(path))
    documents = (Origin(path, document) for path in left for document in load(files.blobs[path]).documents)
    strays = tuple(origin for origin in documents if not origin.document.broken)
    if strays:
        plan.clusters[settings[0].cluster].append(Root(RAW, (), strays=strays))
    clusters = tuple(Cluster(name, tuple(roots)) for name, roots in sorted(plan.clusters.items()))
    return Deployment(clusters, frozenset(paths), frozenset((plan.served | charts) - plan.taken))


def _no_folder(setting: RootSetting) -> Problem:
    message = f"`roots` in {POLICY_FILE} names {setting.path}, and there is no such folder"
    return Problem(setting.place, message, broken=True, help="correct the path")


def _kustomized(files: Files, paths: Sequence[str], renderer: Renderer, plan: _Plan) -> None:
    """Kustomizations that nobody takes in; where they only take in each other, each of them."""
    counted = set(paths)
    folders = [f for f in sorted(files.kustomizations) if files.kustomizations[f][0] in counted]
    used = {name for folder in folders for name in _taken_in(files, folder)}
    for folder in (*(f for f in folders if f not in used), *folders):
        own = files.kustomizations[folder][0]
        if own not in plan.taken:
            layer, root = _kustomized_root(folder, files, renderer)
            new = layer.taken - plan.taken - {own}
            plan.take(layer)
            if new or not plan.clusters:  # else everything in it is deployed by somebody
                plan.alone.append(root)


def _kustomized_root(folder: str, files: Files, renderer: Renderer) -> tuple[Layer, Root]:
    name = (files.root, folder)
    if (known := _KEPT.find(name, files)) is None:
        layer = renderer.render(folder)
        known = (layer, _root(folder, layer))
        if not layer.broken:
            _KEPT.keep(name, trace_of(files, layer.reads), known, len(layer.items))
    return known


_KEPT: Kept[tuple[Layer, Root]] = Kept()


def _taken_in(files: Files, folder: str) -> Iterator[str]:
    """The folders that a kustomization names."""
    blob = files.kustomization(folder)
    try:
        kustomization = read_kustomization(folder, blob) if blob else None
    except Unrenderable:
        return
    for name in ("resources", "bases", "components") if kustomization else ():
        listed = kustomization.value(name) if kustomization else None
        for reference in listed if isinstance(listed, list) else ():
            named = joined(folder, reference) if isinstance(reference, str) else None
            path = files.actual(named) if named is not None else None
            if path is not None and path in files.kustomizations and path != folder:
                yield path


def _applied_by_flux(files: Files, paths: Sequence[str], renderer: Renderer, plan: _Plan) -> None:
    """Follow Flux from the folders that clusters begin with to everything that those apply."""
    documents = [Origin(path, document) for path in paths for document in load(files.blobs[path]).documents]
    objects = [found for origin in documents if (found := flux_kustomization(origin))]
    if not objects:
        return
    sources = sources_of(origin.document for origin in documents)
    walk = _Walk(files, renderer, {each.at: located(each, files, sources) for each in objects})
    made = {folder: walk.cluster(folder, entries) for folder, entries in walk.beginnings().items()}
    for folder, (roots, layers) in made.items():
        for layer in layers:
            plan.take(layer)
        others = [
            root for other, (theirs, _) in made.items() if other != folder for root in theirs if root.path != other
        ]
        seems_unused = folder != RAW and any(_passes_over(root, folder, files) for root in others)
        plan.clusters[folder or "."] += [replace(root, sure=False) for root in roots] if seems_unused else roots


def _passes_over(root: Root, folder: str, files: Files) -> bool:
    """Whether a root has what lies beside a folder, or a kustomization above it, and so could have this, too."""
    if _within(root.path, folder.rpartition("/")[0]):
        return True
    above = (folder[:at] for at, sign in enumerate(folder) if sign == "/")
    return any(path in root.taken for each in above for path in files.kustomizations.get(each, ()))


class _Walk:
    """Renders Flux Kustomizations, and finds those that are declared in what others apply."""

    def __init__(self, files: Files, renderer: Renderer, objects: Mapping[object, FluxKustomization]) -> None:
        self._files, self._renderer, self._objects = files, renderer, objects
        self._made: dict[object, tuple[Layer, Root]] = {}
        self._applied = frozenset(each.folder for each in objects.values() if each.folder is not None)
        self._children = {at: self._declared_by(self._layer(each)) for at, each in objects.items()}

    def beginnings(self) -> Mapping[str, list[FluxKustomization]]:
        """The objects that no other applies, by the folder that their cluster begins with."""
        applied = {child for at, children in self._children.items() for child in children if child != at}
        found: dict[str, list[FluxKustomization]] = defaultdict(list)
        for at, each in self._objects.items():
            if at not in applied:
                found[self._folder(at, each)].append(each)
        outermost = [f for f in found if not any(f != o and f.startswith(f"{o}/" if o else "") for o in found)]
        return {o: [e for f in found for e in found[f] if _within(f, o)] for o in sorted(outermost)}

    def _folder(self, at: object, each: FluxKustomization) -> str:
        if at in self._children[at] and each.folder is not None:
            return each.folder  # it applies itself, as `flux bootstrap` sets it up
        folder = each.origin.file.rpartition("/")[0]
        return folder.rpartition("/")[0] if folder.rpartition("/")[2] == BOOTSTRAP else folder

    def cluster(self, folder: str, entries: Sequence[FluxKustomization]) -> tuple[list[Root], list[Layer]]:
        """Everything that one cluster applies."""
        layers: list[tuple[str, FluxKustomization | None, Layer]] = []
        queue = list(entries)
        if not any(each.folder == folder for each in entries):
            first = Layer()
            collect(folder, first, self._files, self._renderer, self._applied)
            layers.append((folder, None, self._renderer.finish(first)))
            queue += [self._objects[child] for child in self._declared_by(first)]
        seen: set[object] = set()
        for each in queue:
            if each.at not in seen:
                seen.add(each.at)
                if each.folder is not None or each.expected:
                    layers.append((each.folder or "", each, self._layer(each)))
                queue += [self._objects[child] for child in self._children[each.at]]
        own = [layer.fork() if flux and has_values(flux) else layer for _, flux, layer in layers]
        everything = [item for layer in own for item in layer.items]
        for (_, flux, _), layer in zip(layers, own, strict=True):
            if flux and has_values(flux):
                put_in(flux, layer, everything)
        roots = [self._root(path, flux, layer) for (path, flux, _), layer in zip(layers, own, strict=True)]
        return roots, own

    def _root(self, path: str, flux: FluxKustomization | None, layer: Layer) -> Root:
        known = self._rendered(flux) if flux else None
        return known[1] if known and known[0] is layer else _root(path, layer)

    def _layer(self, each: FluxKustomization) -> Layer:
        return self._rendered(each)[0]

    def _rendered(self, each: FluxKustomization) -> tuple[Layer, Root]:
        """Before any variables."""
        name = (self._files.root, each.at, each.folder, each.expected)
        if name not in self._made:
            self._made[name] = _KEPT.find(name, self._files) or self._render(each, name)
        return self._made[name]

    def _render(self, each: FluxKustomization, name: object) -> tuple[Layer, Root]:
        layer = render_flux(each, self._files, self._renderer)
        made = (layer, _root(each.folder or "", layer))
        if not layer.broken:
            reads = {*layer.reads, each.origin.file, each.folder or ""}
            _KEPT.keep(name, trace_of(self._files, reads), made, len(layer.items))
        return made

    def _declared_by(self, layer: Layer) -> list[object]:
        found = (flux_kustomization(item.tree.origin) for item in layer.items)
        return [each.at for each in found if each and each.at in self._objects]


def _within(folder: str, outer: str) -> bool:
    return folder == outer or folder.startswith(f"{outer}/" if outer else "")
