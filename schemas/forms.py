"""Forms of text that other APIs use: URLs, paths, versions, Go durations, Kubernetes quantities.

Each function raises ValueError for what has not that form.
"""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import SplitResult, urlsplit

_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3",
          "s": "1", "m": "60", "h": "3600", "d": "86400", "w": "604800"}  # fmt: skip
_GO_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")
_SEMVER = re.compile(
    r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_QUANTITY = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")


def parse_go_duration(text: str) -> float:
    """Seconds of a duration such as `1.5h`, `1h30m` or `0`."""
    if text == "0":
        return 0.0
    if not re.fullmatch(f"(?:{_GO_DURATION.pattern})+", text):
        raise ValueError(f"{text!r} is not a duration (write 30s, 5m or 1h30m)")
    return float(sum(Decimal(number) * Decimal(_UNITS[unit]) for number, unit in _GO_DURATION.findall(text)))


def parse_url(text: str) -> SplitResult:
    """The parts of a URL; a path that begins with `/` counts as one."""
    parts = urlsplit(text)
    if re.search(r"[\s\x00-\x1f\x7f]", text) or not (text.startswith("/") or (parts.scheme and parts.netloc)):
        raise ValueError(f"{text!r} is not a URL")
    return parts


def parse_https_url(text: str) -> SplitResult:
    return _of_scheme(text, "https")


def parse_ldap_url(text: str) -> SplitResult:
    return _of_scheme(text, "ldap", "ldaps")


def parse_absolute_path(text: str) -> str:
    """A path that begins with `/` and never leads up."""
    if not text.startswith("/") or ".." in text.split("/")[1:]:
        raise ValueError(f"{text!r} is not an absolute path")
    return text


def parse_semver(text: str) -> str:
    if not _SEMVER.fullmatch(text):
        raise ValueError(f"{text!r} is not a version")
    return text


def parse_kubernetes_quantity(text: str | int) -> str:
    """A quantity as Kubernetes takes it: `10Gi`, `500m`, `1e3`."""
    if not _QUANTITY.fullmatch(str(text)):
        raise ValueError(f"{text!r} is not a quantity")
    return str(text)


def _of_scheme(text: str, *schemes: str) -> SplitResult:
    parts = parse_url(text)
    if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"{text!r} does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return parts
