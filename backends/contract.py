"""All that a backend is asked and answers. A backend never sees a plan; it is told one Change at a time."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from backends.objects import Bdev, KeyringKey, LiveObject, ObjectKey, ObjectKind
from schemas.resources import Json
from schemas.values import value


class Action(enum.StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Change(NamedTuple):
    """One act on one object: what is there before (None: nothing) and after (None: nothing)."""

    action: Action
    key: ObjectKey
    before: LiveObject | None
    after: LiveObject | None


@value(frozen=True, slots=True)
class Guard:
    """Facts that must still hold right before a change is sent; re-read from the target, never from memory."""

    key: ObjectKey
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Interest:
    """What an observation must find out beyond the target's objects."""

    blank: frozenset[str] = frozenset()  # names of bdevs whose blankness somebody needs to know
    connections: frozenset[str] = frozenset()  # NQNs whose connected hosts somebody needs to know
    keyed: frozenset[Bdev] = frozenset()  # crypto devices of which somebody needs to know whether they have this key
    ana: frozenset[str] = frozenset()  # NQNs whose listeners' ANA states somebody needs to know


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read: all objects of a kind, or those inside one object. Never means absent."""

    kind: ObjectKind
    within: str
    because: str


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a target process. Anything but stores and lvols dies with it."""

    pid: int | None
    owner: str | None  # uuid of the owner marker, when there is one


@dataclass(frozen=True)
class Observed:
    """A target as it was seen."""

    incarnation: Incarnation
    objects: Mapping[ObjectKey, LiveObject]
    gaps: tuple[Gap, ...] = ()
    blank: Mapping[str, bool | None] = field(default_factory=dict)  # bdev name → proven blank; None: cannot tell
    # NQN → host NQN → names of the listeners it came through; None: cannot tell, which counts as connected
    connections: Mapping[str, Mapping[str, frozenset[str]] | None] = field(default_factory=dict)
    keyed: Mapping[str, bool | None] = field(default_factory=dict)  # bdev name → has the key; None: cannot tell
    version: str = ""
    user: int | None = None  # uid of who listens for the target on this machine; None: it is reached otherwise
    last_notification: int = -1
    # feature (for making it; `update` or `delete` before its name) → what this target lacks for it
    unsupported: Mapping[str, str] = field(default_factory=dict)


class BackendError(Exception):
    """Something went wrong with a target. The type says what happens next."""


class Transient(BackendError):
    """Nothing was changed; a later tick may succeed."""


class Unsent(Transient):
    """The connection was gone before it was sent."""


class Terminal(BackendError):
    """Nothing was changed; it will not succeed until something else changes."""


class Unknown(BackendError):
    """Sent, and no answer: it may have happened, may be happening still, or not. Observe, never resend."""


class GuardMismatch(BackendError):
    """A guard no longer holds, so the change was not sent."""


@value(frozen=True, slots=True)
class Applied:
    """The end of one change: `error` None means that it is so now. `uid`: the identity a created object was given."""

    ticket: int
    error: BackendError | None = None
    uid: str | None = None


class Secrets(Protocol):
    """Where a backend has secrets from, at the moment at which it sends them."""

    def material(self, source: str, fingerprint: str) -> str:
        """The secret; raises Terminal when it cannot be had, or is another one by now."""

    def deposit(self, key: KeyringKey) -> None:
        """Have the key in its file, for the target's user alone. Raises Terminal or Transient when that cannot be."""


class Backend(Protocol):
    """One target. Used by one thread at a time."""

    def observe(self, interest: Interest) -> Observed:
        """Read the whole target. Raises Transient or Terminal when it cannot be reached."""

    def paths(self, nqns: Collection[str]) -> Mapping[str, Mapping[str, frozenset[str]] | None]:
        """Hosts connected to subsystems, and through which listeners; None where that cannot be told. Pauses I/O of
        each for a moment: on demand only.
        """

    def begin(self, change: Change, guards: Sequence[Guard]) -> int:
        """Start a change, guards re-read first; the ticket comes back at once. Raises Transient when disconnected."""

    def wait(self, timeout: float) -> Sequence[Applied]:
        """Changes that ended, waiting at most `timeout` seconds for the first of them."""

    def seen(self, changes: Sequence[Change]) -> frozenset[ObjectKey]:
        """Objects of which a look at each alone shows that they are as these changes were to make them.

        One that is not among them may yet be: the next observation tells. Raises Transient or Terminal.
        """

    def hurry(self, since: int) -> tuple[int, bool]:
        """Cheap look for news: (newest notification id, whether anything happened since that id)."""

    def deserted(self) -> bool:
        """Whether the process that listened there is certainly gone. Silence proves nothing, nor does a forwarder."""

    def close(self) -> None:
        """Let go of the connection. What was sent goes on running in the target."""
