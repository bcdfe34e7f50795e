"""Comments that speak to Holdfast: where they really are, and what each is about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.comments import comments
from analyzer.document import Source


def about(text: str) -> dict[str, tuple[int, int]]:
    """What follows `# holdfast:` → first and last line."""
    return {comment.text: (comment.first, comment.last) for comment in comments(Source(text.encode()))}


FILE = """\
# holdfast: whole
---
# holdfast: also whole
a: |  # holdfast: head of a text
  text # holdfast: no
  # holdfast: no
b:
  # holdfast: item
  - x: 1  # holdfast: line
    y: "q # holdfast: no
      z"
  # holdfast: next item

  -
    k: 2
c: 'it''s # holdfast: no' # a # holdfast: behind
d: {e: 1,  # holdfast: in braces
  f: [1,
   2]}  # holdfast: end of braces
g:  # holdfast: with all in it
  h:
    - 1

i: x#holdfast:no
# holdfast: second document
---
foo
# holdfast: nothing follows
"""


def test_where_comments_are() -> None:
    """Not within texts of any style; beside something, above it, above a document, and at the end."""
    assert about(FILE) == {
        "whole": (1, 24),
        "also whole": (3, 24),
        "head of a text": (4, 6),
        "item": (8, 11),
        "line": (9, 9),
        "next item": (12, 15),
        "behind": (16, 16),
        "in braces": (17, 17),
        "end of braces": (19, 19),
        "with all in it": (20, 22),
        "second document": (25, 27),
        "nothing follows": (28, 27),
    }


def test_without_comments_nothing_is_read() -> None:
    """A file that never says `holdfast:` costs a search for it, and no reading."""
    assert about("a: [") == {}


BROKEN = ["a: 1 # holdfast: x\n- [", "a: 1 # holdfast: x\nb: \u2028", "# holdfast: x\n" + "[" * 500]


@pytest.mark.parametrize("text", BROKEN)
def test_of_a_broken_file(text: str) -> None:
    """What cannot be read to its end ends nothing but itself."""
    assert set(about(text)) == {"x"}


def test_line_breaks_and_marks() -> None:
    """Lines are counted as an editor counts them, also after a byte order mark."""
    assert about("\ufeff# holdfast: x\r\n\r\na: 1\r\nb: 2 # holdfast: y\r\n") == {"x": (1, 4), "y": (4, 4)}


@given(st.text(alphabet="ab:#-[]{}|>'\"& \n\t*,!%?", max_size=60))
@settings(max_examples=300, deadline=None)
def test_nothing_breaks_it(text: str) -> None:
    """Whatever stands before it, a comment is found or not, and what it is about begins where it stands."""
    for comment in comments(Source(f"{text}\n# holdfast: x\n{text}".encode())):
        assert comment.first == comment.place.line
        assert comment.last >= comment.first - 1
