"""What the child that reads a file tells its parent: one line of JSON, then the text in UTF-8.

The child has read hostile bytes, so the parent checks what it says like any other input.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import IO, Any

from core.errors import BadUpload, from_code
from core.types import Document, Heading, Page, Table

LONGEST_SENTENCE = 1_000
MOST_PAGES = 1_000_000


def write(stream: IO[bytes], document: Document) -> None:
    """Write a document. Raises OSError when the stream takes no more."""
    head = {
        "title": document.title,
        "media_type": document.media_type,
        "pages": [astuple(page) for page in document.pages],
        "headings": [astuple(heading) for heading in document.headings],
        "tables": [astuple(table) for table in document.tables],
        "metadata": dict(document.metadata),
        "warnings": document.warnings,
        "language": document.language,
        "pictures": document.pictures,
        "instructions": document.instructions,
    }
    stream.write(json.dumps(head).encode() + b"\n")
    stream.write(document.text.encode())
    stream.flush()


def write_refusal(stream: IO[bytes], error: BadUpload) -> None:
    stream.write(json.dumps({"refused": error.code, "sentence": str(error)}).encode() + b"\n")
    stream.flush()


def read(stream: IO[bytes]) -> Document:
    """The document of an answer. Raises the BadUpload that it holds, ValueError when it is no answer."""
    head = json.loads(stream.readline())
    if not isinstance(head, dict):
        raise ValueError("the answer is not an object")
    if "refused" in head:
        raise _refusal(head)
    text = stream.read().decode()
    try:
        return Document(
            title=_text(head["title"]),
            media_type=_text(head["media_type"]),
            text=text,
            pages=tuple(_page(entry, len(text)) for entry in head["pages"]),
            headings=tuple(_heading(entry, len(text)) for entry in head["headings"]),
            tables=tuple(_table(entry, len(text)) for entry in head["tables"]),
            metadata={_text(key): _text(value) for key, value in head["metadata"].items()},
            warnings=tuple(_text(warning) for warning in head["warnings"]),
            language=_text(head["language"])[:8],
            pictures=tuple(_offset(number, MOST_PAGES) for number in head["pictures"]),
            instructions=_instructions(head["instructions"], len(text)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the answer is not a document") from error


def _refusal(head: dict[str, Any]) -> BadUpload:
    error = from_code(_text(head["refused"]), _text(head.get("sentence"))[:LONGEST_SENTENCE])
    return error if isinstance(error, BadUpload) else BadUpload(str(error))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("the answer holds something else where text should be")
    return value


def _offset(value: object, most: int) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError("the answer holds a place outside of its text")
    return value


def _page(entry: list[Any], length: int) -> Page:
    number, start, end, label, confidence = entry
    share = None if confidence is None else min(1.0, max(0.0, float(confidence)))
    return Page(int(number), _offset(start, length), _offset(end, length), _text(label), share)


def _heading(entry: list[Any], length: int) -> Heading:
    level, title, start = entry
    return Heading(int(level), _text(title), _offset(start, length))


def _instructions(entries: list[list[Any]] | None, length: int) -> tuple[tuple[int, int, str], ...] | None:
    if entries is None:
        return None
    return tuple((_offset(start, length), _offset(end, length), _text(kind)[:20]) for start, end, kind in entries)


def _table(entry: list[Any], length: int) -> Table:
    start, end, header = entry
    return Table(_offset(start, length), _offset(end, length), _text(header))
