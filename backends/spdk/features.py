"""What a target must offer for what can be declared, so that its lack is said before anything fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from backends.contract import ObjectKind

_B = ObjectKind.BDEV
NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        f"{_B}/aio": (("bdev_aio_create",), ""),
        f"{_B}/uring": (("bdev_uring_create",), "SPDK built --with-uring"),
        f"{_B}/malloc": (("bdev_malloc_create",), ""),
        f"{_B}/null": (("bdev_null_create",), ""),
        f"{_B}/raid": (("bdev_raid_create", "bdev_raid_get_bdevs"), "SPDK ≥ 23.09 for superblocks and rebuilds"),
        f"{_B}/crypto": (("bdev_crypto_create", "accel_crypto_key_create"), "SPDK ≥ 22.09 built --with-crypto"),
        f"{_B}/passthru": (("bdev_passthru_create",), ""),
        f"{_B}/delay": (("bdev_delay_create",), ""),
        f"{_B}/nvme": (("bdev_nvme_attach_controller", "bdev_nvme_get_controllers"), ""),
        f"{ObjectKind.NVME_PATH}": (("bdev_nvme_attach_controller", "bdev_nvme_get_controllers"), ""),
        f"{ObjectKind.REFERRAL}": (("nvmf_discovery_add_referral", "nvmf_discovery_get_referrals"), "SPDK ≥ 22.05"),
        f"{ObjectKind.TRANSPORT}": (("nvmf_create_transport",), ""),
        f"{ObjectKind.SUBSYSTEM}": (("nvmf_create_subsystem",), ""),
        f"{ObjectKind.HOST}": (("nvmf_subsystem_add_host",), ""),
        f"{ObjectKind.NAMESPACE}": (("nvmf_subsystem_add_ns",), ""),
        f"{ObjectKind.LISTENER}": (("nvmf_subsystem_add_listener",), ""),
        f"{ObjectKind.LVOL_STORE}": (("bdev_lvol_create_lvstore",), ""),
        f"{ObjectKind.LVOL}": (("bdev_lvol_create",), ""),
        f"{ObjectKind.LVOL}/snapshot": (("bdev_lvol_snapshot",), ""),
        f"{ObjectKind.LVOL}/clone": (("bdev_lvol_clone",), ""),
        f"{ObjectKind.LVOL}/image": (("bdev_lvol_clone_bdev",), "SPDK ≥ 23.05"),
        f"{ObjectKind.QOS}": (("bdev_set_qos_limit",), ""),
    }
)


def unsupported(methods: frozenset[str] | None, version: str) -> Mapping[str, str]:
    """Features that a target lacks, each with what it would need; nothing when it does not say what it offers."""
    if methods is None:
        return {}
    found = {feature: _missing(wanted, methods) for feature, (wanted, _) in NEEDED.items()}
    return {
        feature: _sentence(missing, NEEDED[feature][1], version)
        for feature, missing in sorted(found.items())
        if missing
    }


def _missing(wanted: Iterable[str], methods: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in methods)


def _sentence(missing: Iterable[str], build: str, version: str) -> str:
    needs = ", ".join(f"method {name}" for name in missing)
    how = f"; {build}" if build else ""
    return f"needs {needs}, which this target ({version}, with its --rpcs-allowed) does not offer{how}"
