"""/healthz: the process lives. /readyz: a question can be answered now. /metrics: figures for Prometheus."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from core import services
from core.errors import ModelError
from core.readers import without_disk, without_network
from core.settings import VERSION

METRICS = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": VERSION})


async def metrics(_: Request) -> PlainTextResponse:
    """What Prometheus scrapes: the model server's figures, and whether it can be reached."""
    try:
        text = await anyio.to_thread.run_sync(services.get().client.metrics)
    except ModelError:
        text = ""
    up = f"# TYPE groundwork_model_server_up gauge\ngroundwork_model_server_up {int(bool(text))}\n"
    return PlainTextResponse(text + up, media_type=METRICS)


async def readyz(_: Request) -> JSONResponse:
    """503 with the reason while what answers, or the embedder, is not there. Other services are not asked for it."""
    ready, body = await anyio.to_thread.run_sync(_readiness)
    return JSONResponse(body, 200 if ready else 503)


def _readiness() -> tuple[bool, dict[str, Any]]:
    live = services.get()
    server, endpoint = live.client.status(), live.endpoints.active()
    chat = {"id": server.chat.id, "status": server.chat.status, "error": server.chat.error}
    if endpoint is not None:
        chat = {"id": endpoint.model, "status": "ok", "error": "", "service": endpoint.host}
    ready = chat["status"] == server.embedder.status == "ok"
    embedder = {"id": server.embedder.id, "status": server.embedder.status, "error": server.embedder.error}
    # By the kernel; else by Python alone.
    readers = {"without_network": without_network(), "without_disk": without_disk()}
    status = "ok" if ready else server.status
    return ready, {"status": status, "chat": chat, "embedder": embedder, "readers": readers}
