"""Is a device blank? The only proof is in its bytes, and only a daemon on the target's own machine can read them."""

from __future__ import annotations

import os

EDGE = 1 << 20  # bytes looked at, at either end


def is_blank(path: str, size: int, skip: int = 0) -> bool | None:
    """Whether the first MiB (after `skip` bytes) and the last of a file or block device, as long as the target says,
    are zero.

    None when they cannot be read whole: unknown is not blank.
    """
    length = min(EDGE, size - skip)
    if length <= 0:
        return None
    try:
        with open(path, "rb", buffering=0) as device:  # noqa: PTH123  # block devices have no Path reader
            edges = [os.pread(device.fileno(), length, offset) for offset in (skip, size - length)]
    except OSError:
        return None
    return None if any(len(edge) < length for edge in edges) else not any(map(any, edges))
