"""The pages through AppTest, over the real services with the small client at their edge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from core.chat.conversations import MessageView
from core.services import Services
from core.settings import ROOT

ROUTER = str(ROOT / "pages" / "navigation.py")
ME = "local"
MANUAL = "The warranty lasts 24 months.\n\nThe battery weighs 3 kg.\n\nThe manual is printed in Lund."
QUESTION = "How long does the warranty last?"
ANSWER = "The warranty lasts 24 months. [1]"

Open = Callable[..., AppTest]
Ask = Callable[..., list[MessageView]]


@pytest.fixture(autouse=True)
def _no_component_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest looks through every installed package for components, each time: half a second for nothing."""
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)


@pytest.fixture
def visit(live: Services) -> Open:
    """Opens a page in a new browser tab, so to say; `query` is what stands behind the ? of the address."""

    def open_page(name: str = "chat.py", **query: str) -> AppTest:
        at = AppTest.from_file(ROUTER, default_timeout=30)
        for key, content in query.items():
            at.query_params[key] = content
        if name != "chat.py":
            at.switch_page(name)
        at.run()
        assert not at.exception
        return at

    return open_page


@pytest.fixture
def ask(live: Services, add_text: Callable[..., str]) -> Ask:
    """Asks over the services and waits; returns the thread. Without a conversation a new one is begun."""

    def ask_and_wait(question: str = QUESTION, conversation: str | None = None) -> list[MessageView]:
        if not live.library.counts(owner_id=ME).total:
            add_text(MANUAL, name="manual.md")
        if conversation is None:
            turn = live.turns.begin(question, owner_id=ME)
        else:
            turn = live.turns.ask(conversation, question, owner_id=ME)
        assert turn.ended(10)
        return live.conversations.thread(turn.conversation_id, owner_id=ME)

    return ask_and_wait


def conversation_of(live: Services) -> str:
    """The id of the newest conversation."""
    return live.conversations.list_conversations(owner_id=ME)[0].id


def said(at: AppTest) -> str:
    """All text of the page, the way a person reads it: without the signs that keep it from being Markdown."""
    elements = [*at.markdown, *at.caption, *at.text, *at.title, *at.info, *at.warning, *at.error, *at.success]
    return "\n".join(str(element.value).replace("\\", "") for element in elements)


def fine(at: AppTest) -> AppTest:
    """No error box and no exception."""
    assert not at.exception, at.exception
    assert not at.error, [error.value for error in at.error]
    return at
