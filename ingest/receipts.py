"""What was taken from a file, as people see it on the Documents page and programs in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.instructions import suspicions
from core.types import Chunk, Document

MOST_INSTRUCTIONS = 50  # places that are named; more say no more


def receipt(
    document: Document, chunks: Sequence[Chunk], *, sha256: str, splitter: str, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """The receipt of a document whose text is in; `seconds` by stage. JSON-ready."""
    text = document.text
    return {
        "sha256": sha256,
        "media_type": document.media_type,
        "parser": document.parser,
        "splitter": splitter,
        "pages": len(document.pages),
        "empty_pages": [page.number for page in document.pages if not text[page.start : page.end].strip()],
        "characters": len(text),
        "characters_printed": _printed(text),
        "headings": len(document.headings),
        "tables": len(document.tables),
        "characters_indexed": _covered(text, chunks),
        "ocr_pages": [
            {"page": page.number, "confidence": round(page.confidence, 3)}
            for page in document.pages
            if page.confidence is not None
        ],
        "language": document.language,
        "chunks": len(chunks),
        "metadata": dict(document.metadata),
        "warnings": list(document.warnings),
        "instructions": [
            {"start": start, "end": end, "kind": kind}
            for start, end, kind in with_instructions(document).instructions or ()
        ],
        "seconds": _rounded(seconds),
    }


def with_instructions(document: Document) -> Document:
    """The document with the first stretches that talk to a model, if they were not looked for already."""
    if document.instructions is not None:
        return document
    found = suspicions(document.text)[:MOST_INSTRUCTIONS]
    return replace(document, instructions=tuple((span.start, span.end, span.kind) for span in found))


def made_with(earlier: Mapping[str, Any], *, sha256: str, parser: str, splitter: str) -> bool:
    """Whether a stored text would come out the same if the file were read again now."""
    now = {"sha256": sha256, "parser": parser, "splitter": splitter}
    return bool(parser) and all(earlier.get(key) == value for key, value in now.items())


def _covered(text: str, chunks: Sequence[Chunk]) -> int:
    """How many characters that are not blank are in a chunk; compare it with those of the text."""
    reached = covered = 0
    for chunk in chunks:
        covered += _printed(text[max(reached, chunk.start) : chunk.end])
        reached = max(reached, chunk.end)
    return covered


def _printed(text: str) -> int:
    return sum(map(len, text.split()))


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(duration, 3) for stage, duration in seconds.items()}
