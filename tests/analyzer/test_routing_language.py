"""Sets of texts: what is in several of them at once, found by walking automata."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.routing.language import Unknown, beginning_with, containing, everything, exactly, witness

EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", "."]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda one: f"(?:{one})*"),
        inner.map(lambda one: f"(?:{one}){{1,2}}"),
    ),
    max_leaves=4,
)
ANCHORED = st.tuples(st.sampled_from(["^", ""]), EXPRESSIONS, st.sampled_from(["$", ""])).map("".join)
TEXTS = st.text(alphabet="abc", max_size=6)


def holds(expression: str, text: str) -> bool:
    """Python's own answer; `$` is made the very end there, as it is in Go."""
    return re.search(expression.replace("$", r"\Z"), text) is not None


@given(ANCHORED, TEXTS)
def test_a_text_is_in_a_set_when_the_expression_matches(expression: str, text: str) -> None:
    """The automaton of an expression holds exactly the texts in which it matches."""
    assert (witness((containing(expression), exactly(text))) == text) == holds(expression, text)


@given(ANCHORED, ANCHORED, TEXTS)
def test_a_witness_is_in_both_and_none_is_missed(one: str, other: str, text: str) -> None:
    """What is found matches both expressions; where nothing is found, no text matches both."""
    found = witness((containing(one), containing(other)))
    if found is None:
        assert not (holds(one, text) and holds(other, text))
    else:
        assert holds(one, found)
        assert holds(other, found)


@given(ANCHORED, ANCHORED, TEXTS)
def test_what_is_left_over_is_in_one_and_not_in_the_other(one: str, other: str, text: str) -> None:
    """A set is within another exactly when nothing of it is left outside."""
    found = witness((containing(one),), (containing(other),))
    if found is None:
        assert holds(other, text) or not holds(one, text)
    else:
        assert holds(one, found)
        assert not holds(other, found)


def test_prefixes_and_exact_texts() -> None:
    """The everyday cases: a path below a prefix, and a prefix that is no whole segment."""
    assert witness((beginning_with("/v1"), exactly("/v1/x", "/v2"))) == "/v1/x"
    assert witness((beginning_with("/v1"), exactly("/v2"))) is None
    assert witness((exactly("/v1", "/v2"),), (exactly("/v1"),)) == "/v2"
    assert witness((everything(),), (everything(),)) is None


def test_case_is_folded_where_the_expression_says_so() -> None:
    """`(?i)` holds to the end of its group, also for letters that only fold to ASCII ones."""
    assert witness((containing("(?i)^/api$"), exactly("/API"))) == "/API"
    assert witness((containing("^(?i:a)b$"), exactly("AB"))) is None
    assert witness((containing("(?i)^k$"), exactly("\u212a"))) == "\u212a"


@pytest.mark.parametrize("expression", [r"\bword\b", r"\p{Greek}", "(?m)^a", "(a{30}){30}b{30}" * 3])
def test_what_cannot_be_followed_is_unknown(expression: str) -> None:
    """Never a guess: scripts, word boundaries, lines, and what would grow too large."""
    with pytest.raises(Unknown):
        witness((containing(expression), everything()))


def test_a_walk_that_would_take_too_long_is_unknown() -> None:
    """Telling apart what differs long ago needs a set of states for each history; the walk is bounded."""
    with pytest.raises(Unknown):
        witness((containing("^.*a.{300}$"),), (containing("^.*b.{300}$"),))
