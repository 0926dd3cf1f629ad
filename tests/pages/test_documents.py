from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from core.errors import NotFound
from core.library import DocumentFilter
from core.services import Services
from core.types import DocumentStatus, JobStatus
from tests.pages.conftest import MANUAL, ME, Open, fine, said

Add = Callable[..., str]
PAGE = "documents.py"


def queue(live: Services, name: str = "waiting.md", content: bytes = b"text") -> str:
    return live.documents.add(io.BytesIO(content), name=name, owner_id=ME).document_id


def names(live: Services) -> list[str]:
    return [document.name for document in live.documents.list_documents(owner_id=ME)]


def test_an_empty_installation_says_what_to_do(visit: Open) -> None:
    at = fine(visit(PAGE))
    assert "No documents yet" in said(at)
    assert at.file_uploader(key="files-0").label.startswith("Add files: PDF, Word")


def test_files_are_taken_in_and_each_one_is_told_about(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    upload = at.file_uploader(key="files-0")
    upload.upload("one.md", b"one").upload("two.txt", b"two").upload("empty.txt", b"")
    at.run()
    assert not at.exception
    assert sorted(names(live)) == ["one.md", "two.txt"]
    assert "2 files added." in at.success[0].value
    assert "empty.txt: empty.txt is empty" in said(at)


def test_the_same_file_twice_is_said_and_not_stored_twice(visit: Open, live: Services) -> None:
    queue(live, "first.md", b"same words")
    at = visit(PAGE)
    at.file_uploader(key="files-0").upload("second.md", b"same words")
    at.run()
    assert names(live) == ["first.md"]
    assert "second.md: already here as first.md" in said(at)


@pytest.mark.parametrize("name", ["../../etc/passwd.txt", "..\\..\\evil.txt", "a/b/c.txt"])
def test_only_the_last_part_of_a_name_is_kept(visit: Open, live: Services, name: str) -> None:
    at = visit(PAGE)
    at.file_uploader(key="files-0").upload(name, b"words")
    at.run()
    fine(at)
    assert names(live) == [name.replace("\\", "/").rsplit("/", 1)[-1]]


def test_new_files_go_into_the_collection_that_was_chosen(visit: Open, live: Services) -> None:
    live.documents.collection("Travel", owner_id=ME)
    at = visit(PAGE)
    at.selectbox(key="upload-collection").set_value("Travel").run()
    at.file_uploader(key="files-0").upload("one.md", b"one")
    at.run()
    fine(at)
    assert [(c.name, c.documents) for c in live.documents.list_collections(owner_id=ME)] == [("Travel", 1)]


def test_progress_is_shown_while_documents_are_read_and_a_job_can_be_cancelled(visit: Open, live: Services) -> None:
    first, second = queue(live, "first.md", b"1"), queue(live, "second.md", b"2")
    job = live.jobs.claim("w")
    assert job
    live.jobs.progress(job.id, "w", stage="embedding", done=3, total=12)
    at = fine(visit(PAGE))
    assert "Reading 2 documents" in said(at)
    assert at.progress[0].text == "first.md · Making vectors: 3 of 12"
    assert "Waiting for their turn: second.md" in said(at)
    at.button(key=f"stop-{second}").click().run()
    assert live.jobs.latest([second])[second].status == JobStatus.cancelled
    at.button(key=f"cancel-{job.id}").click().run()
    assert live.jobs.cancel_requested(job.id)
    assert live.documents.get(first, owner_id=ME)


def test_no_timer_runs_when_nothing_is_being_read(visit: Open, add_text: Add) -> None:
    add_text(MANUAL, name="manual.md")
    at = fine(visit(PAGE))
    assert not at.progress
    assert "fragment" not in str(at.main)


def test_what_was_read_is_shown_in_the_list_and_in_the_drawer(visit: Open, live: Services, add_text: Add) -> None:
    document = add_text(MANUAL, name="manual.md", collection="Machines")
    at = visit(PAGE)
    assert "3 chunks" in said(at)
    assert "Machines" in said(at)
    at.button(key=f"details-{document}").click().run()
    fine(at)
    assert at.table[0].value is not None
    assert any(button.label == "Download" for button in at.download_button)
    at.toggle(key=f"details-text-{document}").set_value(True)
    at.run()
    assert "The battery weighs 3 kg." in said(at)


def test_the_text_of_a_document_is_never_markdown(visit: Open, add_text: Add) -> None:
    document = add_text("# ![x](https://canary.invalid) <b>bold</b> :red[hot] **strong**", name="<b>n</b>.md")
    at = visit(PAGE)
    at.button(key=f"details-{document}").click().run()
    at.session_state[f"details-text-{document}"] = True
    at.run()
    shown = next(m.value for m in at.markdown if "canary" in m.value)
    assert shown.startswith(
        "\\# \\!\\[x\\]\\(https\\://canary.invalid\\) \\<b\\>bold\\</b\\> \\:red\\[hot\\] \\*\\*strong"
    )
    assert at.button(key=f"details-{document}").label == "**\\<b\\>n\\</b\\>.md**"


def test_documents_are_searched_and_filtered(visit: Open, live: Services, add_text: Add) -> None:
    ready = add_text(MANUAL, name="manual.md", collection="Machines")
    waiting = queue(live, "letter.md")
    at = visit(PAGE)

    def rows() -> set[str]:
        return {str(b.key).removeprefix("details-") for b in at.button if str(b.key).startswith("details-")}

    assert rows() == {ready, waiting}
    at.text_input(key="document-search").set_value("LETTER").run()
    assert rows() == {waiting}
    at.text_input(key="document-search").set_value("nothing like it").run()
    assert "No document matches." in said(at)
    at.text_input(key="document-search").set_value("").run()
    at.segmented_control(key="document-status").set_value("Ready").run()
    assert rows() == {ready}
    at.segmented_control(key="document-status").set_value("All").run()
    at.selectbox(key="document-collection").set_value("Machines").run()
    assert rows() == {ready}
    fine(at)


def test_a_failed_document_says_why_and_can_be_tried_again(visit: Open, live: Services) -> None:
    document = queue(live, "bad.pdf")
    job = live.jobs.claim("w")
    assert job
    live.jobs.finish(
        job.id, "w", JobStatus.failed, "bad.pdf is protected by a password. Remove it and upload it again."
    )
    at = fine(visit(PAGE))
    assert "protected by a password" in said(at)
    at.button(key=f"retry-{document}").click().run()
    assert live.documents.get(document, owner_id=ME).status == DocumentStatus.queued


def test_a_document_is_deleted_only_after_a_question(visit: Open, live: Services, add_text: Add) -> None:
    document = add_text(MANUAL, name="manual.md")
    at = visit(PAGE)
    at.button(key=f"details-{document}").click().run()
    at.button(key="delete-document").click().run()
    assert names(live) == ["manual.md"]
    assert "This cannot be undone" in said(at)
    at.button(key="confirm-delete").click().run()
    fine(at)
    with pytest.raises(NotFound):
        live.documents.get(document, owner_id=ME)


def test_several_documents_are_moved_and_deleted_at_once(visit: Open, live: Services, add_text: Add) -> None:
    for number in range(3):
        add_text(f"Text {number}", name=f"{number}.md")
    home = live.documents.collection("Letters", owner_id=ME)
    at = visit(PAGE)
    at.button(key="select").click().run()
    assert "3 documents selected" in said(at)
    letters = live.documents.list_collections(owner_id=ME)[0]
    at.menu_button(key="bulk-collection").click(letters).run()
    assert live.library.page(DocumentFilter(home), owner_id=ME).total == 3
    at.button(key="select").click().run()
    at.button(key="bulk-delete").click().run()
    at.button(key="confirm-delete").click().run()
    fine(at)
    assert names(live) == []


def test_a_document_is_put_into_collections_and_taken_out(visit: Open, live: Services, add_text: Add) -> None:
    document = add_text(MANUAL, name="manual.md", collection="Machines")
    at = visit(PAGE)
    at.button(key=f"details-{document}").click().run()
    at.multiselect(key=f"details-collections-{document}").set_value(["Machines", "New ones"]).run()
    assert len(live.documents.get(document, owner_id=ME).collection_ids) == 2
    at.multiselect(key=f"details-collections-{document}").set_value([]).run()
    assert live.documents.get(document, owner_id=ME).collection_ids == ()


def test_collections_are_made_renamed_and_deleted_and_documents_stay(
    visit: Open, live: Services, add_text: Add
) -> None:
    add_text(MANUAL, name="manual.md", collection="Machines")
    at = visit(PAGE)
    at.button(key="manage-collections").click().run()
    at.text_input(key="new-collection").set_value("Letters")
    at.button(key="add-collection").click().run()
    assert [c.name for c in live.documents.list_collections(owner_id=ME)] == ["Letters", "Machines"]
    machines = live.documents.list_collections(owner_id=ME)[1]
    at.text_input(key=f"collection-{machines.id}").set_value("Engines").run()
    assert [c.name for c in live.documents.list_collections(owner_id=ME)] == ["Engines", "Letters"]
    at.text_input(key=f"collection-{machines.id}").set_value("Letters").run()
    assert "There is a collection called Letters already" in said(at)
    at.button(key=f"delete-{machines.id}").click().run()
    assert [c.name for c in live.documents.list_collections(owner_id=ME)] == ["Letters"]
    assert names(live) == ["manual.md"]


def test_a_document_can_be_asked_from_its_drawer(visit: Open, live: Services, add_text: Add) -> None:
    document = add_text(MANUAL, name="manual.md")
    add_text("Another text.", name="other.md")
    at = visit(PAGE)
    at.button(key=f"details-{document}").click().run()
    at.button(key="ask-document").click().run()
    fine(at)
    assert at.selectbox(key="scope-new").value.document_id == document


def test_many_documents_come_page_by_page(visit: Open, live: Services) -> None:
    for number in range(35):
        queue(live, f"{number}.md", str(number).encode())
    at = fine(visit(PAGE))
    assert len([b for b in at.button if str(b.key).startswith("details-")]) == 15
    at.pagination(key="document-page").set_value(3).run()
    assert len([b for b in at.button if str(b.key).startswith("details-")]) == 5
    at.text_input(key="document-search").set_value("34").run()
    assert len([b for b in at.button if str(b.key).startswith("details-")]) == 1
    fine(at)
