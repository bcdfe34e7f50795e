"""Every method that we send, by what it is sent for. One table says what a target must offer for what can be declared
(its lack is said before anything fails), and the least that it has to permit (`--rpcs-allowed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backends.contract import Action
from backends.fields import FABRICS
from backends.objects import ObjectKind


@dataclass(frozen=True, slots=True)
class Needs:
    """The methods that a feature is read, made, changed and removed with."""

    create: tuple[str, ...]
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    read: tuple[str, ...] = ()  # without these it is not made
    ask: tuple[str, ...] = ()  # on demand; what cannot be asked counts as the worst that it could be
    build: str = ""  # which SPDK has what it is made with

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.read, *self.ask, *self.create, *self.update, *self.delete)


_B = ObjectKind.BDEV
_SUB = "nvmf_subsystem"
ALWAYS = (  # what every target is observed with, and the owner marker
    "spdk_get_version",
    "rpc_get_methods",
    "framework_get_reactors",
    "notify_get_notifications",
    "nvmf_get_transports",
    "nvmf_get_subsystems",
    "bdev_get_bdevs",
    "bdev_lvol_get_lvstores",
    "bdev_lvol_get_lvols",
    "bdev_null_create",
)
_PATHS = Needs(
    ("bdev_nvme_attach_controller",),
    delete=("bdev_nvme_detach_controller",),
    read=("bdev_nvme_get_controllers",),
    ask=("framework_get_config",),
)
NEEDED: Mapping[str, Needs] = MappingProxyType(
    {
        f"{_B}/aio": Needs(("bdev_aio_create",), ("bdev_aio_rescan",), ("bdev_aio_delete",)),
        f"{_B}/uring": Needs(("bdev_uring_create",), (), ("bdev_uring_delete",), build="SPDK built --with-uring"),
        f"{_B}/malloc": Needs(("bdev_malloc_create",), (), ("bdev_malloc_delete",)),
        f"{_B}/null": Needs(("bdev_null_create",), (), ("bdev_null_delete",)),
        f"{_B}/raid": Needs(
            ("bdev_raid_create", "bdev_wait_for_examine"),
            ("bdev_raid_add_base_bdev",),
            ("bdev_raid_delete",),
            ("bdev_raid_get_bdevs",),
            build="SPDK ≥ 23.09 for superblocks and rebuilds",
        ),
        f"{_B}/crypto": Needs(
            ("bdev_crypto_create", "accel_crypto_key_create", "accel_crypto_keys_get"),
            (),
            ("bdev_crypto_delete", "accel_crypto_key_destroy"),
            build="SPDK ≥ 22.09 built --with-crypto",
        ),
        f"{_B}/passthru": Needs(("bdev_passthru_create",), (), ("bdev_passthru_delete",)),
        f"{_B}/delay": Needs(("bdev_delay_create",), ("bdev_delay_update_latency",), ("bdev_delay_delete",)),
        f"{_B}/nvme": Needs(_PATHS.create, ("bdev_nvme_set_multipath_policy",), _PATHS.delete, _PATHS.read),
        f"{ObjectKind.NVME_PATH}": _PATHS,
        FABRICS: _PATHS,
        f"{ObjectKind.REFERRAL}": Needs(
            ("nvmf_discovery_add_referral",),
            (),
            ("nvmf_discovery_remove_referral",),
            ("nvmf_discovery_get_referrals",),
            build="SPDK ≥ 22.05",
        ),
        f"{ObjectKind.TRANSPORT}": Needs(("nvmf_create_transport",)),
        f"{ObjectKind.SUBSYSTEM}": Needs(
            ("nvmf_create_subsystem",),
            (f"{_SUB}_allow_any_host",),
            ("nvmf_delete_subsystem",),
            ask=(f"{_SUB}_get_controllers", f"{_SUB}_get_qpairs", "framework_get_config"),
        ),
        f"{ObjectKind.HOST}": Needs((f"{_SUB}_add_host",), (), (f"{_SUB}_remove_host",)),
        f"{ObjectKind.HOST}/dhchap": Needs(
            (f"{_SUB}_add_host",), (f"{_SUB}_set_keys",), (f"{_SUB}_remove_host",), build="SPDK ≥ 24.09"
        ),
        f"{ObjectKind.HOST}/psk": Needs((f"{_SUB}_add_host",), (), (f"{_SUB}_remove_host",), build="SPDK ≥ 24.05"),
        f"{ObjectKind.KEY}": Needs(
            ("keyring_file_add_key",), (), ("keyring_file_remove_key",), ("keyring_get_keys",), build="SPDK ≥ 24.05"
        ),
        f"{ObjectKind.NAMESPACE}": Needs((f"{_SUB}_add_ns",), (f"{_SUB}_set_ns_ana_group",), (f"{_SUB}_remove_ns",)),
        f"{ObjectKind.NAMESPACE}/masked": Needs(
            (f"{_SUB}_add_ns", "nvmf_ns_add_host"),
            delete=(f"{_SUB}_remove_ns",),
            read=("framework_get_config",),
            build="SPDK ≥ 24.05",
        ),
        f"{ObjectKind.VISIBILITY}": Needs(
            ("nvmf_ns_add_host",), (), ("nvmf_ns_remove_host",), ("framework_get_config",), build="SPDK ≥ 24.05"
        ),
        f"{ObjectKind.LISTENER}": Needs((f"{_SUB}_add_listener",), (), (f"{_SUB}_remove_listener",)),
        f"{ObjectKind.LISTENER}/ana": Needs(
            (f"{_SUB}_add_listener",),
            (f"{_SUB}_listener_set_ana_state",),
            (f"{_SUB}_remove_listener",),
            ask=(f"{_SUB}_get_listeners",),
        ),
        f"{ObjectKind.LVOL_STORE}": Needs(
            ("bdev_lvol_create_lvstore", "bdev_wait_for_examine"),
            ("bdev_lvol_grow_lvstore",),
            ("bdev_lvol_delete_lvstore",),
        ),
        f"{ObjectKind.LVOL}": Needs(("bdev_lvol_create",), ("bdev_lvol_resize",), ("bdev_lvol_delete",)),
        f"{ObjectKind.LVOL}/snapshot": Needs(("bdev_lvol_snapshot",), (), ("bdev_lvol_delete",)),
        f"{ObjectKind.LVOL}/clone": Needs(("bdev_lvol_clone",), ("bdev_lvol_resize",), ("bdev_lvol_delete",)),
        f"{ObjectKind.LVOL}/image": Needs(
            ("bdev_lvol_clone_bdev",), ("bdev_lvol_resize",), ("bdev_lvol_delete",), build="SPDK ≥ 23.05"
        ),
        f"{ObjectKind.PROVISIONING}": Needs((), ("bdev_lvol_inflate", "bdev_lvol_decouple_parent")),
        f"{ObjectKind.QOS}": Needs(("bdev_set_qos_limit",), ("bdev_set_qos_limit",)),
    }
)


def allowlist(features: Iterable[str]) -> tuple[str, ...]:
    """The methods that a target must permit for these features, and for being observed at all; sorted."""
    return tuple(sorted({*ALWAYS, *(method for name in features for method in NEEDED[name].all)}))


INTERRUPTS = "SPDK attaches nothing over a network in interrupt mode: start this target without --interrupt-mode"


def unsupported(methods: frozenset[str] | None, version: str, *, interrupts: bool = False) -> Mapping[str, str]:
    """Features that a target lacks, each with what it would need; methods are unknown when it does not tell.

    In interrupt mode bdev_nvme_attach_controller over TCP answers -95 (observed, v26.05).
    A name without an action speaks of making it; `update lvol` and `delete lvol` of what comes later.
    """
    found: dict[str, str] = {FABRICS: INTERRUPTS} if interrupts else {}
    if methods is None:
        return found
    for feature, needs in sorted(NEEDED.items()):
        wanted = {
            feature: (*needs.create, *needs.read),
            f"{Action.UPDATE} {feature}": needs.update,
            f"{Action.DELETE} {feature}": needs.delete,
        }
        for name, called in wanted.items():
            if missing := [method for method in called if method not in methods]:
                found[name] = _sentence(missing, needs.build, version)
    return found


def _sentence(missing: Iterable[str], build: str, version: str) -> str:
    needs = ", ".join(f"method {name}" for name in missing)
    how = f"; {build}" if build else ""
    return f"needs {needs}, which this target ({version}, with its --rpcs-allowed) does not offer{how}"
