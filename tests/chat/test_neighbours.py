from __future__ import annotations

import io
from dataclasses import replace

from core.chat.context import block
from core.chat.neighbours import merged
from core.services import Services
from core.types import Chunk, Document, Passage, Scope, Table
from ingest.split import split
from tests.ingest.made import words
from tests.small import SmallClient
from tests.stored import store_vectors

SECTION = "One is first. \n\nTwo comes next.\nThree is last. Four is more."


def passage(text: str, rank: int, *, document: str = "d", page: int | None = None, context: str = "") -> Passage:
    start = SECTION.index(text) + 100
    return Passage(rank, document, "T", text, start, start + len(text), page, "H", rank, 1 / rank, None, None, context,
                   SECTION, 100)  # fmt: skip


def test_neighbours_become_one_passage_in_their_order_where_the_best_stood() -> None:
    other = passage("Two comes next.", 2, document="e")
    found = merged([passage("Two comes next.", 1), other, passage("One is first.", 3), passage("Three is last.", 4)])
    assert [(p.text, p.rank, p.document_id) for p in found] == [
        ("One is first. \n\nTwo comes next.\nThree is last.", 1, "d"), ("Two comes next.", 2, "e"),
    ]  # fmt: skip
    assert (found[0].chunk_id, found[0].score, found[0].start, found[0].end) == (1, 1.0, 100, 146)


def test_what_is_apart_or_on_another_page_stays_apart() -> None:
    for passages in (
        [passage("One is first.", 1), passage("Three is last.", 2)],
        [passage("One is first.", 1, page=1), passage("Two comes next.", 2, page=2)],
        [replace(passage("One is first.", 1), section=""), replace(passage("Two comes next.", 2), section="")],
    ):
        assert merged(passages) == passages
    assert merged([]) == []


def test_the_header_of_a_table_is_shown_above_its_rows() -> None:
    shown = block(1, passage("Two comes next.", 1, context="| Place | Comes |"))
    assert shown == "[1] (T › H)\n| Place | Comes |\nTwo comes next."


ROWS = "\n".join(["| Part | Warranty | Stock |", *(f"| widget {n} | {n} months | {n * 7} |" for n in range(60))])


def add_table(live: Services) -> str:
    """A spreadsheet of one table, taken in as the worker does it."""
    document = Document("Parts", "text/csv", ROWS, tables=(Table(0, len(ROWS), ROWS.split("\n")[0]),))
    added = live.documents.add(io.BytesIO(ROWS.encode()), name="parts.csv", owner_id="local")
    live.chunks.save_text(added.document_id, document, split(document, count_tokens=words, budget=40), {})
    pending = live.chunks.unembedded(added.document_id, live.settings.embedding_model)
    assert all("| Part | Warranty | Stock |" in text for _, text in pending)
    vectors = live.client.embed([text for _, text in pending], priority="ingest")
    store_vectors(live, added.document_id, vectors)
    return added.document_id


def test_a_row_of_a_spreadsheet_is_found_by_its_column_names(live: Services) -> None:
    add_table(live)
    retriever = live.chain().retriever
    assert len(retriever.keyword.search("stock", Scope("local"), 50)) == len(live.chunks.chunk_ids(Scope("local")))
    best = retriever.retrieve("What is the warranty of widget 41?")[0]
    assert "| widget 41 | 41 months |" in best.text
    assert best.context == "| Part | Warranty | Stock |"
    assert best.section[best.start - best.section_start : best.end - best.section_start] == best.text


def test_an_answer_that_is_tried_again_sees_the_header_too(live: Services, client: SmallClient) -> None:
    add_table(live)
    turn = live.turns.begin("What is the warranty of widget 41?", owner_id="local")
    assert turn.ended(10)
    asked = client.asked[0][-1].content
    assert "\n| Part | Warranty | Stock |\n| widget" in asked
    version = live.prompts.published("answer")
    again = live.turns.try_prompt(turn.message_id, version.text, owner_id="local")
    assert again.ended(10)
    prompts = [messages[-1].content for messages in client.asked]  # a title is asked for too, sooner or later
    assert prompts.count(asked) == 2


def test_chunks_know_their_place_when_they_are_stored_without_a_section(live: Services) -> None:
    added = live.documents.add(io.BytesIO(b"The dam is 90 m high."), name="dam.txt", owner_id="local")
    text = "The dam is 90 m high."
    live.chunks.save_text(added.document_id, Document("dam", "text/plain", text), [Chunk(0, 0, 21, text)], {})
    (found,) = live.chain().retriever.retrieve("dam")
    assert (found.section, found.section_start, found.context) == (text, 0, "")
