from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.chat.comparisons import Contender
from core.errors import Conflict, ModelUnavailable
from core.models import fetch as fetching
from core.models.catalog import CatalogModel, find
from core.models.status import ModelStatus, ServerStatus
from core.services import Services
from core.types import Scope
from pages.ui.markdown import plain
from tests.application import until
from tests.models.test_importing import TEMPLATE, written
from tests.pages.conftest import Open, fine, said
from tests.small import SmallClient

PAGE = "models.py"
SMALL, DEFAULT = "smollm2-135m-instruct-q4_1", "qwen2.5-coder-1.5b-instruct-q4_k_m"


def install(live: Services, model_id: str) -> CatalogModel:
    """Sparse files of the right size: what the page looks at."""
    model = find(model_id)
    for file in model.files:
        path = live.settings.model_store / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.truncate(file.bytes)
    return model


def test_nothing_installed_is_said_and_every_model_is_described(visit: Open, live: Services) -> None:
    at = fine(visit(PAGE))
    assert "not downloaded yet" in at.warning[0].value
    for view in live.models.list_models():
        assert view.model.title in said(at)
        assert view.model.licence in said(at)
    assert at.button(key=f"fetch-{DEFAULT}").label == "Download 1.1 GB"


def test_a_ready_model_is_said_to_be_ready(visit: Open, live: Services) -> None:
    for model_id in (DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    at = fine(visit(PAGE))
    assert "The model is ready" in at.success[0].value
    assert "In use" in said(at)


def test_another_model_is_chosen(visit: Open, live: Services, client: SmallClient) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    at = visit(PAGE)
    at.button(key=f"use-{SMALL}").click().run()
    fine(at)
    assert live.models.active_id() == SMALL
    assert client.loaded == SMALL


def test_a_model_that_could_not_be_loaded_is_not_the_chosen_one_any_more(live: Services, client: SmallClient) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    words = ModelStatus("words", "ok")
    live.models.activate(DEFAULT)
    live.models.activate(SMALL)
    client.status = lambda: ServerStatus("ok", ModelStatus(DEFAULT, "ok", loading=SMALL), words)  # type: ignore[method-assign]
    look(live)
    assert live.models.active_id() == SMALL
    with pytest.raises(Conflict, match="is in use"):
        live.models.remove(DEFAULT)
    client.status = lambda: ServerStatus("ok", ModelStatus(DEFAULT, "ok", "It is damaged."), words)  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="is in use"):
        live.models.remove(DEFAULT)
    look(live)
    assert live.models.active_id() == DEFAULT
    live.models.remove(SMALL)


def look(live: Services) -> None:
    live.health.look_again()
    live.health.current()
    until(lambda: not live.health._looking, 10, "the look is over")


def test_a_model_that_is_being_loaded_says_so(visit: Open, live: Services, client: SmallClient) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    live.models.activate(SMALL)
    loading = ServerStatus("ok", ModelStatus(DEFAULT, "ok", loading=SMALL), ModelStatus("words", "ok"))
    client.status = lambda: loading  # type: ignore[method-assign]
    at = fine(visit(PAGE))
    assert f"{SMALL} is being loaded; {DEFAULT} answers until then." in said(at)
    assert "Being loaded" in said(at)


def test_the_active_model_can_be_tried_again_when_it_could_not_be_loaded(
    visit: Open, live: Services, client: SmallClient
) -> None:
    for model_id in (DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    assert f"use-{DEFAULT}" not in [button.key for button in fine(visit(PAGE)).button]
    failed = ServerStatus("error", ModelStatus(DEFAULT, "error", "Too little memory."), ModelStatus("words", "ok"))
    client.status = lambda: failed  # type: ignore[method-assign]
    live.health.look_again()
    at = visit(PAGE)
    at.button(key=f"use-{DEFAULT}").click().run()
    fine(at)
    assert client.loaded == DEFAULT


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (ServerStatus("down", ModelStatus("", "down"), ModelStatus("", "down")), "The model is starting"),
        (ServerStatus("loading", ModelStatus("a", "loading"), ModelStatus("b", "ok")), "The model is being loaded"),
        (ServerStatus("error", ModelStatus("a", "error", "Too little memory."), ModelStatus("b", "ok")), "Too little"),
    ],
)
def test_the_sidebar_of_every_page_says_what_is_wrong_with_the_model(
    visit: Open, live: Services, client: SmallClient, status: ServerStatus, sentence: str
) -> None:
    for model_id in (DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    client.status = lambda: status  # type: ignore[method-assign]
    at = fine(visit("documents.py"))
    assert any(sentence in box.value for box in [*at.sidebar.info, *at.sidebar.warning])


def test_a_model_is_removed_only_after_a_question(visit: Open, live: Services) -> None:
    install(live, SMALL)
    at = visit(PAGE)
    at.button(key=f"remove-{SMALL}").click().run()
    assert (live.settings.model_store / f"{SMALL}.gguf").exists()
    at.button(key="remove-cancelled").click().run()
    at.button(key=f"remove-{SMALL}").click().run()
    at.button(key="remove-confirmed").click().run()
    fine(at)
    assert not (live.settings.model_store / f"{SMALL}.gguf").exists()


def test_the_model_in_use_cannot_be_removed(visit: Open, live: Services) -> None:
    install(live, DEFAULT)
    at = visit(PAGE)
    assert f"remove-{DEFAULT}" not in [b.key for b in at.button]


@pytest.fixture
def slow_source(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A source that sends half of a model and waits; when it is let go it cannot be reached any more."""
    let_go = threading.Event()

    def download(model: CatalogModel, _source: object, _partial: object, progress: Callable, cancel: threading.Event):
        progress(fetching.Progress(model.bytes // 2, model.bytes, "test", "downloading"))
        while not let_go.wait(0.02):
            fetching.raise_if_cancelled(cancel)
        raise ModelUnavailable("The hub cannot be reached.")

    monkeypatch.setattr(fetching, "_download", download)
    return let_go


def wait_for_downloads(live: Services) -> None:
    end = time.monotonic() + 20
    while any(view.download and view.download.active for view in live.models.list_models()):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_download_shows_its_progress_and_can_be_paused(
    visit: Open, live: Services, slow_source: threading.Event
) -> None:
    at = visit(PAGE)
    at.button(key=f"fetch-{SMALL}").click().run()
    for _ in range(100):
        if live.models.list_models() and at.progress and "Downloading" in at.progress[0].text:
            break
        at.run()
    assert at.progress[0].text == "Downloading: 49.2 MB of 98.4 MB"
    at.button(key=f"pause-{SMALL}").click().run()
    wait_for_downloads(live)
    at.run()
    assert "Paused. What was downloaded is kept." in said(at)
    assert at.button(key=f"fetch-{SMALL}").label == "Go on downloading"


def test_a_download_that_fails_says_why(visit: Open, live: Services, slow_source: threading.Event) -> None:
    at = visit(PAGE)
    slow_source.set()
    at.button(key=f"fetch-{SMALL}").click().run()
    wait_for_downloads(live)
    at.run()
    assert "cannot be reached" in said(at) or "could not" in said(at)


def test_two_models_are_compared_and_the_better_one_is_chosen(
    visit: Open, live: Services, add_text: Callable[..., str]
) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    add_text("The dam of Orsa is 90 m high.")
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Compare").run()
    at.text_area(key="compare-question").input("How high is the dam?").run()
    at.button(key="compare-run").click().run()
    fine(at)
    assert said(at).count("90 m") >= 2
    assert "Left" in said(at)
    assert find(SMALL).title not in "".join(block.value for block in at.markdown if "**" in block.value)
    at.button(key="better-left").click().run()
    fine(at)
    assert "You chose: the left one." in said(at)
    assert sum(t.first_better + t.second_better for t in live.comparisons.tallies()) == 1


def test_comparison_is_there_after_the_page_is_loaded_again(
    visit: Open, live: Services, client: SmallClient, add_text: Callable[..., str]
) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    add_text("The dam of Orsa is 90 m high.")
    sides = [Contender(SMALL, "[One](https://example.org)"), Contender(DEFAULT, "**Two**")]
    comparison = live.comparisons.start("How high is the dam?", Scope("local"), *sides)
    assert all(turn.ended(10) for turn in comparison.turns)
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Compare").run()
    assert said(fine(at)).count("90 m") >= 2
    at.button(key="better-left").click().run()
    assert {plain(side.title) for side in sides} <= {str(cell) for cell in fine(at).table[0].value.to_numpy().ravel()}
    again = visit(PAGE)
    again.segmented_control(key="models-view").set_value("Compare").run()
    assert "90 m" not in said(fine(again)), "what is decided is done"


def test_a_question_that_is_too_long_to_compare_with_is_explained_and_kept(visit: Open, live: Services) -> None:
    for model_id in (SMALL, DEFAULT, live.settings.embedding_model):
        install(live, model_id)
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Compare").run()
    at.text_area(key="compare-question").input("why? " * 2500).run()
    at.button(key="compare-run").click().run()
    assert "the most is 12,000" in said(at) + "".join(error.value for error in at.error)
    assert at.text_area(key="compare-question").value == "why? " * 2500


def test_one_model_alone_cannot_be_compared(visit: Open, live: Services) -> None:
    install(live, DEFAULT)
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Compare").run()
    assert "only one to choose from" in fine(at).info[0].value


def test_activity_is_shown_even_before_there_is_any(visit: Open, live: Services) -> None:
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Activity").run()
    assert "not told anything yet" in said(fine(at))


def test_activity_says_of_a_model_that_was_started_again_what_became_of_answers(
    visit: Open, live: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = ModelStatus("small", "ok", restarts=2, ended="it was killed", ended_at=1.0)
    monkeypatch.setattr(live.client, "status", lambda: ServerStatus("ok", chat, ModelStatus("words", "ok")))
    at = visit(PAGE)
    at.segmented_control(key="models-view").set_value("Activity").run()
    told = fine(at).info[0].value
    assert "started again 2 times" in told
    assert told.endswith(
        "it was killed. Answers that were being written went on, or ended with a sentence that says why."
    )


def test_file_that_is_no_model_is_refused_in_the_form(visit: Open, live: Services, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"<html>not found</html>" * 10)
    at = visit(PAGE)
    at.button(key="import").click().run()
    at.text_input(key="import-path").input(str(file)).run()
    assert "does not begin as one" in at.error[0].value


def test_model_file_is_imported_with_its_template_shown(visit: Open, live: Services, tmp_path: Path) -> None:
    at = visit(PAGE)
    at.button(key="import").click().run()
    at.text_input(key="import-path").input(str(written(tmp_path))).run()
    assert TEMPLATE in fine(at).code[0].value
    at.button(key="import-confirmed").click().run()
    task = live.workbench.task
    assert task
    until(lambda: not task.active, 10, "it is copied")
    at = fine(visit(PAGE))
    assert "is imported. It can be used now." in at.success[-1].value
    assert "SHA-256" in said(at)
    at.button(key="remove-some-model-q4_k_m").click().run()
    assert "gone then" in said(at)
    at.button(key="remove-confirmed").click().run()
    assert "some-model-q4_k_m" not in {view.model.id for view in live.models.list_models()}
