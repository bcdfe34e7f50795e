"""What the verbs that read manifests share: what cannot be read ends in one message."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from reconciler.cli.exits import CommandError


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around everything that reads: what cannot be read ends the command with one message.

    The garbage collector rests meanwhile. All that is read is kept until the command ends, so it would find nothing.
    """
    from analyzer.snapshot import SnapshotError  # noqa: PLC0415  # a verb's imports happen inside it

    gc.disable()
    try:
        yield
    except SnapshotError as error:
        raise CommandError(str(error)) from error
    finally:
        gc.enable()
