"""Where a repository can be looked at, so that places in a report lead to their lines."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.finding import Location
from analyzer.render.markup import address, code, link


@dataclass(frozen=True)
class Home:
    """Without an address, places are text. `root` is what the paths of locations are relative to."""

    url: str = ""  # https://github.com/OWNER/NAME
    base: str = ""  # commit ids
    head: str = ""
    whole: str = ""  # the place where the whole report is, as Markdown
    root: str = ""

    def place(self, place: Location) -> str:
        """`path:line`, leading to that line of that revision."""
        path = f"{self.root.rstrip('/')}/{place.path}" if self.root else place.path
        revision = place.revision or self.head
        url = f"{self.url}/blob/{revision}/{address(path)}#L{place.line}" if self.url and revision else ""
        return link(code(f"{path}:{place.line}"), url)
