"""What is read without libyaml is read as libyaml's events tell it, or not at all."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.composer import compose
from analyzer.usual import usual_documents

HERE = Path(__file__).parents[2]
FILES = [path for folder in ("examples", "tests") for path in sorted((HERE / folder).rglob("*.yaml"))]

KEYS = ("a", "b", "spec", "app.kubernetes.io/name", "null", "true", "y", "x" * 260, "'q'", "1", "<<", "- a", "? a")
VALUES = (
    "", " ", "v", "1", "0777", "1e3", "1_000", "-1", ".5", "..", "...", "---", "a b", "a  b", "a: b", "a:b", "a #b",
    "a#b", "# c", "x ", "~", "null", "yes", "True", "2026-01-01", "99999999999999999999999", ".inf", "1:30", "a:",
    "'it''s'", "''", '""', '"a b"', '"a\\n"', '"a', "'a: b'", '"# x" # y', "{}", "[]", "{ }", "[a]", "{a: b}", "|",
    ">-", "&a x", "*a", "!!str 1", "!x", "@a", "`a`", "%a", "a, b", "a - b", "a\tb", "é", "a\\b", "- b", "? b", "$(A)",
    "<x>", "=", "-name", "--a=b", "-.5", "+1", "$A", "<a>", "(a)", "a`b`", "a[0]", "{{ a }}", "a {{ b }}", 'a"b', "a'b",
    "a :b", "a: ", "é b", "“a”", "\u2028", "\ufeff", "\x85", "\x07", 'a:"b"', "http://x:1/#y", "~a", "-é", "- -",
)  # fmt: skip
LINES = st.builds(
    lambda indent, dash, key, value, tail: f"{' ' * indent}{dash}{key}{value}{tail}",
    st.sampled_from((0, 0, 0, 1, 2, 2, 2, 3, 4, 4, 6)),
    st.sampled_from(("", "", "", "- ", "- ", "-", "-  ", "- - ")),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(KEYS), st.sampled_from((":", ": ", ":  ")))),
    st.sampled_from(VALUES),
    st.sampled_from(("", "", "", "", " ", " # c", "\r")),
)  # fmt: skip
PLAIN = st.builds(
    lambda indent, dash, key, value: f"{' ' * indent}{dash}{key}: {value}".rstrip(),
    st.sampled_from((0, 2, 4)),
    st.sampled_from(("", "", "- ")),
    st.sampled_from("abcdefgh"),
    st.sampled_from(("", "", "v", "1", "{}", "'q'")),
)
TEXTS = st.lists(
    st.one_of(LINES, PLAIN, PLAIN, PLAIN, st.sampled_from(("", "---", "# c", "...", "%YAML 1.2", "  # c")))
)


def by_events(data: bytes) -> Any:
    """The values, types and order of keys that libyaml's events give; None where there is a defect."""
    composed = compose(data, record=False)
    return None if composed.defects else [exact(root.value) for root in composed.roots]


def exact(value: Any) -> Any:
    """A value that equals another only if its types and the order of its keys are the same."""
    if isinstance(value, dict):
        return {"keys": [*value], "values": [exact(child) for child in value.values()]}
    return [exact(item) for item in value] if isinstance(value, list) else (type(value).__name__, value)


def agree(data: bytes) -> bool:
    """Whether it was read, and then as libyaml reads it."""
    found = usual_documents(data)
    if found is not None:
        assert [exact(value) for value in found] == by_events(data), data
    return found is not None


@given(TEXTS)
def test_what_is_read_is_what_events_tell(lines: list[str]) -> None:
    """Whatever lines follow each other: the same values, or left to libyaml."""
    agree("\n".join(lines).encode())
    agree("\n".join([*lines, ""]).encode())


@given(st.lists(PLAIN, max_size=8))
def test_keys_and_lists_at_any_indentation(lines: list[str]) -> None:
    """Indentation alone says what is in what; where it does not, nothing is guessed."""
    agree("\n".join(lines).encode())


def test_manifests_of_this_repository() -> None:
    """Every file here is read the same way; of the examples most are read without libyaml."""
    assert FILES
    read = [path for path in FILES if agree(path.read_bytes())]
    examples = [path for path in FILES if path.is_relative_to(HERE / "examples")]
    assert len(set(read) & set(examples)) > len(examples) / 4


@pytest.mark.parametrize(
    "text",
    ["a: b\n  c", "a\nb\n", "a:\n  b\n", "a: 1\na: 2\n", "null: 1\n", "a: 'b\n  c'\n", "a: {b: c}\n", "- - a\n",
     "a: &x 1\n", "a:\n- b\n c: d\n", " a: b\n", "a:\n   b: c\n  d: e\n", "---\n---\na: b\n", "a: b\n---\n", "é: a\n",
     "a: \x85b\n", "a: b\u2028c\n", "\ufeffa: b\n", "a\tb: c\n"],
)  # fmt: skip
def test_what_is_left_to_libyaml(text: str) -> None:
    """Nothing that has another meaning elsewhere, or none, is read by line."""
    assert usual_documents(text.encode()) is None


def test_what_is_usual() -> None:
    """Mappings, lists in them on their own indentation or not, documents, comments and empty values."""
    text = "# x\n---\na: b c\nb:\n- x: 1\n  y:\n  - z\n- 'q: r'\nc:\n    d: {}\n    e:\n---\n- true\n- 0x10\n"
    assert usual_documents(text.encode()) == [
        {"a": "b c", "b": [{"x": 1, "y": ["z"]}, "q: r"], "c": {"d": {}, "e": None}},
        [True, 16],
    ]
