"""Removing: what is withdrawn keeps its bytes, and what may destroy them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planned import leaving
from planning import POOL_NAME, STORE_UID, Case, base, held, live_subsystem, lvol, reasons, records, steps, uid_of
from world import NQN, START, host, removal

from backends.contract import Action
from backends.objects import ObjectKey, ObjectKind
from reconciler.plan import Hazard, Phase
from reconciler.planner.view import Doubt


def test_a_withdrawn_volume_loses_its_export_and_keeps_its_bytes() -> None:
    """Guards Retain: absence of a manifest is not consent."""
    found = leaving().plan()
    assert (steps(found), reasons(found)) == (["delete namespace s#1"], {"a": "Retained"})
    assert [record.phase for record in found.records if record.resource.name == "a"] == [Phase.RETAINED]


@pytest.mark.parametrize(
    ("reclaim", "phase", "consent", "owned", "destroyed"),
    [
        ("Delete", Phase.CREATED, removal("a", uid_of("a")), {}, True),
        ("Retain", Phase.RETAINED, removal("a", uid_of("a")), {}, True),
        ("Retain", Phase.CREATED, removal("a", uid_of("a")), {}, False),
        ("Delete", Phase.CREATED, removal("a", uid_of("b")), {}, False),
        ("Delete", Phase.CREATED, removal("b", uid_of("a")), {}, False),
        ("Delete", Phase.CREATED, removal("a", uid_of("a"), expires="2026-11-20"), {}, False),
        ("Delete", Phase.CREATED, removal("a", uid_of("a")), {"removals_spent": frozenset({uid_of("a")})}, False),
        ("Delete", Phase.CREATED, host("web"), {}, False),
    ],
)
def test_bytes_go_only_with_a_removal_that_names_them(
    reclaim: str,
    phase: Phase,
    consent: dict[str, Any],
    owned: dict[str, Any],
    destroyed: bool,  # noqa: FBT001
) -> None:
    """Guards the only way in which bytes are destroyed: policy, ref, uid, date and first use must all be right."""
    case = leaving(reclaim, phase, **owned)
    case.manifests.append(consent)
    found = case.plan()
    assert ("delete lvol n1-pool/a" in steps(found)) is destroyed
    if destroyed:
        step = found.steps[-1]
        assert (step.hazard, step.needs) == (Hazard.DATA_LOSS, (f"delete namespace {NQN}s#1",))
        assert dict(step.guards[0].facts) == {"uuid": uid_of("a"), "claimed": False, "clones": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"clones": ("x",)}, "HasClones"), ({}, "StillExported")],
)
def test_bytes_that_something_stands_on_are_not_destroyed(change: dict[str, Any], reason: str) -> None:
    """Guards clones and foreign exports of a volume that a Removal names."""
    case = leaving("Delete")
    case.manifests = [removal("a", uid_of("a"))]
    case.live = [*base(), lvol("a", claimed=True, **change), *live_subsystem("foreign", {1: "a"})]
    case.ledger = [
        item
        for item in case.ledger or []
        if "foreign" not in item.key.name and item.key.kind is not ObjectKind.NAMESPACE
    ]
    case.ledger = [item for item in case.ledger if item.key.kind not in (ObjectKind.SUBSYSTEM, ObjectKind.LISTENER)]
    found = case.plan()
    assert held(found) == {"delete lvol n1-pool/a": reason}


def test_a_pool_goes_only_when_it_holds_nothing_of_anybody() -> None:
    """Guards bdev_lvol_delete_lvstore, which deletes every lvol inside without asking."""
    consent = removal("n1-pool", STORE_UID, kind="StoragePool")
    case = Case([consent], [*base(), lvol("x", name="foreign")])
    case.nodes = case.nodes[:2]
    case.ledger = [replace(item, reclaim="Delete") for item in records(*base())]
    assert held(case.plan()) == {"delete lvolstore n1-pool": "PoolNotEmpty"}
    case.live = base()
    assert steps(case.plan()) == ["delete lvolstore n1-pool"]
    late = ObjectKey(ObjectKind.LVOL, f"{POOL_NAME}/late")
    case.owned["quarantined"] = {late: Doubt(Action.CREATE, {}, START)}
    assert held(case.plan()) == {"delete lvolstore n1-pool": "OutcomeUnknown"}
