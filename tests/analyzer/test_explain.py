"""Explanations of kinds, fields, rules and reasons."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import schemas
from analyzer.explain import FieldTopic, UnknownTopic, find, index, to_json
from analyzer.render import explain as text
from analyzer.rule import Rule
from analyzer.rules import RULES
from schemas.annotations import known_annotations
from schemas.kinds import Kind, our_kinds, settings
from schemas.reasons import reasons

ROOT = Path(schemas.__file__).parent.parent


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
    ("Volum", 'no kind, rule, reason or annotation is called "Volum"; did you mean "Volume"?'),
    ("KeptLargest", 'no kind, rule, reason or annotation is called "KeptLargest"; did you mean "KeptLarger"?'),
    (
        "dangling-refrence",
        'no kind, rule, reason or annotation is called "dangling-refrence"; did you mean "dangling-reference"?',
    ),
    ("Volume.sise", 'Volume has no field "sise"; did you mean "size"?'),
    ("Volume.qos.iop", 'spec.qos has no field "iop"; did you mean "iops"?'),
    ("Volume.size.x", 'spec.size has no field "x"'),
    ("", 'no kind, rule, reason or annotation is called ""'),
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
  increase  in place, safe
  decrease  refused: a volume never shrinks, for that would lose data; it is
            KeptLarger
"""
    )


def test_text_of_what_counts_undeclared() -> None:
    """Guards x-always: a host that nobody lists is a drift, and people read so."""
    assert "  drift      also of what nobody declares here" in text.render(find("Subsystem.hosts.refs")).splitlines()


def test_text_of_a_reference() -> None:
    """A reference says what it names, and within what."""
    found = text.render(find("Subsystem.exports.portals"))
    assert "  refers to  Target, portals[].name of the one that targetRef names" in found.splitlines()


def test_everything_can_be_explained() -> None:
    """Every kind, field, rule and reason has a text that fits the terminal, without placeholders, and a JSON form."""
    subjects = [*our_kinds(), *(rule.id for rule in RULES), *reasons(), *settings()]
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
        assert max(map(len, output.splitlines())) <= 80
        assert isinstance(topic, Rule) or not re.search(r"\{(before|after|item|name|nsid)\}", output)
        json.dumps(to_json(topic), allow_nan=False)


def test_index() -> None:
    """The list names every kind and every rule, with a sentence each, and every reason."""
    output = text.render_index()
    assert max(map(len, output.splitlines())) <= 80
    for name in (*our_kinds(), *(rule.id for rule in RULES)):
        assert f"\n  {name} " in output
    assert index()["rules"] == sorted(rule.id for rule in RULES)
    assert set(reasons()) <= set(re.findall(r"\w+", output.partition("\nReasons\n")[2]))


def test_text_of_a_kind() -> None:
    """Every field of a kind comes with its description, its form and its default."""
    output = " ".join(text.render(find("Volume")).split())
    volume = our_kinds()["Volume"]
    for field in volume.fields.values():
        assert field.path[:1] != ("spec",) or len(field.path) == 1 or field.description in output, field
    assert "needs room for all of them. [boolean; default false]" in output
    assert "Pool that holds the volume. [name: StoragePool]" in output
    assert "[a quantity; required]" in output


def test_what_destroys_says_so() -> None:
    """Removal says that its creation destroys; what is deleted says that a Removal does it."""
    assert "When it is created always data-loss: it lets the bytes" in " ".join(text.render(find("Removal")).split())
    assert "When it is created" not in text.render(find("Volume"))
    for kind in our_kinds().values():
        for spec in ({"reclaimPolicy": "Delete"}, {"reclaimPolicy": "Delete", "malloc": {}}):
            meaning = kind.on_delete(spec)
            assert meaning.hazard != "data-loss" or "a Removal that names" in meaning.reason


def test_text_of_settings() -> None:
    """A configuration file is explained key by key, with defaults."""
    daemon, policy = (" ".join(text.render(find(name)).split()) for name in ("holdfast.toml", ".holdfast.yaml"))
    assert "interval Time between two looks at the repository" in daemon
    assert '[a duration from 10ms to 7d; default "60s"]' in daemon
    assert "disruptiveSubsystems Subsystems whose hosts may lose a path" in policy
    assert "[integer from 0; default 1]" in policy


def test_text_of_a_reason() -> None:
    """A reason says what it means and what to do, in whatever case it is asked for."""
    assert (
        text.render(find("keptlarger"))
        == """\
KeptLarger

  The manifest declares less than the volume has. A volume never shrinks, so it
  stays as it is.

What to do
  Declare the larger size, or move the data to a new volume.
"""
    )


def test_text_of_an_annotation() -> None:
    """An annotation is explained by its name with and without the prefix, with what may be written there."""
    told = text.render(find("holdfast.dev/drift-ignore"))
    assert told == text.render(find("drift-ignore"))
    assert told.endswith("metadata:\n    annotations:\n      holdfast.dev/drift-ignore: spec.qos.readMBps\n")


def test_every_annotation_is_explained() -> None:
    """Whatever the program reads under holdfast.dev/ is in the table, and the table has nothing else."""
    packages = ("analyzer", "reconciler", "schemas")
    sources = [path.read_text("utf-8") for package in packages for path in (ROOT / package).rglob("*.py")]
    assert set(re.findall(r'= "(holdfast\.dev/[A-Za-z-]+)"', "\n".join(sources))) == set(known_annotations())
