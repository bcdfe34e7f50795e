"""accel_crypto_* and bdev_crypto_*: keys, and devices that encrypt what they pass down."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.crypto import CryptoKey
from backends.spdk.simulator.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError, failed
from backends.spdk.simulator.layer_methods import derived_uuid
from backends.spdk.simulator.steps import Handler, Pause, Steps
from backends.spdk.simulator.target import Target
from schemas.resources import Json

CRYPTO_IO: Final = ("read", "write", "unmap", "flush", "reset", "write_zeroes")
_KEY = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{64})")


def create_key(  # noqa: PLR0913  # the method's parameters
    target: Target, *, cipher: str, key: str, name: str, key2: str | None = None, tweak_mode: str = "SIMPLE_LBA"
) -> Json:
    """The software module takes AES_XTS with two different keys of one length, and the simple tweak."""
    number = 0
    if not _usable(cipher, key, key2, tweak_mode):
        number = errno.EINVAL
    elif name in target.crypto.keys:
        number = errno.EEXIST
    if number:
        raise RpcError(INVALID_PARAMS, f"failed to create DEK, rc {-number}")
    target.crypto.keys[name] = CryptoKey(name, cipher, key, key2 or "", tweak_mode)
    return True


def _usable(cipher: str, key: str, key2: str | None, tweak_mode: str) -> bool:
    if cipher != "AES_XTS" or key2 is None or tweak_mode != "SIMPLE_LBA":
        return False
    return bool(_KEY.fullmatch(key) and _KEY.fullmatch(key2)) and len(key) == len(key2) and key != key2


def destroy_key(target: Target, *, key_name: str) -> Json:
    """Not refused for a key in use, though a live target is then lost."""
    if target.crypto.keys.pop(key_name, None) is None:
        raise RpcError(INVALID_PARAMS, "No key object found")
    return True


def get_keys(target: Target, *, key_name: str | None = None) -> Json:
    keys = target.crypto.keys
    if key_name is None:
        return [key.dump() for key in keys.values()]
    if key_name not in keys:
        raise RpcError(INVALID_PARAMS, "key was not found")
    return [keys[key_name].dump()]


def create_device(  # noqa: PLR0913  # the method's parameters
    target: Target,
    *,
    base_bdev_name: str,
    name: str,
    key_name: str | None = None,
    key: str | None = None,
    key2: str | None = None,
    cipher: str = "AES_CBC",
    crypto_pmd: str | None = None,
) -> Json:
    """On an absent base it answers well and waits, and the name stays taken."""
    del crypto_pmd
    if key_name is not None and key_name not in target.crypto.keys:
        raise RpcError(INVALID_PARAMS, "Key was not found")
    if key_name is None and (key is None or not _usable(cipher, key, key2, "SIMPLE_LBA")):
        raise RpcError(INTERNAL_ERROR, "No key was found")
    if name in target.crypto.devices:
        raise failed(errno.EEXIST)
    used = key_name or f"{name}_{cipher}"
    base = target.bdevs.find(base_bdev_name)
    if base is not None and base.claim is not None:
        raise failed(errno.EPERM)
    if key_name is None:
        target.crypto.keys[used] = CryptoKey(used, cipher, key or "", key2 or "", None)
    target.crypto.devices[name] = (base.name if base else base_bdev_name, used)
    if base is not None:
        _put_on(target, name, used, base)
    return name


def wait_for(target: Target, base: Bdev) -> None:
    """Devices that were created before their base come up with it."""
    for name, (wanted, key) in target.crypto.devices.items():
        if wanted == base.name and base.claim is None and target.bdevs.find(name) is None:
            _put_on(target, name, key, base)


def _put_on(target: Target, name: str, key: str, base: Bdev) -> None:
    material = str(target.crypto.keys.get(key))
    shown: dict[str, Json] = {"base_bdev_name": base.name, "name": name, "key_name": key}
    bdev = Bdev(
        name,
        "crypto",
        "crypto",
        base.block_size,
        base.num_blocks,
        derived_uuid("crypto", base),
        [kind for kind in CRYPTO_IO if kind in frozenset(base.io_types)],
        lambda: {"crypto": dict(shown)},
        numa_id=base.numa_id,
        domains=lambda: ["ACCEL"],
        is_void=base.is_void,
        media=lambda: tuple(window.veiled(material) for window in base.media()),
    )
    base.take(bdev, partial(target.bdevs.remove, bdev))
    target.register(bdev)


def delete_device(target: Target, *, name: str) -> Steps:
    """Observed: one that still waits for its base cannot be deleted, and its name stays taken."""
    target.bdevs.get(name, "crypto")
    yield Pause.MESSAGE
    bdev = target.bdevs.get(name, "crypto")
    target.bdevs.remove(bdev)
    base, _ = target.crypto.devices.pop(bdev.name)
    target.bdevs.get(base).close(bdev)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "accel_crypto_key_create": create_key,
    "accel_crypto_key_destroy": destroy_key,
    "accel_crypto_keys_get": get_keys,
    "bdev_crypto_create": create_device,
    "bdev_crypto_delete": delete_device,
}
