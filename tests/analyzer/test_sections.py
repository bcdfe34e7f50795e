"""How a report stays within its size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analyzer.render.sections import LEAST, Section, fit, size

rows = st.lists(st.text(alphabet="aé€😀", max_size=80), max_size=60)


def test_everything_where_there_is_room() -> None:
    """Guards that nothing is cut without need."""
    told = fit("lead", [Section("A", ["1", "2"], ("h",)), Section("B", ["3"], folded=True)], "foot", 1000)
    assert told == "lead\n#### A\n\nh\n1\n2\n\n<details>\n<summary>B</summary>\n\n3\n\n</details>\n\nfoot"


@given(st.lists(rows, max_size=8), st.integers(1000, 9000))
def test_it_never_grows_beyond_its_budget(tables: list[list[str]], budget: int) -> None:
    """Guards GitHub's limits, beyond which all of it is lost."""
    sections = [Section("T", table, ("head", "--")) for table in tables]
    assert size(fit("lead", sections, "foot", budget, "there")) <= budget


def test_what_is_cut_is_counted() -> None:
    """Guards against a report that looks whole: each section says how many are missing, and where they are."""
    many = [Section(name, [f"{name}{n}" for n in range(2000)]) for name in "AB"]
    told = fit("lead", many, "foot", 3000, "there")
    first, second = told.split("#### B")
    kept = second.count("\nB")
    assert LEAST <= kept <= LEAST + 1
    assert f"… and {2000 - kept:,} more: see there." in second
    assert first.count("\nA") > 100
