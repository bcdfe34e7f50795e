"""Moments as days and as text. Pure: the moment is always given."""

from __future__ import annotations

from datetime import UTC, date, datetime


def day_of(moment: float) -> date:
    """The day (UTC) of a moment in seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).date()


def iso(moment: float) -> str:
    """`2026-11-21T09:14:03Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """The moment that `iso` writes so, in seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
