"""REST for documents and collections; their jobs and batches are in core/api/jobs.py."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from pydantic import BaseModel, BeforeValidator, Field

from core import services
from core.deletions import Deletion
from core.documents import DocumentInfo
from core.errors import BadUpload
from core.guard import whole
from core.names import clean_name
from core.sources.told import source_json

router = APIRouter(tags=["documents"])


class Tags(BaseModel):
    tags: list[Annotated[str, BeforeValidator(whole), Field(max_length=1000)]] = Field(max_length=1000)


@router.post("/documents", status_code=202)
def add_documents(
    files: Annotated[list[UploadFile] | None, File()] = None,
    collection: Annotated[str, Form()] = "",
    address: Annotated[str, Form()] = "",
) -> dict[str, Any]:
    """Take in one or many files, each of which gets a job that reads it, and the page at a web address.

    A collection is made when it does not exist. Many files are a batch: one of them that is refused does not keep
    the others out, and is listed as refused. More about addresses is under /sources.
    """
    sent = files or []
    if not sent and not address.strip():
        raise BadUpload("Send at least one file, or the address of a web page.")
    live, user = services.get(), services.get().accounts.who()
    home = live.documents.collection(collection, owner_id=user.id) if collection.strip() else None
    # The address first: when it is wrong, nothing has been taken in yet.
    page = live.sources.add_site(address, owner_id=user.id, collection_id=home) if address.strip() else None
    taken = _take_in(sent, user.id, home, alone=len(sent) == 1 and page is None)
    return {"source": source_json(page) if page else None, **taken}


def _take_in(files: list[UploadFile], owner_id: str, home: str | None, *, alone: bool) -> dict[str, Any]:
    """Store files and say what became of each. Raises BadUpload for a refused one that was sent `alone`."""
    live = services.get()
    batch_id = live.batches.begin(owner_id=owner_id, expected=len(files)) if len(files) > 1 else None
    added: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for file in files:
        try:
            one = live.documents.add(
                file.file, name=file.filename or "", owner_id=owner_id, collection_id=home, batch_id=batch_id
            )
        except BadUpload as error:
            if alone:
                raise
            refused.append({"name": clean_name(file.filename or ""), "code": error.code, "message": str(error)})
        else:
            added.append({"id": one.document_id, "name": one.name, "job_id": one.job_id, "duplicate": one.duplicate})
    if batch_id is not None:
        live.batches.complete(batch_id, owner_id=owner_id)
    return {"documents": added, "refused": refused, "batch_id": batch_id}


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


@router.put("/documents/{document_id}/content", status_code=202)
def replace_document(document_id: str, file: Annotated[UploadFile, File()]) -> dict[str, Any]:
    """Take in a changed file of the same document; only what changed in it is embedded again."""
    live, user = services.get(), services.get().accounts.who()
    changed = live.documents.replace(document_id, file.file, owner_id=user.id)
    return {"id": document_id, "name": changed.name, "job_id": changed.job_id, "duplicate": changed.duplicate}


@router.post("/documents/{document_id}/retry", status_code=202)
def retry_document(document_id: str) -> dict[str, Any]:
    """Read a document again."""
    live, user = services.get(), services.get().accounts.who()
    return {"job_id": live.documents.retry(document_id, owner_id=user.id)}


@router.put("/documents/{document_id}/tags")
def set_tags(document_id: str, body: Tags) -> dict[str, Any]:
    """Let a document have exactly these tags; another spelling of a known one is that one."""
    live, user = services.get(), services.get().accounts.who()
    live.library.set_tags(document_id, body.tags, owner_id=user.id)
    return _document(live.documents.get(document_id, owner_id=user.id))


@router.get("/tags")
def list_tags() -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    return {"tags": [{"name": tag.name, "documents": tag.documents} for tag in live.library.tags(owner_id=user.id)]}


@router.get("/deletions")
def list_deletions(limit: int = 100) -> dict[str, Any]:
    """What was deleted, and how many pieces of it a search found afterwards, place by place."""
    live, user = services.get(), services.get().accounts.who()
    found = live.deletions.list_deletions(owner_id=user.id, limit=max(1, min(limit, 1000)))
    return {"deletions": [_deletion(deletion) for deletion in found]}


@router.get("/collections")
def list_collections() -> dict[str, Any]:
    live, user = services.get(), services.get().accounts.who()
    found = live.documents.list_collections(owner_id=user.id)
    return {"collections": [{"id": c.id, "name": c.name, "documents": c.documents} for c in found]}


def _document(info: DocumentInfo) -> dict[str, Any]:
    return {
        "id": info.id, "name": info.name, "title": info.title, "media_type": info.media_type, "sha256": info.sha256,
        "size": info.size, "status": info.status, "error": info.error or None, "receipt": info.receipt,
        "created_at": info.created_at.isoformat(), "collection_ids": list(info.collection_ids), "tags": list(info.tags),
        "language": info.language, "author": info.author, "source": info.source,
        "written_at": info.written_at.isoformat() if info.written_at else None,
        "changed_at": info.changed_at.isoformat() if info.changed_at else None,
    }  # fmt: skip


def _deletion(deletion: Deletion) -> dict[str, Any]:
    return {
        "document_id": deletion.document_id, "name": deletion.name, "sha256": deletion.sha256,
        "deleted_at": deletion.deleted_at.isoformat(), "residues": deletion.residues, "clean": deletion.clean,
        "checked_at": deletion.checked_at.isoformat() if deletion.checked_at else None,
    }  # fmt: skip
