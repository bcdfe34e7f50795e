"""Every reason that status, plans, drifts and events give, in words, read once from reasons.json."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `act` is empty where nobody need do anything."""

    name: str
    meaning: str
    act: str


@functools.cache
def reasons() -> Mapping[str, Reason]:
    """All of them by name, in the order of the file: what they are about."""
    told = json.loads((Path(__file__).parent / "reasons.json").read_text("utf-8"))
    return {name: Reason(name, entry["means"], entry.get("do", "")) for name, entry in told.items()}
