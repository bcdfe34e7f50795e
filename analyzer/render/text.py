"""For people at a terminal: what, where (with the line itself and a caret under the place), and what to do."""

from __future__ import annotations

import textwrap
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.report import WORDS, Aside, Report
from schemas.quantity import counted
from schemas.validation import Path

WIDTH = 80
MANY = 20  # findings, after which it helps to count them by rule

COLOURS = {
    "error": "1;31", "warning": "1;33", "info": "1;36",
    "data-loss": "1;31", "disruptive": "1;33", "refused": "1;36", "safe": "32",
}  # fmt: skip
_FAINT = "2"
_CUT = ".."


@dataclass(frozen=True)
class Style:
    """How wide, whether in colour, and what stands before every path."""

    colour: bool = False
    width: int = WIDTH
    root: str = ""

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    def faint(self, text: str) -> str:
        return self.paint(text, _FAINT)

    def wrap(self, text: str, indent: str = "") -> list[str]:
        """Lines of the text; all but the first begin with `indent`."""
        return textwrap.wrap(
            printable(text),
            self.width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        )

    def labelled(self, label: str, colour: str, text: str, indent: str) -> Iterator[str]:
        """A wrapped text behind a label in colour."""
        first, *others = self.wrap(f"{label}{text}", indent)
        yield self.paint(label, colour) + first.removeprefix(label)
        yield from others

    def bulleted(self, text: str) -> Iterator[str]:
        if text:
            yield from self.wrap(f"  - {text}", "    ")

    def place(self, location: Location) -> str:
        where = printable(f"{self.root}/{location}" if self.root and not location.revision else str(location))
        return f"{where} ({location.revision[:12]})" if location.revision else where


def render(report: Report, *, colour: bool = False, width: int = WIDTH, aside: bool = False) -> str:
    """Every finding, with `aside` also those that do not count, and a line that sums up."""
    style = Style(colour, width, report.root)
    blocks = ["\n".join(_finding(finding, style)) for finding in report.findings]
    blocks += ["\n".join(_set_aside(one, style)) for one in report.aside if aside]
    gone = [f"gone[{known.rule}]: {printable(known.about)}" for known in report.resolved if aside]
    blocks += ["\n".join(gone)] if gone else []
    many = ["\n".join(_by_rule(report, style))] if len(blocks) > MANY else []
    return "\n\n".join([*blocks, *many, _summary(report, style)]) + "\n"


def printable(text: str) -> str:
    """The text with everything that could move the cursor or hide something shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def dotted(path: Path) -> str:
    """`spec.exports[0].portals[1]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _finding(finding: Finding, style: Style) -> Iterator[str]:
    severity = str(finding.severity)
    unsure = ", low confidence" if finding.confidence is Confidence.LOW else ""
    yield from style.labelled(f"{severity}[{finding.rule}{unsure}]: ", COLOURS[severity], finding.message, "  ")
    yield from _told(finding, finding.help, style)


def _set_aside(aside: Aside, style: Style) -> Iterator[str]:
    """A finding that does not count, faint, and why it does not."""
    finding = aside.finding
    yield from style.labelled(f"{WORDS[aside.by]}[{finding.rule}]: ", _FAINT, finding.message, "  ")
    until = f"until {aside.until}" if aside.until else ""
    said = f"says {style.place(aside.location)}" if aside.location else ""
    yield from _told(finding, ", ".join(filter(None, (aside.reason, until, said))), style, "why")


def _told(finding: Finding, remark: str, style: Style, label: str = "help") -> Iterator[str]:
    """Where it is, whose it is, and one remark."""
    places = (finding.location, *(place for place, _ in finding.related))
    margin = max(len(str(place.line)) for place in places)
    yield from _excerpt(finding.location, "-->", "", margin, style)
    for place, note in finding.related:
        yield from _excerpt(place, ":::", note, margin, style)
    lead = " " * margin + " = "
    roots = ", ".join(root for root in finding.roots if root != ".")
    rendered = f"rendered in {roots}" if roots else ""
    subject = ", ".join(filter(None, (str(finding.resource), dotted(finding.path)))) if finding.resource else ""
    for line in filter(None, (subject, rendered, f"{label}: {remark}" if remark else "")):
        first, *others = style.wrap(lead + line, " " * len(lead))
        yield style.faint(lead) + first.removeprefix(lead)
        yield from others


def _excerpt(place: Location, arrow: str, note: str, margin: int, style: Style) -> Iterator[str]:
    edge, room = " " * margin + " | ", style.width - margin - 3
    yield f"{' ' * margin}{style.faint(arrow)} {style.place(place)}"
    if place.text:
        line, offset = _window(place.text, place.column - 1, room)
        yield style.faint(edge.rstrip())
        yield f"{style.faint(f'{place.line:>{margin}} |')} {line}".rstrip()
        yield from (style.faint(edge) + pointer for pointer in _pointer(offset, printable(note), room))
    elif note:
        yield style.faint(edge) + printable(note)


def _pointer(offset: int, note: str, room: int) -> Iterator[str]:
    """A caret with its note beside it, or below it where there is no room."""
    beside = f"{' ' * offset}^ {note}".rstrip()
    if _width(beside) <= room:
        yield beside
    else:
        yield f"{' ' * offset}^"
        yield from textwrap.wrap(note, room, break_on_hyphens=False)


def _window(text: str, column: int, room: int) -> tuple[str, int]:
    """The part of a line around a column that fits, and how many cells stand before that column."""
    far = max(0, column - 2 * room)
    cells = [printable(" " if character == "\t" else character) for character in text[far : column + 2 * room]]
    at, more = column - far, len(text) > column + 2 * room
    whole = not far and not more and sum(map(_width, cells)) <= room
    start = 0 if whole or (not far and sum(map(_width, cells[:at])) < room * 2 // 3) else max(0, at - room // 2)
    lead = _CUT if far or start else ""
    sizes = list(accumulate(map(_width, cells[start:]), initial=len(lead)))
    cut = more or sizes[-1] > room
    end = start + bisect(sizes, room - len(_CUT) * cut) - 1
    return f"{lead}{''.join(cells[start:end])}{_CUT * cut}", len(lead) + sum(map(_width, cells[start:at]))


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_cell_width, text))


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _by_rule(report: Report, style: Style) -> Iterator[str]:
    """Of very many, how many each rule found, most first."""
    found = Counter((-finding.severity, finding.rule) for finding in report.findings)
    for (severity, rule), count in sorted(found.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        name = str(Severity(-severity))
        yield f"{count:>6} {style.paint(name.ljust(7), COLOURS[name])} {rule}"


def _summary(report: Report, style: Style) -> str:
    """What was found, how much was looked at, and what does not count: below, where it does not fit beside."""
    counts = report.counts
    looked_at = f" ({counted(counts.resources, 'resource')}, {counted(counts.files, 'file')})"
    found = [(_counted(severity, count), COLOURS[str(severity)]) for severity, count in report.tally().items() if count]
    found = found or [("No findings", COLOURS["safe"])]
    aside = ", ".join(_aside(report))
    painted = ", ".join(style.paint(text, colour) for text, colour in found) + looked_at
    beside = ", ".join(text for text, _ in found) + looked_at + "; " + aside
    if not aside or len(beside) <= style.width:
        return f"{painted}; {aside}" if aside else painted
    return "\n".join([f"{painted};", *style.wrap(aside)])


def _counted(severity: Severity, count: int) -> str:
    return f"{count} info" if severity is Severity.INFO else counted(count, str(severity))


def _aside(report: Report) -> Iterator[str]:
    """What does not count, in words."""
    unsure = sum(finding.severity >= report.config.fail_on for finding in report.findings) - len(report.blocking)
    if unsure:
        yield f"{unsure} of low confidence, which {'fails' if unsure == 1 else 'fail'} nothing"
    yield from (f"{count} {WORDS[by]}" for by, count in report.tally_aside().items() if count)
    if gone := sum(known.count for known in report.resolved):
        yield f"{gone} of the baseline gone"
