"""Devices that are more than a file or some memory: what SPDK says of them, and the calls that make them.

Pure but for the conversations, which are generators as in `apply`. On v26.05 a crypto, passthru or delay device on an
absent base is answered well, waits, and can be neither seen nor deleted: a base is looked at right before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from backends.contract import Secrets, Terminal
from backends.objects import Bdev, Latency, NvmePath, ObjectKey, Rebuild, Referral
from backends.spdk.client import Call
from backends.spdk.shape import Raw, flag, items, mapping, number, objects, shape, text, typed
from schemas.keys import NO_KEY, halves
from schemas.resources import Json

_LATENCIES = {"avg_read": "avg_read", "p99_read": "p99_read", "avg_write": "avg_write", "p99_write": "p99_write"}


# --- what SPDK answers


def details(driver: str, specific: Raw, block_size: int) -> dict[str, Any]:  # noqa: PLR0911  # one arm per driver
    """The fields of a Bdev that only its driver knows."""
    match driver:
        case "aio" | "uring":
            about = mapping(mapping(specific)[driver])
            fallocate = flag(about, "fallocate") if "fallocate" in about else None
            read_only = flag(about, "readonly") if "readonly" in about else None
            return {"path": text(about, "filename"), "fallocate": fallocate, "read_only": read_only}
        case "nvme":
            return {"policy": mapping(specific).get("mp_policy")}
        case "raid":
            return _raid(mapping(mapping(specific)["raid"]), block_size)
        case "crypto":
            about = mapping(mapping(specific)["crypto"])
            return {"bases": (text(about, "base_bdev_name"),), "key_name": text(about, "key_name")}
        case "passthru":
            return {"bases": (text(mapping(mapping(specific)["passthru"]), "base_bdev_name"),)}
        case "delay":
            about = mapping(mapping(specific)["delay"])
            latency = Latency(**{name: number(about, f"{name}_latency") for name in _LATENCIES})
            return {"bases": (text(about, "base_bdev_name"),), "latency": latency}
    return {}


def _raid(about: Raw, block_size: int) -> dict[str, Any]:
    legs = list(objects(about["base_bdevs_list"]))
    process = about.get("process")
    return {
        "bases": tuple(_leg(leg) for leg in legs),
        "level": text(about, "raid_level"),
        "superblock": flag(about, "superblock"),
        "strip_size": number(about, "strip_size_kb"),
        "state": text(about, "state"),
        "rebuild": _rebuild(mapping(process)) if process else None,
        "data_offsets": tuple(number(leg, "data_offset") * block_size for leg in legs),
    }


def _leg(leg: Raw) -> str:
    """The member in a place of the array; empty when it is not there (its name may still be)."""
    return typed(leg["name"], str) if flag(leg, "is_configured") else ""


def _rebuild(process: Raw) -> Rebuild:
    return Rebuild(text(process, "target"), number(mapping(process["progress"]), "percent"))


def unfinished_raids(answer: Json) -> tuple[Bdev, ...]:
    """Raids that are no device, because members are missing: still being put together, or fallen apart."""
    with shape("bdev_raid_get_bdevs"):
        return tuple(
            Bdev(text(raw, "name"), "raid", text(raw, "uuid"), **_raid(raw, 0))
            for raw in objects(answer)
            if text(raw, "state") != "online"
        )


def raid_names(answer: Json) -> frozenset[str]:
    with shape("bdev_raid_get_bdevs"):
        return frozenset(text(raw, "name") for raw in objects(answer))


def paths(answer: Json) -> tuple[NvmePath, ...]:
    with shape("bdev_nvme_get_controllers"):
        return tuple(
            _path(text(controller, "name"), way)
            for controller in objects(answer)
            for way in objects(controller["ctrlrs"])
        )


def timed(paths: Iterable[NvmePath], answer: Json) -> tuple[NvmePath, ...]:
    """Ways with the times that they were attached with, which only the target's configuration shows (v26.05)."""
    with shape("framework_get_config"):
        calls = (mapping(call["params"]) for call in objects(answer) if call["method"] == "bdev_nvme_attach_controller")
        times = {_way(about): _times(about) for about in calls}
    return tuple(dataclasses.replace(path, **times.get(path.key, {})) for path in paths)


def _way(about: Raw) -> ObjectKey:
    port = about.get("trsvcid")
    where = (_transport(text(about, "trtype")), text(about, "traddr"), int(typed(port, str)) if port else None)
    return NvmePath(text(about, "name"), *where).key


def _times(about: Raw) -> dict[str, Any]:
    return {
        "loss_timeout": number(about, "ctrlr_loss_timeout_sec"),
        "reconnect_delay": number(about, "reconnect_delay_sec"),
        "fast_io_fail": number(about, "fast_io_fail_timeout_sec"),
    }


def _path(controller: str, way: Raw) -> NvmePath:
    where, host = mapping(way["trid"]), mapping(way.get("host", {})).get("nqn")
    port = where.get("trsvcid")
    return NvmePath(
        controller,
        _transport(text(where, "trtype")),
        text(where, "traddr"),
        int(typed(port, str)) if port else None,
        where.get("subnqn") or None,
        host or None,
        enabled=text(way, "state") == "enabled",
    )


def _transport(name: str) -> str:
    return "PCIe" if name.upper() == "PCIE" else name.upper()


def referrals(answer: Json) -> tuple[Referral, ...]:
    with shape("nvmf_discovery_get_referrals"):
        return tuple(_referral(raw, mapping(raw["address"])) for raw in objects(answer))


def _referral(raw: Raw, where: Raw) -> Referral:
    return Referral(
        text(where, "trtype").upper(),
        text(where, "traddr"),
        int(text(where, "trsvcid")),
        text(raw, "subnqn"),
        flag(raw, "secure_channel"),
    )


def methods(answer: Json) -> frozenset[str]:
    with shape("rpc_get_methods"):
        return frozenset(typed(name, str) for name in items(answer))


# --- what we ask

RAIDS = Call("bdev_raid_get_bdevs", {"category": "all"})
CONTROLLERS = Call("bdev_nvme_get_controllers")
REFERRALS = Call("nvmf_discovery_get_referrals")
METHODS = Call("rpc_get_methods")
ATTACH_TIMEOUT = 90.0  # seconds: an address that does not answer is given up by the kernel, not by SPDK


def _writes(method: str, timeout: float = 60.0, /, **params: Json) -> Call:
    named = {name: value for name, value in params.items() if value is not None}
    return Call(method, named, mutates=True, timeout=timeout)


def create(wanted: Bdev) -> Call | None:
    """The call that makes a device of one of these drivers; None when it is none of them, or not to be made."""
    base = wanted.bases[0] if wanted.bases else ""
    match wanted:
        case Bdev(driver="uring", path=str(path)):
            parts: dict[str, Json] = {"filename": path, "block_size": wanted.block_size, "uuid": wanted.uuid}
            return _writes("bdev_uring_create", name=wanted.name, **parts)
        case Bdev(driver="passthru"):
            return _writes("bdev_passthru_create", name=wanted.name, base_bdev_name=base, uuid=wanted.uuid)
        case Bdev(driver="delay", latency=Latency() as latency):
            times: dict[str, Json] = {f"{name}_latency": getattr(latency, name) for name in _LATENCIES}
            return _writes("bdev_delay_create", name=wanted.name, base_bdev_name=base, uuid=wanted.uuid, **times)
        case Bdev(driver="crypto"):
            return _writes("bdev_crypto_create", name=wanted.name, base_bdev_name=base, key_name=wanted.key_name)
        case Bdev(driver="raid", bases=tuple(bases)):
            return _writes(
                "bdev_raid_create",
                name=wanted.name,
                raid_level=wanted.level,
                base_bdevs=[*bases],
                uuid=wanted.uuid,
                superblock=wanted.superblock,
                strip_size_kb=wanted.strip_size or None,
            )
    return None


def updates(before: Bdev, after: Bdev) -> Sequence[Call]:
    """What can be changed while the device is in use: latencies, the choice of paths, an empty place of a raid."""
    calls = [
        _writes("bdev_delay_update_latency", delay_bdev_name=after.name, latency_type=name, latency_us=want)
        for name in _LATENCIES
        if after.latency and (want := getattr(after.latency, name)) != getattr(before.latency, name, None)
    ]
    if after.policy and after.policy != before.policy:
        calls.append(_writes("bdev_nvme_set_multipath_policy", name=after.name, policy=after.policy))
    if after.driver == "raid":
        added = [name for name in after.bases or () if name and name not in (before.bases or ())]
        calls += (_writes("bdev_raid_add_base_bdev", raid_bdev=after.name, base_bdev=name) for name in added)
    return calls


def attach(path: NvmePath) -> Call:
    return _writes(
        "bdev_nvme_attach_controller",
        ATTACH_TIMEOUT,
        name=path.controller,
        **_where(path),
        hostnqn=path.host,
        multipath="multipath",
        ctrlr_loss_timeout_sec=path.loss_timeout,
        reconnect_delay_sec=path.reconnect_delay,
        fast_io_fail_timeout_sec=path.fast_io_fail,
    )


def detach(path: NvmePath) -> Call:
    return _writes("bdev_nvme_detach_controller", name=path.controller, **_where(path))


def _where(path: NvmePath) -> dict[str, Json]:
    if path.transport == "PCIe":
        return {"trtype": "PCIe", "traddr": path.address}
    port, family = (None if path.port is None else str(path.port)), "IPv6" if ":" in path.address else "IPv4"
    where: dict[str, Json] = {"trtype": path.transport, "adrfam": family, "traddr": path.address, "trsvcid": port}
    return where | {"subnqn": path.subsystem}


def referral_add(referral: Referral) -> Call:
    secure = referral.secure_channel
    return _writes("nvmf_discovery_add_referral", **_about(referral), secure_channel=secure)


def referral_remove(referral: Referral) -> Call:
    return _writes("nvmf_discovery_remove_referral", **_about(referral))


def _about(referral: Referral) -> dict[str, Json]:
    family = "IPv6" if ":" in referral.address else "IPv4"
    where: dict[str, Json] = {"trtype": referral.transport, "adrfam": family, "traddr": referral.address}
    return {"address": where | {"trsvcid": str(referral.port)}, "subnqn": referral.subsystem}


# --- keys


def key_create(wanted: Bdev, secrets: Secrets) -> Call:
    """The key of a crypto device. Raises Terminal when it cannot be had or is none; never says what it is."""
    key, key2 = _halves(wanted, secrets)
    return _writes("accel_crypto_key_create", name=wanted.key_name, cipher="AES_XTS", key=key, key2=key2)


def key_read(name: str) -> Call:
    """Answers with the key itself: the reply is compared and dropped."""
    return Call("accel_crypto_keys_get", {"key_name": name})


def is_key(answer: Json, wanted: Bdev, secrets: Secrets) -> bool:
    """Whether the key that the target has under the name is the one that we mean."""
    key, key2 = _halves(wanted, secrets)
    match answer:
        case [{"key": str(found), "key2": str(found2)}]:
            return (found, found2) == (key, key2)
    return False


def key_destroy(name: str) -> Call:
    """Not refused for a key in use, which kills the target: the caller has seen its only user gone."""
    return _writes("accel_crypto_key_destroy", key_name=name)


def _halves(wanted: Bdev, secrets: Secrets) -> tuple[str, str]:
    fingerprint = wanted.sealed or (wanted.key_name or "").rpartition("-")[2]
    found = halves(secrets.material(wanted.key_from, fingerprint))
    if found is None:
        raise Terminal(f"{wanted.key_from}: {NO_KEY}")
    return found
