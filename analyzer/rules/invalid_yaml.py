from __future__ import annotations

from collections.abc import Iterator

from analyzer.composer import Place
from analyzer.finding import Confidence, Location, Severity
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    defects = tuple(file.defects_of("invalid-yaml"))
    if defects and (place := _template(file)):
        yield Hit(place, _MESSAGE, help=_ADVICE, confidence=Confidence.LOW)
        return
    for defect in defects:
        yield Hit(file.at(defect.place), defect.message, help=defect.help)


_MESSAGE = "a template, which is no YAML before it is rendered: what it declares is not known here"
_ADVICE = "commit what it renders to, or add the path to `ignore` in .holdfast.yaml"


def _template(file: File) -> Location | None:
    """Where a file that cannot be read has a template's braces."""
    before, braces, _ = file.source.data.partition(b"{{")
    if not braces:
        return None
    line = before.count(b"\n") + 1
    return file.at(Place(line, len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1))


RULE = FileRule("invalid-yaml", Severity.ERROR, check, fixed=True)
