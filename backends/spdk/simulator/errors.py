"""How a target says no. Texts are those of libc: SPDK answers strerror(3) of most failures."""

from __future__ import annotations

import os

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
INVALID_STATE = -1


class RpcError(Exception):
    """Becomes the `error` member of an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class TargetDied(BaseException):
    """The process ends here: no answer, every connection ends. Not an Exception: nothing handles it on the way."""


class TargetRestarted(TargetDied):
    """It is told to die, and to be back after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TargetCrashed(TargetDied):
    """Something that makes a live v26.05 target dump core."""


def failed(number: int, code: int | None = None) -> RpcError:
    """An errno as most bdev methods answer it, `-errno` with its text; lvol methods have a code of their own."""
    return RpcError(-number if code is None else code, os.strerror(number))


def invalid_parameters() -> RpcError:
    """The one answer of nvmf methods to nearly everything: malformed, absent, taken."""
    return RpcError(INVALID_PARAMS, "Invalid parameters")


def internal_error() -> RpcError:
    return RpcError(INTERNAL_ERROR, "Internal error")
