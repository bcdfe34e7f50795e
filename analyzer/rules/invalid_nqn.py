from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import values_at
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.fields import FieldPath
from schemas.nqn import why_invalid
from schemas.validation import quoted

NQNS: dict[str, tuple[FieldPath, ...]] = {
    "Subsystem": (("nqn",),),
    "Host": (("nqn",),),
    "BlockDevice": (("nvme", "subsystemNQN"), ("nvme", "hostNQN")),
    "Target": (("referrals", "[]", "subsystemNQN"),),
}


def check(_case: Case, manifest: Manifest) -> Iterator[Hit]:
    for field in NQNS[manifest.key.kind]:
        for path, _, nqn in values_at(manifest.resource.spec, field, ("spec",)):
            if why := why_invalid(nqn):
                message = f"{quoted(nqn)} is no NQN that SPDK takes: {why}"
                yield hit(manifest, path, message, "write nqn.YYYY-MM.reverse.domain:name")


RULE = ResourceRule("invalid-nqn", Severity.ERROR, tuple(NQNS), check)
