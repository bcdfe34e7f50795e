"""Kubernetes quantities and durations: text to whole bytes and seconds, and back."""

from __future__ import annotations

import re
from decimal import Decimal

_FACTOR = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
LARGEST = 2**60 - 1  # bytes; SPDK computes sizes modulo 2**64, so that a larger one would be small
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")
_WRITTEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(i?)(?:b|bytes?)?\s*", re.IGNORECASE)
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
SHORTEST, LONGEST = "10ms", "7d"  # of an interval


def parse_bytes(text: str | int) -> int:
    """Bytes of a quantity such as `100Gi`, `1.5G` or `4096`.

    Raises ValueError when it is not a quantity or not a whole number of bytes.
    """
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        raise ValueError(f"{text!r} is not a quantity (write 100Gi, 1.5T or plain bytes)")
    value = Decimal(match[1]) * _FACTOR[match[2] or ""]
    if value > LARGEST:
        raise ValueError(f"{text!r} is more than {format_bytes(LARGEST + 1)}, which no device can have")
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return int(value)


def quantities_near(text: str) -> tuple[str, ...]:
    """What somebody may have meant by a text that is no quantity: 256MB → 256M, 256Mi; 1 GiB → 1Gi."""
    match = _WRITTEN.fullmatch(text)
    if not match:
        return ()
    number, unit, binary = match[1], match[2].upper(), bool(match[3])
    if not unit:
        return (number,)
    decimal = number + unit.replace("K", "k")
    return (f"{number}{unit}i",) if binary else (decimal, f"{number}{unit}i")


def format_bytes(value: int) -> str:
    """The shortest exact binary quantity: 107374182400 → `100Gi`; never rounds."""
    for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if value and value % _FACTOR[unit] == 0:
            return f"{value // _FACTOR[unit]}{unit}"
    return str(value)


def counted(count: int, noun: str) -> str:
    """1 volume, 2 volumes."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def told_bytes(value: int) -> str:
    """A size as people read it: 27648851968 → `25.75Gi`. Exact, like `format_bytes`."""
    for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        hundredths, rest = divmod(value * 100, _FACTOR[unit])
        if hundredths >= 100 and not rest:
            return f"{Decimal(hundredths).scaleb(-2).normalize():f}{unit}"
    return str(value)


def parse_seconds(text: str) -> float:
    """Seconds of a duration such as `60s`, `1h30m` or `250ms`. Raises ValueError."""
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise ValueError(f"{text!r} is not a duration (write 60s, 5m, 24h or 1h30m)")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text)))


def parse_interval(text: str) -> float:
    """Seconds of a duration after which something is done again, or given up. Raises ValueError."""
    seconds = parse_seconds(text)
    if not parse_seconds(SHORTEST) <= seconds <= parse_seconds(LONGEST):
        raise ValueError(f"{text!r} is not a duration from {SHORTEST} to {LONGEST}")
    return seconds


def parse_percent(text: str) -> float:
    """A share between 0 and 1 of a text such as `10%`. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,3})%", text)
    if not match or int(match[1]) > 100:
        raise ValueError(f"{text!r} is not a percentage between 0% and 100%")
    return int(match[1]) / 100


def parse_power_of_two(number: int) -> int:
    """The number itself: 1, 2, 4, 8 … Raises ValueError for any other."""
    if number < 1 or number & (number - 1):
        raise ValueError(f"{number} is not a power of two")
    return number
