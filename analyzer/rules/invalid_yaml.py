from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from analyzer.composer import Place
from analyzer.finding import Confidence, Location, Severity
from analyzer.manifest import resembles_a_manifest
from analyzer.rule import File, FileRule, Hit


def check(file: File) -> Iterator[Hit]:
    defects = tuple(file.defects_of("invalid-yaml"))
    if defects and (place := _template(file)):
        yield Hit(place, _MESSAGE, help=_ADVICE, confidence=Confidence.LOW)
        return
    foreign = not any(defect.last for defect in file.defects) and _is_foreign(file)
    for defect in defects:
        found = Hit(file.at(defect.place), defect.message, help=defect.help)
        yield replace(found, at_most=Severity.WARNING, confidence=Confidence.LOW, help=_FOREIGN) if foreign else found


def _is_foreign(file: File) -> bool:
    """Whether nothing in a file has anything of a manifest."""
    return not any(resembles_a_manifest(declaration.document.value) for declaration in file.declarations)


_HOLE = re.compile(rb"^[ \t]*(?P<hole><[A-Z][A-Z0-9_]*>)[ \t\r]*$|(?P<braces>\{\{)", re.MULTILINE)
_MESSAGE = "a template, which is no YAML before it is rendered: what it declares is not known here"
_FOREIGN = "it looks like a file of another tool: add the path to `ignore` in .holdfast.yaml if it is"
_ADVICE = "commit what it renders to, or add the path to `ignore` in .holdfast.yaml"


def _template(file: File) -> Location | None:
    """Where a file that cannot be read has a template's braces, or a line that something else is put in place of."""
    found = _HOLE.search(file.source.data)
    if not found:
        return None
    before = file.source.data[: found.start(found.lastgroup or 0)]
    line = before.count(b"\n") + 1
    return file.at(Place(line, len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1))


RULE = FileRule("invalid-yaml", Severity.ERROR, check, fixed=True, odd=True)
