"""YAML as most manifests are written, read without libyaml: a third of the time, and the same values.

Block mappings and lists of plain or quoted texts that fit on a line: line by line there is one way to read them.
Anything else (a text over several lines, an anchor, a tag, a flow collection, odd indentation, a key given twice) is
left to the parser that knows all of YAML and can tell what is wrong.
"""

from __future__ import annotations

import re
from typing import Any, Final

from analyzer.scalar import resolve

# What is longer or deeper is for the parser that has limits; so much is within every one of them.
LONGEST: Final = 512 * 1024  # bytes
MOST: Final = 1_000  # documents
DEEPEST: Final = 50

# Beside ASCII what libyaml takes, without the line breaks that editors do not show.
_WIDE = "\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
# A plain text begins with what cannot mean anything else, and holds no ": " and no " #".
_PLAIN = (
    rf"(?:[A-Za-z0-9_/.$<(+=^;{_WIDE}]|-(?=[A-Za-z0-9_/.-]))"
    rf"(?: ?[!\"$-9;-~{_WIDE}]|#|:(?=[!-~]))*"
)
_COMMENT = rf"#[ -~{_WIDE}]*"
_VALUE = rf"""{_PLAIN}|"[ !#-\[\]-~{_WIDE}]*"|'[ -&(-~{_WIDE}]*'|\{{\}}|\[\]"""
_KEY = r"[A-Za-z_][A-Za-z0-9_./-]{0,250}"
_LINE = re.compile(
    rf"^(?:( *)(?:(- )?({_KEY}):(?: +({_VALUE}))?|(- )({_VALUE}))(?: +{_COMMENT})?| *(?:{_COMMENT})?)$"
    r"|(.+)",  # something else
    re.MULTILINE,
)
_NO_KEYS = frozenset(("null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"))


def usual_documents(data: bytes) -> list[Any] | None:
    """The values of the documents; None when the text is not as usual."""
    if len(data) > LONGEST or data.count(b"\n---") >= MOST:
        return None
    try:
        return _documents(data.decode())
    except ValueError:  # no UTF-8, or a number that JSON cannot carry
        return None


def _documents(text: str) -> list[Any] | None:  # noqa: C901, PLR0912  # the hot loop, as in document.py
    found: list[Any] = []
    outer: list[tuple[Any, int]] = []  # the open collections around the one at hand, and their columns
    top: Any = None  # the collection at hand; None before the first of a document
    at = 0  # its column
    due: str | None = None  # a key whose value is on the lines below, if anywhere
    begun = False  # whether a document was begun that has nothing in it yet
    for spaces, begins, key, value, dashed, item, other in _LINE.findall(text):
        if other:
            if other != "---" or begun:
                return None
            if due is not None:
                top[due], due = None, None
            top, begun = None, True
            continue
        if not (key or dashed):
            continue  # a comment, or an empty line
        column, dash = len(spaces), begins or dashed
        if top is None:
            if column:
                return None
            top, at, outer, begun = [] if dash else {}, 0, [], False
            found.append(top)
        elif due is not None:
            if column > at or (column == at and dash):
                inner: Any = [] if dash else {}
                top[due] = inner
                outer.append((top, at))
                top, at = inner, column
            else:
                top[due] = None
            due = None
        while column < at or (column == at and not dash and type(top) is list):
            if not outer:
                return None
            top, at = outer.pop()
        if column != at or (dash and type(top) is dict) or len(outer) > DEEPEST:
            return None
        if dash:
            if not key:
                top.append(_scalar(item))
                continue
            inner = {}
            top.append(inner)
            outer.append((top, at))
            top, at = inner, column + 2
        if key in top or key in _NO_KEYS:
            return None
        if value:
            top[key] = _scalar(value)
        else:
            due = key
    if due is not None:
        top[due] = None
    return None if begun else found


def _scalar(text: str) -> Any:  # noqa: ANN401  # JSON
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first in "{[":
        return {} if first == "{" else []
    return resolve(text)
