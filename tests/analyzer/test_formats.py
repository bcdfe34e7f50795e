"""Findings as GitHub's annotations, JUnit, reviewdog's format and a job summary: each by its structure."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.config import AnalyzerConfig
from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.graph import link
from analyzer.render import github, junit, markdown, rdjson, sarif, text
from analyzer.render import json as plain_json
from analyzer.render.suggestion import suggestion
from analyzer.report import Aside, Counts, Report
from analyzer.rules import RULES
from schemas.resources import ResourceKey

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


HOSTILE = st.text(st.characters(), max_size=30) | st.sampled_from(
    [
        "]]>",
        "::error::",
        "%0A",
        "\r\n",
        "\x00",
        "\ud800",
        "|",
        "`",
        "<!--",
        "@all",
        "\u202e",
        '"a" "; did you mean "b"?',
    ]
)


@st.composite
def hostile(draw: st.DrawFn) -> Finding:
    """A finding in which every text is anything."""
    place = Location(draw(HOSTILE) or "x", draw(st.integers(1, 9)), draw(st.integers(1, 40)), text=draw(HOSTILE))
    key = ResourceKey(draw(HOSTILE), draw(HOSTILE), draw(HOSTILE), draw(HOSTILE)) if draw(st.booleans()) else None
    path = tuple(draw(st.lists(HOSTILE | st.integers(0, 9), max_size=3)))
    return Finding(
        draw(st.sampled_from([rule.id for rule in RULES])),
        draw(st.sampled_from(Severity)),
        draw(HOSTILE),
        place,
        key,
        path,
        related=((place, draw(HOSTILE)),),
        help=draw(HOSTILE),
        confidence=draw(st.sampled_from(Confidence)),
        way=draw(st.booleans()),
    )


@given(st.lists(hostile(), max_size=4))
@settings(max_examples=50, deadline=None)
def test_no_text_breaks_a_format(findings: list[Finding]) -> None:
    """Whatever a repository holds: JSON is JSON, XML is XML, a command is one line, a table row is one line."""
    config = AnalyzerConfig()
    aside = tuple(Aside(one, "comment", one.help, None, one.location) for one in findings)
    report = Report("head", "", tuple(findings), link(()), config, Counts(0, 0), aside=aside)
    assert len(json.loads(sarif.render(report, aside=True))["runs"][0]["results"]) == 2 * len(findings)
    assert len(json.loads(rdjson.render(report).encode())["diagnostics"]) == len(findings)
    assert json.loads(plain_json.render(report))["setAside"] is not None
    ET.fromstring(junit.render(report, aside=True).encode())  # noqa: S314  # our own
    commands = github.render(report).encode().decode().split("\n")
    assert [line for line in commands if line and not line.startswith(("::error ", "::warning ", "::notice "))] == []
    assert len(commands) == len(findings) + 1
    text.render(report, aside=True).encode()
    markdown.render(report).encode()
