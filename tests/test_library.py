from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from core.errors import BadUpload, Conflict, NotFound
from core.library import DocumentCounts, DocumentFilter
from core.services import Services
from core.storage.tables import UserRow
from core.types import DocumentStatus, JobStatus

Add = Callable[..., str]
ME, OTHER = "local", "other"


@pytest.fixture
def other(live: Services) -> str:
    with live.db.write() as session:
        session.add(UserRow(id=OTHER, name="Other", role="editor"))
    return OTHER


def queue(live: Services, name: str, owner_id: str = ME) -> str:
    return live.documents.add(io.BytesIO(name.encode()), name=name, owner_id=owner_id).document_id


def test_documents_are_counted_by_what_questions_can_do_with_them(live: Services, add_text: Add) -> None:
    add_text("Words.", name="ready.md", collection="Home")
    queue(live, "bad.pdf")
    job = live.jobs.claim("w")
    assert job
    live.jobs.finish(job.id, "w", JobStatus.failed, "broken")
    queue(live, "waiting.md")
    assert live.library.counts(owner_id=ME) == DocumentCounts(total=3, found=1, busy=1, failed=1)
    home = live.documents.list_collections(owner_id=ME)[0].id
    assert live.library.counts(owner_id=ME, collection_id=home) == DocumentCounts(total=1, found=1, busy=0, failed=0)


def test_a_page_is_filtered_before_it_is_cut(live: Services, add_text: Add) -> None:
    for number in range(5):
        queue(live, f"letter-{number}.md")
    ready = add_text("Words.", name="50%_manual.md", collection="Home")
    page = live.library.page(DocumentFilter(search="LETTER"), owner_id=ME, start=3, size=3)
    assert (len(page.documents), page.total) == (2, 5)
    found = live.library.page(DocumentFilter(statuses=(DocumentStatus.ready,)), owner_id=ME)
    assert [document.id for document in found.documents] == [ready]
    assert len(found.documents[0].collection_ids) == 1
    assert live.library.page(DocumentFilter(search="%_"), owner_id=ME).total == 1


def test_titles_are_those_of_documents_that_can_be_found(live: Services, add_text: Add) -> None:
    second, first = add_text("Words.", name="b.md"), add_text("More words.", name="A.md")
    queue(live, "c.md")
    assert live.library.titles(owner_id=ME) == ((first, "A.md"), (second, "b.md"))


def test_what_belongs_to_somebody_else_does_not_exist(live: Services, add_text: Add, other: str) -> None:
    theirs = add_text("Secret.", name="secret.md", collection="Theirs", owner_id=other)
    home = live.documents.list_collections(owner_id=other)[0].id
    mine = live.documents.collection("Mine", owner_id=ME)
    assert live.library.counts(owner_id=ME).total == 0
    assert live.library.counts(owner_id=ME, collection_id=home).total == 0
    assert live.library.page(DocumentFilter(home), owner_id=ME).total == 0
    assert live.library.titles(owner_id=ME) == ()
    assert live.library.delete([theirs], owner_id=ME) == 0
    live.library.add_to_collection([theirs], mine, owner_id=ME)
    assert live.documents.list_collections(owner_id=ME)[0].documents == 0
    with pytest.raises(NotFound):
        live.library.add_to_collection([], home, owner_id=ME)
    with pytest.raises(NotFound):
        live.library.rename_collection(home, "Stolen", owner_id=ME)


def test_documents_that_are_gone_are_passed_over_when_many_are_deleted(live: Services, add_text: Add) -> None:
    first, second = add_text("One.", name="1.md"), add_text("Two.", name="2.md")
    live.documents.delete(first, owner_id=ME)
    assert live.library.delete([first, second], owner_id=ME) == 1


def test_a_collection_takes_a_free_name_only(live: Services) -> None:
    live.documents.collection("Letters", owner_id=ME)
    bills = live.documents.collection("Bills", owner_id=ME)
    live.library.rename_collection(bills, "  Old   bills ", owner_id=ME)
    assert [c.name for c in live.documents.list_collections(owner_id=ME)] == ["Letters", "Old bills"]
    with pytest.raises(Conflict, match="called Letters already"):
        live.library.rename_collection(bills, "Letters", owner_id=ME)
    with pytest.raises(BadUpload):
        live.library.rename_collection(bills, " ", owner_id=ME)


def test_adding_to_a_collection_keeps_the_others(live: Services, add_text: Add) -> None:
    document = add_text("Words.", name="a.md", collection="One")
    two = live.documents.collection("Two", owner_id=ME)
    before = live.chunks.generation()
    live.library.add_to_collection([document], two, owner_id=ME)
    live.library.add_to_collection([document], two, owner_id=ME)
    assert len(live.documents.get(document, owner_id=ME).collection_ids) == 2
    assert live.chunks.generation() > before
