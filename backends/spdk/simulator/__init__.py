"""A simulated SPDK target: a JSON-RPC server with state that answers as a live v26.05 target does. See README.md."""

from __future__ import annotations

from backends.spdk.simulator.faults import DropAfter, DropBefore, Fault, Hold, Refuse
from backends.spdk.simulator.process import Simulator, SocketInUseError

__all__ = ["DropAfter", "DropBefore", "Fault", "Hold", "Refuse", "Simulator", "SocketInUseError"]
