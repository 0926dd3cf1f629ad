from __future__ import annotations

import threading

from streamlit.testing.v1 import AppTest

from core.services import Services
from pages.ui.difference import markdown
from tests.pages.conftest import ANSWER, ME, QUESTION, Ask, Open, fine, said
from tests.small import SmallClient

PAGE = "prompts.py"
EDITOR = "prompt-text-answer"
TABS = "prompt-tabs-answer"


def tab(at: AppTest, name: str) -> AppTest:
    at.session_state[TABS] = name
    return at.run()


def edited(at: AppTest, text: str) -> AppTest:
    at.text_area(key=EDITOR).set_value(text).run()
    return at


def save(at: AppTest, reason: str) -> AppTest:
    at.text_input(key="prompt-reason").set_value(reason)
    at.button(key="save-version").click().run()
    return at


def test_the_published_text_stands_in_the_editor_with_its_variables_explained(visit: Open, live: Services) -> None:
    at = fine(visit(PAGE))
    assert at.text_area(key=EDITOR).value == live.prompts.published("answer").text
    assert "{{passages}}` the numbered passages" in said(at)
    assert "Version 1 is in use." in said(at)


def test_each_purpose_has_its_own_editor(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    at.segmented_control(key="purpose").set_value("title").run()
    assert at.text_area(key="prompt-text-title").value == live.prompts.published("title").text
    fine(at)


def test_a_change_is_saved_as_a_new_version_that_is_not_in_use(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    text = live.prompts.published("answer").text + "\nBe brief."
    save(edited(at, text), "Shorter answers")
    fine(at)
    newest = live.prompts.versions("answer")[0]
    assert (newest.version, newest.text, newest.reason, newest.published) == (2, text, "Shorter answers", False)


def test_a_version_that_was_just_saved_can_be_published_from_the_editor(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    assert "publish-newest" not in [button.key for button in at.button]
    save(edited(at, live.prompts.published("answer").text + " x"), "Better")
    at.button(key="publish-newest").click().run()
    at.button(key="publish-confirmed").click().run()
    assert "Say in a few words why" in at.error[0].value
    assert live.prompts.published("answer").version == 1
    at.text_input(key="publish-reason").set_value("It was tried")
    at.button(key="publish-confirmed").click().run()
    fine(at)
    assert live.prompts.publications("answer")[0].reason == "It was tried"
    assert live.prompts.published("answer").version == 2


def test_a_version_needs_a_reason(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    save(edited(at, live.prompts.published("answer").text + " x"), " ")
    assert "Say in a few words why" in at.error[0].value
    assert len(live.prompts.versions("answer")) == 1
    save(at, "now with one")
    fine(at)
    assert len(live.prompts.versions("answer")) == 2


def test_a_text_that_does_not_parse_is_refused_with_line_and_column(visit: Open, live: Services) -> None:
    at = edited(visit(PAGE), "[user]\n{{passages}} {{question}}\nhello {{nobody}}")
    assert "Line 3, column 7" in at.error[0].value
    save(at, "a reason")
    assert "Line 3, column 7" in at.error[0].value
    assert len(live.prompts.versions("answer")) == 1


def test_what_was_typed_stays_while_one_looks_elsewhere(visit: Open, live: Services) -> None:
    at = edited(visit(PAGE), live.prompts.published("answer").text + " draft")
    at.switch_page("models.py").run()
    at.switch_page(PAGE).run()
    assert str(at.text_area(key=EDITOR).value).endswith(" draft")
    at.button(key="reset-text").click().run()
    assert at.text_area(key=EDITOR).value == live.prompts.published("answer").text


def test_a_version_is_published_with_a_reason_and_rolled_back_in_one_click(visit: Open, live: Services) -> None:
    live.prompts.save("answer", "[user]\n{{passages}} {{question}}", author_id=ME, reason="Plain")
    at = tab(visit(PAGE), "Versions")
    assert "You · just now · Plain" in said(at)
    assert at.button(key="publish-1").disabled
    at.button(key="publish-2").click().run()
    assert live.prompts.published("answer").version == 1
    at.text_input(key="publish-reason").set_value("Tested")
    at.button(key="publish-confirmed").click().run()
    fine(at)
    assert live.prompts.published("answer").version == 2
    assert at.button(key="roll-back").label == "Go back to version 1"
    at.button(key="roll-back").click().run()
    assert live.prompts.published("answer").version == 1
    at = tab(at, "History")
    assert "Version 2 → 1" in said(at)
    assert "Back from version 2." in said(at)
    assert "Tested" in said(at)


def test_any_two_versions_are_compared_word_by_word(visit: Open, live: Services) -> None:
    for text in ("[user]\n{{passages}} three short {{question}}", "[user]\n{{passages}} four short {{question}}"):
        live.prompts.save("answer", text, author_id=ME, reason="Another length")
    at = tab(visit(PAGE), "Compare")
    at.selectbox(key="compare-from").set_value("Version 2").run()
    at.selectbox(key="compare-to").set_value("Version 3").run()
    fine(at)
    shown = next(m.value for m in at.markdown if "four" in m.value)
    assert ":red-background[~~−three−~~]:green-background[**+four+**]" in shown.replace(" ", "")


def test_the_difference_shows_both_texts_and_is_no_markdown() -> None:
    shown = markdown("one <b> :red[x]\n\n* two", "one ![i](http://x) :red[x]\n\n* three\n")
    assert "−\\<b\\>−" in shown
    assert "+\\!\\[i\\]\\(http\\://x\\)+" in shown
    assert "\\:red\\[x\\]" in shown
    assert "\\* :red-background[~~−two−~~]" in shown


def test_a_prompt_is_tried_on_an_earlier_question_with_its_passages(
    visit: Open, live: Services, client: SmallClient, ask: Ask
) -> None:
    ask()
    at = edited(visit(PAGE), "[user]\nNew words. {{passages}} {{question}}")
    tab(at, "Try it")
    assert ANSWER.replace("[1]", "") in said(at)
    client.reply = lambda messages: f"Tried {'New words' in messages[-1].content}: 24 months [1]"
    client.gate.clear()
    threading.Timer(0.3, client.gate.set).start()
    at.button(key="run-trial").click().run()
    fine(at)
    assert "Tried True: 24 months" in said(at)
    tried = [messages[-1].content for messages in client.asked if "New words" in messages[-1].content]
    assert len(tried) == 1
    assert "The warranty lasts 24 months." in tried[0]
    assert len(live.conversations.list_conversations(owner_id=ME)) == 1


def test_the_same_question_asked_twice_can_be_tried_both_times(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    ask()
    at = tab(visit(PAGE), "Try it")
    assert at.selectbox(key="trial-question").options == [QUESTION, f"{QUESTION} (2)"]
    at.selectbox(key="trial-question").set_value(f"{QUESTION} (2)").run()
    at.button(key="run-trial").click().run()
    fine(at)
    assert at.session_state["page:prompts"].trial_of == live.answers.recent(owner_id=ME)[1].message_id
    assert "Not run yet." not in said(at)


def test_a_trial_with_a_broken_prompt_is_refused(visit: Open, live: Services, ask: Ask) -> None:
    ask()
    at = tab(edited(visit(PAGE), "[user]\n{{question}}"), "Try it")
    at.button(key="run-trial").click().run()
    assert "does not use {{passages}}" in said(at)


def test_without_answers_there_is_nothing_to_try_on(visit: Open) -> None:
    assert "Ask a question in the chat first" in said(tab(visit(PAGE), "Try it"))
