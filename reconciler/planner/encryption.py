"""Encrypted volumes: an encrypting device stands on the lvol and is exported in its place, under the lvol's identity.

What was recorded with the bytes decides, not what a manifest says today: where their key is, and its fingerprint. SPDK
takes any key and shows noise, so no device is made with a key that is not the one that the bytes were written with;
and a host that met the raw bytes would take them for a blank disk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from backends.contract import Guard
from backends.objects import Bdev, LiveObject, Lvol, ObjectKey, ObjectKind
from reconciler import identity
from reconciler.desired import VolumeWish
from reconciler.devices import crypto_uuid
from reconciler.plan import Difference, Drift, DriftClass, Record, created
from reconciler.planner.draft import Draft, Proposal, Standing, absent, differences, missing_drift
from reconciler.planner.stacks import KEY_NAME, stacked_on
from reconciler.planner.view import View
from schemas.resources import ResourceKey

NAME = 54  # characters of the volume's name in that of its device
_PATHS = dict.fromkeys(("driver", "uuid", "bases", "key_name"), "spec.encryption.keyFrom")


# --- when an lvol is made


def secured(
    view: View, draft: Draft, wish: VolumeWish, wanted: Lvol, origin: LiveObject | None
) -> Lvol | tuple[str, str]:
    """The lvol that is to be made, with the key that its bytes will have; or why it may not be made."""
    source = sealing(view, draft, origin) if isinstance(origin, Lvol) else None
    if source and source.key_from:
        wrong = _other_key(view, wish.key_from, source.sealed) if wish.keyed_by == "spec" else None
        return wrong or dataclasses.replace(wanted, key_from=source.key_from, sealed=source.sealed)
    if source and source.sealed:
        return "KeyUnavailable", _why_lost(view, "")
    if not wish.key_from:
        return wanted
    if origin is not None:
        return "SourceUnfit", "what it is cloned from is not encrypted, so its bytes would be noise; copy them instead"
    fingerprint = view.owned.keys.get(wish.key_from)
    if fingerprint is None:
        return "KeyUnavailable", _why_lost(view, wish.key_from)
    return dataclasses.replace(wanted, key_from=wish.key_from, sealed=fingerprint)


def sealing(view: View, draft: Draft, lvol: Lvol) -> Lvol:
    """An lvol with what the ledger, or this plan, knows of its key."""
    if lvol.key_from:
        return lvol
    known = view.records_by_uid.get(lvol.uuid or "") or view.records.get(lvol.key)
    record = draft.records.get(known.key if known else lvol.key, known)
    return with_key(lvol, record) if record else lvol


def with_key(lvol: Lvol, record: Record) -> Lvol:
    """With where the key of recorded bytes is, and its fingerprint; both None of bytes that are not encrypted."""
    source, fingerprint = _word(record, "key_from"), _word(record, "sealed")
    if (source, fingerprint) == (lvol.key_from, lvol.sealed):
        return lvol
    return dataclasses.replace(lvol, key_from=source, sealed=fingerprint)


def _word(record: Record, name: str) -> str | None:
    value = record.applied.get(name)
    return value if isinstance(value, str) else None


def kept_sealed(view: View, wish: VolumeWish, lvol: Lvol, live: Lvol) -> Lvol:
    """The lvol as it is recorded again: the place of its key may move, the key may not."""
    if not (lvol.key_from or lvol.sealed):
        return lvol
    here = _source_of(wish, lvol)
    fingerprint = view.owned.keys.get(here)
    fits = fingerprint is not None and fingerprint == (lvol.sealed or _key_in_use(view, live))
    return dataclasses.replace(lvol, key_from=here, sealed=fingerprint) if fits else lvol


def _source_of(wish: VolumeWish, lvol: Lvol) -> str:
    """Where the key of an encrypted volume is: as it says itself, else as is recorded; else as its class says now."""
    return wish.key_from if wish.keyed_by == "spec" or not lvol.key_from else lvol.key_from


def _key_in_use(view: View, live: Lvol) -> str | None:
    """The fingerprint of the key with which a device of ours shows an lvol."""
    names = (device.key_name or "" for device in stacked_on(view, live) if device.driver == "crypto")
    return next((name.rpartition("-")[2] for name in names if _is_our_own(view, name)), None)


def _is_our_own(view: View, name: str) -> bool:
    return identity.site_of(name) == identity.site_mark(view.owned.site)


def _other_key(view: View, source: str, sealed: str | None) -> tuple[str, str] | None:
    """Why a key is not the one with which bytes were written."""
    fingerprint = view.owned.keys.get(source)
    if fingerprint is None:
        return "KeyUnavailable", _why_lost(view, source)
    if sealed in (None, fingerprint):
        return None
    written = f"the bytes were written with key {sealed}"
    return "WrongKey", f"{written}, but {source} holds key {fingerprint}; nothing is decrypted with it"


def _why_lost(view: View, source: str) -> str:
    if not source:
        return "the bytes are encrypted, and nothing says where their key is: have spec.encryption of the class say it"
    return view.owned.lost_keys.get(source, f"{source}: not read yet")


# --- the device on it


def plan_encryption(
    view: View, draft: Draft, volumes: Mapping[ResourceKey, Standing]
) -> Mapping[ResourceKey, Standing]:
    """What is to be exported of each volume: of an encrypted one the device on it, never the lvol itself."""
    found = dict(volumes)
    for wish in view.target.volumes:
        standing = volumes.get(wish.wish.key)
        lvol = (standing.live or standing.making) if standing else None
        if isinstance(lvol, Lvol):
            found[wish.wish.key] = _shown(view, draft, wish, sealing(view, draft, lvol), standing or Standing())
    return found


def _shown(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol, standing: Standing) -> Standing:
    if not (lvol.key_from or lvol.sealed):
        return _plain(view, draft, wish, lvol, standing) if wish.keyed_by == "spec" and wish.key_from else standing
    if standing.making:
        return Standing(why="its encrypting device is made once the volume is there")
    if not wish.keyed_by and wish.source is None and wish.key_from == lvol.key_from:
        message = "no manifest says so any more, but its bytes are encrypted and can be read with their key only"
        draft.remark(wish.wish.key, "EncryptionFixed", message, ready=True)
    return _device(view, draft, wish, lvol)


def _plain(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol, standing: Standing) -> Standing:
    """Bytes without a key stay without one; where nobody sees them, nobody shall, for that may be an error."""
    message = "its bytes were written without a key, which cannot change; declare a new volume, and copy"
    draft.remark(wish.wish.key, "EncryptionFixed", message, stalled=True)
    return standing if view.exported.get(lvol.uuid or "") else Standing(why=message)


def _device(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol) -> Standing:
    name, uid = _name(view, wish, lvol), lvol.uuid or ""
    _forget_former(view, draft, wish, name)
    live = view.devices.get(crypto_uuid(uid))
    here = _source_of(wish, lvol)
    if refusal := _other_key(view, here, lvol.sealed):
        draft.remark(wish.wish.key, *refusal, stalled=refusal[0] == "WrongKey")
        own = live is not None and live.name == name
        return Standing(live=live, shows=uid) if own else Standing(why=refusal[1])
    fingerprint = view.owned.keys[here]
    key_name = f"{name[:KEY_NAME]}-{fingerprint}"
    wanted = Bdev(name, "crypto", crypto_uuid(uid), bases=(uid,), key_name=key_name, key_from=here)
    present = view.live.get(wanted.key)
    if isinstance(present, Bdev):
        return _present(draft, wish, wanted, present, uid)
    return _missing(view, draft, wish, lvol, wanted)


def _name(view: View, wish: VolumeWish, lvol: Lvol) -> str:
    """The name of the device: the one that it has, also from before the volume was renamed; else one for this lvol.

    Not the volume's alone: the name of a device whose lvol was deleted under it stays taken (observed on v26.05).
    """
    record = view.record_of(wish.wish, ObjectKind.BDEV)
    if record and record.applied.get("bases") == [lvol.uuid]:
        return record.key.name
    standing = (d.name for d in stacked_on(view, lvol) if d.driver == "crypto" and _is_our_own(view, d.name))
    return next(standing, f"{identity.object_name(view.owned.site, wish.wish.key)[:NAME]}-{(lvol.uuid or '')[:8]}")


def _forget_former(view: View, draft: Draft, wish: VolumeWish, name: str) -> None:
    record = view.record_of(wish.wish, ObjectKind.BDEV)
    if record and record.key.name != name and record.key not in view.live:
        draft.forget.add(record.key)


def _present(draft: Draft, wish: VolumeWish, wanted: Bdev, live: Bdev, uid: str) -> Standing:
    found = differences(wanted, live, _PATHS, wish.wish)
    if not found:
        draft.own(wanted, dataclasses.replace(wish.wish, reclaim=""))
        return Standing(live=live, shows=uid)
    message = f"bdev {live.name} is not the device of this volume: " + ", ".join(f"it has {d.have}" for d in found)
    draft.remark(wish.wish.key, "TargetIdentityMismatch", message, stalled=True)
    draft.drifts.append(Drift(live.key, wish.wish.key, DriftClass.MODIFIED, _by_path(found), "Held"))
    return Standing(why=message)


def _by_path(found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    return tuple({difference.path: difference for difference in found}.values())


def _missing(view: View, draft: Draft, wish: VolumeWish, lvol: Lvol, wanted: Bdev) -> Standing:
    key = wish.wish.key
    if above := stacked_on(view, lvol):
        message = f"{above[0].name} stands on the volume's lvol, and is not the device that is to encrypt it"
        draft.remark(key, "DeviceInUse", message, stalled=True)
        return Standing(why=message)
    cause = view.cause(view.records.get(wanted.key))
    raw = view.exported.get(lvol.uuid or "")  # somebody shows the bytes as they are
    doubt = None if lvol.sealed else ("KeyUnproven", _why_unproven(wanted.key_from))
    draft.propose(
        Proposal(
            created(wanted),
            key,
            cause,
            absent("the encrypting device", cause),
            guards=(Guard(lvol.key, {"uuid": lvol.uuid, "claimed": False}),),
            requires=(lvol.key,),
            gone=(raw.key, ObjectKey(ObjectKind.SUBSYSTEM, raw.nqn)) if raw else (),
            touches=(lvol.key,),
            drift=missing_drift(wanted.key, key, cause, "spec.encryption"),
            doubt=doubt,
        )
    )
    if doubt:
        draft.remark(key, *doubt)
        return Standing(why=doubt[1])
    return Standing(making=wanted, shows=lvol.uuid or "")


def _why_unproven(source: str) -> str:
    lost = "the ledger was lost, and nothing that is left tells with which key the bytes were written"
    return f"{lost}; with another one than {source} holds they would be noise: approve if you know that it is this"


# --- for those that export it


def device_of(view: View, wish: VolumeWish, record: Record | None) -> ObjectKey | None:
    """The device that stands for an encrypted volume; None for one that is not encrypted."""
    lvol = view.lvols.get(record.uid) if record else None
    if record is None or lvol is None or not {"key_from", "sealed"} & record.applied.keys():
        return None
    return ObjectKey(ObjectKind.BDEV, _name(view, wish, lvol))


def is_of(bdev: str, lvol: str) -> bool:
    """Whether a device (by its uuid) shows the bytes of an lvol: is that lvol, or encrypts what is on it."""
    return bdev == lvol or bdev == crypto_uuid(lvol)
