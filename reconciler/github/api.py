"""GitHub's REST interface, as far as one comment needs it. The one door to requests here.

The token is sent to the address of the interface and nowhere else; no message holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

TIMEOUT = 20.0  # seconds for one answer
ATTEMPTS = 4
LONGEST_WAIT = 60.0  # seconds; who has to wait longer is told so instead
MOST_PAGES = 100
_VERSION = "2022-11-28"
_TOO_MANY = (403, 429)


class ApiError(Exception):
    """GitHub did not do it: says what was asked and what it answered. `status` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class GitHub:
    """One repository's door."""

    api: str
    repository: str
    token: str = field(repr=False)
    sleep: Callable[[float], None] = time.sleep

    def all(self, path: str, **query: str | int) -> Iterator[Mapping[str, Any]]:
        """Every item of a list, page after page."""
        for page in range(1, MOST_PAGES + 1):
            items = self.ask("GET", path, query={**query, "per_page": 100, "page": page})
            if not isinstance(items, list):
                raise ApiError(f"GET {path}: the answer is no list")
            yield from (item for item in items if isinstance(item, dict))
            if len(items) < 100:
                return

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:  # noqa: ANN401  # JSON
        """One answer. What may pass is tried again; a POST only where it certainly was not carried out."""
        told = f"{method} {path}"
        for attempt in range(ATTEMPTS):
            wait: float | None
            try:
                answer = self._send(method, path, body, query)
            except requests.RequestException as error:
                trouble, wait = ApiError(f"{told}: {type(error).__name__}"), 2.0**attempt
            else:
                if 200 <= answer.status_code < 300:
                    return _json(answer, told)
                trouble = ApiError(f"{told}: {answer.status_code} {_message(answer)}", answer.status_code)
                wait = _pause(answer, attempt)
            if wait is None or wait > LONGEST_WAIT or attempt == ATTEMPTS - 1 or _perhaps_done(method, trouble.status):
                raise trouble
            self.sleep(wait)
        raise AssertionError  # the last attempt has raised

    def _send(
        self, method: str, path: str, body: Mapping[str, str] | None, query: Mapping[str, str | int] | None
    ) -> requests.Response:
        return requests.request(
            method,
            f"{self.api}/repos/{self.repository}/{path}",
            params=query,
            json=body,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "User-Agent": "holdfast",
                "X-GitHub-Api-Version": _VERSION,
            },
            timeout=TIMEOUT,
            allow_redirects=False,  # the token goes nowhere else
        )


def _perhaps_done(method: str, status: int) -> bool:
    """Whether what was asked may have been carried out though nobody said so; who asks again looks first."""
    return method == "POST" and (status == 0 or status >= 500)


def _pause(answer: requests.Response, attempt: int) -> float | None:
    """Seconds until it is worth another try; None: it is not."""
    wanted = answer.headers.get("Retry-After", "")
    if answer.status_code in _TOO_MANY and answer.headers.get("X-RateLimit-Remaining") == "0" and not wanted:
        return _until(answer)
    if answer.status_code >= 500 or answer.status_code == 429 or (answer.status_code == 403 and wanted):
        return float(wanted) if wanted.isascii() and wanted.isdigit() else 2.0**attempt
    return None


def _until(answer: requests.Response) -> float:
    """How long the limit lasts, by the clock of whoever set it."""
    reset, date = answer.headers.get("X-RateLimit-Reset", ""), answer.headers.get("Date", "")
    try:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415  # met only here

        return max(1.0, float(reset) - parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError):
        return LONGEST_WAIT


def _json(answer: requests.Response, told: str) -> Any:  # noqa: ANN401  # JSON
    try:
        return answer.json()
    except ValueError as error:
        raise ApiError(f"{told}: the answer is no JSON", answer.status_code) from error


def _message(answer: requests.Response) -> str:
    """What GitHub says went wrong."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    message = told.get("message") if isinstance(told, dict) else None
    return " ".join(str(message or answer.reason or "").split())[:200]
