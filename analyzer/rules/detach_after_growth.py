from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from analyzer.volumes import full_spec, origin_of
from schemas.quantity import parse_bytes


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    both = both_sound(before, after)
    if both is None or both[1].key.kind_name != "Volume" or not _begins_to_detach(*both):
        return
    old, new = both
    origin = origin_of(case.graph, new)
    if origin is None or not origin.sound or not full_spec(case.graph, new)["thin"]:
        return
    size, source = str(old.spec["size"]), str(origin.spec["size"])
    if parse_bytes(size) > parse_bytes(source):
        message = f"{new.key} has outgrown what it lies on ({size}, of {source} at most): SPDK cannot detach it safely"
        note = (origin.position_of(("spec", "size")), f"{origin.key}, no larger when it was cloned")
        advice = "declare thin: false, which copies all of it; it is held as OutgrownSource otherwise"
        yield hit(new, ("spec", "source", "detach"), message, advice, note)


def _begins_to_detach(before: Manifest, after: Manifest) -> bool:
    was, now = (bool(side.spec.get("source", {}).get("detach")) for side in (before, after))
    return now and not was


RULE = ChangeRule("detach-after-growth", Severity.WARNING, check)
