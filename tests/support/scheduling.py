"""Volumes that a schedule selects, and the schedule."""

from __future__ import annotations

from typing import Any

from world import manifest, volume

HOUR, DAY = 3600.0, 86400.0


def labelled(name: str, **spec: Any) -> dict[str, Any]:
    """A volume that the schedule selects."""
    made = volume(name, **spec)
    made["metadata"]["labels"] = {"backup": "yes"}
    return made


def schedule(cron: str = "0 * * * *", name: str = "hourly", zone: str = "UTC", **retain: int) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"backup": "yes"}}, "cron": cron, "timeZone": zone}
    return manifest("SnapshotSchedule", name, spec | {"retain": retain or {"last": 3}}, "team")
