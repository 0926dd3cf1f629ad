"""What is read of earlier messages: the words that they quote, as long as they stand there, and the notes made of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, select, update

from core.chat import export
from core.chat.branches import branch_to, remembered
from core.services import Services
from core.storage.tables import CitationRow, MessageRow, TraceRow
from core.types import Chunk, Document

ME = "local"
TEXT = "The warranty lasts 24 months.\n\nThe battery weighs 3 kg.\n\nThe manual is printed in Lund."


def read_again(live: Services, text: str) -> None:
    """Store another text under the same document, as reading it again does."""
    document = live.documents.list_documents(owner_id=ME)[0]
    chunk = Chunk(0, 0, len(text), text)
    live.chunks.save_text(document.id, Document("manual.md", "text/plain", text), [chunk], {})


@pytest.fixture
def conversation(live: Services, add_text: Callable[..., str]) -> str:
    add_text(TEXT, name="manual.md")
    conversation = live.conversations.create(owner_id=ME)
    for question in ("How long is the warranty?", "How heavy is the battery?", "Where is the manual printed?"):
        assert live.turns.ask(conversation, question, owner_id=ME).ended(10)
    return conversation


def test_an_answer_does_not_quote_words_that_its_document_says_only_since(live: Services, conversation: str) -> None:
    read_again(live, "The guarantee, which ends on Sundays, is void.\n\n" + TEXT)
    info, thread = live.conversations.open(conversation, owner_id=ME)
    (citation,), passage = thread[1].citations, thread[1].passages[0]
    assert (citation.quote, citation.changed, citation.document_title) == ("", True, "manual.md")
    assert (passage.text, passage.changed) == ("", True)
    assert "the document was read again since" in export.to_markdown(info, thread)
    read_again(live, TEXT)
    answer = live.conversations.thread(conversation, owner_id=ME)[1]
    assert (answer.citations[0].quote, answer.citations[0].changed) == ("The warranty lasts 24 months.", False)


def test_a_citation_of_an_earlier_version_is_shown_unchecked(live: Services, conversation: str) -> None:
    with live.db.write() as session:
        session.execute(update(CitationRow).values(digest=""))
    read_again(live, TEXT.upper())
    (citation,) = live.conversations.thread(conversation, owner_id=ME)[1].citations
    assert (citation.quote, citation.changed) == ("THE WARRANTY LASTS 24 MONTHS.", False)


def test_a_text_is_read_once_however_many_places_of_it_are_shown(live: Services, conversation: str) -> None:
    statements: list[str] = []
    event.listen(live.db.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    thread = live.conversations.thread(conversation, owner_id=ME)
    assert sum(len(message.citations) + len(message.passages) for message in thread) >= 6
    assert len([statement for statement in statements if "document_texts" in statement]) == 2  # citations, passages


def test_the_notes_of_a_conversation_are_the_newest_that_fit_its_history(live: Services, conversation: str) -> None:
    with live.db.write() as session:
        answers = session.scalars(
            select(MessageRow).where(MessageRow.role == "assistant").order_by(MessageRow.id)
        ).all()
        for row, summarised in zip(answers, (2, 4, 0), strict=True):
            trace = session.get_one(TraceRow, row.id)
            notes = {"remembered": f"Notes of {summarised}.", "summarised": summarised} if summarised else {}
            trace.ledger = {**trace.ledger, **notes}
    thread = live.conversations.thread(conversation, owner_id=ME)
    with live.db.read() as session:
        last = session.get_one(MessageRow, answers[-1].id)
        branch = branch_to(session, last)
        assert [row.id for row in branch] == [message.id for message in thread][:-1]
        assert remembered(session, branch, 6) == ("Notes of 4.", 4)
        assert remembered(session, branch, 3) == ("Notes of 2.", 2)
        assert remembered(session, branch, 1) == ("", 0)
