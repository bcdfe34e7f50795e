from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import removal_ref
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit, hit


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    if case.base is None or after is None or not after.sound or after.kind is None or not after.kind.data_bearing:
        return
    given_up = after.resource.spec.get("recreate")
    if given_up and (before is None or before.resource.spec.get("recreate") != given_up):
        message = f"blank bytes take the place of {given_up}: what it held is given up for good"
        yield hit(after, ("spec", "recreate"), message, "restore the bytes first, where there is another copy")
    for removal in case.base.sound("Removal") if before is None else ():
        if removal_ref(removal.resource) == after.key:
            note = (case.was(removal, ("spec", "uid")), "consent to destroy it")
            message = f"{after.key} comes back, and a Removal has let its bytes go: it is DataMissing, or begins blank"
            yield hit(
                after, ("metadata", "name"), message, "expect no data in it, or declare it under another name", note
            )


RULE = ChangeRule("recreates-lost-data", Severity.WARNING, check)
