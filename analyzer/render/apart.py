"""A value before and after, short enough to be read and long enough to tell the two apart."""

from __future__ import annotations

from itertools import takewhile

from analyzer.render.markup import shorten
from schemas.resources import canonical

LONGEST = 60  # characters of a value
LEAD = 20  # characters before the first that differs


def told_apart(before: object, after: object) -> tuple[str | None, str | None]:
    """Both as texts, None where there is nothing. What they share is cut where it would hide what they do not."""
    old, new = _text(before), _text(after)
    if old is None or new is None or old == new:
        return _cut(old), _cut(new)
    if shorten(old, LONGEST) != shorten(new, LONGEST):
        return _cut(old), _cut(new)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    return _from(old, same), _from(new, same)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else canonical(value)


def _cut(text: str | None) -> str | None:
    return None if text is None else shorten(text, LONGEST)


def _from(text: str, same: int) -> str:
    """The part of a text around where it differs; both ends are too far away to be shown."""
    rest = text[max(0, same - LEAD) :]
    return f"…{rest}" if len(rest) < LONGEST else f"…{rest[: LONGEST - 2]}…"
