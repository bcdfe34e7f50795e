"""docs/kinds.md tells of every kind, and no other; its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.fields import reference_of
from schemas.kinds import kinds, our_kinds

PAGE = (Path(__file__).parents[2] / "docs" / "kinds.md").read_text("utf-8")
TABLE = "\n".join(line for line in PAGE.splitlines() if line.startswith(("| `", "| others")))


def test_every_kind_is_told() -> None:
    """A new kind fails here until the page says how far it is read."""
    told = set(re.findall(r"\b[A-Z][A-Za-z]+\b", TABLE)) - {"Kubernetes", "Flux"}
    known = {kind.name for kind in kinds().values()} - our_kinds().keys()
    assert told - known - our_kinds().keys() == set()
    assert known - told == set()


def test_every_group_is_told() -> None:
    """Groups that hold more than names have a row."""
    groups = {kind.group or "core" for kind in kinds().values() if kind.references}
    assert {group for group in groups if f"`{group}`" not in TABLE} == set()


@pytest.mark.parametrize("kind", ["Deployment", "Middleware", "HTTPRoute", "PersistentVolume"])
def test_what_is_read_in_part_is_open(kind: str) -> None:
    """A kind that the page calls read in part takes fields that its schema does not name."""
    [found] = {k.qualified: k for k in kinds().values() if k.name == kind and k.group != "traefik.containo.us" and k.version != "v1beta1"}.values()  # fmt: skip # noqa: E501
    opened = [f for f in found.body_fields() if f.schema.get("additionalProperties") is True]
    assert opened


def test_the_references_of_the_page_are_understood() -> None:
    """The examples of x-ref mean what the page says."""
    assert reference_of({"kind": "core/Secret", "elsewhere": True}).elsewhere
    assert "x-ref: {kind: core/Secret, elsewhere: true}" in PAGE
    assert reference_of("StoragePool").kind == "StoragePool"
