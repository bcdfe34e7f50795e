"""Plain scalars follow the core schema of YAML 1.2, not the habits of YAML 1.1."""

from __future__ import annotations

import pytest

from analyzer.scalar import resolve, resolve_tagged

VALUES = [
    ("", None), ("~", None), ("null", None), ("NULL", None), ("nUll", "nUll"),
    ("true", True), ("False", False), ("TRUE", True), ("tRue", "tRue"),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
    ("0", 0), ("-0", 0), ("+12", 12), ("007", 7), ("0777", 777), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"),
    ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("190:20:30", "190:20:30"),
    ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1E-2", 0.01), (".", "."), ("-", "-"), ("+", "+"),
    ("1e", "1e"), ("0o8", "0o8"), ("0x", "0x"), ("--1", "--1"), ("1-2", "1-2"), ("...", "..."),
    ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("=", "="), ("<<", "<<"),
    ("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63)),
    ("0000000000000000000000000000001", 1), ("١٢", "١٢"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_plain(text: str, value: object) -> None:
    """Each text has the value, and the type, that YAML 1.2 gives it."""
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text", [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999", "18446744073709551616", "9" * 5000, "0x" + "f" * 5000]
)
def test_what_json_cannot_carry(text: str) -> None:
    """Infinite, undefined and oversized numbers are refused rather than handed on."""
    with pytest.raises(ValueError, match="number"):
        resolve(text)


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [("str", "12", "12"), ("int", "12", 12), ("float", "1", 1), ("bool", "true", True), ("null", "", None)],
)
def test_tags_of_the_core_schema(tag: str, text: str, value: object) -> None:
    """A standard tag decides the type."""
    assert resolve_tagged(f"tag:yaml.org,2002:{tag}", text) == value


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("tag:yaml.org,2002:int", "x"),
        ("tag:yaml.org,2002:bool", "1"),
        ("!Ref", "x"),
        ("tag:yaml.org,2002:binary", "aGk="),
    ],
)
def test_other_tags(tag: str, text: str) -> None:
    """A tag that the text does not fit, or that an application invented, is refused."""
    with pytest.raises(ValueError, match="!"):
        resolve_tagged(tag, text)
