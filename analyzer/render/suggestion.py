"""What to write instead, where a finding names it and it fits the very text that the finding points at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analyzer.finding import Confidence, Finding

_GUESS = re.compile(r'"(?P<wrong>[^"]+)"[^"]*; did you mean "(?P<right>[^"]+)"\?')
_PLAIN = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A replacement within the finding's line: columns count characters from 1, the end is the first one kept."""

    start: int
    end: int
    text: str


def suggestion(finding: Finding) -> Suggestion | None:
    """The replacement; None where the rule is not sure, offers two, or the text is not the one that it speaks of."""
    guess = _GUESS.search(finding.message)
    if guess is None or finding.confidence is Confidence.LOW or finding.location.revision:
        return None
    wrong, right = guess["wrong"], guess["right"]
    start = finding.location.column - 1
    start += finding.location.text[start : start + 1] in ('"', "'")
    end = start + len(wrong)
    fits = finding.location.text[start:end] == wrong and not finding.location.text[end : end + 1].isalnum()
    return Suggestion(start + 1, end + 1, right) if fits and _PLAIN.fullmatch(right) else None
