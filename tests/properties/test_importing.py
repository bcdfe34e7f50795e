"""Targets that somebody made at random are imported as they are: nothing of it lints, nothing of it is changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random  # noqa: TID251  # seeded: the same target again for the same number
from typing import Any

import pytest
from sequences import Player, transports
from world import World, world

from backends.spdk.errors import RpcError
from reconciler import app
from reconciler.importing import Imported

CALLS = 120
EXAMPLES = max(16, int(os.environ.get("HOLDFAST_EXAMPLES", "0")))
ASKED = ("bdev_get_bdevs", "bdev_lvol_get_lvols", "nvmf_get_subsystems", "nvmf_get_transports", "keyring_get_keys")


def play(here: World, seed: int) -> None:
    """Some calls that make sense more often than not, each believed or refused."""
    player = Player(1, Random(f"import {seed}"))  # noqa: S311  # no secret
    for name, content in player.files():
        with (here.folder / name).open("wb") as file:
            file.write(content) if isinstance(content, bytes) else file.truncate(content)
        (here.folder / name).chmod(0o600)
    for call in (*transports(player.random), *chain.from_iterable(player.calls() for _ in range(CALLS))):
        player.learn(call, ask(here, *call))


def ask(here: World, method: str, params: Any) -> dict[str, Any]:
    placed = json.loads(json.dumps(params).replace("{dir}", str(here.folder)))
    try:
        return {"result": here.call(method, placed)}
    except RpcError as error:
        return {"error": str(error)}


def filled_in(here: World, found: Imported) -> Iterator[dict[str, Any]]:
    """With every key where its manifest says."""
    keys = {key["name"]: key["key"] + key["key2"] for key in here.call("accel_crypto_keys_get")}
    for manifest in json.loads(json.dumps([*chain.from_iterable(found.files.values())])):
        if crypto := manifest["spec"].get("crypto"):
            place = Path(here.folder / f"key-{crypto['keyName']}")
            place.write_text(keys[crypto["keyName"]])
            place.chmod(0o600)
            crypto["keyFrom"] = {"file": str(place)}
        yield manifest


def state(here: World) -> list[Any]:
    found: list[Any] = json.loads(json.dumps([here.call(method) for method in ASKED]))
    found[0] = [bdev for bdev in found[0] if bdev["name"] != "holdfast.owner"]
    return found


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_a_random_target_is_imported_as_it_is(seed: int) -> None:
    """Guards adoption: what is written down passes the gate, and the plan changes nothing, whatever is there."""
    with world() as here:
        play(here, seed)
        before = state(here)
        found = app.import_live("n1", {"unixSocket": str(here.socket("n1"))}, "old")
        report = here.push([*filled_in(here, found)])
        assert not report.blocks, [f"{finding.rule}: {finding.message}" for finding in report.findings]
        tick = here.tick()
        assert [f"{step.id}: {step.reason}" for step in tick.plan.steps if step.cause != "claim"] == []
        here.converge()
        assert state(here) == before
