"""bdev_aio_*, bdev_uring_*: devices over files and block devices. Neither creates its file, and neither locks it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import Final

from backends.spdk.simulator.bdev_methods import deleter
from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import INTERNAL_ERROR, RpcError, failed
from backends.spdk.simulator.media import Medium, Window
from backends.spdk.simulator.steps import Handler, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

AIO_IO: Final = ("read", "write", "flush", "reset", "write_zeroes")
URING_IO: Final = ("read", "write", "write_zeroes", "get_zone_info", "zone_management")


def aio_create(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    name: str,
    filename: str,
    block_size: int = 0,
    readonly: bool = False,
    fallocate: bool = False,
    uuid: str | None = None,
    nowait: bool = False,
) -> Steps:
    """Answers when the device has been examined: a store that the file carries is loaded by then."""
    shown: dict[str, Json] = {
        "filename": filename,
        "block_size_override": bool(block_size),
        "readonly": readonly,
        "fallocate": fallocate,
        "nowait": nowait,
    }
    io_types = (*AIO_IO, "unmap") if fallocate else AIO_IO
    bdev = _device(name, filename, block_size, uuid, io_types, writable=not readonly, nowait=nowait)
    bdev.product, bdev.driver = "AIO disk", "aio"
    bdev.details = lambda: {"aio": dict(shown)}
    return _enter(target, bdev)


def uring_create(target: Target, *, name: str, filename: str, block_size: int = 0, uuid: str | None = None) -> Steps:
    """Whatever is wrong, the answer is the same."""
    try:
        bdev = _device(name, filename, block_size, uuid, URING_IO)
        bdev.product, bdev.driver = "URING bdev", "uring"
        bdev.details = lambda: {"uring": {"filename": filename}}
        yield from _enter(target, bdev)
    except RpcError:
        raise RpcError(INTERNAL_ERROR, "Unable to create URING bdev.") from None
    return name


def _enter(target: Target, bdev: Bdev) -> Steps:
    try:
        return (yield from target.register_and_read(bdev))
    except RpcError:
        if bdev.medium is not None:
            bdev.medium.close()
        raise


def _device(  # noqa: PLR0913  # what makes a device
    name: str,
    filename: str,
    block_size: int,
    uuid: str | None,
    io_types: tuple[str, ...],
    *,
    writable: bool = True,
    nowait: bool = False,
) -> Bdev:
    try:
        descriptor = os.open(filename, os.O_RDWR if writable else os.O_RDONLY)
    except OSError as error:
        raise failed(error.errno or errno.EIO) from None
    medium = Medium(descriptor, writable=writable)
    is_device = stat.S_ISBLK(os.fstat(descriptor).st_mode)
    size, detected = os.lseek(descriptor, 0, os.SEEK_END), 512 if is_device else 0
    used = block_size or detected
    if nowait and not is_device:
        medium.close()
        raise failed(errno.ENOTSUP)
    if used < 512 or used & (used - 1) or used < detected or size % used:
        medium.close()
        raise failed(errno.EINVAL)
    bdev = Bdev(name, "", "", used, size // used, uuid or "", io_types, file=filename, medium=medium)
    bdev.media = lambda: (Window(medium, 0, bdev.size),)
    return bdev


def _rescanner(driver: str) -> Handler:
    def rescan(target: Target, *, name: str) -> Json:
        """Takes in a size that changed; an empty file is a removed device. Shrinking is EBUSY: it is open just now."""
        bdev = target.bdevs.get(name, driver)
        size = bdev.medium.size() if bdev.medium is not None else 0
        num_blocks = size // bdev.block_size
        if not size:
            target.bdevs.remove(bdev)
        elif num_blocks < bdev.num_blocks:
            raise failed(errno.EBUSY)
        else:
            target.bdevs.resize(bdev, num_blocks)
        return True

    return rescan


HANDLERS: Final[Mapping[str, Handler]] = {
    "bdev_aio_create": aio_create,
    "bdev_aio_rescan": _rescanner("aio"),
    "bdev_aio_delete": deleter("aio"),
    "bdev_uring_create": uring_create,
    "bdev_uring_rescan": _rescanner("uring"),
    "bdev_uring_delete": deleter("uring"),
}
