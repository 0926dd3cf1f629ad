"""/healthz: the process lives. /readyz: a question can be answered now."""

from __future__ import annotations

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse

from core import services
from core.settings import VERSION


async def healthz(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": VERSION})


async def readyz(_: Request) -> JSONResponse:
    """503 with the reason while the model or the embedder is not there."""
    server = await anyio.to_thread.run_sync(services.get().client.status)
    ready = server.chat.status == "ok" and server.embedder.status == "ok"
    body = {
        "status": "ok" if ready else server.status,
        "chat": {"id": server.chat.id, "status": server.chat.status, "error": server.chat.error},
        "embedder": {"id": server.embedder.id, "status": server.embedder.status, "error": server.embedder.error},
    }
    return JSONResponse(body, 200 if ready else 503)
