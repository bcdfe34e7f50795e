"""Pieces of Markdown as GitHub renders it. No text can become markup, a link, a mention, or run over what follows it.

What a name or a message holds is data of whoever wrote the manifests, perhaps somebody who wishes the reader ill.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from analyzer.render.text import printable

LONGEST_NAME = 120
LONGEST_PROSE = 400
LONGEST_URL = 600

_MEANING = re.compile(r"[!#$&*+<=>@\[\\\]^_`{|}~]|:(?! )|(?<=www)\.", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_OPENING = tuple("-+.:=0123456789")  # what could make a list or a heading of the line that it begins
_SILENT = "&#8203;"  # a space of no width: what GitHub makes links of after Markdown was read is broken by it
_LINKED = re.compile(r"@|#(?=\d)|\bGH-(?=\d)|:(?=[a-z0-9_+-]+:)", re.IGNORECASE)
_ISOLATED = "\u2068{}\u2069"
_FROM_THE_RIGHT = frozenset(("R", "AL", "AN"))


def prose(text: str, longest: int = LONGEST_PROSE) -> str:
    """A sentence that may hold anything; what stands between backticks in it is shown as code."""
    shown = _shown(text, longest).lstrip()
    pieces = _QUOTED.split(shown)
    told = "".join(code(piece) if at % 2 else _sentence(piece) for at, piece in enumerate(pieces))
    return f"&#{ord(told[0])};{told[1:]}" if told[:1] in _OPENING else told


def _sentence(shown: str) -> str:
    parts, at = [], 0
    for match in _LINKED.finditer(shown):
        parts += [_escaped(shown[at : match.end()]), _SILENT]
        at = match.end()
    return "".join([*parts, _escaped(shown[at:])])


def code(text: str, longest: int = LONGEST_NAME) -> str:
    """A name, a path, a value."""
    return f"<code>{_escaped(_shown(text, longest)) or ' '}</code>"


def link(label: str, url: str) -> str:
    """Markup that leads somewhere; without an address, or with an unwieldy one, the markup alone."""
    return f"[{label}]({url})" if url and len(url) <= LONGEST_URL else label


def address(path: str) -> str:
    """A path as part of a URL."""
    return quote(path, safe="/", errors="surrogateescape")


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def header(*titles: str) -> tuple[str, str]:
    """The two lines with which a table begins."""
    return row(titles), "|" + " --- |" * len(titles)


def shorten(text: str, longest: int) -> str:
    """Without its middle where it is too long: names often differ at their ends."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[: longest - 1 - half]}…{text[-half:]}"


def _shown(text: str, longest: int) -> str:
    """What can be seen, in its place: letters that run from right to left do not carry their neighbours along."""
    cut = shorten(printable(text[: 4 * longest] + text[-longest:] if len(text) > 5 * longest else text), longest)
    if cut.isascii() or _FROM_THE_RIGHT.isdisjoint(map(unicodedata.bidirectional, cut)):
        return cut
    return _ISOLATED.format(cut)


def _escaped(text: str) -> str:
    """Every character that could mean something where it stands, as a reference to itself."""
    return _MEANING.sub(lambda match: f"&#{ord(match[0])};", text)
