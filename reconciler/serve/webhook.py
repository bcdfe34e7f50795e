"""`POST /hooks/git`: a hint that there may be something new. Its content is never used, only its signature checked."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

LARGEST = 1 << 20  # bytes


def webhook(secret: str, hurry: Callable[[], None]) -> Callable[[Request], Awaitable[Response]]:
    """Accepts GitHub's, Gitea's and Forgejo's signature (HMAC-SHA256) and GitLab's token, all against one secret."""

    async def receive(request: Request) -> Response:
        if not secret:
            return PlainTextResponse("no webhook secret is configured ([serve] webhookSecretFrom)\n", 403)
        body = await _body(request)
        if body is None:
            return PlainTextResponse("too large\n", 413)
        if not _is_signed(request, body, secret):
            return PlainTextResponse("the signature does not match\n", 401)
        hurry()
        return PlainTextResponse("accepted\n", 202)

    return receive


async def _body(request: Request) -> bytes | None:
    """All of it, unless it is too large; no more than that is ever held. One that is cut off has no valid signature."""
    if _declared(request) > LARGEST:
        return None
    body = bytearray()
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return None
    return bytes(body)


def _declared(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_signed(request: Request, body: bytes, secret: str) -> bool:
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = request.headers.get("x-hub-signature-256") or "sha256=" + request.headers.get("x-gitea-signature", "")
    token = request.headers.get("x-gitlab-token", "")
    same_token = hmac.compare_digest(token.encode(), secret.encode())
    return hmac.compare_digest(given.encode(), wanted.encode()) or same_token
