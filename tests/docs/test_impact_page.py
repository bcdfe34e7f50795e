"""The page about impact says what there is: every verdict, reason and question, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from analyzer.access.questions import QUESTIONS
from analyzer.impact import budget, verdict
from schemas.reasons import reasons

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "impact.md").read_text()


def rows(heading: str) -> list[tuple[str, str]]:
    """The table that begins with a heading: its first two columns."""
    table = PAGE.partition(f"| {heading} |")[2].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", table, re.MULTILINE)


def test_every_verdict_is_told() -> None:
    """Guards the table of verdicts against one that comes or goes."""
    assert [name for name, _ in rows("verdict")] == list(get_args(budget.Outcome))


def test_every_question_is_told() -> None:
    """Guards the list of questions, ids and words."""
    assert rows("id") == [(question.id, question.title) for question in QUESTIONS]


def test_every_reason_is_told() -> None:
    """Guards the reasons: those that the code gives, of which the daemon's own are explained by `holdfast explain`."""
    given = {*re.findall(r'Reason\("(\w+)"', Path(verdict.__file__).read_text()), budget.OTHERS}
    told = {name for name, _ in rows("reason")}
    assert told == given
    assert told - reasons().keys() <= {"Unreadable", "NotPlanned", "RevisionRejected", budget.OTHERS}


def test_its_links_lead_somewhere() -> None:
    """Guards the links of the page."""
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
