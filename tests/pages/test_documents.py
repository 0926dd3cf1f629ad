from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from core.batches import Batch
from core.errors import NotFound
from core.library import DocumentFilter
from core.retrieval.serving import SERVING
from core.services import Services
from core.storage.db import backup
from core.storage.tables import DeletionRow, DocumentRow, PreferenceRow, now
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
    uploader = at.file_uploader(key="files-0")
    assert uploader.label.startswith("Add files")
    assert "PDF, Word" in uploader.help
    assert "50 MB" in uploader.help


def upload(at: AppTest, live: Services, files: dict[str, bytes]) -> AppTest:
    """Drop files on the page and wait until they are stored."""
    uploader = at.file_uploader(key=f"files-{at.session_state['page:documents'].uploads}")
    for name, content in files.items():
        uploader.upload(name, content)
    at.run()
    assert live.arrivals.wait_idle(30)
    return at.run()


def only_batch(live: Services) -> Batch:
    (batch,) = live.batches.list_batches(owner_id=ME)
    return batch


def read(live: Services, error: str = "") -> None:
    """Do the next job as the worker would, or fail with this sentence."""
    job = live.jobs.claim("w")
    assert job
    live.jobs.finish(job.id, "w", JobStatus.failed if error else JobStatus.done, error)


def test_one_file_is_taken_in_and_told_about(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    at.file_uploader(key="files-0").upload("one.md", b"one")
    at.run()
    assert names(live) == ["one.md"]
    assert "1 file added." in at.success[0].value
    assert not live.batches.list_batches(owner_id=ME)


def test_many_files_are_a_batch_whose_card_says_what_became_of_each(visit: Open, live: Services) -> None:
    queue(live, "known.md", b"same words")
    at = upload(visit(PAGE), live, {"one.md": b"one", "two.txt": b"two", "empty.txt": b"", "copy.md": b"same words"})
    assert not at.exception
    assert sorted(names(live)) == ["known.md", "one.md", "two.txt"]
    shown = said(at)
    assert "Taking in 4 files" in shown
    assert "2 of 4 done" in at.progress[0].text
    for counted in ("2 waiting or being read", "1 refused", "1 here already"):
        assert counted in shown
    assert "empty.txt** is empty" in shown


def test_a_reload_shows_the_same_card(visit: Open, live: Services) -> None:
    first = upload(visit(PAGE), live, {f"{number}.md": str(number).encode() for number in range(4)})
    read(live)
    second = fine(visit(PAGE))
    assert second.progress[0].text == fine(first.run()).progress[0].text
    assert "1 of 4 done" in second.progress[0].text


def test_a_batch_is_paused_resumed_and_cancelled(visit: Open, live: Services) -> None:
    at = upload(visit(PAGE), live, {"one.md": b"one", "two.md": b"two"})
    id = only_batch(live).id
    at.button(key=f"batch-pause-{id}").click().run()
    assert only_batch(live).status == "paused"
    assert "Paused: 2 files" in said(at)
    assert "fragment" not in str(at.main), "nothing moves, so no timer is needed"
    at.button(key=f"batch-resume-{id}").click().run()
    assert only_batch(live).status == "running"
    at.button(key=f"batch-cancel-{id}").click().run()
    assert "Cancelled: 2 files" in said(fine_but_for_failures(at))
    at.button(key=f"batch-retry-{id}").click().run()
    assert only_batch(live).left == 2
    assert not at.exception


def test_what_failed_is_listed_with_its_sentence_and_tried_again(visit: Open, live: Services) -> None:
    at = upload(visit(PAGE), live, {"good.md": b"good", "bad.pdf": b"bad"})
    read(live)
    read(live, "bad.pdf is protected by a password. Remove it and upload it again.")
    at.run()
    assert "Finished: 1 of 2 files are here" in said(at)
    assert "bad.pdf** is protected by a password" in said(at)
    at.button(key=f"batch-retry-{only_batch(live).id}").click().run()
    assert (only_batch(live).failed, only_batch(live).left) == (0, 1)


def test_many_failures_are_shown_page_by_page_when_asked_for(visit: Open, live: Services) -> None:
    at = upload(visit(PAGE), live, {f"{number:02}.md": b"" for number in range(40)})
    id = only_batch(live).id
    assert "00.md" not in said(at)
    at.toggle(key=f"failures-{id}").set_value(True)
    at.run()
    assert "00.md** is empty" in said(at)
    assert "30.md" not in said(at)
    at.pagination(key=f"failures-page-{id}").set_value(2).run()
    assert "30.md** is empty" in said(fine(at))


def test_a_finished_batch_stays_until_it_is_dismissed(visit: Open, live: Services) -> None:
    at = upload(visit(PAGE), live, {"one.md": b"one", "two.md": b"two"})
    read(live)
    read(live)
    assert "all of the 2 files are here" in said(visit(PAGE))
    at.run()
    at.button(key=f"batch-dismiss-{only_batch(live).id}").click().run()
    assert "2 files" not in said(at)
    assert "2 files" not in said(visit(PAGE))


def test_files_that_never_arrived_are_said_to_be_missing(visit: Open, live: Services) -> None:
    id = live.batches.begin(owner_id=ME, expected=10)
    live.documents.add(io.BytesIO(b"one"), name="one.md", owner_id=ME, batch_id=id)
    read(live)
    assert live.batches.stop_waiting(silent_since=datetime.now(UTC) - timedelta(minutes=10)) == 0
    assert only_batch(live).status == "running"
    assert live.batches.stop_waiting(silent_since=datetime.now(UTC) + timedelta(minutes=10)) == 1
    at = fine(visit(PAGE))
    assert only_batch(live).status == "done"
    assert "9 files of this upload did not arrive" in said(at)


def fine_but_for_failures(at: AppTest) -> AppTest:
    assert not at.exception
    return at


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
    live.jobs.progress(job.id, "w", stage="embedding", done=0, total=12)
    time.sleep(0.5)
    live.jobs.progress(job.id, "w", stage="embedding", done=3, total=12)
    at = fine(visit(PAGE))
    assert "Reading 2 documents" in said(at)
    assert at.progress[0].text.startswith("first.md · Making vectors: 3 of 12 · about ")
    assert "Waiting for their turn: second.md" in said(at)
    at.button(key=f"stop-{second}").click().run()
    assert live.jobs.latest([second])[second].status == JobStatus.cancelled
    at.button(key=f"cancel-{job.id}").click().run()
    assert live.jobs.get(job.id, owner_id=ME).status == JobStatus.cancelled
    assert live.documents.get(first, owner_id=ME)


def test_a_document_rests_and_goes_on(visit: Open, live: Services) -> None:
    document = queue(live, "long.md")
    job = live.jobs.claim("w")
    assert job
    at = visit(PAGE)
    at.button(key=f"pause-{job.id}").click().run()
    assert "1 document paused" in said(at)
    at.button(key=f"details-{document}").click().run()
    at.button(key=f"drawer-resume-{job.id}").click().run()
    assert live.jobs.get(job.id, owner_id=ME).status == JobStatus.queued
    fine(at)


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


def test_a_document_is_tagged_and_found_by_its_tag(visit: Open, live: Services, add_text: Add) -> None:
    first, second = add_text("One.", name="one.md"), add_text("Two.", name="two.md")
    at = visit(PAGE)
    at.button(key=f"details-{first}").click().run()
    at.multiselect(key=f"details-tags-{first}").set_value(["#Bills "]).run()
    assert live.documents.get(first, owner_id=ME).tags == ("Bills",)
    assert at.multiselect(key=f"details-tags-{first}").value == ["Bills"]
    live.library.add_tags([first], ["2023"], owner_id=ME)  # in another tab
    at.multiselect(key=f"details-tags-{first}").set_value(["Bills", "new"]).run()
    assert live.documents.get(first, owner_id=ME).tags == ("2023", "Bills", "new")
    at.multiselect(key=f"details-tags-{first}").set_value(["Bills"]).run()
    at = fine(visit(PAGE))
    assert "#Bills" in said(at)
    at.selectbox(key="document-tag").set_value("Bills").run()
    assert [button.key for button in at.button if str(button.key).startswith("details-")] == [f"details-{first}"]
    at.selectbox(key="document-tag").set_value("").run()
    for id in (first, second):
        at.checkbox(key=f"pick-{id}").check()
    at.run()
    assert not at.exception, "there is no collection to add them to"
    for tag in ("bills", "2024"):
        at.multiselect(key="bulk-tag").set_value([tag]).run()
    assert live.documents.get(second, owner_id=ME).tags == ("2024", "Bills")


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


RECEIPT = {
    "sha256": "ab12", "parser": "PdfLoader 3 (pypdfium2 5.1)", "pages": 3, "empty_pages": [2], "characters": 1200,
    "characters_printed": 1000, "characters_indexed": 990, "tables": 2, "chunks": 4, "language": "de",
    "ocr_pages": [{"page": 1, "confidence": 0.9}, {"page": 3, "confidence": 0.7}],
    "seconds": {"reading": 1.5, "embedding": 3.0}, "warnings": ["Page 2 is a picture without text."],
    "self_test": {"asked": 5, "keyword": 5, "hybrid": 4, "missed": ["The battery weighs 3 kg."]},
}  # fmt: skip


def receipt_of(live: Services, document: str, receipt: object) -> None:
    with live.db.write() as session:
        row = session.get_one(DocumentRow, document)
        row.receipt, row.language, row.media_type, row.author = receipt, "de", "application/pdf", "Ada"


def test_the_receipt_accounts_for_pages_text_scans_and_the_self_test(
    visit: Open, live: Services, add_text: Add
) -> None:
    document = add_text(MANUAL, name="manual.md")
    receipt_of(live, document, RECEIPT)
    at = visit(PAGE)
    assert "1 sentence of the self-test not found" in said(at)
    at.button(key=f"details-{document}").click().run()
    fine(at)
    facts = at.table[0].value.to_string()
    for fact in ("2 pages recognised, 80% sure on average, 70% on page 3", "99.0 % of it in the index", "without text: 2",
                 "German", "Ada", "PdfLoader 3", "reading 1.5 s", "making vectors 3.0 s"):  # fmt: skip
        assert fact in facts.replace("\\", ""), fact
    assert "Self-test: 4 of 5 sentences found again." in said(at)
    assert "The battery weighs 3 kg." in said(at)
    assert "Page 2 is a picture without text." in said(at)


@pytest.mark.parametrize(
    "receipt",
    [
        {},
        {"chunks": 1},
        {"self_test": {}, "ocr_pages": None, "seconds": None, "warnings": None},
        {"pages": "three", "self_test": [1], "ocr_pages": [1, {"page": 1}], "seconds": {"reading": "long"}},
    ],
)
def test_a_receipt_of_an_older_version_shows_what_it_has(
    visit: Open, live: Services, add_text: Add, receipt: object
) -> None:
    document = add_text(MANUAL, name="manual.md")
    receipt_of(live, document, receipt)
    at = visit(PAGE)
    at.button(key=f"details-{document}").click().run()
    assert "Self-test" not in said(fine(at))


def test_a_deletion_says_that_nothing_was_left_and_stays_in_the_list(
    visit: Open, live: Services, add_text: Add
) -> None:
    document = add_text(MANUAL, name="manual.md")
    at = visit(PAGE)
    assert not any(button.key == "show-deletions" for button in at.button)
    at.button(key=f"details-{document}").click().run()
    at.button(key="delete-document").click().run()
    at.button(key="confirm-delete").click().run()
    gone = "gone. Nothing of it was found in files, rows, vectors, keyword index, caches, index file and copies before updates."
    assert gone in at.success[0].value
    at.button(key="dismiss-gone").click().run()
    assert not at.success
    at.button(key="show-deletions").click().run()
    assert f"manual.md**, just now: {gone}" in said(fine(at))


def test_a_deletion_that_left_something_behind_says_where(visit: Open, live: Services, add_text: Add) -> None:
    live.documents.delete(add_text(MANUAL, name="manual.md"), owner_id=ME)
    with live.db.write() as session:
        row = session.scalars(select(DeletionRow)).one()
        row.residues, row.checked_at = {**row.residues, "vectors": 3}, now()
    at = visit(PAGE)
    at.button(key="show-deletions").click().run()
    assert "something was left: 3 in vectors" in said(fine(at))


def test_a_copy_of_before_an_update_that_still_has_a_deleted_document_is_told(
    visit: Open, live: Services, add_text: Add
) -> None:
    document = add_text(MANUAL, name="manual.md")
    backup(live.db.path, live.db.path.with_name("app.before-0001_documents.db"))
    live.documents.delete(document, owner_id=ME)
    at = visit(PAGE)
    at.button(key="show-deletions").click().run()
    assert "gone, but for 1 copy of the database that an update made" in said(fine(at))


def test_documents_are_filtered_by_type_and_language(visit: Open, live: Services, add_text: Add) -> None:
    german, other = add_text(MANUAL, name="manual.md"), add_text("Other words.", name="other.md")
    at = visit(PAGE)
    assert not any(box.key in ("document-kind", "document-language") for box in at.selectbox)
    receipt_of(live, german, {})
    add_text("A third one.", name="third.md")
    at = visit(PAGE)
    at.selectbox(key="document-kind").set_value("application/pdf").run()
    assert [b.key for b in at.button if str(b.key).startswith("details-")] == [f"details-{german}"]
    at.selectbox(key="document-kind").set_value("").run()
    assert f"details-{other}" in [b.key for b in at.button]
    fine(at)


@pytest.fixture
def rebuilding(live: Services, add_text: Add) -> str:
    """A change to another embedding model has begun; the id of its job."""
    add_text(MANUAL, name="manual.md")
    with live.db.write() as session:
        session.merge(PreferenceRow(name=SERVING, value="an-older-model"))
    job = live.rebuilds.begin(owner_id=ME)
    assert job
    return job


def test_a_second_index_is_shown_while_it_is_built_and_can_be_given_up(
    visit: Open, live: Services, rebuilding: str
) -> None:
    job = live.jobs.claim("w")
    assert job
    assert job.id == rebuilding
    live.jobs.progress(job.id, "w", stage="embedding anew", done=0, total=3)
    at = fine(visit(PAGE))
    assert "A second index is being built" in said(at)
    assert "answered with an-older-model" in said(at)
    assert at.progress[0].text == "0 of 3 documents"
    at.button(key="rebuild-cancel").click().run()
    assert live.rebuilds.status().job is None
    assert "The index is of another embedding model" in said(at)
    at.button(key="rebuild-begin").click().run()
    assert live.rebuilds.status().job is not None
    fine(at)
