"""What earlier runs have kept never changes an answer: however old, damaged, or written by two at once."""

from __future__ import annotations

import random  # noqa: TID251  # seeded: the same damage every time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from edits import Edited
from forge import Forge

from analyzer.analyze import analyze
from analyzer.authority import history as told
from analyzer.git import departure, read_snapshot
from analyzer.impact.assess import assess
from analyzer.render import impact, json, text
from analyzer.report import Report
from reconciler.cli import cache
from reconciler.cli.warm import Warm

AS_OF = date(2026, 6, 1)


def said(report: Report) -> tuple[str, str]:
    return json.render(report), text.render(report, aside=True)


def done(base: Report, head: Report) -> tuple[str, str]:
    """What the change does, for machines and for people."""
    found = assess(base, head)
    return json.render_impact(found), impact.render(found)


def cold(repository: Path, rev: str, base: str = "", as_of: date = AS_OF) -> Report:
    before = analyze(read_snapshot(repository, base), as_of=as_of) if base else None
    return analyze(read_snapshot(repository, rev), as_of=as_of, base=before)


class History:
    """A repository whose commits follow from each other by random edits."""

    def __init__(self, folder: Path, seed: int, size: int = 40) -> None:
        self.forge = Forge(folder / f"{seed}.git")
        # a repository that says how others are deployed, or what kinds there are, is always read in full
        self._edited = Edited(seed, size=size, deployed=False)
        self._commit()

    @property
    def path(self) -> Path:
        return self.forge.path

    def _commit(self) -> str:
        blobs = self._edited.snapshot().blobs
        return self.forge.commit({f"{path[0]}/{path}" if path[0] in "abc" else path: blob.data.decode()
                                  for path, blob in blobs.items()})  # fmt: skip

    def commits(self, count: int) -> Iterator[str]:
        for _ in range(count):
            self._edited.edit(self._edited.chance.choice((1, 1, 2, 5)))
            yield self._commit()


def replay(folder: Path, seed: int, count: int, size: int = 40) -> int:
    """Judge every commit with a new process's knowledge: what was kept, and nothing else; how often that was used."""
    history = History(folder, seed, size)
    used, last = 0, history.forge.head()
    for number, rev in enumerate(history.commits(count)):
        as_of = AS_OF + timedelta(days=200 * (number // 5))
        warm = Warm(history.path, "", as_of, folder / "kept")
        if number % 3:
            assert said(warm.alone(rev)) == said(cold(history.path, rev, as_of=as_of)), f"seed {seed}, commit {number}"
        else:
            before, after = warm.compared(departure(history.path, last, rev), rev, lambda _: told.History())
            assert said(before) == said(cold(history.path, last, as_of=as_of)), f"seed {seed}, base of {number}"
            from_nothing = cold(history.path, rev, last, as_of)
            assert said(after) == said(from_nothing), f"seed {seed}, commit {number}"
            expected = done(cold(history.path, last, as_of=as_of), from_nothing)
            assert done(before, after) == expected, f"seed {seed}, impact of {number}"
        used += warm._known is not None
        last = rev
    return used


@pytest.mark.parametrize("seed", range(3))
def test_what_was_kept_says_the_same(tmp_path: Path, seed: int) -> None:
    """Guards the cache: every commit is judged as if nothing had ever been kept, and what was kept is of use."""
    assert replay(tmp_path, seed, 15) > 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_long_history_of_commits(tmp_path: Path) -> None:
    """The same over several hundred commits."""
    assert replay(tmp_path, 7, 400, 120) > 200  # not where a commit changes what all files mean


def test_all_is_written_anew_when_much_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the folding of changes into the lowest table: nothing is lost or comes back, and no table is left over."""
    monkeypatch.setattr(cache, "MOST_CHANGES", 60)
    assert replay(tmp_path, 4, 15) > 8
    assert len(list((tmp_path / "kept").glob("*/*.table"))) <= 2 * len(list((tmp_path / "kept").glob("*/head")))


def test_damage_is_noticed(tmp_path: Path) -> None:
    """Guards against believing what a disk has changed: whatever byte is another, the answer is the same."""
    history = History(tmp_path, 5)
    first, second = history.commits(2)
    chance, kept = random.Random(1), tmp_path / "kept"  # noqa: S311  # see above
    expected = said(cold(history.path, second))
    for number in range(60):
        Warm(history.path, "", AS_OF, kept).alone(first)
        files = sorted(path for path in kept.rglob("*") if path.is_file())
        _damage(chance.choice(files), chance, cut=number % 5 == 0)
        assert said(Warm(history.path, "", AS_OF, kept).alone(second)) == expected


def _damage(path: Path, chance: random.Random, *, cut: bool) -> None:
    data = bytearray(path.read_bytes() or b"?")  # nothing may be left of it after an earlier cut
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data[:at] if cut else data)


def test_two_at_once(tmp_path: Path) -> None:
    """Guards runs beside each other: whoever writes last is believed, and both have said what is so."""
    history = History(tmp_path, 6)
    revs = list(history.commits(4))
    kept = tmp_path / "kept"
    Warm(history.path, "", AS_OF, kept).alone(revs[0])
    one, other = (Warm(history.path, "", AS_OF, kept) for _ in range(2))
    caches = [(warm, warm._open(rev)) for warm, rev in ((one, revs[1]), (other, revs[2]))]
    found = [warm._from_kept(rev) or warm._from_nothing(rev) for (warm, _), rev in zip(caches, revs[1:3], strict=True)]
    for (warm, open_cache), at in zip(caches, found, strict=True):
        warm._keep(open_cache, at)
    assert [said(at.report) for at in found] == [said(cold(history.path, rev)) for rev in revs[1:3]]
    assert said(Warm(history.path, "", AS_OF, kept).alone(revs[3])) == said(cold(history.path, revs[3]))


def test_no_more_is_kept_than_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the disk: of more folders than fit the oldest go, and that at hand stays."""
    monkeypatch.setattr(cache, "LARGEST", 1)
    for seed in (8, 9):
        history = History(tmp_path, seed)
        Warm(history.path, "", AS_OF, tmp_path / "kept").alone(history.forge.head())
    assert len(list((tmp_path / "kept").glob("*/head"))) == 1


def test_nowhere_to_keep_anything(tmp_path: Path) -> None:
    """Guards machines without a home: what cannot be kept is not, and the answer is the same."""
    history = History(tmp_path, 10)
    (tmp_path / "kept").write_text("a file, no folder")
    rev = history.forge.head()
    assert said(Warm(history.path, "", AS_OF, tmp_path / "kept").alone(rev)) == said(cold(history.path, rev))
