from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from core.chat.turns import LiveTurn
from core.errors import Cancelled, NotFound
from core.feedback import REASONS
from core.samples import QUESTIONS
from core.services import Services
from core.types import NO_FILTERS, Chunk, Document, Filters, JobStatus, MessageState
from pages.ui import document_kinds
from pages.ui.conversations import export
from pages.ui.filters import words
from pages.ui.scope import choices
from pages.ui.state import ChatState
from tests.application import until
from tests.pages.conftest import ANSWER, MANUAL, ME, QUESTION, Ask, Open, conversation_of, fine, said
from tests.small import SmallClient

Add = Callable[..., str]


def finish_jobs(live: Services, status: JobStatus = JobStatus.failed) -> None:
    while job := live.jobs.claim("test"):
        live.jobs.finish(job.id, "test", status, "not read in this test")


def stop_after(turn: LiveTurn, text: str) -> None:
    until(lambda: turn.text == text, 20, "the first words are written")
    turn.cancel.set()


# --- the first visit ---


def test_the_first_visit_offers_samples_and_says_that_answers_may_be_wrong(visit: Open, live: Services) -> None:
    at = fine(visit())
    assert "may be wrong" in said(at)
    assert at.button(key="load-samples").label == "Load three sample documents"
    assert "Add your own documents" in [link.value for link in at.page_link]
    assert live.conversations.list_conversations(owner_id=ME) == []


def test_opening_the_chat_writes_no_conversation(visit: Open, live: Services) -> None:
    visit()
    with live.db.read() as session:
        assert session.connection().exec_driver_sql("select count(*) from conversations").scalar() == 0


def test_loading_the_samples_shows_questions_to_try(visit: Open, live: Services) -> None:
    at = visit()
    at.button(key="load-samples").click().run()
    assert live.library.counts(owner_id=ME).busy == 3
    assert [at.button(key=f"sample-{n}").label for n in range(3)] == list(QUESTIONS)


def test_a_sample_question_waits_until_the_documents_are_read_and_is_then_asked(visit: Open, live: Services) -> None:
    at = visit()
    at.button(key="load-samples").click().run()
    at.button(key="sample-0").click().run()
    assert any("as soon as the documents are read" in bar.text for bar in at.progress)
    assert live.conversations.list_conversations(owner_id=ME) == []
    finish_jobs(live)
    at.run()
    thread = live.conversations.thread(conversation_of(live), owner_id=ME)
    assert thread[0].content == QUESTIONS[0]


def test_a_missing_model_is_said_with_a_way_to_the_models(visit: Open) -> None:
    at = visit()
    assert "not downloaded yet" in at.main.warning[0].value
    assert "Open Models" in [link.value for link in at.main.page_link]


# --- asking ---


def test_a_question_is_answered_with_its_source(visit: Open, live: Services, add_text: Add) -> None:
    add_text(MANUAL, name="manual.md")
    at = visit()
    at.chat_input(key="question").set_value(QUESTION).run()
    fine(at)
    assert at.chat_message[0].text[0].value == QUESTION
    thread = live.conversations.thread(conversation_of(live), owner_id=ME)
    assert thread[1].content == ANSWER
    assert (
        f"[:blue-badge[1]](?c={conversation_of(live)}&source={thread[1].id}-1)" in at.chat_message[1].markdown[0].value
    )
    assert at.button(key=f"source-{thread[1].id}-1").label == "1 · manual.md"
    assert at.query_params["c"] == conversation_of(live)


def test_a_refused_question_is_explained_and_kept(visit: Open, live: Services) -> None:
    at = visit()
    at.chat_input(key="question").set_value("\u200b").run()
    assert "The question is empty" in at.error[0].value
    assert live.conversations.list_conversations(owner_id=ME) == []


def test_an_answer_that_is_being_written_is_shown_again_after_a_reload(
    visit: Open, live: Services, client: SmallClient, add_text: Add
) -> None:
    add_text(MANUAL, name="manual.md")
    client.gate.clear()
    client.hold_after = 2
    turn = live.turns.begin(QUESTION, owner_id=ME)
    threading.Timer(0.5, client.gate.set).start()
    at = visit(c=turn.conversation_id)  # a new tab: it follows until the answer is there
    assert not turn.active
    assert "24 months" in at.chat_message[1].markdown[0].value


def test_a_stopped_answer_keeps_its_text_and_can_be_tried_again(
    visit: Open, live: Services, client: SmallClient, add_text: Add
) -> None:
    add_text(MANUAL, name="manual.md")
    client.gate.clear()
    client.hold_after = 2
    turn = live.turns.begin(QUESTION, owner_id=ME)
    threading.Thread(target=stop_after, args=(turn, "The warranty ")).start()
    at = visit(c=turn.conversation_id)
    stopped = live.conversations.thread(turn.conversation_id, owner_id=ME)[1]
    assert (stopped.state, stopped.content) == (MessageState.stopped, "The warranty ")
    assert "Stopped" in said(at)
    client.gate.set()
    assert at.button(key=f"again-{stopped.id}").label == "Try again"
    at.button(key=f"again-{stopped.id}").click().run()
    assert live.conversations.thread(turn.conversation_id, owner_id=ME)[1].content == ANSWER


@pytest.mark.parametrize(("error", "shown"), [(Cancelled("x"), "Stopped"), (NotFound("No such thing."), "Failed")])
def test_an_answer_that_ended_early_says_so(
    visit: Open, live: Services, client: SmallClient, ask: Ask, error: Exception, shown: str
) -> None:
    def fail(_: object) -> str:
        raise error

    client.reply = fail
    ask()
    assert shown in said(visit(c=conversation_of(live)))


def test_an_interrupted_answer_can_be_tried_again(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    with live.db.write() as session:
        session.connection().exec_driver_sql("update messages set state = 'writing' where id = ?", (answered.id,))
    live.conversations.mark_interrupted()
    at = visit(c=conversation_of(live))
    assert "Interrupted" in said(at)
    assert at.button(key=f"again-{answered.id}").label == "Try again"


def test_an_answer_again_is_a_branch_and_the_arrows_lead_back(visit: Open, live: Services, ask: Ask) -> None:
    first = ask()[1]
    at = visit(c=conversation_of(live))
    at.button(key=f"again-{first.id}").click().run()
    second = live.conversations.thread(conversation_of(live), owner_id=ME)[1]
    assert second.siblings == (first.id, second.id)
    assert "2 / 2" in said(at)
    at.button(key=f"branch-{second.id}--1").click().run()
    assert live.conversations.thread(conversation_of(live), owner_id=ME)[1].id == first.id
    assert "1 / 2" in said(fine(at))


def test_an_edited_question_is_a_branch(visit: Open, live: Services, ask: Ask) -> None:
    question = ask()[0]
    at = visit(c=conversation_of(live))
    at.button(key=f"edit-{question.id}").click().run()
    at.text_area(key=f"edited-{question.id}").set_value("How heavy is the battery?")
    at.button(key=f"ask-{question.id}").click().run()
    fine(at)
    thread = live.conversations.thread(conversation_of(live), owner_id=ME)
    assert thread[0].content == "How heavy is the battery?"
    assert thread[0].siblings == (question.id, thread[0].id)


def test_a_rewritten_follow_up_says_what_was_searched_for(
    visit: Open, live: Services, client: SmallClient, ask: Ask
) -> None:
    ask()
    client.reply = lambda messages: "How heavy is the warranty?"
    ask("And how heavy is it?", conversation_of(live))
    at = visit(c=conversation_of(live))
    assert "Searched for: How heavy is the warranty?" in said(at)


# --- sources ---


def test_a_source_opens_with_its_words_marked(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    at = visit(c=conversation_of(live))
    at.button(key=f"source-{answered.id}-1").click().run()
    fine(at)
    assert any(":orange-background[**The warranty lasts 24 months.**]" in m.value for m in at.markdown)
    assert "battery weighs" in said(at)
    assert any(button.label == "Download the original" for button in at.download_button)


def test_the_address_of_a_marker_opens_its_source(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    at = visit(c=conversation_of(live), source=f"{answered.id}-1")
    assert any(":orange-background[" in m.value for m in at.markdown)
    assert "source" not in at.query_params


@pytest.mark.parametrize("source", ["999-1", "x", "1-", "1-1-1", "²-³"])
def test_an_address_with_a_wrong_source_opens_nothing(visit: Open, live: Services, ask: Ask, source: str) -> None:
    ask()
    at = fine(visit(c=conversation_of(live), source=source))
    assert not any(":orange-background[" in m.value for m in at.markdown)


def test_a_source_whose_document_was_read_again_shows_no_other_words(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    other = "Something else stands here now, and goes on for as long as what stood here before."
    chunk = Chunk(0, 0, len(other), other)
    live.chunks.save_text(
        answered.citations[0].document_id, Document("manual.md", "text/plain", other), [chunk], {}
    )  # fmt: skip
    at = fine(visit(c=conversation_of(live), source=f"{answered.id}-1"))
    assert "This document was read again since" in said(at)
    assert "Something else stands here" not in said(at)


def test_a_source_whose_document_was_deleted_says_so(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    live.documents.delete(answered.citations[0].document_id, owner_id=ME)
    at = visit(c=conversation_of(live))
    assert at.button(key=f"source-{answered.id}-1").label == "1 · manual.md \\(deleted\\)"
    at.button(key=f"source-{answered.id}-1").click().run()
    assert "This document was deleted." in said(fine(at))


def test_hostile_words_of_a_document_stay_words(visit: Open, live: Services, add_text: Add) -> None:
    add_text("The key is ![x](https://canary.invalid/i) :red[hot] <b>here</b>.", name="![n](https://canary.invalid).md")
    turn = live.turns.begin("Where is the key?", owner_id=ME)
    assert turn.ended(10)
    answered = live.conversations.thread(turn.conversation_id, owner_id=ME)[1]
    at = visit(c=turn.conversation_id, source=f"{answered.id}-1")
    shown = "".join(str(e.value) for e in [*at.markdown, *at.caption]) + "".join(b.label for b in at.button)
    assert "](https://canary" not in shown.replace("\\]", "")
    assert "canary" in shown


def test_an_answer_without_support_says_so(visit: Open, live: Services, client: SmallClient, ask: Ask) -> None:
    client.reply = lambda messages: "Bananas are yellow everywhere."
    ask()
    assert "No passage supports this answer" in said(visit(c=conversation_of(live)))


def test_the_passages_and_the_time_of_each_step_are_shown_on_demand(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    at = visit(c=conversation_of(live))
    assert "Searching" not in said(at)
    at.session_state[f"details-{answered.id}"] = True
    at.run()
    assert "The manual is printed in Lund." in said(fine(at))
    at.segmented_control(key=f"view-{answered.id}").set_value("How it was made").run()
    assert any(re.fullmatch(r"Searching: 0\.\d s", bar.text) for bar in at.progress)
    assert "Tokens read" in str([table.value for table in at.table])


# --- rating ---


def test_a_thumb_is_stored_at_once_and_shown_again(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    at = visit(c=conversation_of(live))
    at.feedback(key=f"thumb-{answered.id}").set_value(1).run()
    assert live.feedback.counts(owner_id=ME).up == 1
    assert "Thank you" in at.toast[0].value
    again = visit(c=conversation_of(live))
    assert again.feedback(key=f"thumb-{answered.id}").value == 1


def test_a_thumbs_down_asks_why_and_keeps_reasons_and_comment(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    at = visit(c=conversation_of(live))
    at.feedback(key=f"thumb-{answered.id}").set_value(0).run()
    assert live.feedback.counts(owner_id=ME).down == 1
    at.pills(key=f"reasons-{answered.id}").select("citation").run()
    assert live.feedback.entries(owner_id=ME)[0].reasons == ("citation",)
    at.text_area(key=f"comment-{answered.id}").set_value("The wrong page.").run()
    at.button(key=f"explained-{answered.id}").click().run()
    entry = live.feedback.entries(owner_id=ME)[0]
    assert (entry.thumb, entry.reasons, entry.comment) == (0, ("citation",), "The wrong page.")
    assert not at.pills


def test_a_rating_can_be_taken_back(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    live.feedback.rate(answered.id, user_id=ME, thumb=1)
    at = visit(c=conversation_of(live))
    at.feedback(key=f"thumb-{answered.id}").set_value(None).run()
    assert live.feedback.entries(owner_id=ME) == []


def test_an_explained_rating_goes_only_when_that_is_asked_for(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    live.feedback.rate(answered.id, user_id=ME, thumb=0, reasons=[next(iter(REASONS))], comment="It is 36.")
    at = visit(c=conversation_of(live))
    at.feedback(key=f"thumb-{answered.id}").set_value(None).run()
    assert live.feedback.entries(owner_id=ME)[0].comment == "It is 36."
    assert at.feedback(key=f"thumb-{answered.id}").value == 0
    at.button(key=f"unrate-{answered.id}").click().run()
    assert live.feedback.entries(owner_id=ME) == []
    assert fine(at).feedback(key=f"thumb-{answered.id}").value is None


def test_an_explanation_is_opened_again_and_survives_another_thumb(visit: Open, live: Services, ask: Ask) -> None:
    answered = ask()[1]
    live.feedback.rate(answered.id, user_id=ME, thumb=0, reasons=["wrong"], comment="It is 36.")
    at = visit(c=conversation_of(live))
    assert at.button(key=f"explain-open-{answered.id}").label == "Edit explanation"
    at.button(key=f"explain-open-{answered.id}").click().run()
    assert at.pills(key=f"reasons-{answered.id}").value == ["wrong"]
    assert at.text_area(key=f"comment-{answered.id}").value == "It is 36."
    at.feedback(key=f"thumb-{answered.id}").set_value(1).run()
    at.button(key=f"explain-open-{answered.id}").click().run()
    assert not fine(at).pills
    at.text_area(key=f"comment-{answered.id}").set_value("It was 24 after all.").run()
    entry = live.feedback.entries(owner_id=ME)[0]
    assert (entry.thumb, entry.reasons, entry.comment) == (1, ("wrong",), "It was 24 after all.")


# --- conversations ---


def test_conversations_are_listed_searched_and_opened(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    older = conversation_of(live)
    live.conversations.rename(older, "Guarantees", owner_id=ME)
    ask("What does the battery weigh?")
    at = visit()
    assert at.button(key=f"open-{older}").label == "Guarantees"
    at.text_input(key="conversation-search").set_value("warranty").run()
    assert [b.key for b in at.button if str(b.key).startswith("open-")] == [f"open-{older}"]
    at.button(key=f"open-{older}").click().run()
    assert at.query_params["c"] == older
    assert at.chat_message[0].text[0].value == QUESTION
    at.button(key="new").click().run()
    assert "c" not in at.query_params
    assert not at.chat_message


def test_a_conversation_is_renamed(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    at = visit(c=conversation_of(live))
    at.button(key="rename").click().run()
    at.text_input(key="conversation-title").set_value("About the warranty")
    at.button(key="rename-save").click().run()
    assert live.conversations.get(conversation_of(live), owner_id=ME).title == "About the warranty"
    assert at.button(key=f"open-{conversation_of(live)}").label == "**About the warranty**"


def test_a_conversation_is_deleted_only_after_a_question(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    conversation = conversation_of(live)
    at = visit(c=conversation)
    at.button(key="delete").click().run()
    assert live.conversations.get(conversation, owner_id=ME)
    at.button(key="delete-cancelled").click().run()
    assert "delete-confirmed" not in [b.key for b in at.button]
    at.button(key="delete").click().run()
    at.button(key="delete-confirmed").click().run()
    with pytest.raises(NotFound):
        live.conversations.get(conversation, owner_id=ME)
    assert "c" not in fine(at).query_params


def test_a_conversation_can_be_taken_away_as_markdown_and_json(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    at = visit(c=conversation_of(live))
    assert {b.label for b in at.download_button} >= {"Markdown", "JSON"}
    user = live.accounts.who()
    assert "24 months" in export(conversation_of(live), user, as_json=False)
    assert json.loads(export(conversation_of(live), user, as_json=True))["ai_generated"] is True


def test_a_conversation_that_is_gone_is_said_to_be_gone(visit: Open, live: Services) -> None:
    at = visit(c="0" * 32)
    assert "There is no such conversation" in at.error[0].value
    at.run()
    fine(at)


# --- which documents ---


def test_one_collection_or_one_document_can_be_asked(visit: Open, live: Services, add_text: Add) -> None:
    add_text(MANUAL, name="manual.md", collection="Machines")
    add_text("The warranty of the boat lasts 60 months.", name="boat.md")
    at = visit()
    box = at.selectbox(key="scope-new")
    assert box.options == ["All documents", "Collection: Machines (1)", "boat.md", "manual.md"]
    everything, collection, *_ = choices(live.accounts.who())
    box.set_value(collection).run()
    at.chat_input(key="question").set_value("How long does the warranty of the boat last?").run()
    info = live.conversations.get(conversation_of(live), owner_id=ME)
    assert info.collection_id == collection.collection_id
    titles = {p.document_title for p in live.conversations.thread(info.id, owner_id=ME)[1].passages}
    assert titles == {"manual.md"}
    at.selectbox(key=f"scope-{info.id}").set_value(everything).run()
    assert live.conversations.get(info.id, owner_id=ME).collection_id is None


def test_some_kinds_of_documents_can_be_asked(visit: Open, live: Services, add_text: Add) -> None:
    manual = add_text(MANUAL, name="manual.md")
    add_text("The warranty of the boat lasts 60 months.", name="boat.md")
    live.library.set_tags(manual, ["kitchen", "2024"], owner_id=ME)
    at = fine(visit())
    at.multiselect(key="tags-new").set_value(["kitchen"]).run()
    assert "1 document asked" in said(at)
    at.date_input(key="since-new").set_value(date(2020, 5, 1)).run()
    at.date_input(key="until-new").set_value(date.today()).run()
    at.chat_input(key="question").set_value("How long does the warranty of the boat last?").run()
    info = live.conversations.get(conversation_of(live), owner_id=ME)
    assert info.filters.tags == ("kitchen",)
    assert info.filters.since == datetime(2020, 5, 1).astimezone()
    answer = live.conversations.thread(info.id, owner_id=ME)[1]
    assert {p.document_title for p in answer.passages} == {"manual.md"}
    at.session_state[f"details-{answer.id}"] = True
    at.run()
    at.segmented_control(key=f"view-{answer.id}").set_value("How it was made").run()
    assert "Searched only" in said(at)
    assert "#kitchen" in said(at)
    assert at.multiselect(key=f"tags-{info.id}").value == ["kitchen"]
    assert at.date_input(key=f"until-{info.id}").value == date.today()
    at.button(key=f"clear-filters-{info.id}").click().run()
    assert live.conversations.get(info.id, owner_id=ME).filters == NO_FILTERS
    assert at.multiselect(key=f"tags-{info.id}").value == []


def test_filters_that_leave_nothing_say_so(visit: Open, live: Services, add_text: Add) -> None:
    add_text(MANUAL, name="manual.md")
    at = fine(visit())
    at.date_input(key="until-new").set_value(date(2001, 5, 1)).run()
    assert "No document is left to ask" in said(at)


def test_filters_show_what_is_stored_whoever_changed_it(visit: Open, live: Services, add_text: Add) -> None:
    document = add_text(MANUAL, name="manual.md")
    at = visit()
    at.chat_input(key="question").set_value(QUESTION).run()
    id = conversation_of(live)
    noon = datetime(2020, 5, 1, 12, tzinfo=UTC)
    live.library.set_tags(document, ["a*b*"], owner_id=ME)
    live.conversations.set_filters(id, Filters(tags=("a*b*",), since=noon), owner_id=ME)  # in another tab
    fine(at.run())
    assert at.multiselect(key=f"tags-{id}").value == ["a*b*"]
    at.date_input(key=f"until-{id}").set_value(date(2030, 1, 1)).run()
    filters = live.conversations.get(id, owner_id=ME).filters
    assert (filters.tags, filters.since) == (("a*b*",), noon)
    labels = [block.proto.popover.label for block in at.get("popover")]
    assert any(label.startswith("#a\\*b\\*") or label.startswith("\\#a\\*b\\*") for label in labels), labels
    at.button(key=f"clear-filters-{id}").click().run()
    live.conversations.set_filters(id, Filters(tags=("a*b*",)), owner_id=ME)
    assert fine(at.run()).multiselect(key=f"tags-{id}").value == ["a*b*"]


def test_every_type_has_a_name_of_its_own() -> None:
    kinds = [document_kinds.kind(media_type) for media_type in document_kinds.KINDS]
    assert len(set(kinds)) == len(kinds)


def test_filters_are_named_in_a_line() -> None:
    chosen = Filters(("application/pdf", "text/html"), ("de",), ("contract",), datetime(2024, 5, 1).astimezone())
    assert words(chosen) == "PDF or HTML · German · #contract · from 1 May 2024"
    assert words(replace(NO_FILTERS, until=datetime(2024, 5, 1).astimezone())) == "until 30 Apr 2024"
    assert words(NO_FILTERS) == ""


def test_documents_of_the_same_title_can_be_told_apart(visit: Open, live: Services, add_text: Add) -> None:
    for number in range(3):
        add_text(f"Text number {number}.", name="same.md")
    at = fine(visit())
    assert at.selectbox(key="scope-new").options[1:] == ["same.md", "same.md (2)", "same.md (3)"]
    at.selectbox(key="scope-new").set_value(choices(live.accounts.who())[3]).run()
    at.chat_input(key="question").set_value("Which text number is it?").run()
    found = live.conversations.get(conversation_of(live), owner_id=ME)
    assert found.document_id == choices(live.accounts.who())[3].document_id


def test_a_document_that_is_not_among_the_newest_can_be_asked(
    visit: Open, live: Services, add_text: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add_text(MANUAL, name="old.md")
    for number in range(3):
        add_text(f"Text number {number}.", name=f"{number}.md")
    newest = live.library.titles(owner_id=ME, limit=2)
    monkeypatch.setattr(live.library, "titles", lambda **_: newest)
    conversation = live.conversations.create(owner_id=ME, document_id=old)
    at = fine(visit(c=conversation))
    assert at.selectbox(key=f"scope-{conversation}").value.document_id == old


def test_a_document_that_was_deleted_before_the_question_is_asked_no_more(visit: Open, live: Services) -> None:
    at = visit()
    at.session_state["page:chat"] = ChatState(document_id="0" * 32)
    fine(at.run())
    assert at.session_state["page:chat"].document_id is None


def test_a_long_conversation_shows_its_end_first(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    for number in range(16):
        ask(f"How long is warranty number {number}?", conversation_of(live))
    at = fine(visit(c=conversation_of(live)))
    assert len(at.chat_message) == 30
    at.button(key="earlier").click().run()
    assert len(at.chat_message) == 34
    assert at.chat_message[0].text[0].value == QUESTION
