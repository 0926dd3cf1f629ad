from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from core.errors import BadUpload, Conflict, NotFound
from core.library import DocumentCounts, DocumentFilter
from core.services import Services
from core.storage.tables import UserRow
from core.types import DocumentStatus, Filters, JobStatus, Scope

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


def tags(live: Services, document_id: str) -> tuple[str, ...]:
    return live.documents.get(document_id, owner_id=ME).tags


def test_another_spelling_of_a_tag_is_that_tag(live: Services, add_text: Add) -> None:
    first, second = add_text("One.", name="1.md"), add_text("Two.", name="2.md")
    live.library.set_tags(first, ["  # #Contract ", "to\u200b  do", "", "#"], owner_id=ME)
    assert tags(live, first) == ("Contract", "to do")
    live.library.add_tags([first, second, "gone"], ["CONTRACT", "urgent"], owner_id=ME)
    assert tags(live, first) == ("Contract", "to do", "urgent")
    assert tags(live, second) == ("Contract", "urgent")
    assert live.library.spelled(["#contract", "new", ""], owner_id=ME) == ("Contract", "new")
    found = live.library.tags(owner_id=ME)
    assert [(tag.name, tag.documents) for tag in found] == [("Contract", 2), ("to do", 1), ("urgent", 2)]
    live.library.set_tags(second, [], owner_id=ME)
    live.library.set_tags(first, ["contract"], owner_id=ME)
    assert [tag.name for tag in live.library.tags(owner_id=ME)] == ["contract"]


def test_a_list_shows_the_documents_with_a_tag(live: Services, add_text: Add) -> None:
    tagged, _other = add_text("One.", name="1.md"), add_text("Two.", name="2.md")
    assert live.library.facets(owner_id=ME).tags == ()
    live.library.set_tags(tagged, ["contract"], owner_id=ME)
    assert live.library.facets(owner_id=ME).tags == ("contract",)
    found = live.library.page(DocumentFilter(tag="contract"), owner_id=ME)
    assert [(document.id, document.tags) for document in found.documents] == [(tagged, ("contract",))]
    live.documents.delete(tagged, owner_id=ME)
    assert live.library.facets(owner_id=ME).tags == ()
    assert live.library.page(DocumentFilter(tag="contract"), owner_id=ME).total == 0


def test_too_many_tags_change_nothing(live: Services, add_text: Add) -> None:
    document = add_text("One.", name="1.md")
    live.library.set_tags(document, ["kept"], owner_id=ME)
    with pytest.raises(BadUpload, match="at most 30"):
        live.library.set_tags(document, [str(number) for number in range(31)], owner_id=ME)
    assert tags(live, document) == ("kept",)


def test_nobody_tags_what_is_somebody_elses(live: Services, add_text: Add, other: str) -> None:
    theirs = add_text("Secret.", name="secret.md", owner_id=other)
    with pytest.raises(NotFound):
        live.library.set_tags(theirs, ["mine"], owner_id=ME)
    live.library.add_tags([theirs], ["mine"], owner_id=ME)
    live.library.set_tags(theirs, ["private"], owner_id=other)
    assert live.library.tags(owner_id=ME) == []
    assert live.documents.get(theirs, owner_id=other).tags == ("private",)


def test_it_is_known_how_many_documents_a_question_can_find(live: Services, add_text: Add) -> None:
    tagged = add_text("One.", name="1.md")
    add_text("Two.", name="2.md")
    queue(live, "waiting.md")
    live.library.set_tags(tagged, ["contract"], owner_id=ME)
    assert live.library.asked(Scope(ME)) == 2
    assert live.library.asked(Scope(ME, filters=Filters(tags=("contract", "other")))) == 1
    assert live.library.asked(Scope(OTHER)) == 0
