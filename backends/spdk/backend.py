"""SPDK behind the backend contract: one connection, many conversations in flight on it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import (
    Applied,
    BackendError,
    Bdev,
    Change,
    Guard,
    Interest,
    Lvol,
    LvolStore,
    ObjectKind,
    Observed,
    Transient,
    fields_of,
    index,
)
from backends.spdk import methods, model
from backends.spdk.apply import Conversation, Pause, apply, read
from backends.spdk.client import Call, Client, Reply
from backends.spdk.errors import Disconnected, RpcError
from backends.spdk.observe import Observer
from backends.spdk.transport import Transport
from schemas.resources import Json


@dataclass
class SpdkBackend:
    """One SPDK target. Connects when first needed, and again after the connection was lost."""

    connect: Callable[[], Transport]
    monotonic: Callable[[], float] = time.monotonic
    _observer: Observer | None = None
    _tickets: int = 0
    _waiting: dict[int | str, tuple[int, Conversation]] = field(default_factory=dict)  # call id → whose it is
    _asleep: list[tuple[float, int, Conversation]] = field(default_factory=list)
    _ended: list[Applied] = field(default_factory=list)

    def observe(self, interest: Interest) -> Observed:
        try:
            return self._connected().observe(interest)
        except RpcError as error:
            raise error.verdict() from error

    def hurry(self, since: int) -> tuple[int, bool]:
        try:
            return self._connected().news(since)
        except RpcError as error:
            raise error.verdict() from error

    def begin(self, change: Change, guards: Sequence[Guard]) -> int:
        self._connected()
        self._tickets += 1
        self._advance(self._tickets, apply(change, guards, self._facts), None)
        return self._tickets

    def wait(self, timeout: float) -> Sequence[Applied]:
        deadline = self.monotonic() + timeout
        while not self._ended and (self._waiting or self._asleep):
            self._wake()
            left = deadline - self.monotonic()
            if left <= 0:
                break
            for reply in self._client().replies(min(left, self._until_next_wake())) if self._waiting else self._rest():
                ticket, conversation = self._waiting.pop(reply.id)
                self._advance(ticket, conversation, reply)
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        if self._observer:
            self._observer.client.close()
        self._observer = None

    def _connected(self) -> Observer:
        if self._observer is None or self._observer.client.closed:
            try:
                self._observer = Observer(Client(self.connect(), self.monotonic))
            except Disconnected as error:
                raise Transient(str(error)) from error
        return self._observer

    def _client(self) -> Client:
        if self._observer is None:
            raise Transient("not connected")
        return self._observer.client

    def _advance(self, ticket: int, conversation: Conversation, reply: Reply | None) -> None:
        """Give a conversation its answer and do what it asks next."""
        try:
            step = next(conversation) if reply is None else _resume(conversation, reply)
            if isinstance(step, Pause):
                heapq.heappush(self._asleep, (self.monotonic() + step.seconds, ticket, conversation))
            else:
                self._waiting[self._client().start(step)] = (ticket, conversation)
        except StopIteration as end:
            self._ended.append(Applied(ticket, uid=end.value))
        except BackendError as error:
            self._ended.append(Applied(ticket, error))
        except RpcError as error:
            self._ended.append(Applied(ticket, error.verdict()))

    def _wake(self) -> None:
        now = self.monotonic()
        while self._asleep and self._asleep[0][0] <= now:
            _, ticket, conversation = heapq.heappop(self._asleep)
            self._advance(ticket, conversation, None)

    def _until_next_wake(self) -> float:
        return max(0.0, self._asleep[0][0] - self.monotonic()) if self._asleep else 3600.0

    def _rest(self) -> Sequence[Reply]:
        time.sleep(min(0.05, self._until_next_wake()))
        return ()

    def _facts(self, guard: Guard) -> Generator[Call | Pause, Json, Mapping[str, Json]]:
        """What is true of an object right now, under the names that guards use."""
        key, asked = guard.key, guard.facts
        if key.kind is ObjectKind.LVOL_STORE:
            live = index(model.lvol_stores((yield methods.LVOL_STORES))).get(key)
            if isinstance(live, LvolStore) and "lvols" in asked:
                inside = model.lvols((yield methods.lvols(live.uuid or "")), model.Bdevs((), {}, {}))
                names: list[Json] = [*sorted(lvol.name for lvol in inside)]
                return {**fields_of(live), "lvols": names}
            return fields_of(live)
        live_object = yield from read(key)
        found = fields_of(live_object)
        if isinstance(live_object, (Bdev, Lvol)):
            found["claimed"] = live_object.claimed
        if isinstance(live_object, Lvol):
            found["clones"] = list(live_object.clones)
        if "connected" in asked:
            nqn = key.name.partition("#")[0]
            controllers = yield methods.controllers(nqn)
            found["connected"] = [*sorted(model.connections(nqn, controllers, []))]
        if "blank" in asked and isinstance(live_object, Bdev):
            pid = model.pid((yield methods.REACTORS))
            found["blank"] = self._connected().blank({key: live_object}, live_object.name, pid)
        return found


def _resume(conversation: Conversation, reply: Reply) -> Call | Pause:
    try:
        result = reply.result()
    except (RpcError, BackendError) as error:
        return conversation.throw(error)
    return conversation.send(result)
