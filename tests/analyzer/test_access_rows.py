"""Access rows of two revisions: what is gained, lost, or on other terms."""

from __future__ import annotations

from analyzer.access.rows import Grant, Principal, compare
from analyzer.edges import Reference
from schemas.resources import ResourceKey

WEB = Principal("host", "web-1")
DATA = ResourceKey("Volume", "team-a", "data")
SUBSYSTEM = ResourceKey("Subsystem", "team-a", "db")
WAY = Reference(SUBSYSTEM, ("spec", "hosts", "refs", 0), ResourceKey("Host", "", "web-1"))


def test_only_rows_that_differ_are_told() -> None:
    """A row that is gained, lost or on other terms is told; one that stays is not."""
    other = ResourceKey("Volume", "team-a", "other")
    before = [Grant(WEB, DATA, "connect", (("nsid", "1"),)), Grant(WEB, other, "connect")]
    after = [Grant(WEB, DATA, "connect", (("nsid", "2"),)), Grant(WEB, DATA, "write")]
    found = {change.row: (change.before, change.after) for change in compare(before, after)}
    assert found == {
        before[0].row: (before[0], after[0]),
        before[1].row: (before[1], None),
        after[1].row: (None, after[1]),
    }
    assert compare(after, after) == ()


def test_another_reason_for_the_same_access_is_no_change() -> None:
    """Who is let in by a selector instead of by name has the access it had."""
    assert compare([Grant(WEB, DATA, "connect")], [Grant(WEB, DATA, "connect", (), (WAY,))]) == ()


def test_a_change_names_the_terms_that_differ() -> None:
    """The terms of a row that stay are left out; one that only a side has is None on the other."""
    before = Grant(WEB, DATA, "connect", (("nsid", "1"), ("iops", "1000")))
    after = Grant(WEB, DATA, "connect", (("nsid", "1"), ("iops", "2000"), ("masked", "no")))
    [change] = compare([before], [after])
    assert change.terms == (("iops", "1000", "2000"), ("masked", None, "no"))


def test_rows_come_in_a_total_order() -> None:
    """The order of the grants does not matter."""
    rows = [Grant(Principal("group", name), DATA, "see") for name in ("b", "a", "c")]
    assert compare([], rows) == compare([], rows[::-1])
    assert [change.row.principal.name for change in compare([], rows)] == ["a", "b", "c"]
