"""Sections of a Markdown report, and how much of each is shown where room is short. What is left out is counted.

The order of sections is their importance: each keeps a few rows, and what room is left goes to the first ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 5  # rows that every section keeps, as far as there is room for those of all


@dataclass(frozen=True)
class Section:
    """A heading with rows below it; `head` are the lines right before them, such as those of a table."""

    title: str
    rows: Sequence[str]
    head: Sequence[str] = ()
    folded: bool = False

    def text(self, shown: int, whole: str) -> str:
        """The section with its first rows; `whole` says where the others are."""
        body = [*(self.head if shown else ()), *self.rows[:shown]]
        if left := len(self.rows) - shown:
            body += ["", f"… and {left:,} more{f': see {whole}' if whole else ''}."]
        if self.folded:
            return "\n".join(["<details>", f"<summary>{self.title}</summary>", "", *body, "", "</details>", ""])
        return "\n".join([f"#### {self.title}", "", *body, ""])


def fit(lead: str, sections: Sequence[Section], foot: str, budget: int, whole: str = "") -> str:
    """All of it in at most so many bytes of UTF-8, as long as the lead and the headings leave room for that."""
    room = (
        budget
        - size(lead)
        - size(foot)
        - sum(size(section.text(0, whole)) + size_of_head(section) for section in sections)
    )
    shown = [0] * len(sections)
    for most in (LEAST, None):
        for at, section in enumerate(sections):
            rows = section.rows[shown[at] : most]
            for row in rows:
                cost = size(row) + 1
                if cost > room:
                    break
                room -= cost
                shown[at] += 1
    told = (section.text(count, whole) for section, count in zip(sections, shown, strict=True))
    return "\n".join([lead, *told, foot])


def size_of_head(section: Section) -> int:
    return sum(size(line) + 1 for line in section.head) + 2


def size(text: str) -> int:
    """In bytes: never fewer than GitHub counts characters."""
    return len(text.encode(errors="replace"))
