from __future__ import annotations

from core.services import Services
from tests.pages.conftest import ME, QUESTION, Ask, Open, conversation_of, fine, said

PAGE = "feedback.py"


def test_without_ratings_the_page_says_where_they_come_from(visit: Open) -> None:
    at = fine(visit(PAGE))
    assert "No answer was rated yet" in at.info[0].value
    assert at.page_link[0].value == "Open the chat"


def test_ratings_are_counted_and_shown_with_what_they_are_about(visit: Open, live: Services, ask: Ask) -> None:
    good, bad = ask()[1], ask("Where is the manual printed?")[1]
    live.feedback.rate(good.id, user_id=ME, thumb=1)
    live.feedback.rate(bad.id, user_id=ME, thumb=0, reasons=["incomplete"], comment="Which country? <b>:red[x]</b>")
    at = fine(visit(PAGE))
    assert [(m.label, m.value) for m in at.metric] == [("Helpful", "1"), ("Not helpful", "1"), ("To review", "2")]
    assert QUESTION in said(at)
    assert "Incomplete" in said(at)
    assert "Which country? <b>:red[x]</b>" in [text.value for text in at.text]
    assert f"{live.settings.chat_model} · prompt version 1" in said(at)


def test_ratings_are_filtered_and_searched(visit: Open, live: Services, ask: Ask) -> None:
    good, bad = ask()[1], ask("Where is the manual printed?")[1]
    live.feedback.rate(good.id, user_id=ME, thumb=1)
    live.feedback.rate(bad.id, user_id=ME, thumb=0, reasons=["wrong"], comment="Malmö")
    at = visit(PAGE)

    def shown() -> int:
        return len([b for b in at.button if str(b.key).startswith("review-")])

    assert shown() == 2
    at.segmented_control(key="fb-thumb").set_value("Not helpful").run()
    assert shown() == 1
    at.segmented_control(key="fb-thumb").set_value("All ratings").run()
    at.selectbox(key="fb-reason").set_value("wrong").run()
    assert shown() == 1
    at.selectbox(key="fb-reason").set_value("Any reason").run()
    at.text_input(key="fb-search").set_value("malm").run()
    assert shown() == 1
    at.text_input(key="fb-search").set_value("nothing like it").run()
    assert "No rating matches." in said(at)
    fine(at)


def test_a_rating_is_marked_as_reviewed_and_opened_again(visit: Open, live: Services, ask: Ask) -> None:
    live.feedback.rate(ask()[1].id, user_id=ME, thumb=0)
    entry = live.feedback.entries(owner_id=ME)[0]
    at = visit(PAGE)
    at.button(key=f"review-{entry.id}").click().run()
    assert live.feedback.entries(owner_id=ME)[0].reviewed_at is not None
    assert live.feedback.counts(owner_id=ME).open == 0
    assert at.button(key=f"review-{entry.id}").label == "Reopen"
    at.segmented_control(key="fb-state").set_value("To review").run()
    assert "No rating matches." in said(at)
    at.segmented_control(key="fb-state").set_value("Any state").run()
    at.button(key=f"review-{entry.id}").click().run()
    assert live.feedback.counts(owner_id=ME).open == 1


def test_the_conversation_of_a_rating_opens_on_its_branch_with_its_passages(
    visit: Open, live: Services, ask: Ask
) -> None:
    first = ask()[1]
    conversation = conversation_of(live)
    assert live.turns.regenerate(conversation, first.id, owner_id=ME).ended(10)
    live.feedback.rate(first.id, user_id=ME, thumb=0)
    at = visit(PAGE)
    at.button(key=f"show-{live.feedback.entries(owner_id=ME)[0].id}").click().run()
    fine(at)
    assert live.conversations.thread(conversation, owner_id=ME)[1].id == first.id
    assert at.query_params["c"] == conversation
    assert at.chat_message[0].text[0].value == QUESTION
    assert "The battery weighs 3 kg." in said(at)
