"""What of an answer may differ from the recording: names that the target chose, and what never stays the same."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = Any
UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
NGUID = re.compile(r"^[0-9A-F]{32}$")
VOLATILE = frozenset(
    {
        "tick_rate",
        "ticks",
        "pid",
        "tid",
        "lcore",
        "tsc_rate",
        "busy",
        "idle",
        "elapsed",
        "current_thread",
        "thread",
        "version",
        "fields",
        "commit",
        "numa_id",
        "memory_domains",
        "in_interrupt",
        "probed",
        "hostid",
        "peer_address",
        "cntlid",
        "qid",
        "supported_io_types",
        "operation_id",
        "num_read_ops",
        "num_write_ops",
        "num_unmap_ops",
        "num_copy_ops",
        "bytes_read",
        "bytes_written",
        "bytes_unmapped",
        "bytes_copied",
        *(f"{m}{op}_latency_ticks" for m in ("", "max_", "min_") for op in ("read", "write", "unmap", "copy")),
    }
)


@dataclass
class Names:
    """Recorded generated identifiers ↔ the ones that this target generated. Bindings count once an answer matched."""

    data: Path
    volatile: frozenset[str] = VOLATILE
    forward: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)

    def bind(self, recorded: str, got: str) -> bool:
        recorded, got = recorded.lower(), got.lower()
        known = self.forward.get(recorded) or self.fresh.get(recorded)
        if known or got in self.back or got in self.fresh.values():
            return known == got
        self.fresh[recorded] = got
        return True

    def keep(self, *, matched: bool) -> None:
        if matched:
            self.forward |= self.fresh
            self.back |= {got: recorded for recorded, got in self.fresh.items()}
        self.fresh = {}

    def to_target(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: self.to_target(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.to_target(v) for v in value]
        if isinstance(value, str):
            return UUID.sub(
                lambda m: self.forward.get(m.group().lower(), m.group()), value.replace("${DATA}", str(self.data))
            )
        return value

    def same_text(self, recorded: str, got: str) -> bool:
        recorded = recorded.replace("${DATA}", str(self.data))
        if recorded == got:
            return True
        left, right = UUID.findall(recorded), UUID.findall(got)
        if left and len(left) == len(right) and UUID.sub("U", recorded) == UUID.sub("U", got):
            return all(self.bind(a, b) for a, b in zip(left, right, strict=True))
        if NGUID.match(recorded) and NGUID.match(got):
            return self.bind(dashed(recorded), dashed(got))
        return False


def dashed(nguid: str) -> str:
    return "-".join((nguid[:8], nguid[8:12], nguid[12:16], nguid[16:20], nguid[20:]))


def differences(recorded: Json, got: Json, names: Names, where: str = "$") -> list[str]:
    """Where `got` is not what was recorded, as `path: recorded ≠ got`; empty when equal."""
    if isinstance(recorded, dict) and isinstance(got, dict):
        left, right = recorded.keys() - names.volatile, got.keys() - names.volatile
        found = [f"{where}.{k}: missing" for k in sorted(left - right)] + [
            f"{where}.{k}: not in the recording" for k in sorted(right - left)
        ]
        for key in sorted(left & right):
            found += differences(recorded[key], got[key], names, f"{where}.{key}")
        return found
    if isinstance(recorded, list) and isinstance(got, list):
        if len(recorded) != len(got):
            return [f"{where}: {len(recorded)} items recorded, {len(got)} given"]
        return [
            d
            for i, (a, b) in enumerate(zip(recorded, got, strict=True))
            for d in differences(a, b, names, f"{where}[{i}]")
        ]
    if isinstance(recorded, str) and isinstance(got, str):
        return [] if names.same_text(recorded, got) else [f"{where}: {short(recorded)} ≠ {short(got)}"]
    return [] if recorded == got and type(recorded) is type(got) else [f"{where}: {short(recorded)} ≠ {short(got)}"]


def short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
