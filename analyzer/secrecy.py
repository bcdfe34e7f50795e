"""What is secret in a file, by its shape and by where it stands, so that it can be told of and is never shown.

Nothing here needs the file to be sound: an excerpt of a broken Secret must not show its password either.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

HIDDEN = "••••••"
SECRET = "secret"  # noqa: S105  # the kind, whatever its group and however it is spelt

# What it is → what it begins with, and its whole shape.
_SHAPES: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "a private key": (("PRIVATE KEY",), r"-----BEGIN (?:[A-Z0-9]+ )*?(?<!ENCRYPTED )PRIVATE KEY(?: BLOCK)?-----"),
        "an age key": (("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
        "an NVMe authentication key": (("DHHC-1:",), r"DHHC-1:0[0-3]:[A-Za-z0-9+/]{40,}={0,2}:"),
        "an NVMe TLS key": (("NVMeTLSkey-1:",), r"NVMeTLSkey-1:0[0-2]:[A-Za-z0-9+/]{40,}={0,2}:"),
        "a GitHub token": (
            ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
            r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
        ),
        "a GitLab token": (("glpat-",), r"\bglpat-[A-Za-z0-9_-]{20,}"),
        "a Slack token": (("xoxb-", "xoxp-", "xoxa-"), r"\bxox[abp]-[0-9]{8,}-[0-9A-Za-z-]{20,}"),
        "an AWS access key": (("AKIA", "ASIA"), r"\bA[KS]IA[A-Z2-7]{16}\b"),
        "a Google API key": (("AIza",), r"\bAIza[0-9A-Za-z_-]{35}\b"),
        "a Stripe key": (("sk_live_", "rk_live_"), r"\b[rs]k_live_[0-9A-Za-z]{24,}"),
        "an npm token": (("npm_",), r"\bnpm_[A-Za-z0-9]{36}\b"),
        "a Vault token": (("hvs.",), r"\bhvs\.[A-Za-z0-9_-]{24,}"),
        "an API key of an AI provider": (
            ("sk-ant-", "sk-proj-"),
            r"\bsk-(?:ant|proj)-[A-Za-z0-9_-]{32,}",
        ),
        "a JSON Web Token": (("eyJ",), r"(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    }
)
_BEGINNINGS = tuple(beginning.encode() for beginnings, _ in _SHAPES.values() for beginning in beginnings)
_PLAIN_BEGINNINGS = tuple(beginning for beginning in _BEGINNINGS if b"_" not in beginning)
_COMPILED = {what: re.compile(shape) for what, (_, shape) in _SHAPES.items()}

_PLACEHOLDER = re.compile(
    r"""
      ^\s*$ | ^<.*>$ | ^(.)\1*$ | \$\{ | \$\( | \{\{ | \{% | ^ENC\[ | ^(?:vault|ref\+\w+|op|awssm|gcpsm):
    | change[-_ ]?me | replace[-_ ]?(?:me|this|with) | placeholder | example | dummy | redacted | your[-_ ] | \btodo\b
    | insert[-_ ] | ^UPDATE_ | fixme | ^see\s.*readme | not[-_ ]?(?:a[-_ ])?real | \.\.\.
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MENTION = re.compile(r"change[-_ ]?me|placeholder|example|dummy|redacted|fixme|\.\.\.", re.IGNORECASE)


@dataclass(frozen=True, order=True, slots=True)
class Shape:
    """A piece of text that can hardly be anything but a secret, and where it begins."""

    start: int
    what: str
    text: str


def may_have_shapes(data: bytes) -> bool:
    """Whether it is worth looking for them."""
    beginnings = _BEGINNINGS if b"_" in data else _PLAIN_BEGINNINGS
    for beginning in beginnings:  # noqa: SIM110  # any() takes twice as long, and this is asked of every file
        if beginning in data:
            return True
    return False


def shapes_in(text: str) -> Iterator[Shape]:
    """Keys and tokens that give themselves away, placeholders left out."""
    for what, (beginnings, _) in _SHAPES.items():
        if any(beginning in text for beginning in beginnings):
            found = (match for match in _COMPILED[what].finditer(text) if not _MENTION.search(match[0]))
            yield from (Shape(match.start(), what, match[0]) for match in found)


def is_placeholder(text: str) -> bool:
    """Whether a value stands for a secret that is put in later, or is encrypted."""
    return _PLACEHOLDER.search(text.strip()) is not None


def decoded(value: str) -> str:
    """The text in base64, or the value itself where it is none."""
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return value


# --- lines that are not shown

_KIND = re.compile(
    r"(?P<before>.*?)[\"']?kind[\"']?\s*:\s*[\"']?(?P<kind>Secret|ManagedApplication|AccessControlPolicy)\b"
)
SECRETIVE = frozenset(("ManagedApplication", "AccessControlPolicy"))  # kinds that hold some beside other things
_GENERATOR = re.compile(r"[\"']?secretGenerator[\"']?\s*:")
_SECRET_FIELD = re.compile(r"(?:^|[\s{,])[\"']?(?:data|stringData|apiKeys|signingSecret|literals)[\"']?\s*:")
_PATCHED = re.compile(r"stringData[\"']?\s*[:/.]|/data/")  # what may say so of a Secret that is somewhere else
_BROUGHT = re.compile(rf"{_SECRET_FIELD.pattern}|(?:^|[\s{{,])[\"']?(?:value|sourceValue)[\"']?\s*:")
_IN_ADDRESS = re.compile(r"://[^\s/:@\"']*:[^\s/@\"'$<{]+@")
_KEY = re.compile(r"^(?P<indent>\s*(?:- +)*)[\"']?(?P<key>[^\s\"':{\[]+)[\"']?\s*:")
_OPEN_FIELDS = frozenset(("apiVersion", "kind", "metadata", "type", "immutable"))  # of a Secret; all others are hidden
_KEPT = re.compile(r"^(?P<kept>\s*(?:-\s+)?(?:[\"']?[\w./-]+[\"']?\s*:(?:\s|$))?)")
_DIVIDER = re.compile(r"^---(?:\s|$)", re.MULTILINE)


def hidden_lines(text: str) -> frozenset[int]:
    """The numbers (from 1) of lines that hold something secret, or may hold it."""
    return frozenset((*_lines_with_shapes(text), *_lines_in_blocks(text), *_lines_with_addresses(text)))


def is_open(path: Sequence[object]) -> bool:
    """Whether a field of a Secret may be shown."""
    return not path or path[0] in _OPEN_FIELDS


def _lines_with_addresses(text: str) -> Iterator[int]:
    """Those in which somebody's password is part of an address."""
    if "://" in text:
        yield from (number for number, line in enumerate(text.split("\n"), 1) if _IN_ADDRESS.search(line))


def _lines_in_blocks(text: str) -> Iterator[int]:
    start = before = 0
    for end in (*(divider.start() for divider in _DIVIDER.finditer(text)), len(text)):
        lines = text[start:end].split("\n")
        yield from (before + number for number in _secret_blocks(lines))
        start, before = end, before + len(lines) - 1


def masked(line: str) -> str:
    """A line without what it says: its key stays."""
    kept = _KEPT.match(line)
    return f"{kept['kept'].rstrip() if kept else ''} {HIDDEN}" if line.strip() else line


def _lines_with_shapes(text: str) -> Iterator[int]:
    """Of a private key all lines up to its end."""
    found = list(shapes_in(text))
    breaks = [match.start() for match in re.finditer("\n", text)] if found else []
    ends = [match.start() for match in re.finditer("-----END", text)] if found else []
    told = -1  # the end of the key before
    for shape in found:
        last = shape.start + len(shape.text)
        if shape.text.startswith("-----BEGIN") and (end := bisect_left(ends, shape.start)) < len(ends):
            if ends[end] == told:
                continue  # within the lines of that key
            last = told = ends[end]
        yield from range(bisect_left(breaks, shape.start) + 1, bisect_left(breaks, last) + 2)


def _secret_blocks(lines: Sequence[str]) -> Iterator[int]:
    """The lines of a document, by number, that belong to a field which is secret, whatever else is wrong there."""
    kinds = [found for line in lines if (found := _KIND.match(line))]
    patches = any(map(_PATCHED.search, lines))
    if not (kinds or patches or any(map(_GENERATOR.search, lines))):
        return
    secret = _BROUGHT if patches else _SECRET_FIELD
    columns = {len(found["before"]) for found in kinds if found["kind"] == "Secret"}
    inside = -1  # how far the block is indented that is secret
    for number, line in enumerate(lines, 1):
        width = len(line) - len(line.lstrip())
        if line.strip() and (width < inside or (width == inside and not line.lstrip().startswith("- "))):
            inside = -1
        key = _KEY.match(line)
        unknown = key and len(key["indent"]) in columns and key["key"] not in _OPEN_FIELDS
        if inside >= 0:
            yield number
        elif unknown or secret.search(line):
            inside = len(key["indent"]) if key else width
            if line.partition(":")[2].strip():
                yield number
