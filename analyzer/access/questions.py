"""The questions that people ask of a change of access, each with the rows that answer it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analyzer.access.api import CALL, CALL_AT_MOST, SEE
from analyzer.access.rows import AccessChange, Row
from analyzer.access.storage import CONNECT, USE, WHERE
from schemas.resources import UNKNOWN, Json


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and which rows answer it; a row answers the first that it fits."""

    id: str
    title: str
    fits: Callable[[AccessChange], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with its rows, in their order."""

    id: str
    title: str
    rows: tuple[AccessChange, ...]
    connected: Mapping[Row, bool] = field(default_factory=dict)  # of hosts, where somebody was asked

    def to_json(self) -> dict[str, Json]:
        return {"question": self.id, "title": self.title, "rows": [*map(self._row_json, self.rows)]}

    def _row_json(self, change: AccessChange) -> Json:
        is_host = change.row.principal.kind == "host"
        connected: Json = self.connected.get(change.row, UNKNOWN) if is_host else None
        return {**change.to_json(), "connected": connected}


def answers(changes: Iterable[AccessChange], questions: Sequence[Question] | None = None) -> tuple[Answer, ...]:
    """The questions to which there is an answer, losses first."""
    asked = QUESTIONS if questions is None else questions
    found: dict[str, list[AccessChange]] = {question.id: [] for question in asked}
    for change in changes:
        first = next((question.id for question in asked if question.fits(change)), None)
        if first is not None:
            found[first].append(change)
    return tuple(Answer(q.id, q.title, tuple(found[q.id])) for q in asked if found[q.id])


def _right(text: str) -> Callable[[AccessChange], bool]:
    return lambda change: change.row.right.startswith(text)


def _lost(change: AccessChange) -> bool:
    return change.after is None


def _gained(change: AccessChange) -> bool:
    return change.before is None


def _stays(change: AccessChange) -> bool:
    return bool(change.before and change.after)


def _both(*tests: Callable[[AccessChange], bool]) -> Callable[[AccessChange], bool]:
    return lambda change: all(test(change) for test in tests)


def _elsewhere(change: AccessChange) -> bool:
    """Whether something is found in another place, or its user comes by another name."""
    return any(name in WHERE for name, _, _ in change.terms)


def _rated(change: AccessChange) -> bool:
    return any("limit" in name or "quota" in name for name, _, _ in change.terms)


_use, _connect = _right(USE), _right(CONNECT)


def _limit(change: AccessChange) -> bool:
    return _both(_stays, _rated)(change) if change.row.right in (CALL, SEE) else change.row.right == CALL_AT_MOST


_call, _see = _right(CALL), _right(SEE)


def _api(change: AccessChange) -> bool:
    return _call(change) or _see(change)


QUESTIONS = (
    Question("rate-limit", "Whose rate limit or quota changes", _limit),
    Question("loses-api", "Who may no longer call an API", _both(_call, _lost)),
    Question("loses-sight-of-api", "Who no longer sees an API in the portal", _both(_see, _lost)),
    Question("api-otherwise", "Who may call or see an API on other terms", _both(_api, _stays)),
    Question("loses-volume", "Which hosts lose a volume", _both(_use, _lost)),
    Question("loses-path", "Which hosts lose a path", _both(_connect, _lost)),
    Question("volume-elsewhere", "Which hosts find a volume elsewhere", _both(_use, _stays, _elsewhere)),
    Question("host-identity", "Which hosts must come under another NQN", _both(_connect, _stays, _elsewhere)),
    Question("limits", "Whose limits change", _both(_use, _stays)),
    Question("gains-api", "Who may call an API now", _both(_call, _gained)),
    Question("gains-sight-of-api", "Who sees an API in the portal now", _both(_see, _gained)),
    Question("gains-volume", "Which hosts gain a volume", _both(_use, _gained)),
    Question("gains-path", "Which hosts gain a path", _both(_connect, _gained)),
)
