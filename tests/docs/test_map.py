"""What leads a newcomer through the tree says what is so: the map of CONTRIBUTING.md, and the pages of docs/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = re.findall(r"^\| [^|]+ \| ([^|]+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)[1:]
PLACE = re.compile(r"`([\w./*<>]+)`")


@pytest.mark.parametrize("row", MAP)
def test_the_map_names_what_there_is(row: str) -> None:
    """Guards each place of the map against a move; a bare name is in or right below the folder of the one before."""
    folder = ROOT
    for place in PLACE.findall(row):
        pattern = re.sub(r"<\w+>", "*", place)
        found = [*ROOT.glob(pattern), *folder.glob(pattern), *folder.glob(f"*/{pattern}")]
        assert found, place
        folder = found[0] if found[0].is_dir() else found[0].parent


def test_every_page_is_linked_from_the_readme() -> None:
    """Guards against a page that nobody finds."""
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", (ROOT / "README.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")}
