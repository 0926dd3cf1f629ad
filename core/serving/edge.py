"""The edge of the server: who may come in, how much they may send, and how errors look."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import BadQuestion, Cancelled, GroundworkError, ModelBusy, ModelUnavailable
from core.serving.host import ModelHost
from core.serving.protocol import Body

log = logging.getLogger(__name__)

MAX_BODY = 32 << 20
OPEN_PATHS = {"/healthz"}
_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}

B = TypeVar("B", bound=Body)
R = TypeVar("R")


class RequireSecret:
    """Lets only those in who know the secret of this start; everybody may ask for the health."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._wanted = app, f"Bearer {secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._known(scope):
            await self._app(scope, receive, send)
            return
        body = _error("The secret of the model server is missing or wrong.", "unauthorized", 401)
        await JSONResponse(body, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._wanted)


def host_of(request: Request) -> ModelHost:
    """The models that this application serves."""
    host: ModelHost = request.app.state.host
    return host


async def read_body(request: Request, shape: type[B]) -> B:
    """The checked body of a request. Raises BadQuestion naming the first fault."""
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MAX_BODY:
            raise HTTPException(413, f"The request is larger than {MAX_BODY >> 20} MB. Send less at a time.")
    try:
        return shape.model_validate_json(bytes(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadQuestion(f"{place or 'The request'}: {first['msg']}.") from error


async def unless_gone(request: Request, work: Awaitable[R]) -> R:
    """The result of the work, which is cancelled when the caller hangs up. Raises Cancelled then."""
    working, leaving = asyncio.ensure_future(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("The connection was closed.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def error_body(error: GroundworkError) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return _error(str(error), error.code, error.status)


def add_error_handlers(app: FastAPI) -> None:
    """Every error leaves in the same form, those that nobody thought of without their inside."""

    @app.exception_handler(GroundworkError)
    async def on_error(_request: Request, error: GroundworkError) -> JSONResponse:
        return JSONResponse(error_body(error), error.status, _retry_after(error))

    @app.exception_handler(HTTPException)
    async def on_http_error(_request: Request, error: HTTPException) -> JSONResponse:
        body = _error(str(error.detail), "request_refused", error.status_code)
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def on_surprise(request: Request, error: Exception) -> JSONResponse:
        log.error("%s failed", request.url.path, exc_info=error)
        return JSONResponse(_error("The model server failed; its log tells more.", "internal_error", 500), 500)


def _error(message: str, code: str, status: int) -> dict[str, Any]:
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "code": code}}


def _retry_after(error: GroundworkError) -> dict[str, str] | None:
    if isinstance(error, ModelBusy):
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {"Retry-After": "2"} if isinstance(error, ModelUnavailable) else None
