"""What was taken from a file, as people see it on the Documents page and programs in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.types import Chunk, Document


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
        "headings": len(document.headings),
        "tables": len(document.tables),
        "chunks": len(chunks),
        "metadata": dict(document.metadata),
        "warnings": list(document.warnings),
        "seconds": _rounded(seconds),
    }


def embedded(earlier: Mapping[str, Any], *, embedder: str, vectors: int, seconds: float) -> dict[str, Any]:
    """The receipt of an earlier stage with what embedding adds to it."""
    return {
        **earlier,
        "embedder": embedder,
        "vectors": vectors,
        "seconds": _rounded({**earlier.get("seconds", {}), "embedding": seconds}),
    }


def made_with(earlier: Mapping[str, Any], *, sha256: str, parser: str, splitter: str) -> bool:
    """Whether a stored text would come out the same if the file were read again now."""
    now = {"sha256": sha256, "parser": parser, "splitter": splitter}
    return bool(parser) and all(earlier.get(key) == value for key, value in now.items())


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(duration, 3) for stage, duration in seconds.items()}
