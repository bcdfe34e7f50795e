"""SPDK behind the backend contract: one connection, many conversations in flight on it."""

from __future__ import annotations

import dataclasses
import heapq
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.contract import Applied, BackendError, Change, Guard, GuardMismatch, Interest, Observed, Secrets, Terminal
from backends.fields import fields_of
from backends.objects import Bdev, KeyringKey, Lvol, LvolStore, ObjectKey, ObjectKind, index
from backends.spdk import methods, model, shape, stacks
from backends.spdk.apply import Conversation, apply
from backends.spdk.client import Call, Client, Reply
from backends.spdk.errors import Deserted, Disconnected, RpcError
from backends.spdk.looking import Pause, look, read
from backends.spdk.observe import Observer
from backends.spdk.transport import Transport
from schemas.resources import Json


class NoSecrets:
    """For a backend that is asked for nothing secret."""

    def material(self, source: str, fingerprint: str) -> str:
        del fingerprint
        raise Terminal(f"{source}: nobody to ask for it")

    def deposit(self, key: KeyringKey) -> None:
        raise Terminal(f"{key.key_from}: nobody to ask for it")


@dataclass
class SpdkBackend:
    """One SPDK target. Connects when first needed, and again after the connection was lost.

    No conversation outlives its connection: it ends with whatever that means for what it was about.
    """

    connect: Callable[[], Transport]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    secrets: Secrets = field(default_factory=NoSecrets)
    _observer: Observer | None = None
    _sighted: Observer | None = None  # what was observed last, and with it what changes rest on
    _tickets: int = 0
    _waiting: dict[int, tuple[int, Conversation]] = field(default_factory=dict)  # call id → whose it is
    _asleep: list[tuple[float, int, Conversation]] = field(default_factory=list)
    _ended: list[Applied] = field(default_factory=list)

    def observe(self, interest: Interest) -> Observed:
        try:
            observer = self._connected()
            found = observer.observe(interest)
        except RpcError as error:
            raise error.verdict() from error
        self._sighted = observer
        if not interest.keyed:
            return found
        return dataclasses.replace(found, keyed={device.name: self._has_key(device) for device in interest.keyed})

    def _has_key(self, device: Bdev) -> bool | None:
        """Whether the target's key of that name is the one that we mean; what it answers is compared and dropped."""
        try:
            answer = self._client().call(stacks.key_read(device.key_name or "")).result()
            return stacks.is_key(answer, device, self.secrets)
        except (RpcError, BackendError):
            return None

    def configuration(self, parts: Sequence[str]) -> list[object]:
        """The calls that would make these parts of the target again; none where it does not tell. Raises Transient."""
        found: list[object] = []
        for part in parts:
            try:
                found += shape.items(self._connected().client.call(methods.configuration(part)).result())
            except RpcError:
                return []
        return found

    def seen(self, changes: Sequence[Change]) -> frozenset[ObjectKey]:
        client, found = self._connected().client, set[ObjectKey]()
        looks = [(change.key, look(change)) for change in changes]
        waiting = [(key, conversation, next(conversation, None)) for key, conversation in looks]
        while asked := [(key, conversation, call) for key, conversation, call in waiting if isinstance(call, Call)]:
            waiting = []
            once = {repr(call): call for _, _, call in asked}
            replies = dict(zip(once, client.call_many(once.values()), strict=True))
            for key, conversation, call in asked:
                try:
                    waiting.append((key, conversation, _resume(conversation, replies[repr(call)])))
                except StopIteration as end:
                    found |= {key} if end.value else set()
                except (RpcError, BackendError):
                    continue
        return frozenset(found)

    def hurry(self, since: int) -> tuple[int, bool]:
        try:
            return self._connected().news(since)
        except RpcError:
            return since, False  # a target that does not tell has no news; the next observation finds everything

    def paths(self, nqns: Collection[str]) -> Mapping[str, Mapping[str, frozenset[str]] | None]:
        try:
            observer = self._connected()
        except BackendError:
            return dict.fromkeys(nqns)
        return observer.paths(sorted(nqns))

    def begin(self, change: Change, guards: Sequence[Guard]) -> int:
        self._tickets += 1
        try:
            self._still_sighted()
        except (Terminal, GuardMismatch) as error:
            self._ended.append(Applied(self._tickets, error))
        else:
            self._advance(self._tickets, apply(change, guards, self._facts, self.secrets), None)
        return self._tickets

    def _still_sighted(self) -> None:
        """A change goes to the very process that was observed, or to nobody. Raises GuardMismatch."""
        observer = self._connected()
        if self._sighted is not None and self._sighted is not observer:
            raise GuardMismatch("the connection was lost: another process may answer now, which nobody has seen")

    def wait(self, timeout: float) -> Sequence[Applied]:
        deadline = self.monotonic() + timeout
        while not self._ended and (self._waiting or self._asleep):
            self._wake()
            left = max(0.0, deadline - self.monotonic())
            self._listen(min(left, self._until_next_wake()) if not self._ended else 0.0)
            if not left:
                break
        ended, self._ended = self._ended, []
        return ended

    def deserted(self) -> bool:
        try:
            self.connect().close()
        except (Disconnected, BackendError) as error:
            return isinstance(error, Deserted)
        return False

    def close(self) -> None:
        self._hang_up()
        self._sighted = None

    def _hang_up(self) -> None:
        if self._observer:
            self._let_go(self._observer.client)
        self._observer = None

    def _connected(self) -> Observer:
        if self._observer and self._observer.client.closed:
            self._hang_up()
        if self._observer is None:
            try:
                self._observer = Observer(Client(self.connect(), self.monotonic))
            except Disconnected as error:
                raise error.verdict() from error
        return self._observer

    def _client(self) -> Client:
        assert self._observer  # noqa: S101  # no conversation without a connection
        return self._observer.client

    def _let_go(self, client: Client) -> None:
        """End the connection and every conversation on it."""
        client.close()
        self._hear(client.replies(0.0))
        while self._asleep:
            _, ticket, conversation = heapq.heappop(self._asleep)
            self._advance(ticket, conversation, None)

    def _listen(self, timeout: float) -> None:
        if self._waiting:
            self._hear(self._client().replies(timeout))
        else:
            self.sleep(timeout)

    def _hear(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            ticket, conversation = self._waiting.pop(reply.id)
            self._advance(ticket, conversation, reply)

    def _advance(self, ticket: int, conversation: Conversation, reply: Reply | None) -> None:
        """Give a conversation its answer and do what it asks next."""
        try:
            step = next(conversation) if reply is None else _resume(conversation, reply)
            if isinstance(step, Call):
                self._ask(ticket, conversation, step)
            else:
                heapq.heappush(self._asleep, (self.monotonic() + step.seconds, ticket, conversation))
        except StopIteration as end:
            self._ended.append(Applied(ticket, uid=end.value))
        except BackendError as error:
            self._ended.append(Applied(ticket, error))
        except RpcError as error:
            self._ended.append(Applied(ticket, error.verdict()))

    def _ask(self, ticket: int, conversation: Conversation, call: Call) -> None:
        lost = self._client().closed
        if lost:
            conversation.throw(lost.verdict())  # comes back as what it means for the change
        else:
            self._waiting[self._client().start(call)] = (ticket, conversation)

    def _wake(self) -> None:
        now = self.monotonic()
        while self._asleep and self._asleep[0][0] <= now:
            _, ticket, conversation = heapq.heappop(self._asleep)
            self._advance(ticket, conversation, None)

    def _until_next_wake(self) -> float:
        return max(0.0, self._asleep[0][0] - self.monotonic()) if self._asleep else 3600.0

    def _facts(self, guard: Guard) -> Generator[Call | Pause, Json, Mapping[str, Json]]:
        """What is true of an object right now, under the names that guards use."""
        key, asked = guard.key, guard.facts
        if key.kind is ObjectKind.LVOL_STORE:
            live = index(model.lvol_stores((yield methods.LVOL_STORES))).get(key)
            if isinstance(live, LvolStore) and "lvols" in asked:
                inside = model.listed_lvols((yield methods.lvols(live.uuid or "")))
                names: list[Json] = [*sorted(lvol.name for lvol in inside)]
                return {**fields_of(live), "lvols": names}
            return fields_of(live)
        live_object = yield from read(key)
        found = fields_of(live_object)
        if isinstance(live_object, (Bdev, Lvol)):
            found["claimed"] = live_object.claimed
        if isinstance(live_object, KeyringKey):
            found["users"] = live_object.users
        if isinstance(live_object, Lvol):
            found["clones"] = list(live_object.clones)
        if "connected" in asked or "paths" in asked:
            nqn = key.name.partition("#")[0]
            controllers = yield methods.controllers(nqn)
            qpairs = (yield methods.qpairs(nqn)) if "paths" in asked else []
            hosts = model.connections(nqn, controllers, qpairs)
            found["connected"] = [*sorted(hosts)]
            found["paths"] = {host: [*sorted(listeners)] for host, listeners in hosts.items()}
        if "blank" in asked and isinstance(live_object, Bdev):
            pid = model.pid((yield methods.REACTORS))
            around = index(model.bdevs((yield methods.BDEVS)).devices)  # what it is stacked on
            found["blank"] = self._connected().blank(around, live_object.name, pid)
        return found


def _resume(conversation: Generator[Call | Pause, Json, object], reply: Reply) -> Call | Pause:
    try:
        result = reply.result()
    except (RpcError, BackendError) as error:
        return conversation.throw(error)
    return conversation.send(result)
