"""What the schemas say of a change is what becomes of it on a target: one table, and every field of every kind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from grand import Grand
from moves import KEPT, MOVES, base, moved

from analyzer.hazards import FieldChange, changes, worst
from analyzer.report import Report
from backends.contract import Action
from backends.objects import ObjectKind
from reconciler.plan import Step
from reconciler.reconcile import Tick, Verdict
from schemas.kinds import our_kinds

TICKS = 12
NEW_WAYS = "BlockDevice.nvme.address"  # the planner cannot tell another address from one more way to the same
NOT_BUILT = {"Target.transports, one more", "Target.portals.transport"}  # no target here has RDMA
COSTS_NOBODY = {
    "Target.portals, one less": "no subsystem listens there, for that would be a dangling reference",
    **{f"SnapshotSchedule.retain.{kept}, less": "there is no snapshot yet" for kept in KEPT},
}  # fmt: skip
PROVEN_ELSEWHERE = {
    "AccessPolicy": "who may change manifests; see test_access.py",
    "Removal": "consent to an act; see test_ledger.py, test_invariants.py and the rules about removals",
    "Subsystem.exports.targetRef": "the second target of a subsystem; see test_fronts.py",
    "Subsystem.exports.attachAs": "the host that a front calls itself; see test_fronts.py",
    "Target.connection": "another process may answer there; see test_lives.py",
}
EVERY_DAY = {"Volume.poolRef", "BlockDevice.nvme.hostNQN", "Subsystem.serialNumber", "Volume.qos.iops"}  # one of each
AS_A_WHOLE = ("From", "elector", "initialize", "addresses", "source", "taken")  # fields of one value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change."""

    report: Report
    told: tuple[FieldChange, ...]
    steps: tuple[Step, ...]
    reasons: frozenset[str]
    writes: int
    last: Tick

    @property
    def update(self) -> str:
        """What it comes to: a consent that comes with a change is in place."""
        updates = {change.update for change in self.told}
        return (updates - {"in-place"} or updates).pop()

    def kinds(self, action: Action) -> set[ObjectKind]:
        return {step.change.key.kind for step in self.steps if step.change.action is action}


@contextmanager
def settled() -> Iterator[Grand]:
    """The site with everything declared and made."""
    folder = Path(tempfile.mkdtemp(prefix="hf"))
    site = Grand(folder)
    try:
        for _ in range(2):
            report = site.push(base(site))
            assert not report.blocks, report.findings
            assert site.settle().verdict is Verdict.CONVERGED
        yield site
    finally:
        site.close()
        shutil.rmtree(folder, ignore_errors=True)


def change(site: Grand, case: str) -> Outcome:
    """Make the change, also where the analyzer would not let it through, and tick until nothing happens any more."""
    before, writes = site.report, site.mutations()
    assert before
    report = site.push(moved(site, base(site), case), unchecked=True)
    pairs = ((before.graph.resources.get(key), after) for key, after in report.graph.resources.items())
    told = tuple(found for old, new in pairs if old for found in changes(old, new))
    steps: list[Step] = []
    reasons: set[str] = set()
    for _ in range(TICKS):
        tick = site.tick()
        steps += tick.plan.steps
        reasons |= site.reasons(tick)
        if tick.verdict in (Verdict.CONVERGED, Verdict.HELD):
            break
        site.clock.advance(1.0 if tick.verdict is Verdict.BUSY else 70.0)
    return Outcome(report, told, tuple(steps), frozenset(reasons), site.mutations() - writes, tick)


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c in EVERY_DAY else pytest.mark.slow) for c in MOVES])
def test_what_becomes_of_a_change_is_what_the_schema_says(case: str) -> None:
    """Guards the one table of transitions: in place, made anew, after a restart, or not at all; and what it costs."""
    with settled() as site:
        found = change(site, case)
        match found.update:
            case "refuse":
                is_refused(case, found)
            case "restart":
                waits_for_a_restart(site, found)
            case "recreate":
                is_made_anew(case, found)
                ends_well(case, found)
            case "in-place":
                is_in_place(found)
                ends_well(case, found)


def is_refused(case: str, found: Outcome) -> None:
    """The gate does not let it through, or holds that volume alone; and what got through would change nothing."""
    assert found.report.blocks or "KeptLarger" in found.reasons
    assert found.writes == 0 or case.startswith(NEW_WAYS), found.steps


def waits_for_a_restart(site: Grand, found: Outcome) -> None:
    assert "RestartRequired" in found.reasons
    assert found.writes == 0, found.steps
    site.restart_target()
    last = site.settle()
    assert last.verdict is Verdict.CONVERGED, (last.plan.held, last.plan.remarks)
    assert "RestartRequired" not in site.reasons(last)


def is_made_anew(case: str, found: Outcome) -> None:
    gone, made = found.kinds(Action.DELETE), found.kinds(Action.CREATE)
    assert gone & made or (gone and case in NOT_BUILT), found.steps


def is_in_place(found: Outcome) -> None:
    """Nothing is deleted and created again; a referral is no more than an entry of a list."""
    gone = {step.change.key for step in found.steps if step.change.action is Action.DELETE}
    made = {step.change.key for step in found.steps if step.change.action is Action.CREATE}
    assert {key for key in gone & made if key.kind is not ObjectKind.REFERRAL} == set()


def ends_well(case: str, found: Outcome) -> None:
    """It costs what was said, and is done."""
    said, cost = worst(told.hazard for told in found.told), worst(step.hazard.value for step in found.steps)
    assert cost == ("safe" if case in COSTS_NOBODY else said), found.steps
    assert case in NOT_BUILT or (not found.report.blocks and found.last.verdict is Verdict.CONVERGED), found.last.plan


@pytest.mark.parametrize("kind", our_kinds())
def test_every_field_is_changed_by_some_case(kind: str) -> None:
    """Guards fields that come later: each is changed here, or says where else that is proven."""
    named = {case.partition(",")[0] for case in MOVES}
    forgotten = []
    for field in our_kinds()[kind].leaves():
        name = str(field).replace("spec.", f"{kind}.", 1).replace("[]", "")
        above = name.rpartition(".")[0]
        shared = "x-update" not in field.schema or above.endswith(AS_A_WHOLE)
        if not (name in named or (shared and above in named) or name.startswith((*PROVEN_ELSEWHERE,))):
            forgotten.append(name)
    assert forgotten == []
