"""The limits of what a subsystem exports."""

from __future__ import annotations

from backends.objects import Bdev, Lvol, ObjectKey, ObjectKind, Qos, QosLimits
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.plan import Cause, Drift, DriftClass, created, updated
from reconciler.planner.draft import Draft, Proposal, Standing, differences, drifted
from reconciler.planner.view import View

_QOS_PATHS = {
    "iops": "spec.qos.iops",
    "read_mbps": "spec.qos.readMBps",
    "write_mbps": "spec.qos.writeMBps",
    "total_mbps": "spec.qos.totalMBps",
}


def plan_limits(view: View, draft: Draft, wish: SubsystemWish, entry: NamespaceWish, standing: Standing) -> None:
    """Limits are set on exported bdevs only: SPDK refuses to change them on one that nobody has open."""
    volume = entry.volume
    if volume is None or not standing.usable:
        return
    shown = standing.live or standing.making
    if not isinstance(shown, (Lvol, Bdev)):
        return
    name, have = shown.alias if isinstance(shown, Lvol) else shown.name, shown.limits or QosLimits()
    wanted, before = Qos(name, volume.limits), Qos(name, have)
    record = view.records.get(wanted.key)
    found = differences(wanted, before, _QOS_PATHS, volume.wish, record) if have != volume.limits else ()
    draft.overlook(wanted, before, _QOS_PATHS, volume.wish, record)
    if not found:
        if record or wanted.limits != QosLimits():
            draft.own(wanted, volume.wish)
        return
    behind_our_back = drifted(dict(record.applied) if record else {}, wanted, found, _QOS_PATHS)
    replay = record is not None and record.replay
    cause = Cause.CHANGE if not behind_our_back else Cause.RESTART if replay else Cause.DRIFT
    kind = DriftClass.TARGET_RESTART if replay else DriftClass.MODIFIED
    draft.propose(
        Proposal(
            updated(before, wanted) if standing.live else created(wanted),
            volume.wish.key,
            cause,
            "limits: " + ", ".join(f"{d.path.rpartition('.')[2]} {d.have} → {d.want}" for d in found),
            requires=(ObjectKey(ObjectKind.NAMESPACE, f"{wish.subsystem.nqn}#{entry.nsid}"),),
            drift=Drift(wanted.key, volume.wish.key, kind, found, "Corrected") if behind_our_back else None,
        )
    )
