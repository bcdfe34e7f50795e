"""Snapshot → Report. Pure: no clock, no network, and the same answer whatever order the files come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain

from analyzer.ask import ask_of_case, ask_of_changes, ask_of_files, ask_of_resources, told_of_file
from analyzer.authority.history import MAIN, History
from analyzer.config import AnalyzerConfig, PolicyProblem, read_config
from analyzer.finding import Finding, Severity
from analyzer.graph import ResourceGraph, link
from analyzer.incremental.state import Around, State
from analyzer.report import Counts, Report
from analyzer.rule import Case, CaseRule
from analyzer.scope import Scope, Site, changed_files, gaps_of, raw_scope, scope_of, unread_of
from analyzer.snapshot import Blob, Snapshot
from analyzer.telling import once, told
from analyzer.triage import Standard, triage
from schemas.resources import JsonObject


def analyze(
    snapshot: Snapshot,
    *,
    as_of: date,
    base: Report | ResourceGraph | None = None,
    history: History | None = None,
    keep: bool = False,
) -> Report:
    """Everything there is to say about a revision; `base` is an earlier one, for what its changes would mean, and
    `history` the commits that lead from there to here, for who made them.

    `keep`: the report holds what is needed to analyse the next revision by what differs from this one. A base that
    holds that is gone on from.
    """
    config, problems = read_config(snapshot)
    scope = scope_of(snapshot, config, problems)
    standing = base.config.settings if isinstance(base, Report) else None
    run = _Run(snapshot.revision, scope, config, as_of, (*problems, *scope.odd), history, standing, keep=keep)
    before, gone = _bases(scope, base)
    known = base.states if isinstance(base, Report) else {}
    judged = {s.name: run.judged(s, before.get(s.name), known.get(s.name)) for s in scope.sites}
    return run.report(snapshot, judged, [run.vanished(graph) for graph in gone], compared=base is not None)


def advance(  # noqa: PLR0913  # a state, what differs, and what both are judged by
    known: State,
    changed: Mapping[str, Blob | None],
    settings: Snapshot,
    *,
    as_of: date,
    base: Report | None = None,
    history: History | None = None,
) -> Report | None:
    """What `analyze` would say of a revision, from the state of another one and the files that differ (None: are gone).

    `settings`: a snapshot with no more files than the policy. With a base that is the report of the state. None where
    too much follows from what has changed, so that all of it is to be analysed.
    """
    config, problems = read_config(settings)
    files = changed_files(changed, config)
    if files is None or config.roots or config.schemas or known.around.config != config:
        return None
    unread = unread_of(settings, config)
    gaps = gaps_of(problems, unread)
    state = known.after(files, Around(config, as_of, settings.revision, gaps))
    scope = raw_scope(state.files, unread, gaps, state.comments())
    standing = base.config.settings if base else None
    run = _Run(settings.revision, scope, config, as_of, problems, history, standing, keep=True)
    judged = run.judged_by(state, scope.main, base.graph if base else None, follows=True)
    return run.report(settings, {scope.main.name: judged}, [], compared=base is not None)


def graphs_of(snapshot: Snapshot) -> Mapping[str, ResourceGraph]:
    """What a revision declares, without a word about whether that is good, or who refers to whom: under "" what
    Holdfast applies, and every site by its name.
    """
    config, problems = read_config(snapshot)
    scope = scope_of(snapshot, config, problems)
    main = scope.main.listed(snapshot.revision)
    others = (site for site in scope.sites if site is not scope.main)
    return {MAIN: main, scope.main.name: main, **{site.name: site.listed(snapshot.revision) for site in others}}


@dataclass(frozen=True)
class _Judged:
    """What there is to say about one site."""

    graph: ResourceGraph
    findings: list[Finding]
    resources: int
    state: State | None


@dataclass(frozen=True)
class _Run:
    """One analysis."""

    revision: str
    scope: Scope
    config: AnalyzerConfig
    as_of: date
    problems: tuple[PolicyProblem, ...]
    history: History | None
    standing: JsonObject | None  # the policy file of the base
    keep: bool

    def judged(self, site: Site, base: ResourceGraph | None, known: object) -> _Judged:
        """One site; `known` is the state that it was in before."""
        usable = known if isinstance(known, State) and known.around.config == self.config else None
        state = self._state(site, usable)
        return self.judged_by(state, site, base, follows=usable is not None)

    def judged_by(self, state: State | None, site: Site, base: ResourceGraph | None, *, follows: bool) -> _Judged:
        """One site in a state. `follows`: what that touched since the one before is all that differs from the base."""
        graph = state.graph if state else site.linked(self.revision)
        case = self._case(site, graph, base)
        asked = state.told(base) if state else chain(ask_of_files(site.files), ask_of_resources(case))
        rest = chain.from_iterable(map(told_of_file, self.scope.rest if site is self.scope.main else ()))
        changed = ask_of_changes(case, state.touched if state and follows else None)
        hits = chain(ask_of_case(case), rest, asked, changed)
        found = ((rule, rule.finding(hit, self._severity(rule.id, rule.severity))) for rule, hit in hits)
        findings = [each if isinstance(rule, CaseRule) else told(each, site, graph) for rule, each in found]
        return _Judged(graph, findings, state.resources if state else len(graph.manifests), state)

    def _state(self, site: Site, known: State | None) -> State | None:
        """The state of a site, gone on from that before; None where nobody needs one, or it could not hold all."""
        if not (known or self.keep) or len({file.path for file in site.files}) < len(site.files):
            return None
        around = Around(self.config, self.as_of, self.revision, site.gaps, site.elsewhere)
        return known.after(known.differing(site.files), around) if known else State.of(site.files, around)

    def report(
        self, snapshot: Snapshot, judged: Mapping[str, _Judged], gone: list[list[Finding]], *, compared: bool
    ) -> Report:
        """All of it, with what people allow set aside."""
        main = judged[self.scope.main.name]
        findings = once([*(each.findings for each in judged.values()), *gone])
        standard = Standard(self.config, self.as_of, compared=compared)
        graphs = [each.graph for each in judged.values()]
        found = triage(findings, self.scope.comments, graphs, standard)
        return Report(
            snapshot.revision,
            snapshot.root,
            found.findings,
            main.graph,
            self.config,
            Counts(self.scope.files, sum(each.resources for each in judged.values())),
            {name: each.graph for name, each in judged.items()},
            found.aside,
            found.resolved,
            main.state,
            {name: each.state for name, each in judged.items() if each.state},
            self.scope.plain,
            tuple(chain.from_iterable(site.partial for site in self.scope.sites)),
        )

    def vanished(self, before: ResourceGraph) -> list[Finding]:
        """What the changes mean by which a whole cluster goes."""
        nothing = link((), self.scope.main.gaps, self.revision)
        case = Case(nothing, before, self.as_of, self.config)
        return [rule.finding(hit, self._severity(rule.id, rule.severity)) for rule, hit in ask_of_changes(case)]

    def _case(self, site: Site, graph: ResourceGraph, base: ResourceGraph | None) -> Case:
        """What concerns the repository as a whole is a matter of the main site."""
        if site is not self.scope.main:
            return Case(graph, base, self.as_of, self.config, roots=site.roots)
        whole = (self.scope.unread, self.problems, self.history, site.roots, self.standing)
        stores = self.scope.stores if len(self.scope.sites) > 1 else ()
        return Case(graph, base, self.as_of, self.config, *whole, stores=stores)

    def _severity(self, rule: str, usual: Severity) -> Severity:
        return self.config.severities.get(rule, usual)


def _bases(
    scope: Scope, base: Report | ResourceGraph | None
) -> tuple[Mapping[str, ResourceGraph], tuple[ResourceGraph, ...]]:
    """What each site was before, and the sites that are no more.

    A cluster is known by its name. When that of the one that Holdfast applies has changed, it is still the one.
    """
    if base is None:
        return {}, ()
    if isinstance(base, ResourceGraph):
        return {scope.main.name: base}, ()
    names = {site.name for site in scope.sites}
    left = {name: graph for name, graph in base.graphs.items() if name not in names}
    paired = {name: base.graphs[name] if name in base.graphs else link(()) for name in names}
    main = next((name for name, graph in left.items() if graph is base.graph), None)
    if main is not None and scope.main.name not in base.graphs:
        paired[scope.main.name] = left.pop(main)
    return paired, tuple(left.values())
