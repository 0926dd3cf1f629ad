"""Answers in a real browser: hostile ones load nothing, sources show their page, an answer is made again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.storage.db import Database
from core.storage.tables import MessageRow
from tests.application import Application
from tests.browser.test_main_job import SECONDS, key, settled
from tests.ingest.made import pdf

pytestmark = [pytest.mark.browser, pytest.mark.model]

HOSTILE = """The price is 5 euros ![x](https://canary.invalid/p.png?q=1) and <img src="https://canary.invalid/i.png">.

[![x](https://canary.invalid/a.png)](https://canary.invalid/b) ![a][b] <iframe src="https://canary.invalid/f"></iframe>

[b]: https://canary.invalid/c.png
<style>@import "https://canary.invalid/s.css";</style> <script>fetch("https://canary.invalid/x")</script>
```mermaid
graph TD; A["<img src='https://canary.invalid/m.png'>"]
```
[click](javascript:fetch('https://canary.invalid/j')) https://canary.invalid/plain :material/lock: $\\href{https://canary.invalid}{x}$
"""


@pytest.fixture(scope="module")
def conversation(app: Application, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """A stored answer about a PDF: the ids of its conversation and of the message."""
    path: Path = tmp_path_factory.mktemp("pdf") / "mill.pdf"
    path.write_bytes(pdf(["The mill stands at the river.\nThe mill was built in 1688.", "The mill burned down twice."]))
    app.upload(path)
    app.wait_ingested()
    body = {"messages": [{"role": "user", "content": "When was the mill built?"}], "store": True}
    reply = app.http.post("/v1/chat/completions", json=body).json()
    db = Database(app.data / "app.db")
    with db.read() as session:
        message = max(row.id for row in session.query(MessageRow).filter_by(role="assistant"))
    db.close()
    return str(reply["conversation_id"]), message


def write_answer(app: Application, message: int, text: str) -> None:
    db = Database(app.data / "app.db")
    with db.write() as session:
        session.get_one(MessageRow, message).content = text
    db.close()


def test_a_hostile_answer_loads_nothing_from_anywhere(
    page: Page, app: Application, conversation: tuple[str, int]
) -> None:
    id, message = conversation
    write_answer(app, message, HOSTILE)
    page.goto(f"{app.url}/?c={id}")
    settled(page)
    expect(page.get_by_text("The price is 5 euros").first).to_be_visible()
    page.wait_for_timeout(500)  # what would be loaded is asked for by now; the fixture looks at every request
    assert page.locator("[data-testid='stChatMessage'] img[src*='canary'], iframe, a[href^='javascript']").count() == 0


def test_the_source_of_a_pdf_shows_its_page(page: Page, app: Application, conversation: tuple[str, int]) -> None:
    id, message = conversation
    write_answer(app, message, "The mill was built in 1688. [1]")
    page.goto(f"{app.url}/?c={id}&source={message}-1")
    settled(page)
    dialog = page.get_by_role("dialog")
    if dialog.count() == 0:
        pytest.skip("the small model cited nothing")
    picture = dialog.locator("img")
    expect(picture).to_be_visible(timeout=SECONDS)
    assert "Page 1 of the document" in (picture.get_attribute("alt") or "")
    expect(dialog.get_by_text("Why this passage was chosen")).to_be_visible()


def test_an_answer_tells_how_it_was_made_on_a_phone_too(
    page: Page, app: Application, conversation: tuple[str, int]
) -> None:
    id, message = conversation
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{app.url}/?c={id}")
    settled(page)
    key(page, f"details-{message}").locator("summary").click()
    settled(page)
    key(page, f"view-{message}").get_by_text("How it was made").click()
    settled(page)
    expect(page.get_by_text("Time of each step")).to_be_visible(timeout=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_end_of_a_conversation_is_in_sight(page: Page, app: Application, conversation: tuple[str, int]) -> None:
    id, message = conversation
    write_answer(app, message, "\n\n".join(f"Line {n} of a long answer." for n in range(60)))
    page.goto(f"{app.url}/?c={id}")
    settled(page)
    expect(page.get_by_text("Line 59 of a long answer.")).to_be_in_viewport(timeout=SECONDS)
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill("And who built it?")
    field.press("Enter")
    expect(page.get_by_text("And who built it?").first).to_be_in_viewport(timeout=SECONDS)
    settled(page)
