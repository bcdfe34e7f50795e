"""What a policy lets a change disturb and destroy, and what is said of one: it passes, waits for a person, or neither.

Values only. The units are the daemon's: on each target, subsystems whose hosts lose a path, a namespace or a session,
and resources whose bytes are destroyed, within a sliding window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from schemas.kinds import settings
from schemas.resources import UNKNOWN, Json, ResourceKey

Outcome: TypeAlias = Literal["pass", "needs-approval", "blocked", "unknown"]

OTHERS = "AppliedByOthers"  # reason: what would be lost is not the daemon's to hold back


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may happen to one target within the window."""

    window: str
    disruptive: int  # subsystems
    data_losing: int  # resources

    def to_json(self) -> dict[str, Json]:
        return {
            "window": self.window,
            "disruptiveSubsystems": self.disruptive,
            "dataLosingResources": self.data_losing,
        }


def budget_of(policy: Mapping[str, Any]) -> Budget:
    """The budget of a checked `.holdfast.yaml`; what it does not say is as its schema has it."""
    said = policy.get("budget", {})
    fields = settings()[".holdfast.yaml"].fields

    def value(name: str) -> Any:  # noqa: ANN401  # JSON
        return said.get(name, fields["budget", name].schema["default"])

    return Budget(value("window"), value("disruptiveSubsystems"), value("dataLosingResources"))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a change does not simply pass, or what is not known of it. Codes are those of the daemon where it has one."""

    code: str
    message: str
    target: str = ""

    def to_json(self) -> dict[str, Json]:
        return {"code": self.code, "target": self.target, "message": self.message}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a change disturbs and destroys on one target; the target is empty where nobody knows where the bytes are.

    `spent`: of other changes within the window, (subsystems, resources) beside these; None: not known.
    """

    target: str
    disturbed: tuple[ResourceKey, ...]
    destroyed: tuple[ResourceKey, ...]
    spent: tuple[int, int] | None = None

    def counted(self, budget: Budget) -> tuple[tuple[tuple[ResourceKey, ...], int, str, str], ...]:
        """What is counted, how many are allowed, and in words what that is and what becomes of it."""
        return (
            (self.disturbed, budget.disruptive, "subsystem", "disturbed"),
            (self.destroyed, budget.data_losing, "resource", "destroyed"),
        )

    def to_json(self) -> dict[str, Json]:
        spent: Json = UNKNOWN
        if self.spent is not None:
            spent = {"disruptiveSubsystems": self.spent[0], "dataLosingResources": self.spent[1]}
        return {
            "target": self.target or UNKNOWN,
            "disturbs": [key.to_json() for key in self.disturbed],
            "destroys": [key.to_json() for key in self.destroyed],
            "spentBefore": spent,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a change goes through. `approvals`: what the daemon would ask for, by target; None: not known here.

    `provisos`: what could still hold it, and cannot be told from the repository.
    """

    outcome: Outcome
    budget: Budget
    costs: tuple[Cost, ...] = ()
    reasons: tuple[Reason, ...] = ()
    provisos: tuple[Reason, ...] = ()
    approvals: Mapping[str, str] | None = None

    @property
    def is_held(self) -> bool:
        """Whether the daemon would hold something back until it is approved."""
        return any(reason.code != OTHERS for reason in self.reasons) and self.outcome == "needs-approval"

    def to_json(self) -> dict[str, Json]:
        approvals: Json = UNKNOWN
        if self.approvals is not None:
            approvals = [{"target": target, "id": name} for target, name in sorted(self.approvals.items())]
        elif self.outcome == "pass":
            approvals = []
        return {
            "outcome": self.outcome,
            "budget": self.budget.to_json(),
            "costs": [cost.to_json() for cost in self.costs],
            "reasons": [reason.to_json() for reason in self.reasons],
            "provisos": [reason.to_json() for reason in self.provisos],
            "approvals": approvals,
        }
