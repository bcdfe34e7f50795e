"""What calls make, delete and freeze, as far as it must be known to go on asking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final


def leaf_of(alias: str) -> str:
    return alias.rpartition("/")[2]


def frozen_by(method: str, params: Any, frozen: Collection[str]) -> Iterator[str]:
    if method == "bdev_lvol_snapshot":
        yield params["snapshot_name"]
    if method == "bdev_lvol_set_read_only":
        yield leaf_of(params["name"])
    if method == "bdev_lvol_rename" and leaf_of(params["old_name"]) in frozen:
        yield params["new_name"]


Named = tuple[str, Callable[[Any, Any], str]]


def _named(kind: str, param: str = "name") -> Named:
    return kind, lambda _player, params: str(params[param])


def _leaf(param: str, store: Callable[[Any], str]) -> Named:
    return "V", lambda _player, params: f"{store(params)}/{params[param]}"


def _beside(source: str) -> Callable[[Any], str]:
    return lambda params: str(params[source].partition("/")[0])


CREATES: Final[dict[str, Named]] = {
    "bdev_aio_create": ("A", lambda p, params: str(params["name"]) if "E" not in params["name"] else p.prefix + "A0"),
    "bdev_uring_create": _named("U"),
    "bdev_malloc_create": _named("M"),
    "bdev_null_create": _named("N"),
    "bdev_passthru_create": _named("P"),
    "bdev_delay_create": _named("D"),
    "bdev_crypto_create": _named("C"),
    "bdev_raid_create": _named("R"),
    "accel_crypto_key_create": _named("K"),
    "bdev_lvol_create_lvstore": _named("S", "lvs_name"),
    "bdev_lvol_create": _leaf("lvol_name", lambda params: str(params["lvs_name"])),
    "bdev_lvol_snapshot": _leaf("snapshot_name", _beside("lvol_name")),
    "bdev_lvol_clone": _leaf("clone_name", _beside("snapshot_name")),
    "bdev_lvol_clone_bdev": _leaf("clone_name", lambda params: str(params["lvs_name"])),
    "nvmf_create_subsystem": _named("Q", "nqn"),
}
DELETES: Final[dict[str, Named]] = {
    "bdev_aio_delete": _named("A"),
    "bdev_uring_delete": _named("U"),
    "bdev_malloc_delete": _named("M"),
    "bdev_null_delete": _named("N"),
    "bdev_passthru_delete": _named("P"),
    "bdev_delay_delete": _named("D"),
    "bdev_crypto_delete": _named("C"),
    "bdev_raid_delete": _named("R"),
    "bdev_lvol_delete_lvstore": _named("S", "lvs_name"),
    "bdev_lvol_delete": _named("V"),
    "nvmf_delete_subsystem": _named("Q", "nqn"),
}
