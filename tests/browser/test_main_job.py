"""The main job in a real browser, with the real model: upload, ask, open the citation, rate, change the prompt."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.settings import ROOT
from tests.application import Application, until
from tests.conftest import SHARED

GUIDE = SHARED / "evaldata" / "docs" / "debian" / "pdf" / "maint-guide.en.pdf"
QUESTION = "What is the name of the lintian tool for checking packages?"
LONG = "Write a long list of everything that the expedition did, with every detail."
SECONDS = 60_000
ANSWER_SECONDS = 240_000  # 700 tokens of a small model, beside a browser and whatever else is running

pytestmark = [pytest.mark.browser, pytest.mark.model]


def settled(page: Page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=SECONDS)


def key(page: Page, name: str) -> Locator:
    return page.locator(f".st-key-{name}")


def open_page(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    settled(page)


def ask(page: Page, question: str) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.get_by_test_id("stChatInputTextArea").press("Enter")


def answers(page: Page) -> Locator:
    return page.locator('[class*="st-key-answer-"]')


def finished(page: Page, count: int) -> None:
    """Wait until so many answers are complete and nothing is being written."""
    expect(answers(page)).to_have_count(count, timeout=ANSWER_SECONDS)
    expect(key(page, "stop")).to_have_count(0, timeout=ANSWER_SECONDS)
    settled(page)


def test_the_first_answer_from_documents_is_two_clicks_away(page: Page, app: Application, pictures: Path) -> None:
    """Whether the small model's sentence holds is its luck; that the page shows the source or says there is none, not."""
    page.goto(app.url)
    settled(page)
    expect(page.get_by_text("Answers come from an AI and may be wrong").first).to_be_visible()
    page.screenshot(path=pictures / "first-visit.png")
    page.get_by_role("button", name="Load three sample documents").click()
    page.get_by_role("button", name="Which instrument failed").click()
    finished(page, 1)
    source = page.locator('[class*="st-key-source-"]').first
    expect(source.or_(page.get_by_text("No words of your documents support this answer.")).first).to_be_visible()
    expect(page.get_by_text("passages used").first).to_be_visible()


def test_a_real_pdf_is_uploaded_asked_and_its_citation_opened(page: Page, app: Application, pictures: Path) -> None:
    if not GUIDE.exists():
        pytest.skip("../shared/evaldata is not here")
    page.goto(app.url + "/documents")
    settled(page)
    page.locator('input[type="file"]').set_input_files(str(GUIDE))
    expect(page.get_by_text("1 file added.")).to_be_visible(timeout=SECONDS)
    until(lambda: page_is_ready(app, "maint-guide.en.pdf"), 120, "the guide is read")
    page.goto(app.url + "/documents")
    settled(page)
    page.wait_for_timeout(1000)
    page.screenshot(path=pictures / "documents.png")

    open_page(page, "Chat")
    ask(page, QUESTION)
    finished(page, 1)
    source = page.locator('[class*="st-key-source-"] button').first
    source.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_text("Page", exact=False).first).to_be_visible()
    page.wait_for_timeout(800)
    page.screenshot(path=pictures / "chat.png")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def page_is_ready(app: Application, name: str) -> bool:
    documents = app.http.get("/api/v1/documents").json()["documents"]
    return any(d["name"] == name and d["status"] == "ready" for d in documents)


def test_an_answer_is_rated_and_found_on_the_feedback_page(page: Page, app: Application, pictures: Path) -> None:
    page.goto(app.url)
    settled(page)
    ask(page, "Who led the expedition?")
    finished(page, 1)
    page.get_by_role("button", name="Thumbs down").or_(
        page.locator('[data-testid="stFeedback"] button').nth(1)
    ).first.click()
    expect(page.get_by_text("What was wrong?")).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Incomplete").or_(page.get_by_text("Incomplete", exact=True)).first.click()
    settled(page)
    page.get_by_role("textbox", name="Anything else?").fill("It was Dr. Solheim of the field team North.")
    page.get_by_role("button", name="Done").click()
    settled(page)
    open_page(page, "Feedback")
    expect(page.get_by_text("It was Dr. Solheim of the field team North.").first).to_be_visible()
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "feedback.png")


def test_a_prompt_is_edited_compared_and_published(page: Page, app: Application, pictures: Path) -> None:
    page.goto(app.url + "/prompts")
    settled(page)
    editor = page.locator("textarea").first
    expect(editor).to_have_value(re.compile("passages"), timeout=SECONDS)
    text = editor.input_value()
    editor.fill(text.replace("short", "very short", 1))
    editor.press("Control+Enter")
    settled(page)
    page.get_by_role("textbox", name="Reason for the change").fill("Shorter answers")
    page.get_by_role("button", name="Save as new version").click()
    settled(page)
    page.get_by_role("tab", name="Compare").click()
    settled(page)
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "prompts.png")
    page.get_by_role("tab", name="Versions").click()
    settled(page)
    key(page, "publish-2").get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("textbox", name="Reason").fill("Try it")
    key(page, "publish-confirmed").get_by_role("button").click()
    expect(page.get_by_text("Version 2 is in use").first).to_be_visible(timeout=SECONDS)
    key(page, "roll-back").get_by_role("button").first.click()
    expect(page.get_by_text("Version 1 is in use").first).to_be_visible(timeout=SECONDS)


def writing(page: Page) -> str:
    found = page.locator(".st-key-live").get_by_test_id("stMarkdown")
    return " ".join(found.all_inner_texts()) if found.count() else ""


def begin_long_answer(page: Page, app: Application) -> None:
    page.goto(app.url)
    settled(page)
    ask(page, LONG)
    until(lambda: "▌" in writing(page) and len(writing(page)) > 20, 60, "the answer is being written")


def test_reloading_in_the_middle_of_an_answer_loses_nothing(page: Page, app: Application, long_answers: None) -> None:
    begin_long_answer(page, app)
    before = writing(page).replace("▌", "").split()[:3]
    page.reload()
    until(lambda: before == writing(page).split()[:3] or answers(page).count() == 1, 60, "the answer is seen again")
    finished(page, 1)
    expect(page.get_by_text("Interrupted")).to_have_count(0)


def test_an_answer_goes_on_in_a_second_tab_and_stops_at_once(page: Page, app: Application, long_answers: None) -> None:
    begin_long_answer(page, app)
    second = page.context.new_page()
    second.goto(page.url)
    until(lambda: "▌" in writing(second), 60, "the second tab follows")
    began = time.monotonic()
    key(page, "stop").get_by_role("button").click()
    expect(page.get_by_text("You stopped this answer.").first).to_be_visible(timeout=10_000)
    assert time.monotonic() - began < 10
    expect(second.get_by_text("You stopped this answer.").first).to_be_visible(timeout=10_000)
    second.close()


def test_an_answer_is_stopped_before_its_first_token(page: Page, app: Application, long_answers: None) -> None:
    page.goto(app.url)
    settled(page)
    ask(page, LONG + " Tell it again. " * 60)
    key(page, "stop").get_by_role("button").click()
    expect(page.get_by_text("You stopped this answer.").first).to_be_visible(timeout=15_000)


def test_a_question_that_is_too_long_is_refused_in_words_and_kept(page: Page, app: Application) -> None:
    page.goto(app.url)
    settled(page)
    ask(page, "why? " * 2500)
    expect(page.get_by_text("the most is 12,000").first).to_be_visible(timeout=15_000)
    expect(page.get_by_test_id("stChatInputTextArea")).to_have_value("why? " * 2500)


def test_every_page_fits_a_phone_and_the_dark(browser, app: Application, pictures: Path) -> None:  # type: ignore[no-untyped-def]
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    for path in ("", "documents", "prompts", "feedback", "models"):
        page.goto(f"{app.url}/{path}")
        settled(page)
        page.wait_for_timeout(600)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"/{path} is {width} px wide"
        page.screenshot(path=pictures / f"phone-{path or 'chat'}.png")
    context.close()


def test_the_readme_shows_pictures_that_exist() -> None:
    shown = re.findall(r"!\[[^\]]*\]\((docs/pictures/[^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    assert [path for path in shown if not (ROOT / path).exists()] == []


def test_a_service_is_added_and_removed_with_the_keyboard_alone(page: Page, app: Application) -> None:
    page.goto(app.url + "/models")
    settled(page)
    key(page, "endpoint-add").get_by_role("button").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for name, content in (("Name", "Box"), ("Address", "https://example.org"), ("Model", "tiny")):
        page.get_by_role("textbox", name=name, exact=True).press_sequentially(content)
        page.keyboard.press("Tab")
        settled(page)
    page.get_by_role("radio", name="Typed here").press("Space")
    secret = page.get_by_role("textbox", name="The key")
    secret.press_sequentially("sesame-open-1234")
    page.keyboard.press("Tab")  # to the eye that shows the key: the text must not be lost there
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("key stored, encrypted")).to_be_visible(timeout=SECONDS)
    expect(
        page.get_by_text("If you use it: what you ask, and the passages that go with it, are sent to")
    ).to_be_visible()
    page.locator('[class*="st-key-endpoint-remove-"]').get_by_role("button").press("Enter")
    key(page, "endpoint-removed").get_by_role("button").press("Enter")
    expect(page.get_by_text("Nothing is sent anywhere")).to_be_visible(timeout=SECONDS)
