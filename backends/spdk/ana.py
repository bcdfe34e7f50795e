"""ANA states of listeners: reading them, which takes a call for each subsystem, and setting them. Pure.

SPDK neither lists nor saves them elsewhere, and a listener that is made anew is optimized unless told otherwise
(observed on v26.05).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from backends.ana_states import ana_states, ana_text
from backends.objects import Listener, LiveObject, ObjectKey
from backends.spdk import methods, model
from backends.spdk.client import Call
from backends.spdk.shape import items, mapping, objects, shape, text
from schemas.resources import Json


def ana(nqn: str, answer: Json) -> Mapping[ObjectKey, str]:
    """The states of each listener of a subsystem in words; none where it does not report ANA."""
    with shape("nvmf_subsystem_get_listeners"):
        return {
            model.listener(nqn, mapping(raw["address"])).key: ana_text(
                [text(mapping(entry), "ana_state") for entry in items(raw["ana_states"])]
            )
            for raw in objects(answer)
            if raw.get("ana_states")
        }


def with_ana(things: Iterable[LiveObject], states: Mapping[ObjectKey, str]) -> tuple[LiveObject, ...]:
    """The same with the states of listeners, where they are known."""
    return tuple(
        dataclasses.replace(thing, ana=states[thing.key])
        if isinstance(thing, Listener) and thing.key in states
        else thing
        for thing in things
    )


def setting(before: Listener, after: Listener) -> Iterator[Call]:
    """The calls that bring a listener from its states to others."""
    if after.ana is None or before.ana == after.ana:
        return
    if "," not in after.ana:
        yield methods.ana_state(after, 0, after.ana)
        return
    wanted = ana_states(after.ana, 0)
    have = ana_states(before.ana or "inaccessible", len(wanted))
    for group, (is_now, shall_be) in enumerate(zip(have, wanted, strict=True), start=1):
        if is_now != shall_be:
            yield methods.ana_state(after, group, shall_be)
