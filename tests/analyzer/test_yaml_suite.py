"""The YAML test suite, from where HOLDFAST_SHARED_DATA says: more may be refused than YAML forbids, nothing misread."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analyzer.document import Parsed, parse

SHARED = os.environ.get("HOLDFAST_SHARED_DATA")
SUITE = Path(SHARED or "") / "yaml-test-suite" / "src"

pytestmark = pytest.mark.skipif(
    not SHARED or not SUITE.is_dir(),
    reason="needs the YAML test suite: set HOLDFAST_SHARED_DATA to the folder that holds yaml-test-suite/",
)

MISREAD = {"652Z", "HM87", "JEF9", "L24T", "Y2GN"}  # by libyaml's scanner, in corners no manifest comes near
TOLERATED = {  # wrong by the letter, read by libyaml as they were meant
    "9C9N", "9JBA", "CVW2", "DK95", "EB22", "G5U8", "MUS6", "QB6E", "RHX7", "S98Z", "SU5Z", "X4QW", "Y79Y", "YJV2",
}  # fmt: skip

VISIBLE = {"␣": " ", "»": "\t", "—": "", "←": "\r", "⇔": "\ufeff", "↵": "", "∎\n": ""}


@dataclass(frozen=True, eq=False)
class Case:
    """One case of the suite."""

    name: str
    data: bytes
    wrong: bool
    expected: list[Any] | None


def cases() -> Iterator[Case]:
    for path in sorted(SUITE.glob("*.yaml")):
        [found] = parse(path.read_bytes()).documents
        assert isinstance(found.value, list)
        before: dict[str, Any] = {}
        for given in found.value:
            assert isinstance(given, dict)
            case = before | given
            before = {name: value for name, value in case.items() if name not in ("fail", "skip")}
            expected = _json_values(case["json"]) if case.get("json") is not None else None
            yield Case(path.stem, _bytes(case["yaml"]), bool(case.get("fail")), expected)


def _bytes(text: str) -> bytes:
    for visible, meant in VISIBLE.items():
        text = text.replace(visible, meant)
    return text.encode()


def _json_values(text: str) -> list[Any]:
    decoder, found, at = json.JSONDecoder(), [], 0
    text = text.strip()
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return [value for value in found if value is not None]


def _same(found: Parsed, case: Case) -> bool:
    """Equal, and of equal types: JSON tells 1 from true and 1.0."""
    got = [document.value for document in found.documents]
    return json.dumps(got, sort_keys=True) == json.dumps(case.expected, sort_keys=True)


def test_nothing_is_misread() -> None:
    """What is read without a defect has the value that the suite gives it."""
    read = {case: parse(case.data) for case in cases() if case.expected is not None and not case.wrong}
    misread = {c.name for c, got in read.items() if not got.defects and not _same(got, c)}
    assert misread == MISREAD
    assert sum(not found.defects for found in read.values()) > 210


def test_what_is_wrong_is_refused() -> None:
    """What the suite calls wrong has a defect."""
    wrong = [case for case in cases() if case.wrong]
    assert {case.name for case in wrong if not parse(case.data).defects} == TOLERATED
    assert len(wrong) > 80
