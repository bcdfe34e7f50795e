"""What `holdfast impact` says of a change before is what the daemon plans afterwards, and what hosts then meet.

Random pairs of revisions: the first is brought about on a simulated target; the second is judged by the analyzer alone,
and then carried out by the real planner and executor.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, assume, given, settings
from random_revisions import HOMES, TARGETS, Site, revisions
from world import World, world

from analyzer.access.rows import EVERYONE
from analyzer.access.storage import CONNECT, USE, changes, grants
from analyzer.graph import ResourceGraph
from analyzer.impact.assess import assess
from analyzer.impact.difference import Impact
from backends.objects import (
    AllowedHost,
    Listener,
    LiveObject,
    Lvol,
    Namespace,
    ObjectKey,
    ObjectKind,
    Qos,
    Subsystem,
    VisibleHost,
)
from reconciler.plan import Cause, Hazard, Held, Step
from reconciler.reconcile import Tick, Verdict
from schemas.resources import ResourceKey

EXAMPLES = int(os.environ.get("HOLDFAST_EXAMPLES", "50"))
TICKS = 14


@dataclass(frozen=True)
class Outcome:
    """What the daemon did and held on each target, and how it ended."""

    steps: Mapping[str, Sequence[Step]]
    held: Mapping[str, Sequence[Held]]
    last: Mapping[str, Tick]
    writes: int

    def subjects(self, hazard: Hazard) -> set[tuple[str, str]]:
        """What was touched with a hazard, or would have been, and on which target."""
        done = {(name, step.subject) for name, steps in self.steps.items() for step in steps if step.hazard is hazard}
        held = {(name, _subject(item)) for name, items in self.held.items() for item in items if item.hazard is hazard}
        return done | held

    @property
    def is_settled(self) -> bool:
        return all(tick.verdict is Verdict.CONVERGED for tick in self.last.values())


def _subject(held: Held) -> str:
    thing = held.change.before or held.change.after
    return str(getattr(thing, "nqn", "")) or str(held.resource)


def carry_out(site: World) -> Outcome:
    """Tick every target in turn until nothing happens any more."""
    steps: dict[str, list[Step]] = {name: [] for name in TARGETS}
    held: dict[str, list[Held]] = {name: [] for name in TARGETS}
    last: dict[str, Tick] = {}
    writes = sum(map(site.mutations, TARGETS))
    for _ in range(TICKS):
        for name in TARGETS:
            last[name] = tick = site.tick(name)
            steps[name] += [step for step in tick.plan.steps if step.cause is not Cause.CLAIM]
            held[name] += tick.plan.held
        if all(tick.verdict in (Verdict.CONVERGED, Verdict.HELD) for tick in last.values()):
            break
        site.clock.advance(1.0 if any(tick.verdict is Verdict.BUSY for tick in last.values()) else 70.0)
    return Outcome(steps, held, last, sum(map(site.mutations, TARGETS)) - writes)


def push(site: World, revision: Site, uids: dict[str, str]) -> bool:
    """Whether it is accepted."""
    return not site.push(revision.manifests(site.folder, uids), revision.settings).blocks


@given(revisions())
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_what_impact_says_is_what_happens(pair: tuple[Site, Site]) -> None:
    """Guards the verdict, the costs, the radius and the access matrix, against the daemon and the target itself."""
    base, head = pair
    with world(patience=0.05, targets=TARGETS) as site:
        assume(push(site, base, {}))
        assume(carry_out(site).is_settled)
        before = site.report
        assert before
        site.house.ledger.converge(before.revision, site.clock.now())
        uids = {name: site.uid(name, HOMES[name]) for name in base.volumes}
        uids |= {f"{name}-then": site.uid(f"{name}-then", HOMES[name]) for name in base.snapshots}
        meets(before.graph, site, "base")
        after = site.push(head.manifests(site.folder, uids), head.settings)
        found = assess(before, after)
        assert found.verdict
        if after.blocks:
            assert found.verdict.outcome == "blocked"
            return
        outcome = carry_out(site)

        changed = {key for change in found.changes for key in (change.key, change.former) if key}
        assert changes(before.graph, after.graph, changed) == changes(before.graph, after.graph)
        costs_are_right(found, before.graph, outcome)
        resources_are_named(found, (before.graph, after.graph), outcome)
        held_as_judged(found, outcome)
        if not found.changes:
            assert outcome.writes == 0, outcome.steps
        if outcome.is_settled:
            meets(after.graph, site, "head")


def costs_are_right(found: Impact, base: ResourceGraph, outcome: Outcome) -> None:
    """The same subsystems are disturbed on the same targets, and the same bytes destroyed."""
    assert found.verdict
    costs = found.verdict.costs
    told = {(cost.target, str(base[key].spec["nqn"])) for cost in costs for key in cost.disturbed}
    assert told == outcome.subjects(Hazard.DISRUPTIVE), describe(found, outcome)
    destroyed = {(cost.target, str(key)) for cost in costs for key in cost.destroyed}
    lost = {(target, " ".join(subject.split()[:2])) for target, subject in outcome.subjects(Hazard.DATA_LOSS)}
    assert destroyed == lost, describe(found, outcome)


def resources_are_named(found: Impact, graphs: Iterable[ResourceGraph], outcome: Outcome) -> None:
    """Nothing happens to a resource that neither changes, nor is reached, nor is named by what changes."""
    named = {change.key for change in found.changes} | {r.key for change in found.changes for r in change.dependents}
    named |= {change.destroys for change in found.changes if change.destroys}
    named |= {change.former for change in found.changes if change.former}
    named |= {ref.target for graph in graphs for key in list(named) for ref in graph.references(key)}
    touched = {s.resource for steps in outcome.steps.values() for s in steps if s.cause is not Cause.RESTART}
    assert touched <= named, (touched - named, describe(found, outcome))


def held_as_judged(found: Impact, outcome: Outcome) -> None:
    """What needs approval is held by the daemon; nothing else is, but for what was said to stand in no manifest."""
    assert found.verdict
    held = {held.reason for items in outcome.held.values() for held in items if held.approvable}
    told = {reason.code for reason in found.verdict.reasons}
    assert told <= held, describe(found, outcome)
    assert held - told <= {proviso.code for proviso in found.verdict.provisos}, describe(found, outcome)


def describe(found: Impact, outcome: Outcome) -> str:
    """For whoever reads a failure."""
    told = [(c.hazard, c.action, str(c.key), [(f.name, f.hazard) for f in c.fields]) for c in found.changes]
    done = [(t, str(s.hazard), s.id, s.subject, s.reason) for t, steps in outcome.steps.items() for s in steps]
    held = [(t, str(h.hazard), h.reason, str(h.change.key)) for t, items in outcome.held.items() for h in items]
    costs = found.verdict and [
        (c.target, [*map(str, c.disturbed)], [*map(str, c.destroyed)]) for c in found.verdict.costs
    ]
    return f"\ntold {told}\ncosts {costs}\ndone {done}\nheld {held}"


def meets(graph: ResourceGraph, site: World, when: str) -> None:
    """The rows of a revision are what hosts meet at the target."""
    declared = {
        (grant.principal.name, grant.right.removeprefix(CONNECT), str(grant.resource), _limit(dict(grant.terms)))
        for grant in grants(graph)
    }
    met = set(_met(graph, site))
    assert declared == met, (when, "only declared", declared - met, "only met", met - declared)


def _limit(terms: dict[str, str]) -> str:
    return terms.get("iops", "").partition(" ")[0]


def _met(graph: ResourceGraph, site: World) -> Iterator[tuple[str, str, str, str]]:
    """Who could do what, as the targets show it."""
    names = {str(m.spec["nqn"]): m.key.name for m in graph.sound("Host")}
    for target in TARGETS:
        observed = site.tick(target).observed
        assert observed
        objects = [*observed.objects.values()]
        for manifest in graph.sound("Subsystem"):
            live = observed.objects.get(ObjectKey(ObjectKind.SUBSYSTEM, str(manifest.spec["nqn"])))
            if isinstance(live, Subsystem):
                yield from _met_at(target, manifest.key, live, objects, names)


def _met_at(
    target: str, key: ResourceKey, live: Subsystem, objects: Sequence[LiveObject], names: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str]]:
    """Who could do what with one subsystem on one target."""
    volumes = {thing.uuid: thing for thing in objects if isinstance(thing, Lvol)}
    shown = [thing for thing in objects if isinstance(thing, VisibleHost)]
    listeners = [thing for thing in objects if isinstance(thing, Listener) and thing.nqn == live.nqn]
    ways = [f" {target}/{x.transport}:{x.address}:{x.port}" for x in listeners if _is_open(x.ana)]
    guests = [names[thing.host] for thing in objects if isinstance(thing, AllowedHost) and thing.nqn == live.nqn]
    guests += [EVERYONE.name] if live.allow_any_host else []
    for guest in guests if ways else ():
        yield from ((guest, way, str(key), "") for way in ways)
        for space in (thing for thing in objects if isinstance(thing, Namespace) and thing.nqn == live.nqn):
            seen = [names[v.host] for v in shown if (v.nqn, v.nsid) == (live.nqn, space.nsid)]
            if not space.masked or guest in seen:
                lvol = volumes[space.bdev]
                yield guest, USE, f"Volume team/{lvol.name.rpartition('-')[2]}", _iops(objects, lvol)


def _is_open(ana: str | None) -> bool:
    return ana is None or "optimized" in ana


def _iops(objects: Iterable[object], lvol: Lvol) -> str:
    limits = lvol.limits or next((q.limits for q in objects if isinstance(q, Qos) and q.bdev == lvol.uuid), None)
    return str(limits.iops) if limits and limits.iops else ""
