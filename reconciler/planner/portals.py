"""Addresses that several subsystems listen on: they share one socket.

On v26.05 the socket speaks TLS if the first listener on its address asked for it; later ones are answered well whatever
they ask for, and hosts find out. So a socket changes only by closing every listener on it.
"""

from __future__ import annotations

from backends.contract import Listener, ObjectKey
from reconciler.planner.view import View


def sharing(view: View, listener: Listener) -> tuple[Listener, ...]:
    """The other listeners on the address of one."""
    here = (listener.transport, listener.address, listener.port)
    found = (thing for thing in view.live.values() if isinstance(thing, Listener) and thing.key != listener.key)
    return tuple(sorted((t for t in found if (t.transport, t.address, t.port) == here), key=lambda t: t.key.rank))


def closed_first(view: View, wanted: Listener) -> tuple[ObjectKey, ...]:
    """The listeners that must have gone before one that asks for another kind of socket can be opened."""
    others = sharing(view, wanted)
    return tuple(t.key for t in others if t.secure_channel not in (None, wanted.secure_channel))


def shared(view: View, wanted: Listener) -> tuple[str, str] | None:
    """Why a person has to say that a listener may be opened anew; None for one that has its socket for itself."""
    others = sharing(view, wanted)
    if not others:
        return None
    names = ", ".join(sorted({t.nqn for t in others}))
    kind = "TLS" if wanted.secure_channel else "plain TCP"
    message = (
        f"{wanted.address}:{wanted.port} turns to {kind} once all listeners on it are closed, also those of {names}; "
        "better open another port, and close this one when nobody uses it"
    )
    return "PortalShared", message
