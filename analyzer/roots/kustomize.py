"""Kustomizations → resources: what `kustomize build` would print, as far as that needs no network and no program.

What is not applied here is a problem of the root, never silence; the rest is rendered all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from analyzer.document import Document, Parsed, Source, load
from analyzer.roots.config import Kustomization, read_kustomization, text_at
from analyzer.roots.files import Files, is_kustomization, is_remote, joined
from analyzer.roots.generators import Generated, content_hash, generate
from analyzer.roots.item import Item, identity_of
from analyzer.roots.kept import Kept, trace_of
from analyzer.roots.names import follow
from analyzer.roots.problem import Problem, Unrenderable, broken, place_of, problem_of
from analyzer.roots.transform import Patch, Transformation, patch_of
from analyzer.roots.tree import TEXT, Allowance, Misfit, Origin, Tree
from analyzer.snapshot import KUSTOMIZATION_FILES, Blob
from schemas.loose import mapping
from schemas.validation import Path, did_you_mean

MAX_DEPTH = 50  # kustomizations within kustomizations
MAX_RESOURCES = 20_000  # of one root, also where bases are taken in again and again

_HASHED = {"kustomize.config.k8s.io/needs-hash": "true", "internal.config.kubernetes.io/needsHashSuffix": "enabled"}
_LOCAL = ("metadata", "annotations", "config.kubernetes.io/local-config")


@dataclass(slots=True, eq=False)
class Layer:
    """What one kustomization holds."""

    items: list[Item] = field(default_factory=list)
    odd: list[Origin] = field(default_factory=list)  # documents that are no resources
    problems: list[Problem] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)  # every path that was looked at
    taken: set[str] = field(default_factory=set)  # files that are deployed as part of it, or that only serve to make it
    served: set[str] = field(default_factory=set)  # files that only give generators what to put into something
    sure: bool = True
    height: int = 0  # how many kustomizations stand on each other in it
    allowance: Allowance = field(default_factory=Allowance)  # for what is made in it, beside what its bases made

    def include(self, other: Layer) -> None:
        """Take in a base."""
        self.items += (item.fork(self.allowance) for item in other.items)
        known = set(map(id, self.odd))
        self.odd += (origin for origin in other.odd if id(origin) not in known)
        self.learn(other)

    def learn(self, other: Layer) -> None:
        known = set(self.problems)
        self.problems += (problem for problem in other.problems if problem not in known)
        self.reads |= other.reads
        self.taken |= other.taken
        self.served |= other.served
        self.sure = self.sure and other.sure
        self.height = max(self.height, other.height)

    def fork(self) -> Layer:
        """The same, to be changed by somebody else."""
        twin = Layer()
        twin.include(self)
        return twin

    @property
    def broken(self) -> bool:
        """Whether something could not be applied: why, may hang on what nobody has written down."""
        return any(problem.broken for problem in self.problems)


_KEPT: Kept[Layer] = Kept()


class Renderer:
    """Renders the kustomizations of a snapshot; a base that several take in is rendered once, and one of which nothing
    has changed since an earlier snapshot not at all.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._layers: dict[str, Layer] = {}

    def render(self, folder: str) -> Layer:
        """A folder with a kustomization as a root, names and references final."""
        return self.finish(self.base(folder, ()).fork())

    def finish(self, layer: Layer) -> Layer:
        """What kustomize does at the very end: names tell contents, references follow, what is local goes."""
        try:
            self._settle(layer)
        except Misfit as found:
            layer.problems.append(problem_of(found))
            layer.sure = False
        layer.items = [item for item in layer.items if item.tree.get(_LOCAL) not in ("true", True)]
        return layer

    def _settle(self, layer: Layer) -> None:
        for item in layer.items:
            if any(item.tree.get(("metadata", "annotations", name)) == value for name, value in _HASHED.items()):
                item.hashed = item.kind in ("ConfigMap", "Secret")
                layer.sure = layer.sure and item.hashed  # how others are hashed is known to kustomize alone
            if item.hashed:
                digest = content_hash(item)
                item.remember()
                item.tree.edit(("metadata", "name"), f"{item.name}-{digest}")
        follow(layer.items)

    def base(self, folder: str, chain: tuple[str, ...]) -> Layer:
        if folder not in self._layers:
            self._layers[folder] = self._remembered(folder, chain) or self._applied(folder, chain)
        return self._layers[folder]

    def _remembered(self, folder: str, chain: tuple[str, ...]) -> Layer | None:
        known = _KEPT.find((self._files.root, folder), self._files)
        return known if known and len(chain) + known.height <= MAX_DEPTH else None

    def _applied(self, folder: str, chain: tuple[str, ...]) -> Layer:
        layer = Layer(sure=not self._is_component(folder))  # by itself it may lack what it changes
        self.apply(folder, layer, chain)
        layer.height -= len(chain)
        if not layer.broken:
            trace = trace_of(self._files, layer.reads)
            _KEPT.keep((self._files.root, folder), trace, layer, len(layer.items))
        return layer

    def _is_component(self, folder: str) -> bool:
        blob = self._files.kustomization(folder)
        documents = load(blob).documents if blob else ()
        return any(isinstance(each.value, dict) and each.value.get("kind") == "Component" for each in documents)

    def apply(self, folder: str, layer: Layer, chain: tuple[str, ...] = ()) -> None:
        """Put into a layer what the kustomization of a folder holds, and do to the whole layer what it says.

        Once something is broken, what stands in the file after it is not applied.
        """
        blob = self._files.kustomization(folder)
        layer.height = max(layer.height, len(chain) + 1)
        layer.reads.update(f"{folder}/{name}".lstrip("/") for name in KUSTOMIZATION_FILES)
        if blob is None:
            return
        layer.reads.add(blob.path)
        layer.taken.update(self._files.kustomizations[folder])
        try:
            kustomization = read_kustomization(folder, blob)
            _check_alone(kustomization, self._files.kustomizations[folder])
            layer.problems += kustomization.problems()
            _Step(self, self._files, kustomization, layer, (*chain, folder)).run()
        except (Unrenderable, Misfit) as found:
            layer.problems.append(problem_of(found))
        if layer.problems:
            named = _named(blob, folder)
            layer.reads |= named
            layer.served |= {path for path in named if path in self._files.blobs}
        layer.sure = layer.sure and not layer.problems

    def change(self, kustomization: Kustomization, layer: Layer) -> None:
        """Do to a layer what a kustomization says that stands somewhere else."""
        _Step(self, self._files, kustomization, layer, (kustomization.folder,)).run()

    def take(self, path: str, layer: Layer) -> None:
        """Put the manifests of a file into a layer."""
        blob = self._files.content(path)
        parsed = load(blob) if blob else Parsed(Source(b""), (), ())
        layer.taken.add(path)
        layer.reads.add(path)
        layer.sure = layer.sure and not parsed.defects
        for document in parsed.documents:
            origin = Origin(path, document)
            if is_resource(document):
                layer.items.append(Item(Tree(document.value, origin, layer.allowance)))
            else:
                layer.odd.append(origin)


def _named(blob: Blob, folder: str) -> set[str]:
    """What may be files that a kustomization names anywhere: also where it was not applied as a whole, they are parts
    of it.
    """
    texts = (text for document in load(blob).documents for text in _texts(document.value))
    return {path for text in texts if (path := joined(folder, text))}


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401  # JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _check_alone(kustomization: Kustomization, paths: tuple[str, ...]) -> None:
    if len(paths) > 1:
        raise broken(kustomization.top, f"a folder has one kustomization; {paths[1]} is another", "remove one of them")


class _Step:
    """One kustomization being applied."""

    def __init__(
        self, renderer: Renderer, files: Files, kustomization: Kustomization, layer: Layer, chain: tuple[str, ...]
    ) -> None:
        self._renderer, self._files, self._file = renderer, files, kustomization
        self._layer, self._chain = layer, chain

    def run(self) -> None:
        for name in ("resources", "bases"):
            for entry in self._file.entries(name):
                with self._telling():
                    self._resource(entry)
        allowance = self._layer.allowance
        for made in generate(self._file, self._content, allowance):
            with self._telling():
                self._absorb(made)
        for entry in self._file.entries("components"):
            with self._telling():
                self._component(entry)
        sparing = not self._layer.sure or bool(self._layer.problems)
        Transformation(self._file, self._layer.items, self._patch, allowance, sparing=sparing).run()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Of several entries that are broken each is told."""
        try:
            yield
        except (Unrenderable, Misfit) as found:
            self._layer.problems.append(problem_of(found))

    def _resource(self, entry: Origin) -> None:
        reference = text_at(entry)
        path = self._path(entry, reference)
        if path is None:
            return
        if self._files.content(path):
            self._renderer.take(path, self._layer)
            if len(self._layer.items) > MAX_RESOURCES:
                raise self._too_many(entry)
        elif path in self._files.folders:
            self._folder(entry, path)
        else:
            raise self._absent(entry, path)

    def _component(self, entry: Origin) -> None:
        path = self._path(entry, text_at(entry))
        if path is None:
            return
        if path not in self._files.kustomizations:
            raise self._absent(entry, path)
        self._check_way(entry, path)
        self._renderer.apply(path, self._layer, self._chain)

    def _folder(self, entry: Origin, folder: str) -> None:
        if folder not in self._files.kustomizations:
            shown = folder or "the root of the repository"
            raise broken(entry, f"{shown} has no kustomization.yaml", "name the files, or put one there")
        self._check_way(entry, folder)
        base = self._renderer.base(folder, self._chain)
        if len(self._layer.items) + len(base.items) > MAX_RESOURCES:
            self._layer.learn(base)
            raise self._too_many(entry)
        height = max(self._layer.height, len(self._chain) + base.height)
        self._layer.include(base)
        self._layer.height = height

    def _too_many(self, entry: Origin) -> Exception:
        self._layer.items.clear()  # so that what takes this in has little to do
        return broken(entry, f"more than {MAX_RESOURCES:,} resources in one root")

    def _check_way(self, entry: Origin, folder: str) -> None:
        if folder in self._chain:
            way = " → ".join(each or "." for each in (*self._chain[self._chain.index(folder) :], folder))
            raise broken(entry, f"kustomizations take each other in: {way}")
        if len(self._chain) >= MAX_DEPTH:
            raise broken(entry, f"more than {MAX_DEPTH} kustomizations within each other")

    def _absorb(self, made: Generated) -> None:
        """What a generator makes: new, or into what a base has made under that name."""
        self._layer.sure = self._layer.sure and made.complete
        identity = made.item.identity
        self._layer.allowance.spend(len(self._layer.items), made.origin)
        old = next((item for item in self._layer.items if identity in item.identities()), None)
        if old is None and made.behavior == "create":
            self._layer.items.append(made.item)
        elif old is None:
            raise broken(made.origin, f"there is no {identity.kind} {identity.name} to {made.behavior}")
        elif made.behavior == "create":
            raise broken(
                made.origin, f"{identity.kind} {identity.name} is there already", "give `behavior: merge` or `replace`"
            )
        else:
            self._layer.items[self._layer.items.index(old)] = _merged(old, made)

    def _content(self, entry: Origin, reference: str) -> bytes | None:
        path = self._path(entry, reference)
        if path is None:
            return None
        if path not in self._files.blobs and path not in self._files.others:
            raise self._absent(entry, path)
        blob = self._files.content(path)
        self._layer.served.add(path)
        return blob.data if blob else None

    def _patch(self, entry: Origin, reference: str) -> Patch | None:
        path = self._path(entry, reference)
        if path is None:
            return None
        blob = self._files.content(path)
        if blob is None:
            raise self._absent(entry, path)
        parsed = load(blob)
        self._layer.taken.add(path)
        if parsed.defects:
            raise broken(entry, f"{path} cannot be read: {parsed.defects[0].message}")
        return patch_of(path, parsed.documents)

    def _path(self, entry: Origin, reference: str) -> str | None:
        """Where a reference leads inside the snapshot; None, and a problem, when it leads out of it."""
        if is_remote(reference):
            self._elsewhere(entry, f"{reference} is not fetched: nothing here uses a network")
            return None
        path = joined(self._file.folder, reference)
        if path is None and (reference.startswith("/") or not self._files.root):
            raise broken(entry, f"{reference} leads out of the repository", "copy it into the repository")
        if path is None:
            self._elsewhere(entry, f"{reference} leads out of {self._files.root}, the folder that is analysed")
            return None
        path = self._files.actual(path)
        self._layer.reads.add(path)
        return path

    def _elsewhere(self, entry: Origin, message: str) -> None:
        self._layer.problems.append(Problem(place_of(entry), message, broken=False))

    def _absent(self, entry: Origin, path: str) -> Exception:
        """Why there is nothing to be had at a path."""
        above = [path[:at] for at, character in enumerate(path) if character == "/"]
        unread = next((each for each in (path, *above) if each in self._files.unread), None)
        if unread:
            return broken(entry, f"{unread} was not read: {self._files.unread[unread]}")
        if path in self._files.others:
            message = f"{path} was not read: it is too large, or no file"
            return Unrenderable(Problem(place_of(entry), message, broken=False))
        self._layer.allowance.spend((len(self._files.blobs) + len(self._files.others)) // TEXT, entry)
        if any(other.startswith(f"{path}/") for other in self._files.others):
            return broken(entry, f"{path} has no kustomization.yaml", "name the files, or put one there")
        folder = path.rpartition("/")[0]
        beside = (name for name in (*self._files.blobs, *self._files.folders) if name.rpartition("/")[0] == folder)
        known = [name for name in beside if not is_kustomization(name)]
        return broken(entry, f"there is no {path}{did_you_mean(path, known)}")


def is_resource(document: Document) -> bool:
    """Whether a document declares something that has a kind and a name."""
    identity = identity_of(document.value)
    return bool(identity.kind and identity.name and identity.version)


def _merged(old: Item, made: Generated) -> Item:
    """What a generator makes under a name that a base has used: its labels stay, its data is kept or goes."""
    fresh = made.item
    fresh.before, fresh.prefixes, fresh.suffixes = list(old.before), old.prefixes, old.suffixes
    fresh.hashed = fresh.hashed and old.hashed
    fresh.tree.set(("metadata", "name"), old.tree.part(("metadata", "name")))
    fields: list[Path] = [("metadata", "labels"), ("metadata", "annotations")]
    fields += [("data",), ("binaryData",)] if made.behavior == "merge" else []
    for path in fields:
        for key in mapping(old.tree.get(path)):
            if not fresh.tree.has((*path, key)):
                fresh.tree.create((*path, key), old.tree.part((*path, key)))
    return fresh
