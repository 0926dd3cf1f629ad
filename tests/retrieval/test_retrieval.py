from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from langchain_core.documents import Document as LangChainDocument

from core.errors import ModelUnavailable
from core.retrieval import dense
from core.retrieval.fusion import fuse
from core.retrieval.query import any_of, understand
from core.retrieval.retriever import from_langchain, to_langchain
from core.services import Services
from core.types import Scope
from ingest.intake import Intake, IntakeOptions
from ingest.presence import Presence
from ingest.worker import Worker
from tests.small import SmallClient, word_vector

Add = Callable[..., str]
TEXT = "The warranty lasts 24 months.\n\nThe battery weighs 3 kg.\n\nThe manual is printed in Lund."


def test_a_question_finds_its_paragraph(live: Services, add_text: Add) -> None:
    add_text(TEXT)
    found = live.chain().retriever.retrieve("How long is the warranty?")
    assert found[0].text == "The warranty lasts 24 months."
    assert found[0].rank == 1
    assert found[0].dense_score is not None
    assert found[0].keyword_score is not None


def test_keyword_search_knows_word_forms_and_accents(live: Services, add_text: Add) -> None:
    add_text("Two warranties exist.\n\nLe café est fermé.")
    scope = Scope("local")
    assert live.chain().retriever.keyword.search("warranty", scope, 5)
    assert live.chain().retriever.keyword.search("cafe", scope, 5)


def test_the_scope_is_part_of_the_search(live: Services, add_text: Add) -> None:
    first = add_text("Apples are red.", name="a.md", collection="Fruit")
    second = add_text("Apples are green.", name="b.md")
    fruit = live.documents.collection("Fruit", owner_id="local")
    one = live.chain().retriever.within(Scope("local", collection_id=fruit)).retrieve("apples")
    assert {p.document_id for p in one} == {first}
    two = live.chain().retriever.within(Scope("local", document_ids=(second,))).retrieve("apples")
    assert {p.document_id for p in two} == {second}
    assert live.chain().retriever.within(Scope("somebody else")).retrieve("apples") == []


def test_a_document_moved_into_a_collection_is_found_there(live: Services, add_text: Add) -> None:
    document = add_text("Apples are red.")
    home = live.documents.collection("New", owner_id="local")
    scoped = live.chain().retriever.within(Scope("local", collection_id=home))
    assert scoped.retrieve("apples") == []
    live.documents.set_collections(document, [home], owner_id="local")
    assert [p.document_id for p in scoped.retrieve("apples")] == [document]


def test_a_document_that_is_read_again_is_found_by_its_vectors_afterwards(live: Services, add_text: Add) -> None:
    document = add_text(TEXT)
    add_text("Something else about the warranty.", name="other.md")
    live.documents.retry(document, owner_id="local")
    assert document not in {p.document_id for p in live.chain().retriever.retrieve("24 months warranty")}
    intake = Intake(
        live.db, live.files, live.chunks, embedder=live.client, counter=lambda: len,
        options=IntakeOptions(live.settings.embedding_model),
    )  # fmt: skip
    worker = Worker(live.jobs, intake, Presence(live.settings.run), threading.Event())
    while worker.work_one():
        pass
    found = live.chain().retriever.retrieve("24 months warranty")
    assert document in {p.document_id for p in found if p.dense_score is not None}


def test_a_deleted_document_is_never_found(live: Services, add_text: Add) -> None:
    document = add_text(TEXT)
    assert live.chain().retriever.retrieve("warranty")
    live.documents.delete(document, owner_id="local")
    assert live.chain().retriever.retrieve("warranty") == []
    assert live.index.warm() == 0


def test_a_document_is_found_by_keyword_before_it_has_vectors(live: Services) -> None:
    from core.types import Chunk, Document

    added = live.documents.add(io.BytesIO(b"The dam is 90 m high."), name="dam.txt", owner_id="local")
    live.chunks.save_text(
        added.document_id,
        Document("dam", "text/plain", "The dam is 90 m high."),
        [Chunk(0, 0, 21, "The dam is 90 m high.")],
        {},
    )
    found = live.chain().retriever.retrieve("dam")
    assert found[0].dense_score is None


def test_keyword_search_answers_alone_while_the_embedder_is_away(
    live: Services, add_text: Add, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(TEXT)

    def away(texts: list[str], *, priority: str, model: str = "") -> None:
        raise ModelUnavailable("The model is still starting.")

    monkeypatch.setattr(client, "embed", away)
    assert live.chain().retriever.retrieve("warranty")[0].text == "The warranty lasts 24 months."


def test_the_retriever_is_a_langchain_retriever(live: Services, add_text: Add) -> None:
    add_text(TEXT)
    documents = live.chain().retriever.invoke("How long is the warranty?")
    assert documents[0].page_content == "The warranty lasts 24 months."
    assert from_langchain(documents[0], 1) == live.chain().retriever.retrieve("How long is the warranty?")[0]


def test_a_foreign_document_becomes_a_passage() -> None:
    passage = from_langchain(LangChainDocument("text", metadata={"source": "elsewhere", "author": "x"}), 2)
    assert (passage.text, passage.document_title, passage.rank, passage.end) == ("text", "elsewhere", 2, 4)
    assert from_langchain(to_langchain(passage), 2) == passage


# --- the index as a cache ---


def index_of(live: Services) -> dense.DenseIndex:
    return dense.DenseIndex(live.chunks, live.settings.embedding_model, live.settings.index)


def test_a_saved_index_is_used_again_and_brought_up_to_date(live: Services, add_text: Add) -> None:
    first = add_text(TEXT, name="a.md")
    live.index.warm()
    live.index.save()
    add_text("Owls hunt at night.\n\nFoxes too.", name="b.md")
    live.documents.delete(first, owner_id="local")
    again = index_of(live)
    assert again.warm() == 2
    best = again.search(word_vector("Owls hunt at night."), Scope("local"), 1)
    assert best[0][1] == pytest.approx(1.0)


@pytest.mark.parametrize("damage", ["cut", "zero", "flip", "generation", "garbage"])
def test_a_damaged_index_file_is_rebuilt(live: Services, add_text: Add, damage: str) -> None:
    add_text(TEXT)
    live.index.warm()
    live.index.save()
    data = bytearray(live.index.path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "zero":
        data = bytearray()
    elif damage == "flip":
        data[-5] ^= 1
    elif damage == "generation":
        data[9] ^= 1
    else:
        data = bytearray(b"\x00\x17" * 2048)
    live.index.path.write_bytes(bytes(data))
    again = index_of(live)
    assert again.warm() == 3
    assert again.search(word_vector("The battery weighs 3 kg."), Scope("local"), 1)[0][1] == pytest.approx(1.0)


def test_an_index_newer_than_the_database_is_not_trusted(live: Services, add_text: Add) -> None:
    add_text(TEXT)
    foreign = dense.NearIndex(faiss.IndexIDMap(faiss.IndexFlatIP(384)), 0)
    foreign.add(np.array([999]), np.ones((1, 384), np.float32))
    dense.write(foreign, 10_000, live.index.path)
    again = index_of(live)
    again.warm()
    assert 999 not in again.ids()


def test_the_hostile_index_files_of_the_abuse_corpus_are_not_trusted(
    live: Services, add_text: Add, tmp_path: Path, abuse_corpus: Path
) -> None:
    add_text(TEXT)
    entries = json.loads((abuse_corpus / "manifest.json").read_text())
    names = [
        e["file"] if "file" in e else e["id"] for e in (entries["files"] if isinstance(entries, dict) else entries)
    ]
    hostile = [p for name in names if (p := abuse_corpus / name).suffix in (".faiss", ".pkl") and p.exists()]
    hostile = hostile or [p for p in abuse_corpus.rglob("*") if p.suffix in (".faiss", ".pkl")]
    assert len(hostile) >= 7
    for path in hostile:
        live.settings.index.mkdir(parents=True, exist_ok=True)
        live.index.path.write_bytes(path.read_bytes())
        assert index_of(live).warm() == 3
    assert not [*tmp_path.rglob("PICKLE_EXECUTED"), *abuse_corpus.rglob("PICKLE_EXECUTED")]


# --- pure parts ---


def test_fusion_prefers_what_both_searches_found() -> None:
    assert [item for item, _ in fuse([[1, 2, 3], [3, 4, 1]])] == [1, 3, 2, 4]
    assert fuse([[], []]) == []


def test_weights_move_the_balance() -> None:
    assert fuse([[1], [2]], weights=[1.0, 2.0])[0][0] == 2


@pytest.mark.parametrize(
    "query",
    [
        "what is the warranty?",
        "24-months",
        'a "quoted" string',
        "col:umn",
        "NEAR(a b)",
        "* OR *",
        "(",
        "^x",
        "C++",
        "a AND",
        "-",
        "'",
        "ｆｕｌｌ width",
    ],
)
def test_whatever_people_type_is_no_search_syntax(live: Services, add_text: Add, query: str) -> None:
    add_text(TEXT)
    live.chain().retriever.retrieve(query)  # must not raise


def test_a_query_without_words_asks_for_nothing() -> None:
    assert understand("?! …").units == ()
    assert any_of([]) == ""


def test_the_hostile_prompts_of_the_abuse_corpus_are_searched_without_errors(
    live: Services, add_text: Add, abuse_corpus: Path
) -> None:
    add_text(TEXT)
    lines = next(abuse_corpus.rglob("prompts.jsonl")).read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 60
    for line in lines:
        entry = json.loads(line)
        question = next(value for key, value in entry.items() if key in ("text", "prompt", "question"))
        live.chain().retriever.retrieve(question.encode("utf-8", "replace").decode("utf-8"))
