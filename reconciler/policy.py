"""Safety as data: how much may be destroyed or disturbed, and when to stop fighting. Read from `.holdfast.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.quantity import parse_seconds
from schemas.resources import Json

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may happen to one target within a sliding window."""

    window: float = DAY  # seconds
    disruptive: int = 1  # subsystems whose hosts may lose a path, a namespace or a session
    data_losing: int = 0  # resources whose bytes may be destroyed


@dataclass(frozen=True, slots=True)
class Policy:
    """What `.holdfast.yaml` says. The built-in values hold until a revision that says otherwise has fully converged."""

    budget: Budget = Budget()
    drift_budget: Budget = Budget(disruptive=10)  # for putting drift right; data is never lost for that
    contested_after: int = 5  # corrections of one field …
    contested_within: float = 600.0  # … within so many seconds
    drift_policy: str = "correct"
    kind_policies: Mapping[str, str] = field(
        default_factory=dict
    )  # drift policies by kind, which count before a Target's

    def to_json(self) -> dict[str, Json]:
        return {
            "budget": _budget_json(self.budget),
            "driftBudget": _budget_json(self.drift_budget),
            "contested": {"corrections": self.contested_after, "within": _duration(self.contested_within)},
            "driftPolicy": self.drift_policy,
            "driftPolicies": {**self.kind_policies},
        }


BUILT_IN = Policy()


def policy_of(settings: Mapping[str, Any]) -> Policy:
    """The policy in a checked `.holdfast.yaml`; what it does not say is built in."""
    contested = settings.get("contested", {})
    return Policy(
        budget=_budget(settings.get("budget", {}), BUILT_IN.budget),
        drift_budget=_budget(settings.get("driftBudget", {}), BUILT_IN.drift_budget),
        contested_after=contested.get("corrections", BUILT_IN.contested_after),
        contested_within=parse_seconds(contested["within"]) if "within" in contested else BUILT_IN.contested_within,
        drift_policy=settings.get("driftPolicy", BUILT_IN.drift_policy),
        kind_policies={kind: said for kind, said in settings.get("driftPolicies", {}).items() if said != "target"},
    )


def _budget(settings: Mapping[str, Any], built_in: Budget) -> Budget:
    return Budget(
        window=parse_seconds(settings["window"]) if "window" in settings else built_in.window,
        disruptive=settings.get("disruptiveSubsystems", built_in.disruptive),
        data_losing=settings.get("dataLosingResources", built_in.data_losing),
    )


def _budget_json(budget: Budget) -> Json:
    return {
        "window": _duration(budget.window),
        "disruptiveSubsystems": budget.disruptive,
        "dataLosingResources": budget.data_losing,
    }


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"
