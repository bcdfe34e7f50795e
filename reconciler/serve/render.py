"""The page as HTML. Everything that comes from Git or a target is escaped by the template engine, always."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reconciler.dates import iso
from reconciler.serve.page import Page, ready_say
from schemas.resources import Json, ResourceKey, canonical

HERE = Path(__file__).parent
STATIC = HERE / "static"
LONGEST = 160  # characters of a value that are shown


def html(page: Page) -> str:
    """The whole page."""
    return _ENVIRONMENT.get_template("page.html").render(page=page)


def short(revision: str) -> str:
    """The beginning of a commit's id, as long as the command line shows it."""
    return revision[:12]


def stamp(at: float | str) -> str:
    """`2026-11-21T09:14:03Z`, from seconds since 1970 or from itself."""
    return at if isinstance(at, str) else iso(at)


def clock(at: float | str, now: float) -> str:
    """The time alone when it is today's, else with the date; UTC."""
    day, time = stamp(at).removesuffix("Z").split("T")
    return time if day == iso(now)[:10] else f"{day} {time}"


def ago(at: float | str, now: float) -> str:
    """`3 min 12 s ago`."""
    passed = now - datetime.fromisoformat(stamp(at)).timestamp()
    return f"{duration(passed)} ago" if passed >= 1 else "just now"


def duration(seconds: float) -> str:
    """Two units at most: `42 ms`, `3.1 s`, `2 min 5 s`, `3 d 4 h`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    parts = _parts(round(seconds))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)


def _parts(seconds: int) -> list[tuple[int, str]]:
    """From the largest unit that is not zero."""
    minutes, hours = divmod(seconds, 60), divmod(seconds // 60, 60)
    days = divmod(hours[0], 24)
    parts = [(days[0], "d"), (days[1], "h"), (hours[1], "min"), (minutes[1], "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return parts


def whole(value: Json) -> str:
    """A value of a field: text as it is, everything else as JSON."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) and value else canonical(value)


def cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def resource_of(name: dict[str, str]) -> str:
    """`Kind namespace/name` of a key's JSON form."""
    return str(ResourceKey(name["kind"], name["namespace"], name["name"], name["group"]))


def _asset(name: str) -> str:
    """The address of a static file, another one whenever its content is."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago, "clock": clock, "cut": cut, "duration": duration, "ready_say": ready_say,
        "resource": resource_of, "short": short, "stamp": stamp, "whole": whole,
    }  # fmt: skip
    environment.globals |= {name: _asset(f"page.{name}") for name in ("css", "js")} | {"icon": _asset("icon.svg")}
    return environment


_ENVIRONMENT = _environment()
