"""Findings as GitHub's annotations, JUnit, reviewdog's format and a job summary: each by its structure."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.render import github, junit, markdown, rdjson
from analyzer.render.suggestion import suggestion
from analyzer.report import Report
from analyzer.rules import RULES

Lint = Callable[..., Report]
House = dict[str, str]

PLACE = Location("a,b:c%.yaml", 3, 5, text="  nqm: x")


def finding(message: str = "m", severity: Severity = Severity.ERROR, **more: object) -> Finding:
    return replace(Finding("unknown-field", severity, message, PLACE), **more)  # type: ignore[arg-type]


@pytest.fixture
def report(lint: Lint, house: House) -> Callable[..., Report]:
    """Findings → Report."""
    return lambda *findings, **more: replace(lint(house), findings=findings, **more)


def test_github_escapes(report: Callable[..., Report]) -> None:
    """Nothing in a finding begins another command or another property; a place always has a line."""
    output = github.render(report(finding("100%\r\n::error::x", help="a, b: c"), root="x/y"))
    assert output == (
        "::error file=x/y/a%2Cb%3Ac%25.yaml,line=3,col=5,title=holdfast unknown-field"
        "::100%25%0D%0A::error::x%0Aa, b: c\n"
    )


def test_github_of_another_revision(report: Callable[..., Report]) -> None:
    """A line of another revision would mark the wrong one; it is told in words."""
    gone = finding(location=replace(PLACE, revision="abc"))
    assert ",line=1,col=1," in github.render(report(gone))
    assert "It was in line 3 (at abc)" in github.render(report(gone))


def test_github_caps(report: Callable[..., Report]) -> None:
    """Ten of a level at most, the sure ones first; the tenth says how many more there are."""
    errors = [finding(f"e{n}", confidence=Confidence.LOW if n < 3 else Confidence.HIGH) for n in range(14)]
    infos = [finding(f"i{n}", Severity.INFO) for n in range(10)]
    lines = github.render(report(*infos, *errors)).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 10 + ["::notice"] * 10
    assert lines[0].endswith("::e3")
    assert lines[9].endswith("::e12%0A… and 4 more errors")
    assert "more" not in lines[-1]


def test_junit(report: Callable[..., Report]) -> None:
    """What fails the command has failed, the rest has passed, and rules that find nothing are there, too."""
    unsure = finding("u", confidence=Confidence.LOW)
    found = report(finding("<&\"'\x01\ud800"), finding("w", Severity.WARNING), unsure)
    root = ET.fromstring(junit.render(found).encode())  # noqa: S314  # our own
    [suite] = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures")) == (str(len(cases)), "1")
    assert len(cases) == len(RULES) - 1 + 3
    [failed] = [case for case in cases if case.find("failure") is not None]
    message = failed.find("failure")
    assert message is not None
    assert message.get("message") == "<&\"'\\x01\\ud800"
    assert (failed.get("file"), failed.get("line")) == ("a,b:c%.yaml", "3")
    assert len(suite.findall("testcase/system-out")) == 2
    clean = ET.fromstring(junit.render(report()))  # noqa: S314  # our own
    assert clean.get("failures") == "0"
    assert len(clean.findall("testsuite/testcase")) == len(RULES)


def test_rdjson(report: Callable[..., Report]) -> None:
    """Columns count bytes, as reviewdog has it, and a certain fix is a suggestion with its end outside."""
    place = Location("ü.yaml", 2, 6, text='日本: "nqm": x')
    found = finding('unknown field "nqm"; did you mean "nqn"?', location=place, related=((PLACE, "there"),))
    output = json.loads(rdjson.render(report(found)))
    [diagnostic] = output["diagnostics"]
    assert output["severity"] == diagnostic["severity"] == "ERROR"
    assert diagnostic["location"] == {"path": "ü.yaml", "range": {"start": {"line": 2, "column": 10}}}
    [fix] = diagnostic["suggestions"]
    assert fix == {"range": {"start": {"line": 2, "column": 10}, "end": {"line": 2, "column": 13}}, "text": "nqn"}
    assert diagnostic["related_locations"][0]["location"]["range"]["start"] == {"line": 3, "column": 5}
    assert json.loads(rdjson.render(report())) == {
        "source": {"name": "holdfast", "url": "https://holdfast.dev"}, "diagnostics": [],
    }  # fmt: skip


UNCERTAIN = [
    {"message": 'unknown field "nqm"; did you mean "a" or "b"?'},
    {"message": 'unknown field "nqm"; did you mean "a b: c"?'},
    {"message": 'unknown field "nqx"; did you mean "nqn"?'},
    {"message": 'unknown field "nq"; did you mean "nqn"?'},
    {"confidence": Confidence.LOW},
    {"location": replace(PLACE, revision="base")},
    {"location": replace(PLACE, column=90)},
]


@pytest.mark.parametrize("change", UNCERTAIN)
def test_what_is_not_certain_is_not_suggested(change: dict[str, object]) -> None:
    """Two guesses, other text at the place, half a word, words that YAML would read differently: no suggestion."""
    sure = finding('unknown field "nqm"; did you mean "nqn"?', location=replace(PLACE, column=3))
    assert suggestion(sure) is not None
    assert suggestion(replace(sure, **change)) is None  # type: ignore[arg-type]


def test_markdown(lint: Lint, house: House) -> None:
    """The summary of a job begins with the verdict, and names what blocks with its place."""
    assert markdown.render(lint(house)).startswith("### ✅")
    house["db.yaml"] = house["db.yaml"].replace("poolRef: fast", "poolRef: fsat")
    output = markdown.render(lint(house))
    assert output.startswith("### ⛔")
    assert re.search(r"db\.yaml(:|&#58;)4", output)
