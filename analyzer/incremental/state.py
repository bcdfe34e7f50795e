"""The state of one analysed revision, and how the next one follows from it: only what a change can alter is done again.

Every answer of a rule was recorded with what it had asked. When files change, the indexes follow, what was asked and
would be answered otherwise now is known, and so are the resources about which the rules must be asked again.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from analyzer.ask import Found, ask_of_file, ask_of_resource
from analyzer.config import AnalyzerConfig
from analyzer.edges import Reference
from analyzer.finding import Location
from analyzer.graph import ResourceGraph, file_order
from analyzer.incremental.graph import LayeredGraph
from analyzer.incremental.layers import DEEPEST, Entry, Layer, Place, Unit
from analyzer.incremental.memberships import AGAIN, ALL, KNOTTED, Name, memberships
from analyzer.incremental.recorder import BASE, DAY, EVERYTHING, UNREAD, RecordedCase
from analyzer.manifest import Manifest
from analyzer.rule import File
from analyzer.suppression import Suppression
from schemas.resources import ResourceKey

TOLD: Name = ("told",)  # who has findings
UNREAD_UNITS: Name = ("unread units",)
TOLD_UNITS: Name = ("told units",)
COMMENTED_UNITS: Name = ("commented units",)


@dataclass(frozen=True)
class Around:
    """What findings depend on beside the files: another policy makes another state."""

    config: AnalyzerConfig
    as_of: date
    revision: str
    unread: tuple[tuple[Location, str], ...] = ()  # outside of files
    elsewhere: frozenset[ResourceKey] = frozenset()  # what other roots declare


@dataclass(frozen=True)
class State:
    """Everything that is known of a revision. `touched`: the keys that are in what changed since the one before."""

    layer: Layer
    around: Around
    graph: LayeredGraph
    touched: frozenset[ResourceKey]
    files: int
    resources: int

    @classmethod
    def of(cls, files: Iterable[File], around: Around) -> State:
        """A revision of which nothing is known yet."""
        around_nothing = replace(around, revision="", unread=(), elsewhere=frozenset())
        nothing = cls(Layer(), around_nothing, LayeredGraph(Layer(), (), ""), frozenset(), 0, 0)
        return _Step(nothing, Layer(), {file.path: file for file in files}, around).taken()

    def after(self, files: Mapping[str, File | None], around: Around) -> State:
        """The next revision, in which these files are others (None: are gone)."""
        below = self.layer if self.layer.depth < DEEPEST else self.layer.flat()
        return _Step(self, Layer(below), files, around).taken()

    def differing(self, files: Iterable[File]) -> dict[str, File | None]:
        """Which files of a revision are others than here."""
        now = {file.path: file for file in files}
        differing: dict[str, File | None] = {path: None for path in self.layer.paths() if path not in now}
        for path, file in now.items():
            unit = self.layer.unit(path)
            if unit is None or unit.file is not file:
                differing[path] = file
        return differing

    def told(self, base: ResourceGraph | None) -> Iterator[Found]:
        """What the rules found; those who asked for the base are asked again where there is one."""
        for unit in self._units(TOLD_UNITS):
            yield from unit.told
        again = set(self.layer.members(("asked", *BASE))) if base else set()
        for key in self.layer.members(TOLD):
            entry = self.layer.entry(key)
            if entry and key not in again:
                yield from entry.told
        case = RecordedCase(self.graph, self.around.as_of, self.around.config, base)
        for key in again:
            yield from ask_of_resource(case, self.graph[key])

    def comments(self) -> tuple[Suppression, ...]:
        """What people allow, in comments."""
        return tuple(found for unit in self._units(COMMENTED_UNITS) for found in unit.file.suppressions)

    def _units(self, name: Name) -> Iterator[Unit]:
        return units_in(self.layer, name)


def units_in(layer: Layer, name: Name) -> Iterator[Unit]:
    for path in sorted(key.name for key in layer.members(name)):
        if unit := layer.unit(path):
            yield unit


def _as_key(path: str) -> ResourceKey:
    """A unit, where sets hold keys."""
    return ResourceKey("", "", path, "")


class _Step:
    """From one state to the next."""

    def __init__(self, state: State, layer: Layer, files: Mapping[str, File | None], around: Around) -> None:
        self.before, self.layer, self.files, self.around = state, layer, files, around
        self.graph = LayeredGraph(layer, (), around.revision, around.elsewhere)
        self.changed: set[Name] = {EVERYTHING}  # what would be answered otherwise now
        self.subjects: set[ResourceKey] = set()  # who must be asked again
        self.count = (state.files, state.resources)

    def taken(self) -> State:
        old = self._keys(self.before.layer.unit(path) for path in self.files)
        self._put_units()
        new = self._keys(self.layer.unit(path) for path in self.files)
        touched = {key: self.before.graph.declared(key) for key in old | new}
        for key in touched:
            self._place(key)
        for key, declared in touched.items():
            self._move(key, declared)
        self._link({key: declared[0] for key, declared in touched.items() if declared}, touched.keys())
        self._tell_unread()
        if self.around.as_of != self.before.around.as_of:
            self.changed.add(DAY)
        self.changed.update(("elsewhere", key) for key in self.around.elsewhere ^ self.before.around.elsewhere)
        self._ask(touched)
        files, resources = self.count
        return State(self.layer, self.around, self.graph, frozenset(touched), files, resources)

    # --- units and places

    def _put_units(self) -> None:
        files = self.before.files
        for path, file in self.files.items():
            known = self.before.layer.unit(path)
            unit = Unit(file, tuple(ask_of_file(file)), tuple(file.unread)) if file else None
            files += (unit is not None) - (known is not None)
            self.layer.units[path] = unit
            key = _as_key(path)
            self._keep(TOLD_UNITS, key, present=bool(unit and unit.told))
            self._keep(UNREAD_UNITS, key, present=bool(unit and unit.unread))
            self._keep(COMMENTED_UNITS, key, present=bool(file and file.suppressions))
        self.count = (files, self.count[1])

    def _keys(self, units: Iterable[Unit | None]) -> set[ResourceKey]:
        declarations = (found for unit in units if unit for found in unit.file.declarations)
        return {found.key for found in declarations if isinstance(found, Manifest)}

    def _place(self, key: ResourceKey) -> None:
        """Where a key is declared now."""
        entry = self.layer.entry(key)
        kept = [place for place in entry.places if place[0] not in self.files] if entry else []
        places = [*kept, *self._new_places.get(key, ())]
        if len(places) > 1:
            places.sort(key=lambda place: file_order(self.graph.at(*place)))
        if places:
            self.layer.entries[key] = replace(entry, places=tuple(places)) if entry else Entry(tuple(places))
        elif entry:
            self.layer.entries[key] = None

    @functools.cached_property
    def _new_places(self) -> Mapping[ResourceKey, list[Place]]:
        found: dict[ResourceKey, list[Place]] = defaultdict(list)
        for path, file in self.files.items():
            for number, declaration in enumerate(file.declarations if file else ()):
                if isinstance(declaration, Manifest):
                    found[declaration.key].append((path, number))
        return found

    def _move(self, key: ResourceKey, declared: tuple[Manifest, ...]) -> None:
        """In which sets a key is now; everybody who looked at it, or at one of them, sees something else."""
        now = self.graph.get(key)
        was_in = set(memberships(declared[0])) if declared else set()
        is_in = set(memberships(now)) if now else set()
        for name in was_in - is_in:
            self.layer.take(name, key)
        for name in is_in - was_in:
            self.layer.put(name, key)
        self.changed.add(("key", key))
        self.changed.update(name for name in was_in | is_in if name[0] in ("kind", "index"))
        self.changed.update(name for name in was_in ^ is_in if name[0] == "names")
        self._keep(AGAIN, key, present=len(self.graph.declared(key)) > 1)
        self.count = (self.count[0], self.count[1] + (ALL in is_in) - (ALL in was_in))
        if now is None:
            self._forget(key)

    def _forget(self, key: ResourceKey) -> None:
        """What was found of a resource, and what was asked for that."""
        entry = self.before.layer.entry(key)
        for name in entry.asked if entry else ():
            self.layer.take(("asked", *name), key)
        self.layer.take(TOLD, key)

    def _keep(self, name: Name, key: ResourceKey, *, present: bool) -> None:
        (self.layer.put if present else self.layer.take)(name, key)

    # --- references

    def _link(self, former: Mapping[ResourceKey, Manifest], touched: Iterable[ResourceKey]) -> None:
        """References of what changed, and of whom labels connect with it."""
        concerned = dict.fromkeys(touched)
        begun = self.before.resources > 0  # otherwise everything there is is touched
        for manifest in (*former.values(), *filter(None, map(self.graph.get, touched))) if begun else ():
            concerned |= dict.fromkeys(self.graph.choosing(manifest, names=True))
            concerned |= dict.fromkeys(self.graph.candidates(manifest, names=False))
        relinked = [key for key in concerned if self._relink(key)]
        if not begun:
            relinked = self._perhaps_knotted(relinked)
        for key in {k for d in relinked for k in (d, *self._old_knot(d), *self.graph.knot_of(d))}:
            self._knot(key)

    def _perhaps_knotted(self, keys: Sequence[ResourceKey]) -> list[ResourceKey]:
        """Those of all resources whose kind leads back to itself, as far as kinds tell."""
        leads: dict[str, set[str]] = defaultdict(set)
        for key in keys:
            leads[key.kind].update(r.target.kind for r in self.graph.references(key) if not r.back)
        while ends := {kind for kind, others in leads.items() if not others & leads.keys()}:
            leads = {kind: others for kind, others in leads.items() if kind not in ends}
        return [key for key in keys if key.kind in leads]

    def _relink(self, key: ResourceKey) -> bool:
        """Whether it names something else now."""
        known = self.before.layer.entry(key)
        old, new = known.outgoing if known else (), self.graph.outgoing_of(key)
        if old == new:
            return False
        if entry := self.layer.entry(key):
            self.layer.entries[key] = replace(entry, outgoing=new)
        self.changed.add(("refs", key))
        self.subjects.add(key)
        was, now = _by_target(old), _by_target(new)
        for target in was.keys() | now.keys():
            if was.get(target) != now.get(target):
                self._keep(("incoming", target), key, present=target in now)
                self.changed.add(("incoming", target))
                self.subjects.add(target)
        return True

    def _old_knot(self, key: ResourceKey) -> frozenset[ResourceKey]:
        return self.before.graph.knot(key)

    def _knot(self, key: ResourceKey) -> None:
        entry, knot = self.layer.entry(key), self.graph.knot_of(key)
        if knot != self._old_knot(key):
            self.changed.add(("knot", key))
            self.subjects.add(key)
            self._keep(KNOTTED, key, present=bool(knot))
            if entry:
                self.layer.entries[key] = replace(entry, knot=knot)

    # --- rules

    def _tell_unread(self) -> None:
        inside = (place for unit in units_in(self.layer, UNREAD_UNITS) for place in unit.unread)
        unread = (*self.around.unread, *inside)
        self.graph = LayeredGraph(self.layer, unread, self.around.revision, self.around.elsewhere)
        if unread != self.before.graph.unread:
            self.changed.add(UNREAD)

    def _ask(self, touched: Iterable[ResourceKey]) -> None:
        """Everybody again who looked at something that is otherwise now."""
        self.subjects.update(touched)
        for name in self.changed:
            self.subjects.update(self.layer.members(("asked", *name)))
        case = RecordedCase(self.graph, self.around.as_of, self.around.config, None)
        for key in self.subjects:
            manifest = self.graph.get(key)
            entry = self.layer.entry(key)
            if manifest and entry:
                told = tuple(ask_of_resource(case, manifest))
                asked = case.asked_for(key)
                for name in entry.asked - asked:
                    self.layer.take(("asked", *name), key)
                for name in asked - entry.asked:
                    self.layer.put(("asked", *name), key)
                self._keep(TOLD, key, present=bool(told))
                self.layer.entries[key] = replace(entry, told=told, asked=asked)


def _by_target(references: Iterable[Reference]) -> dict[ResourceKey, list[Reference]]:
    found: dict[ResourceKey, list[Reference]] = {}
    for reference in references:
        found.setdefault(reference.target, []).append(reference)
    return found
