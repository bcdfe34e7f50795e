"""Events of the daemon itself: in the history, and in the log."""

from __future__ import annotations

from reconciler.history import Event
from reconciler.house import House
from reconciler.telemetry import Log


class Announcer:
    """Tells what happened, to people who look and to those who read the log."""

    def __init__(self, house: House, log: Log) -> None:
        self._house, self._log = house, log

    def emit(self, event: Event) -> None:
        self._house.history.emit([event], self._house.clock.now())
        write = self._log.warning if event.warning else self._log.info
        write(event.reason, message=event.message, target=event.target, revision=event.revision)

    def defect(self, name: str, error: Exception) -> None:
        self._log.error("defect", target=name, exc_info=error)
        self.emit(Event("Defect", f"{type(error).__name__}: {error}; please report it", name, warning=True))
