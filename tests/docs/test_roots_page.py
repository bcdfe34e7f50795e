"""docs/roots.md names every field of a kustomization, and the limits that hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.config import read_config
from analyzer.roots.config import ELSEWHERE, FIELDS
from analyzer.roots.files import KUSTOMIZATION_FILES
from analyzer.roots.kustomize import MAX_DEPTH, MAX_RESOURCES
from analyzer.rules import RULES
from analyzer.snapshot import MAX_OTHER_BYTES, POLICY_FILE, Blob, Snapshot, blob_id

PAGE = (Path(__file__).parents[2] / "docs" / "roots.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
UNSAID = {"apiVersion", "kind", "metadata", "helmGlobals", "helmChartInflationGenerator", "imageTags"}


def test_every_field_of_a_kustomization_is_in_the_table() -> None:
    """What is applied, what changes nothing, and what is left to others: every field is one of these."""
    assert set(re.findall(r"`(\w+)`", "\n".join(ROWS))) == FIELDS - UNSAID


def test_what_is_not_applied_is_in_its_row() -> None:
    """The row of what is not applied names the fields of which findings say so."""
    [row] = [row for row in ROWS if "unrendered-root" in row]
    assert set(re.findall(r"`(\w+)`", row)) == ELSEWHERE.keys() - UNSAID


def test_limits_and_names() -> None:
    """The numbers, the file names and the rules on the page are those of the code."""
    words = " ".join(PAGE.split())
    assert f"{MAX_DEPTH} deep" in words
    assert f"{MAX_RESOURCES:,} resources" in words
    assert f"{MAX_OTHER_BYTES // 1024**2} MiB" in words
    assert all(f"`{name}`" in words for name in KUSTOMIZATION_FILES)
    rules = {rule.id for rule in RULES}
    named = {name for name in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", words) if name != "flux-system"}
    assert named <= rules


@pytest.mark.parametrize("fence", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_are_policies(fence: str) -> None:
    """The examples are policies that pass."""
    data = "\n".join(line.removeprefix("   ") for line in fence.splitlines()).encode()
    config, problems = read_config(Snapshot("", {POLICY_FILE: Blob(POLICY_FILE, blob_id(data), data)}))
    assert problems == ()
    assert [(root.path, root.cluster) for root in config.roots] == [
        ("apps/production", "production"),
        ("infrastructure", "production"),
    ]
