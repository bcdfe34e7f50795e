"""What the demo says while it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.config import Config, SourceConfig
from reconciler.demo.daemon_view import DaemonView

FINE: dict[str, Any] = {"name": "n1", "verdict": "converged", "message": "", "settled": True, "resources": []}
DEFECT = {"id": 1, "reason": "Defect", "message": "KeyError: 'x'; please report it"}


class Told(DaemonView):
    """A daemon that has said this."""

    target: Mapping[str, Any] = FINE
    told: Sequence[Mapping[str, Any]] = ()

    def status(self) -> Mapping[str, Any]:
        return {"source": {"error": None}, "revision": {"rejected": None}, "targets": [self.target]}

    def events(self, after: int = 0) -> Sequence[Mapping[str, Any]]:
        return self.told


def view() -> Told:
    return Told(Config(SourceConfig("/site.git"), Path(), "127.0.0.1:0"))


def test_a_defect_of_the_daemon_is_something_wrong() -> None:
    """Guards the demo's last words: a daemon that cannot tick leaves every resource as it was, and says so itself."""
    demo = view()
    assert demo.unfinished() == "nothing is known to be wrong"
    object.__setattr__(demo, "told", [DEFECT])
    assert "KeyError" in demo.unfinished()
    object.__setattr__(demo, "target", FINE | {"verdict": "unknown", "settled": False})
    assert demo.unfinished().endswith("n1 unknown")
