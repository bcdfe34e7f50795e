"""NVMe Qualified Names, as SPDK takes them: `nqn.2026-01.com.example:name`."""

from __future__ import annotations

import re

LONGEST = 223  # bytes
LONGEST_LABEL = 64  # one more than DNS has: the last part may be so long, and that is all that is told
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
_BY_UUID = "nqn.2014-08.org.nvmexpress:uuid:"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DATE = re.compile(r"nqn\.[0-9]{4}-[0-9]{2}\.")
_LABEL = re.compile(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?")


def why_invalid(nqn: str) -> str:
    """What is wrong with a name, in words; empty when SPDK takes it."""
    if len(nqn.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if nqn == DISCOVERY:
        return ""
    if nqn.startswith(_BY_UUID):
        return "" if _UUID.fullmatch(nqn.removeprefix(_BY_UUID)) else "no UUID follows 'uuid:'"
    start = _DATE.match(nqn)
    if start is None:
        return "it does not begin with nqn.YYYY-MM."
    domain, _, name = nqn[start.end() :].partition(":")
    return _why_no_domain(domain) if name else "no name follows a ':'"


def _why_no_domain(domain: str) -> str:
    for label in domain.split("."):
        if not _LABEL.fullmatch(label):
            return f"{label!r} in its domain does not begin with a letter, or does not end with a letter or digit"
        if len(label) > LONGEST_LABEL:
            return f"a part of its domain is longer than {LONGEST_LABEL} characters"
    return ""
