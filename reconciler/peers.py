"""Other targets that export the same subsystems: which hosts have a path through those. Asked on demand only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

from backends.contract import Backend, BackendError
from reconciler.desired import DesiredState, TargetWish

Hosts = Mapping[str, frozenset[str]]  # host NQN → names of the listeners it came through


def paths_elsewhere(
    connect: Callable[[TargetWish], Backend], target: str, desired: DesiredState, nqns: Collection[str]
) -> Mapping[str, Mapping[str, Hosts | None]]:
    """Subsystem → other target that is declared to export it → who is connected there; None where nobody can tell.

    Over connections of their own, so that no tick of another target is waited for.
    """
    found: defaultdict[str, dict[str, Hosts | None]] = defaultdict(dict)
    for name, wish in sorted(desired.targets.items()):
        shared = {subsystem.subsystem.nqn for subsystem in wish.subsystems} & set(nqns)
        if name != target and shared:
            for nqn, hosts in _ask(connect, wish, shared).items():
                found[nqn][name] = hosts
    return dict(found)


def _ask(
    connect: Callable[[TargetWish], Backend], wish: TargetWish, nqns: Collection[str]
) -> Mapping[str, Hosts | None]:
    try:
        backend = connect(wish)
    except BackendError:
        return dict.fromkeys(nqns)
    try:
        return backend.paths(nqns)
    finally:
        backend.close()
