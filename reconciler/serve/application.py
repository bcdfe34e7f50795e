"""Routes. Reads for everybody who can reach the socket; writes only what an operator may ask for.

The page and its JSON are one URL. Over TCP only loopback reaches us, so what has to be kept out is other web pages in
the operator's browser: writes want a header that no form can send, and every request a Host that is ours.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backends.contract import BackendError
from reconciler.daemon import PATIENCE, Daemon
from reconciler.fleet import Occupied
from reconciler.gate import NotReady
from reconciler.overview import tick_json
from reconciler.plan import plan_json
from reconciler.serve.live import Live
from reconciler.serve.page import document, page
from reconciler.serve.render import STATIC, html
from reconciler.serve.webhook import webhook
from schemas.resources import Json

ASKED_BY = "X-Holdfast"  # the header that marks a write as meant
HOOK = "/hooks/git"
PLACES = 16  # requests that may wait for targets at once
DEADLINE = 90.0  # seconds; a client of ours waits for 120
FRESH = 0.5  # seconds for which a page serves everybody who asks, when nothing happened meanwhile
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_APPROVAL = re.compile(r"A-[0-9a-f]{32}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PORT = re.compile(r":\d*$")
Handler = Callable[[Request], Awaitable[Response]]


def application(daemon: Daemon, secret: str = "", hosts: frozenset[str] = frozenset()) -> Starlette:
    """The whole interface of one daemon. `hosts`: names in Host headers that are ours; empty accepts all."""
    live = Live()
    daemon.house.history.listeners.append(live.ring)
    routes = [
        Route("/", _page(daemon, live)),
        Route("/live", live.answer),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/status", _status),
        Route("/events", _events),
        Route("/drift", _drift),
        Route("/plan", _plan),
        Route("/usage", _usage),
        Route("/apply", _meant(_apply), methods=["POST"]),
        Route("/reconcile", _meant(_reconcile), methods=["POST"]),
        Route("/confirm", _meant(_confirm), methods=["POST"]),
        Route("/approve/{id}", _meant(_approve), methods=["POST"]),
        Route(HOOK, webhook(secret, daemon.hurry), methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, hosts=hosts)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.state.daemon, app.state.live = daemon, live
    app.state.places, app.state.limiter = threading.Semaphore(PLACES), anyio.CapacityLimiter(PLACES)
    return app


class _Guard:
    """Refuses foreign Host headers, and tells browsers what a page of ours may do."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app if self._is_ours(scope) else _foreign
        await app(scope, receive, guarded)

    def _is_ours(self, scope: Scope) -> bool:
        """The port does not matter: a tunnel may end on another. The hook has its signature."""
        if not self._hosts or scope["type"] != "http" or scope["path"] == HOOK:
            return True
        return _PORT.sub("", Headers(scope=scope).get("host", "").lower()) in self._hosts


async def _foreign(scope: Scope, receive: Receive, send: Send) -> None:
    text = "this is not a name of mine; ask for localhost or for the address in [serve] listen\n"
    await PlainTextResponse(text, 421)(scope, receive, send)


def _meant(handler: Handler) -> Handler:
    """A write must carry a header that another site's page cannot send."""

    async def checked(request: Request) -> Response:
        if ASKED_BY not in request.headers:
            return JSONResponse({"error": f"send the header {ASKED_BY}: 1"}, 403)
        return await handler(request)

    return checked


# --- what goes wrong


async def _refused(request: Request, error: Exception) -> Response:
    """No such page, or no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101  # Starlette's type for handlers is wider than what it sends
    return _problem(request, error.status_code, str(error.detail).lower(), error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    """A defect. The log has it; whoever asked learns no more than that."""
    _daemon(request).log.error("defect", path=request.url.path, exc_info=error)
    return _problem(request, 500, "a defect in Holdfast; its log says more", HEADERS)


def _problem(request: Request, status: int, words: str, headers: Any = None) -> Response:  # noqa: ANN401  # a Mapping
    if _wants_json(request):
        return JSONResponse({"error": words}, status, headers)
    return PlainTextResponse(f"{words}\n", status, headers)


# --- the page


def _page(daemon: Daemon, live: Live) -> Handler:
    latest = _Latest(daemon, live)

    async def answer(request: Request) -> Response:
        if _wants_json(request) or request.query_params.get("output") == "json":
            response = await _answer(lambda: document(daemon))
        else:
            response = HTMLResponse(await anyio.to_thread.run_sync(latest.html))
        response.headers.update({"Cache-Control": "no-cache", "Vary": "Accept"})
        return response

    return answer


class _Latest:
    """The page, made once for everybody who asks at the same moment: after an event all open pages do."""

    def __init__(self, daemon: Daemon, live: Live) -> None:
        self._daemon, self._live = daemon, live
        self._lock = threading.Lock()
        self._made: tuple[int, float] = (-1, 0.0)
        self._html = ""

    def html(self) -> str:
        with self._lock:
            news, now = self._live.news, self._daemon.house.clock.monotonic()
            if self._made[0] != news or now - self._made[1] > FRESH:
                self._html, self._made = html(page(self._daemon)), (news, now)
            return self._html


def _wants_json(request: Request) -> bool:
    """Whether JSON is preferred to HTML: the first of the two that is named."""
    accept = request.headers.get("accept", "")
    json, other = accept.find("application/json"), accept.find("text/html")
    return json >= 0 and (other < 0 or json < other)


# --- the rest


def _daemon(request: Request) -> Daemon:
    daemon: Daemon = request.app.state.daemon
    return daemon


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _readyz(request: Request) -> Response:
    """Ready once a revision is enforced."""
    ready = _daemon(request).gate.desired is not None
    return PlainTextResponse("ready\n" if ready else "no revision has been accepted yet\n", 200 if ready else 503)


async def _status(request: Request) -> Response:
    return await _answer(_daemon(request).status)


async def _events(request: Request) -> Response:
    query = request.query_params
    limit, after = _number(query.get("limit"), 100), _number(query.get("after"), 0)
    history, target = _daemon(request).house.history, query.get("target", "")
    return await _answer(lambda: {"events": [e.to_json() for e in history.events(min(limit, 1000), after, target)]})


async def _drift(request: Request) -> Response:
    history, target = _daemon(request).house.history, request.query_params.get("target", "")
    only_open = request.query_params.get("open") == "true"
    return await _answer(
        lambda: {"drifts": [d.to_json() for d in history.drifts(target=target, open_only=only_open, limit=200)]}
    )


async def _plan(request: Request) -> Response:
    daemon = _daemon(request)
    return await _ask(
        request,
        lambda: {"plans": [_planned(daemon, name) for name in _asked(request, daemon)], **daemon.gate.trouble()},
    )


async def _usage(request: Request) -> Response:
    nqns = frozenset(request.query_params.get("nqn", "").split())
    revision, daemon = request.query_params.get("revision", ""), _daemon(request)
    if revision and not _COMMIT.fullmatch(revision):
        return JSONResponse({"error": "a revision is the 40 hex digits that `git rev-parse` prints"}, 400)

    def tell() -> dict[str, Any]:
        return daemon.usage(nqns) | ({"rehearsal": daemon.rehearsal(revision)} if revision else {})

    return await _ask(request, tell)


async def _apply(request: Request) -> Response:
    daemon = _daemon(request)

    def act() -> Json:
        daemon.poll()
        ticks: list[Json] = [tick_json(name, daemon.tick(name, DEADLINE / 2)) for name in _asked(request, daemon)]
        return {"ticks": ticks, **daemon.gate.trouble()}

    return await _ask(request, act)


async def _reconcile(request: Request) -> Response:
    daemon = _daemon(request)
    daemon.hurry()
    daemon.reconcile()
    return JSONResponse({"asked": True}, 202)


async def _confirm(request: Request) -> Response:
    return await _ask(request, lambda: {"recovered": _daemon(request).confirm()})


async def _approve(request: Request) -> Response:
    daemon, name = _daemon(request), request.path_params["id"]
    by = request.query_params.get("by", "an operator")[:100]
    if not _APPROVAL.fullmatch(name):
        return JSONResponse({"error": "that is no approval id; one looks like A-3f9c2b1d0e4a7c58b6d1f2e390a4c7d5"}, 400)

    def act() -> Json:
        daemon.approve(name, by)
        return {"approved": name}

    return await _ask(request, act)


def _asked(request: Request, daemon: Daemon) -> tuple[str, ...]:
    """The targets that a request is about."""
    name = request.query_params.get("target", "")
    if daemon.gate.desired is None:
        raise daemon.gate.nothing_accepted()
    if name and name not in daemon.targets:
        raise NotReady(f"there is no target {name}; there are: {', '.join(daemon.targets) or 'none'}")
    return (name,) if name else daemon.targets


def _planned(daemon: Daemon, name: str) -> Json:
    """One target's plan, or why there is none: an unreachable target must not hide the others."""
    try:
        return plan_json(daemon.preview(name, PATIENCE))
    except (BackendError, Occupied) as error:
        return {"target": name, "error": str(error)}


async def _ask(request: Request, make: Callable[[], Any]) -> Response:
    """Run what waits for targets, in few threads of its own: one that hangs must not keep the page from answering."""
    places: threading.Semaphore = request.app.state.places
    if not places.acquire(blocking=False):
        return JSONResponse({"error": "too many others wait for targets; ask again later"}, 503)

    def work() -> Any:  # noqa: ANN401  # JSON
        try:
            return make()
        finally:
            places.release()

    try:
        with anyio.fail_after(DEADLINE):
            return await _answer(work, abandon_on_cancel=True, limiter=request.app.state.limiter)
    except TimeoutError:
        return JSONResponse({"error": f"no answer within {DEADLINE:g} s: a target hangs, or a tick takes long"}, 503)


async def _answer(make: Callable[[], Any], **threads: Any) -> Response:  # noqa: ANN401  # as run_sync takes it
    """Run blocking work in a thread, writing its JSON too; say what is wrong in one sentence."""
    try:
        return await anyio.to_thread.run_sync(lambda: JSONResponse(make()), **threads)
    except Occupied as error:
        return JSONResponse({"error": str(error)}, 503)
    except NotReady as error:
        return JSONResponse({"error": str(error)} | ({"rejected": True} if error.rejected else {}), 409)
    except BackendError as error:
        return JSONResponse({"error": str(error)}, 502)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else default
