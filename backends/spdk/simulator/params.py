"""Parameters as a target decodes them: by type, by range, strictly. How it says no is the method's own affair.

Observed on v26.05: bdev methods answer -32603, nvmf methods -32602, accel and raid -32700; unknown and duplicate
parameters are refused except by the few methods whose decoding is relaxed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from backends.spdk.simulator.wire import Members, Number, Value, is_text

Decoded: TypeAlias = "dict[str, Any]"
Decoder: TypeAlias = "Callable[[Value], Any]"


class Undecodable(Exception):
    """A parameter, or the lot of them, is not what the method declares."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What an object may and must hold."""

    decoders: Mapping[str, Decoder]
    required: frozenset[str] = field(default_factory=frozenset)
    lax: bool = False  # unknown members are ignored

    def decode(self, value: Value) -> Decoded:
        """Every declared member, decoded. Undecodable: something missing, unknown, doubled or of a wrong type."""
        if self.lax and not self.decoders:
            return {}
        if not isinstance(value, Members):
            raise Undecodable
        decoded: Decoded = {}
        for name, given in value:
            if decoder := self.decoders.get(name):
                if name in decoded:
                    raise Undecodable
                decoded[name] = decoder(given)
            elif not self.lax:
                raise Undecodable
        if not self.required <= decoded.keys():
            raise Undecodable
        return decoded


MAX_UINT64: Final = 2**64 - 1


def integer(low: int, high: int) -> Decoder:
    def decode(value: Value) -> int:
        number = whole(value)
        if not low <= number <= high or (low == 0 and str(value).startswith("-")):
            raise Undecodable
        return number

    return decode


def whole(value: Value) -> int:
    """1000, 1e3 and 1000.0 are one integer; 1000.5, "1000" and what passes 64 bits are none."""
    if not isinstance(value, Number):
        raise Undecodable
    if value.isdigit() and len(value) <= len(str(MAX_UINT64)):
        return int(value)
    mantissa, _, exponent = value.lower().partition("e")
    whole_part, _, fraction = mantissa.lstrip("-").partition(".")
    digits, power = int((whole_part + fraction)[:40]), int(exponent[:20] or 0) - len(fraction)
    if digits > MAX_UINT64 or len(whole_part + fraction) > 40:
        raise Undecodable
    number = _scaled(digits, power)
    return -number if value.startswith("-") else number


def _scaled(digits: int, power: int) -> int:
    if digits == 0:
        return 0
    while power < 0 and digits % 10 == 0:
        digits, power = digits // 10, power + 1
    while power > 0 and digits <= MAX_UINT64:
        digits, power = digits * 10, power - 1
    if power or digits > MAX_UINT64:
        raise Undecodable
    return digits


def string(value: Value) -> str:
    """A string that fits a C string: no NUL in it."""
    if not is_text(value) or "\0" in value:
        raise Undecodable
    return value


def boolean(value: Value) -> bool:
    if not isinstance(value, bool):
        raise Undecodable
    return value


def uuid_text(value: Value) -> str | None:
    """A UUID in its long form, written small. The null UUID is as good as none."""
    text = parse_uuid(string(value))
    if text is None:
        raise Undecodable
    return None if text == NULL_UUID else text


NULL_UUID: Final = str(uuid.UUID(int=0))


def parse_uuid(text: str) -> str | None:
    """8-4-4-4-12 hexadecimal digits, or None."""
    try:
        parsed = str(uuid.UUID(text))
    except ValueError:
        return None
    return parsed if text.lower() == parsed else None


def hexadecimal(size: int) -> Decoder:
    """Bytes as pairs of digits without separators, as NGUID and EUI-64 are written; kept in capitals."""

    def decode(value: Value) -> str | None:
        text = string(value)
        if len(text) != 2 * size or not text.isascii() or not text.isalnum():
            raise Undecodable
        try:
            number = int(text, 16)
        except ValueError:
            raise Undecodable from None
        return text.upper() if number else None

    return decode


def one_of(*choices: str) -> Decoder:
    def decode(value: Value) -> str:
        if value not in choices or not is_text(value):
            raise Undecodable
        return value

    return decode


def array_of(item: Decoder, at_most: int) -> Decoder:
    def decode(value: Value) -> list[Any]:
        if not isinstance(value, list) or len(value) > at_most:
            raise Undecodable
        return [item(element) for element in value]

    return decode


TYPES: Final[Mapping[str, Decoder]] = {
    "uint8": integer(0, 2**8 - 1),
    "uint16": integer(0, 2**16 - 1),
    "uint32": integer(0, 2**32 - 1),
    "uint64": integer(0, MAX_UINT64),
    "int32": integer(-(2**31), 2**31 - 1),
    "string": string,
    "boolean": boolean,
    "uuid": uuid_text,
    "nguid": hexadecimal(16),
    "eui64": hexadecimal(8),
}


def fields(text: str, types: Mapping[str, Decoder], *, lax: bool = False) -> Fields:
    """`name:type` words, `!` behind a required one. A type is of `types` or, in brackets, a choice: `[a|b]`."""
    words = [word.partition(":") for word in text.split()]
    decoders = {name: _decoder(kind.rstrip("!"), types) for name, _, kind in words}
    return Fields(decoders, frozenset(name for name, _, kind in words if kind.endswith("!")), lax)


def _decoder(kind: str, types: Mapping[str, Decoder]) -> Decoder:
    return one_of(*kind.strip("[]").split("|")) if kind.startswith("[") else types[kind]
