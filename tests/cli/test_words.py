"""Answers as text: what fits into 80 columns stands in columns."""

from __future__ import annotations

from typing import Any

from reconciler.cli.words import WIDTH, status_text

UID = "e5bb9ade-ef9f-4761-adfc-ba2150d0f2dd"


def resource(kind: str, name: str, uid: str | None) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "reason": "Converged", "message": ""}
    return {"kind": kind, "namespace": "team-a", "name": name, "uid": uid, "conditions": [ready]}


def test_status_fits_a_terminal() -> None:
    """Guards 80 columns: uids stand in a column, and that of a long name below it."""
    resources = [
        resource("Subsystem", "db", None),
        resource("Volume", "db", UID),
        resource("Volume", "db-staging", UID),
        resource("VolumeSnapshot", "db-data-before-upgrade", UID),
    ]
    target = {"name": "node-1", "verdict": "converged", "openDrifts": 0, "lastSeen": "", "message": ""}
    target |= {"resources": resources, "tasks": [], "schedules": [], "approvalID": ""}
    shown = status_text(
        {
            "site": "s",
            "source": {"url": "u", "lastFetch": "", "error": ""},
            "revision": {"accepted": "", "converged": "", "rejected": None},
            "targets": [target],
        }
    )
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert shown.splitlines()[-5:] == [
        "  ok  Subsystem team-a/db",
        f"  ok  Volume team-a/db          uid {UID}",
        f"  ok  Volume team-a/db-staging  uid {UID}",
        "  ok  VolumeSnapshot team-a/db-data-before-upgrade",
        f"      uid {UID}",
    ]
