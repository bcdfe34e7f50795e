"""Answers that are lost, late or odd: what was sent is unknown until it is seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from creations import CASES, DELETED, OTHER_UUID, UPDATES, S, Target, live_of, shows
from lab import MIB, SimulatedLab, created, deleted, guard, updated
from peers import Moments, Script, line, refusal

from backends.contract import Applied, BackendError, Change, Transient, Unknown
from backends.objects import Bdev, Lvol, Namespace
from backends.spdk.backend import SpdkBackend
from backends.spdk.simulator import DropAfter, DropBefore, Fault, Hold, Refuse


def _lost(lab: SimulatedLab, fault: Fault, change: Change) -> BackendError | None:
    """How a change ends when its request meets a mishap; questions are answered."""
    known = len(lab.mutations)
    lab.simulator.before("*", lambda *_: fault if len(lab.mutations) > known else None)
    error = lab.apply(change).error
    lab.simulator.forget_hooks()
    return error


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_creation_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards that a request which was sent is Unknown whether it was carried out or not, and sent only once."""
    wanted = CASES[name](lab)
    before = len(lab.mutations)
    assert isinstance(_lost(lab, fault, created(wanted)), Unknown)
    assert len(lab.mutations) == before + 1
    assert shows(live_of(lab, wanted), wanted) is (fault == DropAfter())


@pytest.mark.parametrize("name", DELETED)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_deletion_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards the same where bytes may be gone, or may be still there."""
    wanted = CASES[name](lab)
    lab.make(wanted)
    live = live_of(lab, wanted)
    assert live is not None
    assert isinstance(_lost(lab, fault, deleted(live)), Unknown)
    assert (lab.live(live.key) is None) is (fault == DropAfter())


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("fault", [DropAfter(), DropBefore()], ids=["done", "not done"])
def test_a_change_without_an_answer_is_unknown(lab: SimulatedLab, name: str, fault: Fault) -> None:
    """Guards the same for what is changed in place."""
    before, after = UPDATES[name](lab)
    assert isinstance(_lost(lab, fault, updated(before, after)), Unknown)
    assert shows(live_of(lab, after), after) is (fault == DropAfter())


@pytest.mark.parametrize("name", ["a_thin_lvol", "a_namespace", "limits"])
def test_an_answer_that_never_comes_is_unknown(lab: SimulatedLab, name: str) -> None:
    """Guards that a deadline ends the change but not the doubt: the request was carried out after all."""
    clock = Moments()
    lab.backend.close()
    lab.backend = SpdkBackend(lab.backend.connect, clock)
    wanted = CASES[name](lab)
    known = len(lab.mutations)
    lab.simulator.before("*", lambda *_: Hold(None) if len(lab.mutations) > known else None)
    ticket = lab.backend.begin(created(wanted), ())
    assert lab.backend.wait(0.0) == []
    clock.now += 60.0
    (applied,) = lab.backend.wait(0.0)
    assert applied.ticket == ticket
    assert isinstance(applied.error, Unknown)
    assert "no answer within 60 s" in str(applied.error)
    lab.simulator.forget_hooks()
    assert shows(live_of(lab, wanted), wanted)


@pytest.mark.parametrize("answer", [None, True, 7, ["x"]])
def test_a_created_lvol_whose_uuid_was_not_told_is_unknown(answer: object) -> None:
    """Guards that bytes without an identity are never taken into the books as created."""
    script = Script()
    script.answer(line(1, answer))
    backend = SpdkBackend(lambda: script, script.clock)
    backend.begin(created(Lvol("pool", "v", size=MIB)), ())
    (applied,) = backend.wait(1.0)
    assert isinstance(applied.error, Unknown)


def test_a_refusal_whose_proof_is_lost_is_no_success(lab: SimulatedLab) -> None:
    """Guards that the connection may break between a refusal and the look that would explain it."""
    lab.make(Bdev("null", "null", OTHER_UUID, MIB, 512))
    lab.simulator.before("bdev_get_bdevs", lambda *_: DropBefore())
    assert isinstance(lab.apply(created(Bdev("null", "null", OTHER_UUID, MIB, 512))).error, Transient)
    lab.simulator.before("bdev_null_delete", lambda *_: Refuse(-16, "Device or resource busy"))
    assert isinstance(lab.apply(deleted(Bdev("null", "null"))).error, Transient)


def _removal(*answers: Callable[[int], bytes]) -> tuple[Script, list[Applied]]:
    """How the deletion of namespace 1 goes with these answers to removal, look, look …; its pauses take no time."""
    script = Script()
    script.answer(*(answer(number) for number, answer in enumerate(answers, 1)))

    def sleep(seconds: float) -> None:
        script.clock.now += seconds

    backend = SpdkBackend(lambda: script, script.clock, sleep)
    backend.begin(deleted(Namespace(S, 1, OTHER_UUID)), ())
    ended = list(backend.wait(30.0))
    return script, ended


def removed(number: int) -> bytes:
    return line(number, True)  # noqa: FBT003  # what SPDK answers


def listed(*nsids: int) -> Callable[[int], bytes]:
    namespaces = [{"nsid": nsid, "bdev_name": "x", "uuid": OTHER_UUID, "nguid": "A" * 32} for nsid in nsids]
    plain = {
        "nqn": S,
        "subtype": "NVMe",
        "listen_addresses": [],
        "allow_any_host": False,
        "hosts": [],
        "serial_number": "",
        "model_number": "",
        "max_namespaces": 32,
        "min_cntlid": 1,
        "max_cntlid": 2,
    }
    return lambda number: line(number, [plain | {"namespaces": namespaces}])


def refused(number: int) -> bytes:
    return refusal(number, -32602, "Invalid parameters")


def test_a_namespace_is_gone_before_its_deletion_ends() -> None:
    """Guards the bdev under a namespace: the target lets go of it later than it answers, and it is waited for."""
    script, (applied,) = _removal(removed, listed(1, 2), listed(1, 2), listed(2))
    assert applied.error is None
    assert [request["method"] for request in script.sent] == ["nvmf_subsystem_remove_ns"] + ["nvmf_get_subsystems"] * 3
    assert 0.2 <= script.clock.now - Moments().now < 0.5


def test_a_namespace_that_stays_is_unknown() -> None:
    """Guards that the wait has an end, at which nothing is concluded."""
    script, (applied,) = _removal(removed, *[listed(1)] * 200)
    assert isinstance(applied.error, Unknown)
    assert "still listed" in str(applied.error)
    assert script.clock.now - Moments().now < 15


def test_a_namespace_is_not_concluded_gone_from_a_refusal() -> None:
    """Guards that a subsystem which cannot be read is looked for in the list of all, and nothing follows without it."""
    _, (applied,) = _removal(removed, refused, lambda number: line(number, []))
    assert applied.error is None
    _, (applied,) = _removal(removed, refused, listed(), refused, listed(), refused, refused)
    assert isinstance(applied.error, Unknown)
    _, (applied,) = _removal(refused, listed(1))
    assert isinstance(applied.error, Transient)
    _, (applied,) = _removal(refused, listed(), listed())
    assert applied.error is None


@pytest.mark.parametrize("answers", [1, 2], ids=["while it is looked for", "between two looks"])
def test_a_namespace_that_was_not_seen_gone_is_unknown(answers: int) -> None:
    """Guards that a connection lost between removal and look leaves the bdev under doubt."""
    script = Script()
    script.answer(*(answer(number) for number, answer in enumerate([removed, listed(1)][:answers], 1)))
    backend = SpdkBackend(lambda: script, script.clock, lambda _: None)
    backend.begin(deleted(Namespace(S, 1, OTHER_UUID)), ())
    while script.entries:
        backend.wait(0.0)
    backend.close()
    (applied,) = backend.wait(0.0)
    assert isinstance(applied.error, Unknown)


def test_a_namespace_that_was_removed_frees_its_bdev(target: Target) -> None:
    """Guards the sequence that matters on a live target: namespace, then bdev, with a host's eyes on neither."""
    target.pool()
    lvol = target.lvol("v")
    nqn = target.export("s", n1="pool/v")
    assert target.apply(deleted(Namespace(nqn, 1, lvol.uuid or ""))).error is None
    assert target.apply(deleted(lvol), guard(lvol, claimed=False)).error is None
    assert target.live(lvol.key) is None
