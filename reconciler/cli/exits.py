"""How the command ends: exit codes, and the two kinds of error that a person causes or can mend."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any


class Exit(enum.IntEnum):
    """Exit codes, the same whatever the output format."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNAVAILABLE = 3
    HELD = 4
    CHANGES = 10


_WORST_FIRST = (Exit.USAGE, Exit.UNAVAILABLE, Exit.HELD, Exit.FINDINGS, Exit.CHANGES, Exit.CLEAN)


def worst(codes: Iterable[Exit]) -> Exit:
    """3 > 4 > 1 > 10 > 0."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), Exit.CLEAN)


def trouble_codes(trouble: Mapping[str, Any]) -> list[Exit]:
    """What it means when the repository cannot be read (`error`), or its newest revision does not pass (`rejected`)."""
    unread, rejected = trouble["error"] is not None, trouble["rejected"] is not None
    return [Exit.UNAVAILABLE] * unread + [Exit.FINDINGS] * rejected


class CommandError(Exception):
    """Ends the command with one message on stderr: what happened, where, and what to do."""

    def __init__(self, message: str, code: Exit = Exit.UNAVAILABLE) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandError):
    """Wrong words on the command line, or a broken configuration file."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE)
