"""The annotations that Holdfast reads, in words, read once from annotations.json."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ADOPT = "holdfast.dev/adopt"
DRIFT_IGNORE = "holdfast.dev/drift-ignore"
RENAMED_FROM = "holdfast.dev/renamed-from"
REQUESTED_AT = "holdfast.dev/requestedAt"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation under holdfast.dev/: what it does, and what may be written there."""

    name: str
    meaning: str
    value: str
    example: str


@functools.cache
def known_annotations() -> Mapping[str, Annotation]:
    """All of them by name."""
    told = json.loads((Path(__file__).parent / "annotations.json").read_text("utf-8"))
    return {name: Annotation(name, said["means"], said["value"], said["example"]) for name, said in told.items()}
