"""Is a device blank? The only proof is in its bytes, and only a daemon on the target's own machine can read them."""

from __future__ import annotations

import os

EDGE = 1 << 20  # bytes looked at, at either end


def is_blank(path: str, size: int) -> bool | None:
    """Whether the first and last MiB of a file or block device are zero and it has the size the target says.

    None when it cannot be read: unknown is not blank.
    """
    try:
        with open(path, "rb", buffering=0) as device:  # noqa: PTH123  # block devices have no Path reader
            end = os.lseek(device.fileno(), 0, os.SEEK_END)
            if end < size:
                return None
            return all(_zero(device.fileno(), offset, min(EDGE, size)) for offset in (0, max(0, size - EDGE)))
    except OSError:
        return None


def _zero(descriptor: int, offset: int, length: int) -> bool:
    return not any(os.pread(descriptor, length, offset))
