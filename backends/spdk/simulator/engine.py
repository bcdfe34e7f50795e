"""Carries calls out, by turns. Knows no sockets: an answer is handed to whoever waits for it, or to nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from backends.spdk.simulator import (
    bdev_methods,
    config_methods,
    crypto_methods,
    errors,
    file_methods,
    framework_methods,
    keyring_methods,
    layer_methods,
    lvol_lineage_methods,
    lvol_methods,
    lvstore_methods,
    nvme_methods,
    nvmf_host_methods,
    nvmf_listener_methods,
    nvmf_methods,
    nvmf_namespace_methods,
    raid_assembly,
    raid_methods,
    volumes,
    wire,
)
from backends.spdk.simulator.errors import RpcError
from backends.spdk.simulator.methods import METHODS, Method
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Examiner, Reader, Reviver, Target
from backends.spdk.simulator.wire import Call, Invalid
from schemas.resources import Json

HANDLERS: Final[Mapping[str, Handler]] = {
    **framework_methods.HANDLERS,
    **config_methods.HANDLERS,
    **bdev_methods.HANDLERS,
    **file_methods.HANDLERS,
    **layer_methods.HANDLERS,
    **lvstore_methods.HANDLERS,
    **lvol_methods.HANDLERS,
    **lvol_lineage_methods.HANDLERS,
    **nvmf_methods.HANDLERS,
    **nvmf_namespace_methods.HANDLERS,
    **nvmf_listener_methods.HANDLERS,
    **nvmf_host_methods.HANDLERS,
    **keyring_methods.HANDLERS,
    **crypto_methods.HANDLERS,
    **raid_methods.HANDLERS,
    **nvme_methods.HANDLERS,
}
WAITING: Final[tuple[Examiner, ...]] = (
    layer_methods.wait_for,
    crypto_methods.wait_for,
    raid_assembly.wait_for,
)
REVIVING: Final[tuple[Reviver, ...]] = (volumes.revive,)
READING: Final[tuple[Reader, ...]] = (raid_assembly.examine, volumes.load)

TOO_EARLY: Final = "Method may only be called after framework is initialized using framework_start_init RPC."
TOO_LATE: Final = (
    "Method may only be called before framework is initialized. Use --wait-for-rpc command line parameter and then"
    " issue this RPC before the framework_start_init RPC."
)

_NOBODY: Final = Call(None, "", None)  # asked for what goes on by itself

Reply: TypeAlias = "Callable[[str | None], None]"  # an answer, or None where none is due


@dataclass(eq=False, slots=True)
class _Task:
    """A call that is not answered yet."""

    call: Call
    steps: Steps
    reply: Reply


class Engine:
    """Runs the calls of one target process."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._messages: deque[_Task] = deque()
        self._io: list[_Task] = []
        self._polling: list[_Task] = []

    @property
    def is_busy(self) -> bool:
        """Something goes on by itself, without anything coming in."""
        return bool(self._io)

    @property
    def is_at_work(self) -> bool:
        """Something was begun and is not finished."""
        return bool(self._messages or self._io)

    @property
    def is_polling(self) -> bool:
        return bool(self._polling)

    def submit(self, call: Call | Invalid, reply: Reply) -> None:
        """Begin a call. A synchronous one is answered before this returns."""
        if isinstance(call, Invalid):
            reply(wire.refusal_of(call, RpcError(errors.INVALID_REQUEST, "Invalid request")))
            return
        try:
            result = self._begin(call)
        except RpcError as error:
            reply(wire.refusal_of(call, error))
            return
        if isinstance(result, Generator):
            self._advance(_Task(call, result, reply))
        else:
            reply(wire.result_of(call, result))
        self._begin_background()

    def _begin_background(self) -> None:
        while self.target.background:
            self._advance(_Task(_NOBODY, self.target.background.popleft(), lambda _: None))

    def _begin(self, call: Call) -> Json | Steps:
        method = METHODS.get(call.method)
        if method is None or not self.target.permits(call.method):
            raise RpcError(errors.METHOD_NOT_FOUND, "Method not found")
        self._check_state(method)
        return HANDLERS[call.method](self.target, **method.decode(call))

    def _check_state(self, method: Method) -> None:
        if not (method.runtime if self.target.initialized else method.startup):
            raise RpcError(errors.INVALID_STATE, TOO_LATE if self.target.initialized else TOO_EARLY)

    def run_messages(self) -> None:
        """Deliver messages until there are none, each in the order in which it was sent."""
        while self._messages:
            self._advance(self._messages.popleft())

    def take_io(self) -> list[_Task]:
        """What the device is at: to be finished by the end of this turn, whatever comes in meanwhile."""
        taken, self._io = self._io, []
        return taken

    def take_polls(self) -> list[_Task]:
        """What some milliseconds may have changed."""
        taken, self._polling = self._polling, []
        return taken

    def resume(self, tasks: list[_Task]) -> None:
        for task in tasks:
            self._advance(task)
        self.run_messages()

    def _advance(self, task: _Task) -> None:
        try:
            pause = next(task.steps)
        except StopIteration as done:
            task.reply(wire.result_of(task.call, done.value))
        except RpcError as error:
            task.reply(wire.refusal_of(task.call, error))
        else:
            self._park(task, pause)
        self._begin_background()

    def _park(self, task: _Task, pause: Pause) -> None:
        match pause:
            case Pause.MESSAGE:
                self._messages.append(task)
            case Pause.IO:
                self._io.append(task)
            case Pause.POLL:
                self._polling.append(task)
            case Pause.NEVER:
                pass
