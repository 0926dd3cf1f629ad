"""The REST and OpenAI-compatible routes as one FastAPI application; the errors of core become its answers."""

from __future__ import annotations

import logging
from uuid import uuid4

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from core.api import chat, documents, jobs, sources
from core.api.web import BodyLimit
from core.errors import GroundworkError, ModelBusy
from core.settings import VERSION

log = logging.getLogger(__name__)

UPLOADS_MB = 500  # all files of one request together; each of them has the limit of the settings
QUESTIONS_MB = 8
REFUSALS = {
    400: ("invalid_request", "The body of the request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
}


def rest() -> FastAPI:
    """Documents, collections, jobs, batches and sources: to be mounted at /api/v1."""
    return _application(documents.router, jobs.router, sources.router, body_mb=UPLOADS_MB)


def openai() -> FastAPI:
    """The OpenAI protocol: to be mounted at /v1."""
    return _application(chat.router, body_mb=QUESTIONS_MB)


def _application(*routers: APIRouter, body_mb: int) -> FastAPI:
    api = FastAPI(title="Groundwork", version=VERSION, docs_url=None, redoc_url=None)
    for router in routers:
        api.include_router(router)
    api.add_middleware(BodyLimit, limit=body_mb << 20)
    api.add_exception_handler(GroundworkError, _ours)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unexpected)
    return api


def _answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "type": code, "message": message}}, status, headers)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    problem = error if isinstance(error, GroundworkError) else GroundworkError(str(error))
    headers = {"Retry-After": f"{problem.retry_after:.0f}"} if isinstance(problem, ModelBusy) else None
    return _answer(problem.status, problem.code, str(problem), headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
    return _answer(422, "invalid_request", f"{place or 'The request'}: {first.get('msg', 'is not valid')}.")


async def _http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, sentence = REFUSALS.get(status, ("not_allowed", "This address does not take such a request."))
    return _answer(status, code, sentence)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    mark = uuid4().hex[:8]
    log.error("%s %s failed [%s]", request.method, request.scope["path"], mark, exc_info=error)
    return _answer(500, "internal", f"Something went wrong inside Groundwork. The log names it {mark}.")
