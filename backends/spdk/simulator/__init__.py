"""A simulated SPDK target: a JSON-RPC server with state that answers as a live v26.05 target does. See README.md."""

from __future__ import annotations

from backends.spdk.simulator.faults import (
    Deny,
    DropAfter,
    DropBefore,
    Fault,
    Hold,
    Late,
    PlanError,
    Pretend,
    Refuse,
    Restart,
    parse_plan,
)
from backends.spdk.simulator.process import Simulator, SocketInUseError
from backends.spdk.simulator.target import Pace

__all__ = [
    "Deny",
    "DropAfter",
    "DropBefore",
    "Fault",
    "Hold",
    "Late",
    "Pace",
    "PlanError",
    "Pretend",
    "Refuse",
    "Restart",
    "Simulator",
    "SocketInUseError",
    "parse_plan",
]
