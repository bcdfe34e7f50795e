"""What is said of a target and of the repository, in one sentence and in one colour."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Mood(enum.StrEnum):
    """How a statement is shown, worst first; always beside a word."""

    BAD = "bad"
    UNKNOWN = "unknown"
    ATTENTION = "attention"
    MOVING = "moving"
    KEPT = "kept"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Say:
    """A few words, their mood, and where on the page it says more."""

    mood: Mood
    words: str
    link: str = ""


NOT_SEEN = ("unknown", "unreachable", "stalled")  # verdicts of a tick that saw nothing
PEACE = Say(Mood.GOOD, "Storage is as Git declares")
PEACE_BUT = Say(Mood.GOOD, "Storage is as Git declares, but for what is kept as it is", "#kept")
SAYS: Mapping[str, Say] = {
    "unreachable": Say(Mood.UNKNOWN, "unreachable"),
    "stalled": Say(Mood.BAD, "stalled"),
    "held": Say(Mood.ATTENTION, "needs a person"),
    "waiting": Say(Mood.MOVING, "waiting"),
    "busy": Say(Mood.MOVING, "applying"),
}


def is_known(target: Mapping[str, Any]) -> bool:
    """Whether a target was seen lately: what is old says nothing of now."""
    return target["lastSeen"] is not None and not target["stale"] and target["verdict"] not in NOT_SEEN


def target_say(target: Mapping[str, Any], accepted: str) -> Say:
    """A target in a word or two."""
    verdict = target["verdict"]
    if not is_known(target):
        unseen = Say(Mood.UNKNOWN, "not seen lately" if target["lastSeen"] else "not seen yet")
        return SAYS.get(verdict, unseen) if verdict in NOT_SEEN else unseen
    return _converged_say(target, accepted) if verdict == "converged" else SAYS[verdict]


def _converged_say(target: Mapping[str, Any], accepted: str) -> Say:
    """Nothing is left to do, which is not always well."""
    if target["openDrifts"]:
        return Say(Mood.ATTENTION, "drifted")
    here = target["settled"] and target["revision"] == accepted
    return Say(Mood.GOOD, "as declared") if here else SAYS["busy"]


def source_say(source: Mapping[str, Any]) -> Say:
    """The repository in a word or two."""
    if source["error"]:
        return Say(Mood.ATTENTION, "does not answer", "#revision")
    if source["lastFetch"] is None:
        return Say(Mood.UNKNOWN, "not read yet", "#revision")
    return Say(Mood.UNKNOWN, "not read lately", "#revision") if source["stale"] else Say(Mood.GOOD, "answers")
