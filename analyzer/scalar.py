"""Text of a YAML scalar → value, by the core schema of YAML 1.2: `no`, `0777`, `2026-01-01` are what they look like."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = "bool | int | float | str | None"

_TEXT_TAGS = frozenset({"tag:yaml.org,2002:str", "!"})
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("-+.0123456789")
_DIGITS = 20  # of the largest 64-bit number; also keeps int() away from its own limit on digits
_LARGEST, _SMALLEST = 2**64 - 1, -(2**63)

_TAGGED: dict[str, tuple[type, ...]] = {
    "tag:yaml.org,2002:null": (type(None),),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:int": (int,),
    "tag:yaml.org,2002:float": (float, int),
}


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Raises ValueError for a number that JSON cannot carry."""
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in _NUMBER_STARTS else text


def resolve_tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with a tag. Raises ValueError for a tag of no use here, or one that does not fit."""
    if tag in _TEXT_TAGS:
        return text
    if tag not in _TAGGED:
        raise ValueError(f"the tag {short_tag(tag)} has no meaning in a manifest")
    value = resolve(text)
    if type(value) not in _TAGGED[tag]:
        raise ValueError(f"{text!r} is no {short_tag(tag)}")
    return value


def short_tag(tag: str) -> str:
    """A tag as people write it: `!!int`, `!Ref`."""
    return tag.replace("tag:yaml.org,2002:", "!!")


def _number(text: str) -> Scalar:
    if _DECIMAL.fullmatch(text):
        return _in_range(int(text) if len(text.lstrip("+-0")) <= _DIGITS else _LARGEST + 1, text)
    if _BASED.fullmatch(text):
        return _in_range(int(text, 0), text)
    if _FLOAT.fullmatch(text):
        return _finite(float(text), text)
    return _finite(math.inf, text) if _NOT_FINITE.fullmatch(text) else text


def _in_range(value: int, text: str) -> int:
    if _SMALLEST <= value <= _LARGEST:
        return value
    raise ValueError(f"the number {text[:_DIGITS]}… does not fit into 64 bits")


def _finite(value: float, text: str) -> float:
    if math.isfinite(value):
        return value
    raise ValueError(f"{text[:_DIGITS]} is not a number that JSON can carry")
