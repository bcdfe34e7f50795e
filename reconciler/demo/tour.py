"""The story without a person: one stage after another, each checked at the target, to the end or the first failure."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.exits import CommandError
from reconciler.demo.initiator import beside
from reconciler.demo.playground import build, ending
from reconciler.demo.processes import target_command
from reconciler.demo.recorder import Recorder
from reconciler.demo.site import Node, Pace
from reconciler.demo.stages import STAGES, Failed, Stage, Story
from reconciler.demo.witness import WitnessError
from schemas.resources import Json

PACE = Pace(source="500ms", resync="1s")


@dataclass(frozen=True, slots=True)
class Result:
    """How a stage went, and what was seen."""

    stage: str
    ok: bool
    seconds: float
    detail: str

    def to_json(self) -> dict[str, Json]:
        return {"stage": self.stage, "ok": self.ok, "seconds": self.seconds, "detail": self.detail}


def tour(folder: Path, nvmf_tgt: Path | None) -> Generator[Result]:
    """All stages in order. Raises CommandError when the story cannot begin."""
    with _set(folder, nvmf_tgt) as story:
        broken = ""
        for name, stage in STAGES:
            if broken:
                yield Result(name, ok=False, seconds=0.0, detail=f"not tried after {broken} failed")
                continue
            result = _play(name, stage, story)
            broken = "" if result.ok else name
            yield result


def _play(name: str, stage: Stage, story: Story) -> Result:
    began = time.monotonic()
    try:
        ok, detail = True, stage(story)
    except (Failed, CommandError, WitnessError) as error:
        ok, detail = False, " ".join(str(error).split())
    return Result(name, ok, round(time.monotonic() - began, 3), detail)


@contextmanager
def _set(folder: Path, nvmf_tgt: Path | None) -> Iterator[Story]:
    """Targets up, repository published, daemon not yet started."""
    built = build(folder, f"unix:{folder / 'http.sock'}", PACE, target_command(nvmf_tgt), _behind_door)
    with ending(built) as playground:
        playground.start_targets()
        recorders = {node.name: Recorder(node.socket, _behind_door(node)) for node in playground.site.nodes}
        for recorder in recorders.values():
            recorder.door.symlink_to(recorder.target)
        initiator = beside(nvmf_tgt, folder) if nvmf_tgt else None
        try:
            yield Story(playground, recorders, initiator, playground.repository.publish(), live=nvmf_tgt is not None)
        finally:
            for recorder in recorders.values():
                recorder.close()


def _behind_door(node: Node) -> Path:
    """Where the target really listens. The manifest's path leads there: first as a symbolic link, so that the daemon
    meets the target process itself (it proves a disk blank only then), later through a recorder.
    """
    return node.socket.with_name("target.sock")
