"""Files inside a file, such as attachments of mails: each is read by the loader of its own type, as a section.

They share one allowance for each upload, however deep they stand in one another.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path, PosixPath
from typing import Self

from core.errors import BadUpload, NoText
from core.types import Document
from ingest.loaders.clean import one_line
from ingest.loaders.draft import Draft, listed

MOST_FILES = 2_000
MOST_BYTES = 256 << 20
DEEPEST = 4
LONGEST_NAME = 120


@dataclass(slots=True)
class _Allowance:
    """What may still be read inside of this upload, and how deep we are in it."""

    files: int = field(default_factory=lambda: MOST_FILES)
    bytes: int = field(default_factory=lambda: MOST_BYTES)
    depth: int = 0


_allowance: ContextVar[_Allowance | None] = ContextVar("allowance", default=None)


def read(data: bytes, name: str) -> Document:
    """The document of a file inside the one being read. Raises BadUpload, also when the allowance is used up.

    Text recognition works on uploads alone, so what is only a picture is refused; pages that are one are named.
    """
    from ingest import loaders  # which knows the loaders of mails and archives, and they know this module

    with _one_deeper(len(data), name), as_path(data) as path:
        document = loaders.read(path, name)
    if not document.pictures:
        return document
    if not document.text.strip():
        raise NoText(f"{name} is a picture or a scan inside another file. Upload it by itself to have it read.")
    pages = (
        f"page {document.pictures[0]} is a picture"
        if len(document.pictures) == 1
        else (f"pages {listed(document.pictures)} are pictures")
    )
    warning = f"In {name} {pages}. Upload it by itself to have them read."
    return replace(document, pictures=(), warnings=(*document.warnings, warning))


def add(draft: Draft, data: bytes, name: str, *, level: int = 1) -> str:
    """Write a file as a section with its name as heading; the answer is why it was left out, else ""."""
    name = shown_name(name)
    try:
        document = read(data, name)
    except BadUpload as refusal:
        return f"Left out: {refusal}"
    draft.include(document, name, level=level)
    return ""


def shown_name(name: str) -> str:
    """The last part of a path in one line; senders write anything into names."""
    last = one_line(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return last[-LONGEST_NAME:] or "attachment"


@contextmanager
def one_upload() -> Iterator[None]:
    """What is read inside this block shares one allowance."""
    token = _allowance.set(_Allowance())
    try:
        yield
    finally:
        _allowance.reset(token)


@contextmanager
def _one_deeper(size: int, name: str) -> Iterator[None]:
    allowance = _allowance.get() or _Allowance()
    if allowance.depth == DEEPEST:
        raise BadUpload(f"{name} stands too deep inside other files. Save it by itself and upload it.")
    if not allowance.files or size > allowance.bytes:
        raise BadUpload(f"{name} is more than may be read inside one file. Save it by itself and upload it.")
    allowance.files -= 1
    allowance.bytes -= size
    allowance.depth += 1
    try:
        yield
    finally:
        allowance.depth -= 1


class _Nameless(PosixPath):
    """A file that can be opened but is in no folder: libraries that ask for its real name get what can be opened."""

    def resolve(self, strict: bool = False) -> Self:  # noqa: ARG002
        return self


@contextmanager
def as_path(data: bytes) -> Iterator[Path]:
    """A path under which the bytes can be opened; on Linux they stay in memory, so that no kill leaves them behind."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("inside"), "wb") as file:
            file.write(data)
            file.flush()
            yield _Nameless(f"/proc/self/fd/{file.fileno()}")
        return
    with tempfile.NamedTemporaryFile(delete=False) as stored:
        stored.write(data)
    try:
        yield Path(stored.name)
    finally:
        os.unlink(stored.name)
