from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import normpath

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

COUNTED = re.compile(
    r"/dev/(?:(?:sd|hd|vd|xvd)[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|(?:dm-|md|loop|pmem|mmcblk|nbd|ram|zram)\d+(?:p\d+)?|sr\d+)"
)


def check(_case: Case, device: Manifest) -> Iterator[Hit]:
    for driver in ("aio", "uring"):
        path = device.spec[driver]["path"] if driver in device.spec else ""
        if COUNTED.fullmatch(normpath(path)):
            message = f"{path} is whichever disk the kernel found in that order; after a restart it may be another one"
            advice = "name the disk by /dev/disk/by-id/, a partition by /dev/disk/by-partuuid/"
            yield hit(device, ("spec", driver, "path"), message, advice)


RULE = ResourceRule("unstable-device-path", Severity.WARNING, ("BlockDevice",), check)
