from __future__ import annotations

import json

from core.types import Chunk, Document, Page, Table
from ingest.receipts import embedded, made_with, receipt

DOCUMENT = Document(
    "Title", "application/pdf", "one\n\n\n\ntwo", (Page(1, 0, 3), Page(2, 5, 5), Page(3, 7, 10)), (), (Table(0, 3),),
    {"author": "Ann"}, ("Page 2 has no text.",), "PdfLoader 1",
)  # fmt: skip
MADE = receipt(
    DOCUMENT, [Chunk(0, 0, 10, DOCUMENT.text)], sha256="ab", splitter="structure 1", seconds={"reading": 0.12345}
)


def test_a_receipt_says_what_was_taken() -> None:
    assert MADE == {
        "sha256": "ab", "media_type": "application/pdf", "parser": "PdfLoader 1", "splitter": "structure 1", "pages": 3,
        "empty_pages": [2], "characters": 10, "headings": 0, "tables": 1, "chunks": 1, "metadata": {"author": "Ann"},
        "warnings": ["Page 2 has no text."], "seconds": {"reading": 0.123},
    }  # fmt: skip
    assert json.loads(json.dumps(MADE)) == MADE


def test_embedding_is_added_to_it() -> None:
    later = embedded(MADE, embedder="e", vectors=1, seconds=2.0)
    assert later == {**MADE, "embedder": "e", "vectors": 1, "seconds": {"reading": 0.123, "embedding": 2.0}}


def test_a_text_is_used_again_only_if_nothing_that_made_it_has_changed() -> None:
    same = {"sha256": "ab", "parser": "PdfLoader 1", "splitter": "structure 1"}
    assert made_with(MADE, **same)
    assert not any(made_with(MADE, **(same | {key: "other"})) for key in same)
    assert not made_with({}, sha256="ab", parser="", splitter="")
