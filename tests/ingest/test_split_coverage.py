"""No text is lost between a file and its chunks: every document that is here is read, split and compared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import BadUpload
from core.models.catalog import find
from core.retrieval.store import embedded_text
from core.settings import ROOT, load
from core.types import Chunk, Document
from ingest import sandbox
from ingest.split import READS, split
from ingest.split.sizes import Count
from ingest.tokens import TokenCounter
from tests.conftest import SHARED
from tests.ingest.made import words

REAL = SHARED / "evaldata" / "docs"
SAMPLES = sorted(path for path in (ROOT / "data" / "samples").iterdir() if path.is_file())
LARGEST = 2_000_000
# A document that is much larger is a test of patience and no other test of the splitter.
MOST_CHARACTERS = 1_000_000


def check(document: Document, chunks: list[Chunk], count: Count) -> None:
    end = 0
    for chunk in chunks:
        assert not document.text[end : chunk.start].strip()
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.section_start <= chunk.start
        assert chunk.end <= chunk.section_end
        assert count(embedded_text(chunk.heading, chunk.context, chunk.text)) <= READS
        end = chunk.end
    assert not document.text[end:].strip()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_chunks_of_a_sample_hold_its_whole_text_in_order(path: Path) -> None:
    document = sandbox.parse(path, path.name, seconds=60, memory_mb=1024)
    check(document, split(document, count_tokens=words), words)


@pytest.mark.skipif(not REAL.is_dir(), reason="the evaluation data is not beside the repository")
def test_the_chunks_of_every_real_file_hold_its_whole_text_in_order() -> None:
    paths = sorted(path for path in REAL.rglob("*") if path.is_file() and path.stat().st_size < LARGEST)
    with ThreadPoolExecutor(2) as readers:
        documents = [
            document
            for document in readers.map(parsed, paths)
            if document is not None and len(document.text) <= MOST_CHARACTERS
        ]
    for document in documents:
        check(document, split(document, count_tokens=words), words)
    assert len(documents) > 100


def parsed(path: Path) -> Document | None:
    try:
        return sandbox.parse(path, path.name, seconds=60, memory_mb=1024)
    except BadUpload:
        return None


@pytest.mark.model
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_words_are_counted_as_their_text_and_all_is_read_by_the_embedder(path: Path) -> None:
    settings = load()
    model = find(settings.embedding_model)
    count = TokenCounter(settings.model_store / (model.tokenizer_file or ""))
    document = sandbox.parse(path, path.name, seconds=60, memory_mb=1024)
    chunks = split(document, count_tokens=count)
    check(document, chunks, count)
    texts = [chunk.text for chunk in chunks]
    assert count.many(texts) == [count(text) for text in texts]


@pytest.mark.model
def test_texts_of_every_script_are_counted_alike_at_once_and_alone() -> None:
    settings = load()
    count = TokenCounter(settings.model_store / (find(settings.embedding_model).tokenizer_file or ""))
    texts = [
        "",
        " ",
        "Ünïcode wörds, 12,345.67",
        "日本語の文章。",
        "مرحبا بالعالم",
        "x" * 500,
        "a\tb\nc  d",
        "👩‍👧 [SEP] #1",
    ]
    assert count.many(texts) == [count(text) for text in texts]
