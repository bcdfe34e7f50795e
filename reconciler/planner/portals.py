"""Addresses that several subsystems listen on: they share one socket.

On v26.05 the socket speaks TLS if the first listener on its address asked for it; later ones are answered well whatever
they ask for, and hosts find out. So a socket changes only by closing every listener on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.objects import Listener, LiveObject, ObjectKey
from reconciler.planner.view import View


def _at(view: View, listener: Listener) -> Mapping[bool | None, tuple[Listener, ...]]:
    return view.sockets.get((listener.transport, listener.address, listener.port), {})


def closed_first(view: View, wanted: Listener) -> tuple[ObjectKey, ...]:
    """The listeners that must have gone before one that asks for another kind of socket can be opened."""
    odd = (found for kind, found in _at(view, wanted).items() if kind not in (None, wanted.secure_channel))
    return tuple(listener.key for found in odd for listener in found if listener.key != wanted.key)


def shared(view: View, wanted: Listener) -> tuple[str, str] | None:
    """Why a person has to say that a listener may be opened anew; None for one that has its socket for itself."""
    others = {found.nqn for kind in _at(view, wanted).values() for found in kind if found.key != wanted.key}
    if not others:
        return None
    names = ", ".join(sorted(others))
    kind = "TLS" if wanted.secure_channel else "plain TCP"
    message = (
        f"{wanted.address}:{wanted.port} turns to {kind} once all listeners on it are closed, also those of {names}; "
        "better open another port, and close this one when nobody uses it"
    )
    return "PortalShared", message


def opened_first(view: View, wanted: Sequence[Listener], gone: LiveObject) -> tuple[ObjectKey, ...]:
    """The listeners that must be open before the last one that hosts could reach is closed: an address may be wrong,
    and SPDK refuses it.
    """
    if not isinstance(gone, Listener) or any(listener.key in view.live for listener in wanted):
        return ()
    return tuple(listener.key for listener in wanted if not closed_first(view, listener))
