"""What `holdfast impact` says of a change before is what the daemon plans afterwards, and what hosts then meet.

Random pairs of revisions: the first is brought about on a simulated target; the second is judged by the analyzer alone,
and then carried out by the real planner and executor.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import HealthCheck, assume, given, settings
from random_revisions import Site, revisions
from world import World, world

from analyzer.access.storage import CONNECT, EVERYONE, USE, grants
from analyzer.assess import assess
from analyzer.graph import ResourceGraph
from analyzer.impact import Impact
from backends.objects import AllowedHost, Listener, Lvol, Namespace, ObjectKey, ObjectKind, Qos, Subsystem, VisibleHost
from reconciler.plan import Cause, Hazard, Held, Step
from reconciler.reconcile import Tick, Verdict
from schemas.resources import ResourceKey

EXAMPLES = int(os.environ.get("HOLDFAST_EXAMPLES", "50"))
TICKS = 14
LIVE_FACTS = {
    "IdentityReused": "which disk hosts knew under an id is in the ledger",
}  # reasons of the daemon that need what no manifest tells


@dataclass(frozen=True)
class Outcome:
    """What the daemon did and held, and how it ended."""

    steps: tuple[Step, ...]
    held: tuple[Held, ...]
    last: Tick
    writes: int

    def subjects(self, hazard: Hazard) -> set[str]:
        """What was touched with a hazard, or would have been."""
        done = {step.subject for step in self.steps if step.hazard is hazard}
        return done | {_subject(held) for held in self.held if held.hazard is hazard}


def _subject(held: Held) -> str:
    thing = held.change.before or held.change.after
    return str(getattr(thing, "nqn", "")) or str(held.resource)


def carry_out(site: World) -> Outcome:
    """Tick until nothing happens any more."""
    steps: list[Step] = []
    held: list[Held] = []
    writes = site.mutations()
    for _ in range(TICKS):
        tick = site.tick()
        steps += [step for step in tick.plan.steps if step.cause is not Cause.CLAIM]
        held += tick.plan.held
        if tick.verdict in (Verdict.CONVERGED, Verdict.HELD):
            break
        site.clock.advance(1.0 if tick.verdict is Verdict.BUSY else 70.0)
    return Outcome(tuple(steps), tuple(held), tick, site.mutations() - writes)


def push(site: World, revision: Site, uids: dict[str, str]) -> bool:
    """Whether it is accepted."""
    return not site.push(revision.manifests(site.folder, uids), revision.settings).blocks


@given(revisions())
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_what_impact_says_is_what_happens(pair: tuple[Site, Site]) -> None:
    """Guards the verdict, the costs, the radius and the access matrix, against the daemon and the target itself."""
    base, head = pair
    with world(patience=0.05) as site:
        assume(push(site, base, {}))
        assume(site.converge().verdict is Verdict.CONVERGED)
        before = site.report
        assert before
        uids = {name: site.uid(name) for name in base.volumes}
        meets(before.graph, site, "base")
        after = site.push(head.manifests(site.folder, uids), head.settings)
        found = assess(before, after)
        assert found.verdict
        if after.blocks:
            assert found.verdict.outcome == "blocked"
            return
        outcome = carry_out(site)

        costs_are_right(found, before.graph, outcome)
        resources_are_named(found, (before.graph, after.graph), outcome)
        held_as_judged(found, outcome)
        if not found.changes:
            assert outcome.writes == 0, outcome.steps
        if outcome.last.verdict is Verdict.CONVERGED:
            meets(after.graph, site, "head")


def nqn_of(graph: ResourceGraph, key: ResourceKey) -> str:
    return str(graph[key].spec["nqn"])


def costs_are_right(found: Impact, base: ResourceGraph, outcome: Outcome) -> None:
    """The same subsystems are disturbed, and the same bytes destroyed."""
    assert found.verdict
    told = {nqn_of(base, key) for cost in found.verdict.costs for key in cost.disturbed}
    assert told == outcome.subjects(Hazard.DISRUPTIVE), describe(found, outcome)
    destroyed = {str(key) for cost in found.verdict.costs for key in cost.destroyed}
    lost = {" ".join(subject.split()[:2]) for subject in outcome.subjects(Hazard.DATA_LOSS)}
    assert destroyed == lost, describe(found, outcome)


def resources_are_named(found: Impact, graphs: Iterable[ResourceGraph], outcome: Outcome) -> None:
    """Nothing happens to a resource that neither changes, nor is reached, nor is named by what changes."""
    named = {change.key for change in found.changes} | {r.key for change in found.changes for r in change.dependents}
    named |= {change.destroys for change in found.changes if change.destroys}
    named |= {change.former for change in found.changes if change.former}
    named |= {ref.target for graph in graphs for key in list(named) for ref in graph.references(key)}
    touched = {step.resource for step in outcome.steps if step.cause is not Cause.RESTART}
    assert touched <= named, (touched - named, describe(found, outcome))


def held_as_judged(found: Impact, outcome: Outcome) -> None:
    """What needs approval is held by the daemon, and nothing else is, but for what only the ledger knows."""
    assert found.verdict
    reasons = {held.reason for held in outcome.held if held.approvable}
    assert reasons - LIVE_FACTS.keys() == {reason.code for reason in found.verdict.reasons}, describe(found, outcome)


def describe(found: Impact, outcome: Outcome) -> str:
    """For whoever reads a failure."""
    told = [(c.hazard, c.action, str(c.key), [(f.name, f.hazard) for f in c.fields]) for c in found.changes]
    done = [(str(s.hazard), s.id, s.subject, s.reason) for s in outcome.steps]
    held = [(str(h.hazard), h.reason, str(h.change.key), h.message) for h in outcome.held]
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


def _met(graph: ResourceGraph, site: World) -> Iterable[tuple[str, str, str, str]]:
    """Who could do what, as the target shows it."""
    observed = site.tick().observed
    assert observed
    objects = observed.objects.values()
    names = {str(m.spec["nqn"]): m.key.name for m in graph.sound("Host")}
    volumes = {thing.uuid: thing for thing in objects if isinstance(thing, Lvol)}
    shown = [thing for thing in objects if isinstance(thing, VisibleHost)]
    for manifest in graph.sound("Subsystem"):
        nqn = str(manifest.spec["nqn"])
        live = observed.objects[ObjectKey(ObjectKind.SUBSYSTEM, nqn)]
        assert isinstance(live, Subsystem)
        listeners = [thing for thing in objects if isinstance(thing, Listener) and thing.nqn == nqn]
        ways = [f" n1/{x.transport}:{x.address}:{x.port}" for x in listeners if _is_open(x.ana, manifest.spec)]
        guests = [names[thing.host] for thing in objects if isinstance(thing, AllowedHost) and thing.nqn == nqn]
        guests += [EVERYONE.name] if live.allow_any_host else []
        for guest in guests if ways else ():
            yield from ((guest, way, str(manifest.key), "") for way in ways)
            for space in (thing for thing in objects if isinstance(thing, Namespace) and thing.nqn == nqn):
                seen = [names[v.host] for v in shown if (v.nqn, v.nsid) == (nqn, space.nsid)]
                if not space.masked or guest in seen:
                    lvol = volumes[space.bdev]
                    name = lvol.name.rpartition("-")[2]
                    yield guest, USE, f"Volume team/{name}", _iops(objects, lvol)


def _is_open(ana: str | None, spec: object) -> bool:
    return ana is None or "optimized" in ana


def _iops(objects: Iterable[object], lvol: Lvol) -> str:
    limits = lvol.limits or next((q.limits for q in objects if isinstance(q, Qos) and q.bdev == lvol.uuid), None)
    return str(limits.iops) if limits and limits.iops else ""
