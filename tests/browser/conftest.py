"""Chromium and the whole application for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from core.models.catalog import find, is_installed
from core.prompts import Prompts
from core.services import SEEDS
from core.settings import load
from core.storage.db import Database
from tests.application import Application

CHAT, EMBEDDER = "smollm2-135m-instruct-q4_1", "all-minilm-l6-v2"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Where Chromium is on this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # Playwright keeps an event loop running until then: asynchronous tests may follow
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    store = load().model_store
    if not all(is_installed(find(model), store) for model in (CHAT, EMBEDDER)):
        pytest.skip(f"the test models are not in {store}; make test fetches them")
    made = Application(tmp_path_factory.mktemp("app") / "data", models=store, chat_model=CHAT, answer_tokens=700)
    made.start().wait_ready()
    yield made
    made.stop()


@pytest.fixture
def long_answers(app: Application) -> Iterator[None]:
    """While this is in use, the application is told to write at length: there must be time to look at it."""
    db = Database(app.data / "app.db")
    prompts = Prompts(db, SEEDS)
    before = prompts.published("answer").version
    text = "[user]\n{{passages}}\n\nWrite a very long story with many chapters. It begins like this: {{question}}"
    made = next((v for v in prompts.versions("answer") if v.text == text), None)
    version = made or prompts.save("answer", text, author_id="local", reason="Long answers")
    prompts.publish("answer", version.version, author_id="local", reason="Long answers")
    yield
    prompts.publish("answer", before, author_id="local", reason="Back")
    db.close()


@pytest.fixture
def page(browser: Browser, app: Application) -> Iterator[Page]:
    """A tab on the application; foreign requests and errors of the page itself fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    tab = context.new_page()
    foreign: list[str] = []
    tab.on("request", lambda request: foreign.append(request.url) if not near(request.url, app) else None)
    yield tab
    context.close()
    assert foreign == [], "requests that leave the machine"


def near(url: str, app: Application) -> bool:
    return url.startswith((app.url, f"ws://127.0.0.1:{app.port}", "data:", "blob:"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Where pictures go: docs/pictures when the README's are wanted (--pictures), else a temporary folder."""
    if request.config.getoption("--pictures"):
        folder = Path(str(request.config.rootpath)) / "docs" / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return tmp_path_factory.mktemp("pictures")
