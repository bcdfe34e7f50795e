"""Long lists, element by element: what is byte for byte as it was before is not read again, wherever it stands now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from backends.spdk.client import Reply
from backends.spdk.shape import Raw, mapping, objects, shape

T = TypeVar("T")


@dataclass
class Elements(Generic[T]):
    """What the answers to one call told of. Remembers each element of the last one by the bytes that told it."""

    read: Callable[[Raw], T]
    _known: dict[bytes, T] = field(default_factory=dict)
    _last: tuple[T, ...] = ()
    _body: bytes = b""  # of the answer that told of those

    def of(self, reply: Reply) -> tuple[T, ...]:
        """Each element as `read` has it; the very same tuple when none is another, more or less than before.

        Raises RpcError and BackendError, Malformed among them.
        """
        if self._body and reply.repeats(self._body):
            return self._last
        pieces = reply.elements()
        with shape(reply.call.method):
            if pieces is None:
                return tuple(map(self.read, objects(reply.result())))
            self._known = {piece: self._known.get(piece) or self._read(piece) for piece in pieces}
        found = tuple(self._known[piece] for piece in pieces)
        if len(found) != len(self._last) or any(a is not b for a, b in zip(found, self._last, strict=True)):
            self._last = found
        self._body = bytes(reply.body)
        return self._last

    def _read(self, piece: bytes) -> T:
        try:
            raw = msgspec.json.decode(piece)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
        return self.read(mapping(raw))
