"""Reports and impacts as text and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from published import valid

from analyzer.finding import Confidence, Finding, Location, Severity
from analyzer.impact.assess import assess
from analyzer.impact.difference import impact
from analyzer.render import impact as impact_text
from analyzer.render import json, text
from analyzer.report import WORDS, Aside, Report

Lint = Callable[..., Report]
House = dict[str, str]


@pytest.fixture
def troubled(house: House) -> House:
    """A house with something wrong of many sorts."""
    return house | {
        "again.yaml": house["db.yaml"].replace("size: 100Gi", "size: 10Gi, thick: yes"),
        "bad.yaml": "a: [",
        "far.yaml": house["pool.yaml"].replace("disk-0", "disk-9").replace("fast", "far"),
        "foreign.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n",
        "x.yaml": "just text",
    }


def test_text_of_a_finding(lint: Lint, house: House) -> None:
    """Severity and rule, what, where with the line and a caret, whose field, and what to do."""
    house["db.yaml"] = house["db.yaml"].replace("poolRef: fast", "poolRef: fsat")
    assert (
        text.render(lint(house))
        == """\
error[dangling-reference]: StoragePool "fsat" is not declared; did you mean
  "fast"?
 --> db.yaml:4:17
  |
4 | spec: {poolRef: fsat, size: 100Gi}
  |                 ^
  = Volume team-a/db, spec.poolRef
  = help: declare StoragePool fsat, or correct the name

1 error (6 resources, 5 files)
"""
    )


def test_text_of_a_sound_house(lint: Lint, house: House) -> None:
    """Nothing wrong is one line."""
    assert text.render(lint(house)) == "No findings (6 resources, 5 files)\n"


def test_text_fits_the_terminal(lint: Lint, troubled: House) -> None:
    """Nothing is wider than 80 columns."""
    for output in (text.render(lint(troubled)), impact_text.render(impact(lint(troubled).graph, lint({}).graph))):
        assert max(map(len, output.splitlines())) <= 80


def test_colour_only_adds_colour(lint: Lint, troubled: House) -> None:
    """The words are the same with and without; without, there is no escape sequence."""
    plain, coloured = text.render(lint(troubled)), text.render(lint(troubled), colour=True)
    assert "\x1b" not in plain
    assert coloured != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def at(line: str, column: int) -> list[str]:
    """The excerpt of a line with its caret."""
    place = Location("a.yaml", 1, column, text=line)
    found = text._excerpt(place, "-->", "", 1, text.Style())
    return [row[4:] for row in found][2:]


LINES = [
    ("size: 1", 7, "size: 1", 6),
    ("\tsize: 1", 8, " size: 1", 7),
    ("é: ü", 4, "é: ü", 3),
    ("名前: 値", 5, "名前: 値", 6),
    ("a\u0301b: c", 4, "a\u0301b: c", 2),
    ("a\x1b[2Jb: 1", 8, r"a\x1b[2Jb: 1", 10),
    ("x" * 200, 3, "x" * 74 + "..", 2),
    ("x" * 200, 100, ".." + "x" * 72 + "..", 40),
    ("x" * 200, 200, ".." + "x" * 39, 40),
    ("", 1, "", 0),
]


@pytest.mark.parametrize(("line", "column", "shown", "offset"), LINES)
def test_the_caret_stands_under_the_place(line: str, column: int, shown: str, offset: int) -> None:
    """Also after wide and combining characters, tabs and escapes, and in lines that do not fit."""
    if not line:
        assert at(line, column) == []
        return
    assert at(line, column) == [shown, " " * offset + "^"]


def test_a_note_without_room() -> None:
    """A note that does not fit beside its caret stands below it."""
    place = Location("a.yaml", 1, 60, text="x" * 70)
    found = list(text._excerpt(place, ":::", "Subsystem team-a/db has it", 1, text.Style()))
    assert found[-2:] == ["  | " + " " * 59 + "^", "  | Subsystem team-a/db has it"]


@pytest.mark.timeout(20)
def test_very_long_lines(lint: Lint) -> None:
    """A repository of one endless line, with something wrong everywhere in it, is shown in good time."""
    volume = '{"apiVersion": "storage.holdfast.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "a%d"}},'
    report = lint({"a.yaml": '{"kind": "List", "items": [' + "".join(volume % n for n in range(3000)) + "]}"})
    output = text.render(report)
    assert len(report.findings) == 6000
    assert max(map(len, output.splitlines())) <= 80


def test_nothing_moves_the_cursor(lint: Lint) -> None:
    """Control characters from the repository reach the terminal as escapes only."""
    report = lint({"a.yaml": 'apiVersion: "x\\e[2J"\nkind: "\\a\\u202e"\nmetadata: {name: a}\n'})
    output = text.render(report)
    assert report.findings
    assert all(character.isprintable() or character == "\n" for character in output)
    assert r"\x1b[2J" in output


def test_paths_begin_with_the_root(lint: Lint, house: House) -> None:
    """Paths can be clicked from where the reader is; those of another revision name it."""
    from dataclasses import replace  # noqa: PLC0415  # beside its only use

    report = lint({"a.yaml": "a: ["})
    assert " --> some/folder/a.yaml:2:1" in text.render(replace(report, root="some/folder")).splitlines()
    gone = lint({}, {"db.yaml": house["db.yaml"].replace("size:", "reclaimPolicy: Delete, size:")})
    assert " --> db.yaml:3:18 (base)" in text.render(gone).splitlines()


def test_findings_are_totally_ordered() -> None:
    """Two findings that differ in anything have one order."""
    place = Location("a.yaml", 1, 1)
    findings = [
        Finding("b", Severity.ERROR, "m", place),
        Finding("b", Severity.ERROR, "m", place, help="x"),
        Finding("b", Severity.ERROR, "m", place, path=("spec", 1)),
        Finding("b", Severity.ERROR, "m", place, path=("spec", "a")),
        Finding("b", Severity.ERROR, "m", place, related=((place, "n"),)),
        Finding("b", Severity.WARNING, "m", place),
        Finding("b", Severity.ERROR, "m", place, confidence=Confidence.LOW),
        Finding("b", Severity.ERROR, "m", place, fixed=True),
        Finding("a", Severity.ERROR, "m", Location("a.yaml", 1, 2)),
        Finding("a", Severity.ERROR, "m", Location("b.yaml", 1, 1)),
    ]
    assert all((one < other) != (other < one) for one in findings for other in findings if one is not other)
    assert sorted(findings[3:] + findings[:3]) == sorted(findings)


def test_json_of_a_report(lint: Lint, house: House, troubled: House) -> None:
    """Every report follows the published schema, and says what the text says."""
    clean = valid("report", json.render(lint(house)))
    assert (clean["blocks"], clean["counts"]["findings"]) == (False, {"error": 0, "warning": 0, "info": 0})
    report = lint(troubled, house)
    found = valid("report", json.render(report))
    assert (found["version"], found["blocks"], found["revision"]) == ("holdfast.dev/report/v1", True, "head")
    assert [entry["message"] for entry in found["findings"]] == [finding.message for finding in report.findings]
    gone = valid(
        "report", json.render(lint({}, {"db.yaml": house["db.yaml"].replace("size:", "reclaimPolicy: Delete, size:")}))
    )
    assert gone["findings"][0]["location"]["revision"] == "base"


def test_json_of_an_impact(lint: Lint, house: House, troubled: House) -> None:
    """Every impact follows the published schema: changes both ways, nothing, and what cannot be made out."""
    other = house | {"target.yaml": house["target.yaml"].replace("4420", "4421"), "host.yaml": ""}
    for base, head in ((house, other), (other, house), (house, house), ({}, house), (house, {}), (house, troubled)):
        found = valid("impact", json.render_impact(impact(lint(base).graph, lint(head).graph)))
        assert found["live"] == {
            "time": None,
            "bytesInUse": "unknown",
            "connectedHosts": "unknown",
            "losses": [],
            "unread": [],
        }


def test_text_of_an_impact(lint: Lint, house: House) -> None:
    """What changes and how, why that matters, whom it reaches and by which way, and the sums."""
    head = house | {"target.yaml": house["target.yaml"].replace("4420", "4421")}
    assert (
        impact_text.render(impact(lint(house).graph, lint(head).graph))
        == """\
From head to head

disruptive: update Target node-1
  --> target.yaml:3:18
  - spec.portals[name=front].port: 4420 -> 4421 (made anew: hosts connected to
    the old port lose this path)
  - reaches Subsystem team-a/db through Target node-1
    (spec.exports[targetRef=node-1].portals[front])

disruptive: 1 change: reaches 1 volume (100Gi), 1 subsystem, 1 host, tenants
  team-a
Bytes in use and connected hosts: unknown (no live data).
"""
    )
    assert impact_text.render(impact(lint(house).graph, lint(house).graph)).endswith("\nNothing changes.\n")


def test_text_of_a_removal_and_a_shrink(lint: Lint, house: House) -> None:
    """What is destroyed is named; what is refused says so and is not called a loss; and why the head would not pass."""
    removal = house["host.yaml"].partition("kind")[0] + (
        "kind: Removal\nmetadata: {name: old, namespace: team-a}\nspec: {ref: {kind: Volume, name: old}, "
        "uid: a4074450-b6aa-48e8-819c-23987a12684c, reason: ticket 1, expires: 2026-12-31}\n"
    )
    head = lint(house | {"r.yaml": removal, "db.yaml": house["db.yaml"].replace("100Gi", "50Gi, thin: true")}, house)
    assert (
        impact_text.render(assess(lint(house), head))
        == """\
From head to head

blocked: the head does not pass lint (1 finding), so nothing of this is carried
  out
  - db.yaml:4:41: spec.thin cannot change: a thick volume cannot be made thin;
    declare a new volume and copy [immutable-field-change]

data-loss: create Removal team-a/old
  --> r.yaml:3:18
  - it lets the bytes with its uid be destroyed, once, until it expires
  - destroys Volume team-a/old

refused: update Volume team-a/db
  --> db.yaml:3:18
  - spec.size: 100Gi -> 50Gi (refused: a volume never shrinks, for that would
    lose data; it is KeptLarger)
  - spec.thin: false -> true (refused: a thick volume cannot be made thin;
    declare a new volume and copy)

data-loss: 1 change: reaches 1 volume (size unknown), 0 subsystems, 0 hosts,
  tenants team-a
refused: 1 change: never carried out
Bytes in use and connected hosts: unknown (no live data).
"""
    )


def test_text_of_what_cannot_be_compared(lint: Lint, house: House) -> None:
    """A side that cannot be made out is told with its place, and no change is claimed."""
    found = impact(lint(house).graph, lint({"a.yaml": "a: ["}).graph)
    assert (
        impact_text.render(found)
        == """\
head: did not find expected node content
  --> a.yaml:2:1

No comparison: what cannot be made out is unknown, not deleted.
"""
    )


def test_many_dependents_are_counted(lint: Lint, house: House) -> None:
    """A list of names ends where it stops helping."""
    volume = house["db.yaml"].split("---")[0]
    many = house | {f"{n}.yaml": volume.replace("name: db", f"name: v{n}") for n in range(9)}
    head = {path: content for path, content in many.items() if path != "pool.yaml"}
    output = impact_text.render(impact(lint(many).graph, lint(head).graph))
    assert output.count("- reaches Volume") == impact_text.SHOWN
    assert "  - reaches 6 more" in output.splitlines()


def test_many_findings_are_counted_by_rule(lint: Lint) -> None:
    """Of very many, a table says where to begin: worst first, and of those the most frequent."""
    foreign = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a%d}\n"
    files = {f"{n}.yaml": foreign % n for n in range(text.MANY)} | {"bad.yaml": "a: ["}
    assert text.render(lint(files)).splitlines()[-4:] == [
        "     1 error   invalid-yaml",
        f"{text.MANY:>6} warning unknown-kind",
        "",
        f"1 error, {text.MANY} warnings ({text.MANY} resources, {text.MANY + 1} files)",
    ]
    del files["bad.yaml"]
    assert text.render(lint(files)).splitlines()[-2] == ""


def test_low_confidence_is_said(lint: Lint, house: House) -> None:
    """A finding that its rule is not sure of says so in its first line."""
    from dataclasses import replace  # noqa: PLC0415  # beside its only use

    report = lint(house | {"a.yaml": "a: ["})
    unsure = replace(report, findings=(replace(report.findings[0], confidence=Confidence.LOW, fixed=False),))
    assert text.render(unsure).startswith("error[invalid-yaml, low confidence]: ")
    assert text.render(unsure).endswith("; 1 of low confidence, which fails nothing\n")
    many = replace(unsure, aside=tuple(Aside(unsure.findings[0], by) for by in WORDS))
    assert text.render(many).splitlines()[-3:] == [
        "1 error (6 resources, 6 files);",
        "1 of low confidence, which fails nothing, 1 allowed by a comment, 1 allowed by",
        "the policy, 1 in the baseline, 1 there before the change",
    ]


def test_wide_characters_do_not_widen_the_page(lint: Lint) -> None:
    """Lines of letters that take two columns each still fit the terminal."""
    report = lint(
        {"a.yaml": f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: a}}\n{'名' * 60}: {'値' * 300}\nb: [\n"}
    )
    assert max(map(text._width, text.render(report).splitlines())) <= text.WIDTH
