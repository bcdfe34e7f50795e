"""Explanations of kinds, fields and rules."""

from __future__ import annotations

import json

import pytest

from analyzer.explain import FieldTopic, UnknownTopic, find, index, to_json
from analyzer.render import explain as text
from analyzer.rule import Rule
from analyzer.rules import RULES
from schemas.kinds import Kind, our_kinds


@pytest.mark.parametrize("name", ["Volume", "volume", "volumes", "vol", "VOL"])
def test_names_of_kinds(name: str) -> None:
    """A kind is found by its name, its plural and its short name, in any case."""
    found = find(name)
    assert isinstance(found, Kind)
    assert found.name == "Volume"


@pytest.mark.parametrize(
    "name", ["subsys.spec.exports[].portals", "Subsystem.exports.portals", "Subsystem.exports[].portals"]
)
def test_names_of_fields(name: str) -> None:
    """A field is found with and without `spec` and `[]`."""
    found = find(name)
    assert isinstance(found, FieldTopic)
    assert str(found.field) == "spec.exports[].portals"


UNKNOWN = [
    ("Volum", 'no kind or rule is called "Volum"; did you mean "Volume"?'),
    ("dangling-refrence", 'no kind or rule is called "dangling-refrence"; did you mean "dangling-reference"?'),
    ("Volume.sise", 'Volume has no field "sise"; did you mean "size"?'),
    ("Volume.qos.iop", 'spec.qos has no field "iop"; did you mean "iops"?'),
    ("Volume.size.x", 'spec.size has no field "x"'),
    ("", 'no kind or rule is called ""'),
]


@pytest.mark.parametrize(("subject", "message"), UNKNOWN)
def test_unknown_names(subject: str, message: str) -> None:
    """What nothing is called offers what is near."""
    with pytest.raises(UnknownTopic) as error:
        find(subject)
    assert str(error.value) == message


def test_text_of_a_field() -> None:
    """Description, type, unit, example, and what each direction of a change means."""
    assert (
        text.render(find("Volume.size"))
        == """\
Volume.spec.size  (required)

  Size, rounded up to the pool's cluster size.

  type     a quantity
  unit     bytes
  example  "100Gi"

When it changes
  increase  in place, safe: growing {before} → {after}
  decrease  refused, data-loss: shrinking {before} → {after} would cut off data;
            the volume keeps its larger size
"""
    )


def test_text_of_a_reference() -> None:
    """A reference says what it names, and within what."""
    found = text.render(find("Subsystem.exports.portals"))
    assert "  refers to  Target, portals[].name of the one that targetRef names" in found.splitlines()


def test_everything_can_be_explained() -> None:
    """Every kind, field and rule has a text that fits the terminal and a JSON form."""
    subjects = [*our_kinds(), *(rule.id for rule in RULES)]
    subjects += [
        f"{kind.name}.{field}"
        for kind in our_kinds().values()
        for field in kind.fields.values()
        if not str(field).endswith("[]")
    ]
    for subject in subjects:
        topic = find(subject)
        output = text.render(topic)
        assert output.strip()
        assert isinstance(topic, Rule) or max(map(len, output.splitlines())) <= 80
        json.dumps(to_json(topic), allow_nan=False)


def test_index() -> None:
    """The list names every kind and every rule, with a sentence each."""
    output = text.render_index()
    assert max(map(len, output.splitlines())) <= 80
    for name in (*our_kinds(), *(rule.id for rule in RULES)):
        assert f"\n  {name} " in output
    assert index()["rules"] == sorted(rule.id for rule in RULES)
