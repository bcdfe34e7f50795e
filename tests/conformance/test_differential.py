"""Random sequences of calls, restarts included, made to the simulator and to a real target at the same time."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  # seeded: the same sequences again for the same numbers
from typing import Any, Final

import pytest
from rivals import PATIENCE, Call, DiedError, Live, Plain, Process, Rival, Simulated
from sequences import Player, transports

LANES: Final = 128  # sequences that run side by side on one target
STEPS: Final = 14  # calls of a sequence before, and after, each restart
SEQUENCES: Final = int(os.environ.get("HOLDFAST_SEQUENCES", "256"))
FIRST_SEED: Final = int(os.environ.get("HOLDFAST_SEED", "1"))
FLAGS: Final = ("-m", "0x1", "--no-huge", "-s", "4096", "--interrupt-mode", "--disable-cpumask-locks")


@dataclass
class Lane:
    """A sequence, and how each of two targets is read."""

    player: Player
    plain: tuple[Plain, Plain] = field(default_factory=lambda: (Plain(), Plain()))
    difference: str | None = None
    heard: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))  # (device, event) since the last look

    def compare(self, call: Call, answers: Sequence[Any]) -> None:
        """The first difference ends the sequence: what comes after it follows from it."""
        first, second = (plain(answer) for plain, answer in zip(self.plain, answers, strict=True))
        self.player.learn(call, first)
        if first != second and self.difference is None:
            told = (f"  {json.dumps(past)} → {json.dumps(answer)[:300]}" for past, answer in self.player.history[:-1])
            found = "\n".join(_differences(first, second))
            self.difference = "\n".join([*told, f"{json.dumps(call)}", found])

    def hear(self, news: Sequence[dict[str, Any]], place: int) -> None:
        """Of what one of the two targets tells, that of devices which this sequence has met."""
        for item in news:
            if item["ctx"].startswith(self.player.prefix) or self.plain[place].knows(item["ctx"]):
                self.heard[place].append((item["ctx"], item["type"]))

    def told(self) -> list[Any]:
        """By device: which one of several a store or a disk brings along comes first is a matter of timing."""
        shown = [_by_name((self.plain[place](name), kind) for name, kind in self.heard[place]) for place in (0, 1)]
        self.heard = ([], [])
        return shown


def _by_name(events: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, kind in sorted(events, key=lambda event: event[0]):
        told.setdefault(name, []).append(kind)
    return told


def _differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        for name in {**first, **second}:
            yield from _differences(first.get(name, "absent"), second.get(name, "absent"), f"{path}.{name}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            yield from _differences(*pair, f"{path}[{number}]")
    elif first != second:
        yield f"    at {path}:\n      one says   {json.dumps(first)}\n      other says {json.dumps(second)}"


class Round:
    """Many sequences on two fresh targets, step by step together."""

    def __init__(self, rivals: tuple[Rival, Rival], seed: int, lanes: Iterable[int]) -> None:
        self.rivals = rivals
        self.heard = [0, 0]  # notifications of each so far
        self.difference: str | None = None  # in what belongs to no sequence
        self.random = Random(seed)  # noqa: S311  # no secret
        self.lanes = [Lane(Player(number, Random(f"{seed} {number}"))) for number in lanes]  # noqa: S311
        for rival, lane in itertools.product(rivals, self.lanes):
            for name, content in lane.player.files():
                _make(rival.directory / name, content)

    def play(self) -> None:
        for _ in range(1 + self.random.randrange(2)):
            for _ in range(STEPS):
                self._step([(lane, lane.player.calls()) for lane in self._alive()])
            self._look_at_all()
            self._restart()
        for _ in range(STEPS):
            self._step([(lane, lane.player.calls()) for lane in self._alive()])
        self._look_at_all()

    def begin(self) -> None:
        calls = list(transports(self.random))
        for rival in self.rivals:
            rival.start()
        first, second = ([rival.ask([call])[0] for call in calls] for rival in self.rivals)
        if first != second and self.difference is None:
            self.difference = f"{json.dumps(calls)}\n" + "\n".join(_differences(first, second))
        self.heard = [0, 0]

    def _alive(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.difference is None]

    def _step(self, asked: Sequence[tuple[Lane, Sequence[Call]]]) -> None:
        calls = [call for _, some in asked for call in some]
        if not calls:
            return
        answers = [rival.ask(calls) for rival in self.rivals]
        pairs = iter(zip(*answers, strict=True))
        for lane, some in asked:
            for call in some:
                lane.compare(call, next(pairs))
        self._listen()
        if any(method.startswith(("bdev_raid", "bdev_aio", "bdev_uring")) for method, _ in calls):
            self._wait_for_rebuilds()

    def _listen(self) -> None:
        """What each target tells of its devices, to each sequence what its own."""
        told = [self._news(place) for place in (0, 1)]
        for lane in self._alive():
            for place, news in enumerate(told):
                lane.hear(news, place)

    def _news(self, place: int) -> list[dict[str, Any]]:
        (answer,) = self.rivals[place].ask([("notify_get_notifications", {"id": self.heard[place], "max": 1024})])
        news: list[dict[str, Any]] = answer["result"]
        self.heard[place] += len(news)
        return news

    def _wait_for_rebuilds(self) -> None:
        look: Call = ("bdev_raid_get_bdevs", {"category": "online"})
        deadline = time.monotonic() + PATIENCE
        for rival in self.rivals:
            while "process" in json.dumps(rival.ask([look])):
                if time.monotonic() > deadline:
                    raise DiedError(rival.process.how_it_is(), look)

    def _restart(self) -> None:
        gently = self.random.random() < 0.5
        for rival in self.rivals:
            rival.stop(gently=gently)
        self.begin()
        for lane in self._alive():
            lane.player.restarted()
            lane.player.history.append((("restart", None), None))
        coming = {id(lane): lane.player.attach_again() for lane in self.lanes}
        for number in range(7):
            asked = [(lane, coming[id(lane)][number : number + 1]) for lane in self._alive()]
            self._step([(lane, some) for lane, some in asked if some])
        for rival in self.rivals:
            rival.ask([("bdev_wait_for_examine", None)])
        self._look_at_all()

    def _look_at_all(self) -> None:
        """The whole state, each sequence's own part of it, and what was told of it since the last time."""
        lists = [_State(rival) for rival in self.rivals]
        self._listen()
        for lane in self._alive():
            lane.compare(("look at everything", None), [state.of(lane.player.number) for state in lists])
            lane.compare(("notify_get_notifications", None), lane.told())


ASKED: Final[Sequence[Call]] = (
    ("bdev_get_bdevs", None),
    ("bdev_lvol_get_lvstores", None),
    ("bdev_lvol_get_lvols", None),
    ("bdev_raid_get_bdevs", {"category": "all"}),
    ("nvmf_get_subsystems", None),
    ("keyring_get_keys", None),
    ("accel_crypto_keys_get", None),
    ("nvmf_discovery_get_referrals", None),
    ("framework_get_config", {"name": "bdev"}),
    ("framework_get_config", {"name": "nvmf"}),
)
OWNER: Final = re.compile(r"L(\d{3})|127\.9\.(\d+)\.1")


class _State:
    """What a target lists, by whose it is."""

    def __init__(self, rival: Rival) -> None:
        answers = rival.ask(ASKED)
        lvols = answers[2]["result"]
        self._whose = {lvol["uuid"]: lvol["alias"] for lvol in lvols}
        self._parts = [self._parted(answer["result"]) for answer in answers]

    def of(self, number: int) -> dict[str, Any]:
        return {
            f"{method} {(params or {}).get('name', '')}": parts.get(number, [])
            for (method, params), parts in zip(ASKED, self._parts, strict=True)
        }

    def _parted(self, items: Sequence[Any]) -> dict[int, list[Any]]:
        parts: dict[int, list[Any]] = {}
        for item in items:
            text = json.dumps(item)
            if item.get("method") == "bdev_set_qos_limit":
                text = self._whose.get(item["params"]["name"], text)
            if owner := OWNER.search(text):
                parts.setdefault(int(owner[1] or owner[2]), []).append(item)
        return parts


def _make(path: Path, content: int | bytes) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            file.truncate(content)
    path.chmod(0o600)


@contextmanager
def rivals(first: Process, second: Process) -> Iterator[tuple[Rival, Rival]]:
    directories = [Path(tempfile.mkdtemp(prefix="rival-")) for _ in range(2)]
    made = Rival(first, directories[0]), Rival(second, directories[1])
    try:
        yield made
    finally:
        for rival, directory in zip(made, directories, strict=True):
            rival.stop(gently=False)
            shutil.rmtree(directory)


def differences(first: Process, second: Process, seed: int, lanes: Iterable[int] = range(LANES)) -> list[str]:
    """What one round of sequences tells the two apart by; `lanes` are those of the seed that are played."""
    with rivals(first, second) as both:
        played = Round(both, seed, lanes)
        try:
            played.begin()
            played.play()
        except DiedError as died:
            how, *left = died.args
            return [f"seed {seed}: a target died or hung; {how}\non\n" + "\n".join(json.dumps(call) for call in left)]
        shared = [f"seed {seed}: {played.difference}"] if played.difference else []
        return shared + [
            f"seed {seed}, sequence {lane.player.number}:\n{lane.difference}"
            for lane in played.lanes
            if lane.difference
        ]


@pytest.mark.spdk
@pytest.mark.timeout(0)
def test_the_simulator_says_what_a_real_target_says() -> None:
    """Guards every sentence of the simulator at once: thousands of sequences, the same outcomes and final states."""
    command = [os.environ["SPDK_TGT"], *FLAGS]
    found: list[str] = []
    for seed in range(FIRST_SEED, FIRST_SEED + -(-SEQUENCES // LANES)):
        found += differences(Live(command), Simulated(), seed)

    assert not found, "\n\n".join(found[:20])


def test_a_sequence_says_the_same_to_two_of_a_kind() -> None:
    """Guards the comparison itself: identities, times and places that differ between two runs are no difference."""
    assert differences(Simulated(), Simulated(), FIRST_SEED, range(12)) == []


if __name__ == "__main__":
    for at in range(FIRST_SEED, FIRST_SEED + -(-SEQUENCES // LANES)):
        for text in differences(Live([os.environ["SPDK_TGT"], *FLAGS]), Simulated(), at):
            sys.stdout.write(text + "\n\n")
