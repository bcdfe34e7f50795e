"""A target with everything a planner meets, as cases to plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planning import Case, base, live_subsystem, lvol, records
from world import host, subsystem, volume

from backends.objects import ObjectKind
from reconciler.plan import Phase


def shop(**case: Any) -> Case:
    """Two exported volumes and a host, all standing."""
    live = [*base(), lvol("a", claimed=True), lvol("b", claimed=True), *live_subsystem("s", {1: "a", 2: "b"}, ["web"])]
    manifests = [host("web"), volume("a"), volume("b"), subsystem("s", {1: "a", 2: "b"}, hosts=["web"])]
    return Case(**({"manifests": manifests, "live": live} | case))


def leaving(reclaim: str = "Retain", phase: Phase = Phase.CREATED, **owned: Any) -> Case:
    """A volume whose manifest is gone; its namespace entry too, but the namespace is still live."""
    live = [*base(), lvol("a", claimed=True), *live_subsystem("s", {1: "a"})]
    case = Case([subsystem("s", {})], live, owned=owned)
    case.ledger = [
        replace(item, reclaim=reclaim, phase=phase) if item.key.kind is ObjectKind.LVOL else item
        for item in records(*live)
    ]
    return case
