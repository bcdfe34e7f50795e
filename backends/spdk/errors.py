"""What can go wrong between a client and a target, and what each means for the next step.

RpcError        the target answered with an error: nothing can be said about state until it is read again
Disconnected    the connection is gone: requests that were sent may run to their end all the same
Deserted        there is no process at the other end
Denied          the other end does not let us in
"""

from __future__ import annotations

from backends.contract import BackendError, Terminal, Transient, Unsent

# -errno of EAGAIN, ENOMEM, EBUSY, ETIMEDOUT and the like only shorten the wait; every other refusal backs off as well,
# because SPDK's codes do not tell a lasting condition from a passing one.
METHOD_NOT_FOUND = -32601


class RpcError(Exception):
    """The target's own error answer."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method, self.code, self.message = method, code, message

    def verdict(self) -> BackendError:
        """What it means for a change that observation shows not to have happened."""
        if self.code == METHOD_NOT_FOUND:
            return Terminal(f"{self}: this target does not offer the method (its version, or its --rpcs-allowed list)")
        return Transient(str(self))


class Disconnected(Exception):
    """The connection is closed, refused or broken. `sent`: how many of the requests being sent had left by then."""

    def __init__(self, message: str, sent: int = 0) -> None:
        super().__init__(message)
        self.sent = sent

    def verdict(self) -> BackendError:
        """What it means for a call that never left."""
        return Unsent(str(self))


class Deserted(Disconnected):
    """Nobody listens on a UNIX socket of this machine."""


class Denied(Disconnected):
    """The other end does not accept who we say we are."""

    def verdict(self) -> BackendError:
        return Terminal(str(self))
