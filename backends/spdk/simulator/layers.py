"""Devices on other devices, as they were asked for: each is remembered whether its base is there or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Layer:
    """A device to be, on a base of this name."""

    driver: str
    name: str
    base_name: str
    uuid: str | None
    values: Mapping[str, int] = field(default_factory=dict)


def no_layers() -> dict[str, dict[str, Layer]]:
    """By driver in the order in which they look at a new device, then by name in the order of creation."""
    return {"delay": {}, "passthru": {}}
