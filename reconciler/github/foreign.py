"""A report that came as an artefact, perhaps from a workflow that a fork has changed, made harmless.

What our own report consists of stays as it is. Anything else becomes text.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?!/?(?:code|br|details|summary|strong|sub)>)")
_TARGET = re.compile(r"\]\((?P<url>[^()\s]*)\)|\](?=[(:\[])")
_CALL = re.compile(r"@(?!&#8203;)")
_BARE = re.compile(r"(?<!\]\()\b(?P<scheme>https?|ftp)://|\bwww\.", re.IGNORECASE)
_SILENT = "&#8203;"
NOTE = (
    "<sub>From the workflow of a fork, which can change what it says; what counts is the check of the commit.</sub>\n"
)


def harmless(body: str, home: str) -> str:
    """No tags but ours, no links but to `home`, no images, nobody called."""
    mark, newline, rest = body.partition("\n")
    if not re.fullmatch(r"<!-- holdfast-check: \S* run=\d{1,19}\.\d{1,9} -->", mark):
        mark, newline, rest = "", "", body
    found = _TAG.sub("&lt;", rest.replace("\r", ""))
    found = found.replace("![", f"!{_SILENT}[")
    found = _TARGET.sub(lambda match: _link(match, home), found)
    found = _BARE.sub(lambda match: match[0].replace("://", f":{_SILENT}//").replace(".", "&#46;"), found)
    found = _CALL.sub(f"@{_SILENT}", found)
    return f"{mark}{newline}{found}\n{NOTE}"


def _link(match: re.Match[str], home: str) -> str:
    url = match["url"]
    if url and home and url.startswith((f"{home}/blob/", f"{home}/actions/runs/")):
        return match[0]
    return f"]{_SILENT}" + match[0][1:]
