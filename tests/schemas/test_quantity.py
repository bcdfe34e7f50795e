"""Sizes in words."""

from __future__ import annotations

import pytest

from schemas.quantity import parse_bytes, told_bytes


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("26368Mi", "25.75Gi"),
        ("100Gi", "100Gi"),
        ("8188Mi", "8188Mi"),
        ("1536Gi", "1.5Ti"),
        ("0", "0"),
        ("1500", "1500"),
    ],
)
def test_a_size_as_people_read_it(written: str, told: str) -> None:
    """Sums are told in the unit in which limits are written, and never rounded."""
    assert told_bytes(parse_bytes(written)) == told
    assert parse_bytes(told) == parse_bytes(written)
