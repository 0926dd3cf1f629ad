"""REST for documents, collections and jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile

from core import services
from core.documents import DocumentInfo
from core.errors import BadUpload
from core.jobs import Job
from core.sources.told import source_json

router = APIRouter(tags=["documents"])


@router.post("/documents", status_code=202)
def add_documents(
    files: Annotated[list[UploadFile] | None, File()] = None,
    collection: Annotated[str, Form()] = "",
    address: Annotated[str, Form()] = "",
) -> dict[str, Any]:
    """Take in one or many files, each of which gets a job that reads it, or the page at a web address.

    A collection is made when it does not exist. More about addresses is under /sources.
    """
    if not files and not address.strip():
        raise BadUpload("Send at least one file, or the address of a web page.")
    live, user = services.get(), services.get().accounts.who()
    home = live.documents.collection(collection, owner_id=user.id) if collection.strip() else None
    added = [
        live.documents.add(file.file, name=file.filename or "", owner_id=user.id, collection_id=home)
        for file in files or ()
    ]
    page = live.sources.add_site(address, owner_id=user.id, collection_id=home) if address.strip() else None
    return {
        "source": source_json(page) if page else None,
        "documents": [
            {"id": a.document_id, "name": a.name, "job_id": a.job_id, "duplicate": a.duplicate} for a in added
        ],
    }


@router.get("/documents")
def list_documents(collection_id: str | None = None, search: str = "", limit: int = 1000) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    found = live.documents.list_documents(
        owner_id=user.id, collection_id=collection_id, search=search, limit=max(1, min(limit, 10_000))
    )
    return {"documents": [_document(info) for info in found]}


@router.get("/documents/{document_id}")
def get_document(document_id: str) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return _document(live.documents.get(document_id, owner_id=user.id))


@router.get("/documents/{document_id}/text")
def get_text(document_id: str) -> dict[str, Any]:
    """The text that the offsets of citations count in, with its pages as [start, end)."""
    live, user = services.get(), services.get().accounts.who()
    text = live.documents.text(document_id, owner_id=user.id)
    pages = [{"number": page.number, "label": page.label, "start": page.start, "end": page.end} for page in text.pages]
    return {"text": text.text, "pages": pages}


@router.delete("/documents/{document_id}", status_code=204)
def delete_document(document_id: str) -> Response:
    live, user = services.get(), services.get().accounts.who()
    live.documents.delete(document_id, owner_id=user.id)
    return Response(status_code=204)


@router.get("/collections")
def list_collections() -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    found = live.documents.list_collections(owner_id=user.id)
    return {"collections": [{"id": c.id, "name": c.name, "documents": c.documents} for c in found]}


@router.get("/jobs")
def list_jobs(active: bool = False) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return {"jobs": [_job(job) for job in live.jobs.list_jobs(owner_id=user.id, active=active)]}


@router.get("/jobs/{job_id}")
def get_job(job_id: str) -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return _job(live.jobs.get(job_id, owner_id=user.id))


@router.delete("/jobs/{job_id}", status_code=202)
def cancel_job(job_id: str) -> dict[str, Any]:
    """Ask a job to stop."""
    live, user = services.get(), services.get().accounts.who()
    live.jobs.cancel(job_id, owner_id=user.id)
    return _job(live.jobs.get(job_id, owner_id=user.id))


def _document(info: DocumentInfo) -> dict[str, Any]:
    return {
        "id": info.id, "name": info.name, "title": info.title, "media_type": info.media_type, "sha256": info.sha256,
        "size": info.size, "status": info.status, "error": info.error or None, "receipt": info.receipt,
        "created_at": info.created_at.isoformat(), "collection_ids": list(info.collection_ids),
    }  # fmt: skip


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id, "kind": job.kind, "document_id": job.document_id, "document_name": job.document_name,
        "status": job.status, "stage": job.stage, "done": job.done, "total": job.total, "attempts": job.attempts,
        "error": job.error or None, "created_at": job.created_at.isoformat(),
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }  # fmt: skip
