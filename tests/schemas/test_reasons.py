"""The table of reasons: it holds what the reconciler and the verdict on a change say, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import reconciler
from analyzer.impact import budget, verdict
from schemas.kinds import our_kinds
from schemas.reasons import reasons

ROOT = Path(reconciler.__file__).parent
WORDS = re.compile(r"(?=.*[a-z])[A-Z][A-Za-z]+")
TOLD_IN_SQL = {"Abandoned"}
MADE_UP = {
    f"Drift{action}" for action in ("Corrected", "Held", "Warned", "Ignored", "LeftAlone")
}  # of a prefix and a drift's action
NO_REASONS = {
    "Synced", "Reconciling", "Stalled", "True", "False", "Warning", "Normal", "Retain", "Delete", "Drift",
    "Plan", "SiteStatus", "Accept", "Vary", "Authorization", "Date", "PCIe",
}  # fmt: skip  # conditions, their status, event types, reclaim policies, headers, a transport, names of documents


def said() -> Iterator[str]:
    """Every CamelCase word that stands by itself there, the names that a module exports left out."""
    rim = (ROOT / "cli", ROOT / "demo")
    for path in (*sorted(ROOT.rglob("*.py")), Path(verdict.__file__), Path(budget.__file__)):
        if not any(path.is_relative_to(folder) for folder in rim):
            tree = ast.parse(path.read_text("utf-8"))
            tree.body = [node for node in tree.body if not (isinstance(node, ast.Assign) and _is_all(node))]
            constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            yield from (value for value in constants if isinstance(value, str) and WORDS.fullmatch(value))


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)


def test_every_reason_is_in_the_table() -> None:
    """A new reason fails here until schemas/reasons.json says what it means; one that nobody gives has to go."""
    given = set(said()) - NO_REASONS - our_kinds().keys() | TOLD_IN_SQL | MADE_UP
    assert given - reasons().keys() == set()
    assert reasons().keys() - given == set()


def test_reasons_are_sentences() -> None:
    """A meaning and an advice begin with a capital or a command in backticks, and end with a full stop."""
    for reason in reasons().values():
        for told in filter(None, (reason.meaning, reason.act)):
            assert re.fullmatch(r"[A-Z`].*\.", told), reason
