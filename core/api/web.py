"""What stands before every request, pages and sockets included: where it comes from, and headers on what goes out."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OURS = {"127.0.0.1", "localhost", "::1"}
REFUSED = {"error": {"code": "not_allowed", "message": "Open Groundwork at http://127.0.0.1, not by another name."}}


class SecureHeaders:
    """The content security policy and its companions on every HTTP answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = security_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class LocalOnly:
    """Refuses names that are not this machine's, and requests that another web page makes in somebody's browser.

    A page elsewhere can point its own name at 127.0.0.1 (Host), or post to us from afar (Origin): both are refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (_near(scope) and allowed(Headers(scope=scope))):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
        else:
            await JSONResponse(REFUSED, 403)(scope, receive, send)


class BodyLimit:
    """Ends a request whose body is larger than `limit` bytes, whatever its headers say, before anything parses it."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared) > self.limit:
            return await self._refuse(scope, receive, send)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:  # a chunked body that never declared its size: hang up
                return {"type": "http.disconnect"}
            return message

        return await self.app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"The request is larger than {self.limit >> 20} MB. Send less at once."
        await JSONResponse({"error": {"code": "too_large", "message": message}}, 413)(scope, receive, send)


def _near(scope: Scope) -> bool:
    """Whether the other end is this machine, however the server was told to listen."""
    client = scope.get("client")
    return client is None or client[0] in OURS or client[0].startswith("127.")


def allowed(headers: Headers) -> bool:
    """Whether a request names this machine, and comes from our own pages or from a program."""
    host = headers.get("host", "")
    origin = headers.get("origin")
    return urlsplit("//" + host).hostname in OURS and (origin is None or urlsplit(origin).netloc == host)


def security_headers() -> list[tuple[bytes, bytes]]:
    """Scripts only from here (Streamlit's one inline script by its hash), images never from afar, no framing."""
    spec = importlib.util.find_spec("streamlit")
    page = Path(spec.origin or "").parent / "static" / "index.html" if spec else None
    inline = re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL) if page else []
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in inline)
    policy = (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
    ]


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
