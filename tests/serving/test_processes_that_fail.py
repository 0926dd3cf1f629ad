"""What becomes of requests when a native process hangs, ends or cannot be started: seen with processes without a model."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

import pytest

from core.errors import Cancelled, ModelBusy, ModelCorrupt, ModelCrashed, ModelError, ModelUnavailable, NotFound
from core.models.catalog import find
from core.serving import chat_process, child, host, retries, second_embedder, vectors_process
from core.serving.chat_process import ChatProcess
from core.serving.cores import Cores
from core.serving.embedder import Embedder
from core.serving.engine import Engine
from core.serving.generation import PREPARED_TRIES, Failure, Generation, News, Restarted, Text
from core.serving.host import ModelHost
from core.serving.options import LoadOptions
from core.serving.second_embedder import SecondEmbedder
from core.serving.vectors_process import Encoded, VectorsProcess
from core.types import ChatMessage, GenerationOptions
from tests.application import until
from tests.models.test_importing import imported, written
from tests.serving.conftest import EMBEDDER
from tests.serving.test_cores import SteppingEngine

RERANKER = "ms-marco-minilm-l6-v2"
Box = SimpleQueue[News]


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_process, "MODULE", "tests.serving.toy_chat")
    monkeypatch.setattr(vectors_process, "MODULE", "tests.serving.toy_vectors")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(queue_limit=1)
    yield made
    made.close()


def use(engine: Engine, folder: Path) -> ChatProcess:
    """Give the engine a process that works on one request at a time."""
    process = ChatProcess("toy", LoadOptions(slots=1), hear=engine.hear, lost=engine.lost)
    process.load(folder / "toy.gguf", identity="", tuning=None)
    engine.use(process)
    until(lambda: engine.chat is process, 10, "the engine has the process")
    return process


def ask(engine: Engine, question: str = "Hello") -> tuple[Generation, Box]:
    box: Box = SimpleQueue()
    return engine.submit([ChatMessage("user", question)], GenerationOptions(max_tokens=8), box.put), box


def prepared(process: ChatProcess) -> list[int]:
    return process.tokenize(["?"])[0]


def until_news(box: Box, kind: type) -> News:
    while not isinstance(news := box.get(timeout=30), kind):
        pass
    return news


def test_stopped_answer_does_not_come_back_when_its_process_dies(engine: Engine, tmp_path: Path) -> None:
    process = use(engine, tmp_path)
    generation, box = ask(engine)
    until_news(box, Text)
    engine.cancel(generation)
    os.kill(process.pid, signal.SIGKILL)
    news = box.get(timeout=30)
    assert isinstance(news, Failure), f"a stopped answer went on: {news}"
    assert isinstance(news.error, Cancelled)
    assert engine.waiting == 0


def test_request_that_is_stopped_while_it_waits_leaves_nothing_behind(engine: Engine, tmp_path: Path) -> None:
    process = use(engine, tmp_path)
    until_news(ask(engine)[1], Text)
    waiting, box = ask(engine)
    assert prepared(process) == [waiting.number]
    engine.cancel(waiting)
    assert isinstance(until_news(box, Failure), Failure)
    until(lambda: not prepared(process), 10, "the process has forgotten the request")


def test_request_that_is_refused_after_it_was_prepared_leaves_nothing_behind(engine: Engine, tmp_path: Path) -> None:
    process = use(engine, tmp_path)
    until_news(ask(engine)[1], Text)
    refused: list[ModelBusy] = []

    def try_it() -> None:
        try:
            ask(engine, "Think slowly")
        except ModelBusy as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(2)]  # for both there is room when they come
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 1
    assert f"Try again in {refused[0].retry_after:.0f} second" in str(refused[0])
    until(lambda: len(prepared(process)) == 1, 10, "the process has forgotten the refused request")


def test_request_that_is_stopped_while_another_process_prepares_it_leaves_nothing_behind(
    engine: Engine, tmp_path: Path
) -> None:
    first = use(engine, tmp_path)
    generation, box = ask(engine)
    until_news(box, Text)
    engine.cancel(generation)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not first.alive, 10, "the first process has ended")
    generation, box = ask(engine, "Think slowly")
    second = use(engine, tmp_path)
    time.sleep(0.1)  # it is preparing now
    engine.cancel(generation)
    assert isinstance(until_news(box, Failure), Failure)
    until(lambda: second.tokenize(["?"]) and generation.process is second, 10, "it was prepared")
    until(lambda: not prepared(second), 10, "the process has forgotten the request")


def test_engine_that_gives_way_to_documents_is_not_taken_for_one_that_hangs(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.serving.engine.SILENCE", 0.1)
    monkeypatch.setattr("core.serving.engine.TICK", 0.02)
    process = use(engine, tmp_path)
    engine.pause()
    ask(engine)
    until(lambda: engine.running, 10, "it is worked on")
    time.sleep(0.4)
    assert process.alive
    engine.resume()
    until(lambda: not process.alive, 10, "one that says nothing although it may is ended")


def test_load_that_fails_as_nobody_thought_of_is_answered(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "toy.gguf.breaks").touch()
    with pytest.raises(ModelError, match="the log tells more"):
        use(engine, tmp_path)


@pytest.mark.parametrize("start", [use, lambda _engine, folder: vectors(folder)], ids=["chat", "vectors"])
def test_load_that_hangs_is_ended_when_nothing_was_heard_for_long(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[Engine, Path], object]
) -> None:
    monkeypatch.setattr(child, "SILENCE", 3.0)
    (tmp_path / "toy.gguf.hangs").touch()
    (tmp_path / "hangs").touch()
    with pytest.raises(ModelError, match="nothing was heard") as caught:
        start(engine, tmp_path)
    assert not isinstance(caught.value, ModelUnavailable), "it would be tried again"


def hosted(store: Path) -> ModelHost:
    return ModelHost(store, LoadOptions(context_tokens=512, slots=1), cache=store, form="", queue_limit=8)


@pytest.fixture
def chat_host(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ModelHost, Path]]:
    """A host whose chat model runs, and the file that makes its loading fail."""
    monkeypatch.setattr(host, "DELAYS", (0.0,))
    monkeypatch.setattr(retries, "RETRIES", (0.01, 0.02, 0.03))
    model_id = imported(written(tmp_path), tmp_path)
    (tmp_path / f"{model_id}.gguf.dies").write_text(getattr(request, "param", "0"))
    made = hosted(tmp_path)
    made.change_chat(model_id)
    until(lambda: made.chat.status == "ok", 30, "the chat model is loaded")
    yield made, tmp_path / f"{model_id}.gguf.refuses"
    made.close()


def test_model_that_cannot_be_started_again_at_once_is_tried_again(chat_host: tuple[ModelHost, Path]) -> None:
    made, refuses = chat_host
    _, box = ask(made.engine)
    until_news(box, Text)
    refuses.write_text("2")
    os.kill(made.chat_model().pid, signal.SIGKILL)
    until_news(box, Restarted)  # it was lost
    told = until_news(box, Restarted)
    assert isinstance(told, Restarted)
    assert "no memory" in told.why
    assert "tried again" in told.why
    assert isinstance(until_news(box, Text), Text)
    assert (made.chat.status, made.chat.error) == ("ok", "")


def test_model_that_can_never_be_started_again_is_given_up(chat_host: tuple[ModelHost, Path]) -> None:
    made, refuses = chat_host
    _, box = ask(made.engine)
    until_news(box, Text)
    refuses.write_text("4")  # the first attempt and three more
    os.kill(made.chat_model().pid, signal.SIGKILL)
    failure = until_news(box, Failure)
    assert isinstance(failure, Failure)
    assert "no memory" in str(failure.error)
    assert made.chat.status == "error"
    assert refuses.read_text() == "0"


@pytest.mark.parametrize("chat_host", ["2"], indirect=True)
def test_process_that_ends_while_it_first_loads_is_started_again(chat_host: tuple[ModelHost, Path]) -> None:
    made, _ = chat_host
    assert (made.chat.status, made.chat.error) == ("ok", "")
    assert isinstance(until_news(ask(made.engine)[1], Text), Text)


def test_process_that_ends_whenever_it_loads_is_given_up_and_can_be_wanted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRIES", (0.01, 0.02))
    monkeypatch.setattr(host, "DELAYS", (0.0,))
    model_id = imported(written(tmp_path), tmp_path)
    dies = tmp_path / f"{model_id}.gguf.dies"
    dies.write_text("3")
    made = hosted(tmp_path)
    made.change_chat(model_id)
    until(lambda: made.chat.status == "error", 60, "it is given up")
    assert "could not be loaded" in made.chat.error
    assert dies.read_text() == "0"
    made.change_chat(model_id)
    until(lambda: made.chat.status == "ok", 60, "it is loaded")
    made.close()


def test_question_that_ends_the_process_before_it_is_read_is_not_repeated_for_ever(
    chat_host: tuple[ModelHost, Path],
) -> None:
    made, _ = chat_host
    failure = until_news(ask(made.engine, "Let it die")[1], Failure)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelCrashed)
    assert "lost twice" in str(failure.error)
    until(lambda: made.chat.restarts == PREPARED_TRIES and made.chat.status == "ok", 30, "the model is back")
    assert isinstance(until_news(ask(made.engine)[1], Text), Text)


def test_fault_that_nobody_thought_of_is_a_failed_load_and_the_old_model_goes_on(
    chat_host: tuple[ModelHost, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = chat_host
    other = imported(written(tmp_path, name="Another"), tmp_path)

    def miscounted(*_: object, **__: object) -> LoadOptions:
        raise TypeError("unsupported operand")

    monkeypatch.setattr(host, "fitted", miscounted)
    made.change_chat(other)
    until(lambda: made.chat.error, 30, "the load has failed")
    assert (made.chat.status, made.chat.error) == (
        "ok",
        f"The model {other} could not be loaded (TypeError): the log tells more.",
    )
    assert isinstance(until_news(ask(made.engine)[1], Text), Text)
    before = engines()
    with pytest.raises(TypeError):
        made.guests.invite(other)
    assert engines() == before, "the engine of the guest has ended"


def engines() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "engine"}


def vectors(work: Path) -> VectorsProcess:
    return VectorsProcess("toy", work, work=work, form="toy")


@pytest.fixture
def embedder(tmp_path: Path) -> Iterator[Embedder]:
    made = Embedder(lambda: vectors(tmp_path), threads=1, cores=Cores())
    yield made
    made.close()


def test_reranker_that_hangs_is_replaced_and_the_embedder_goes_on(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_process, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ModelCrashed, match="did not answer"):
        embedder.rank("query", ["hang"]).result(60)
    monkeypatch.setattr(vectors_process, "ANSWER_SECONDS", 30.0)
    assert embedder.rank("query", ["one", "three"]).result(60) == [3, 5]
    assert len(embedder.submit(["text"], question=True).result(60).vectors) == 1
    assert embedder.restarts == 2


class Watched(VectorsProcess):
    """Notes what the process is given to do, and lets a test act while it does it."""

    work: list[str]
    meanwhile: Callable[[], object]

    def encode(self, texts: Sequence[str], *, threads: int) -> Encoded:
        self.work.append(f"embed {len(texts)}")
        return super().encode(texts, threads=threads)

    def rerank(self, query: str, passages: Sequence[str], *, threads: int) -> list[float]:
        self.work.append(f"rank {len(passages)} for {query}")
        self.meanwhile()
        return super().rerank(query, passages, threads=threads)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Embedder, Watched]]:
    process = Watched("toy", tmp_path, work=tmp_path, form="toy")
    process.work, process.meanwhile = [], lambda: None
    made = Embedder(lambda: process, threads=1, cores=Cores())
    yield made, process
    made.close()


def test_questions_and_other_passages_do_not_wait_until_all_passages_are_ranked(
    watched: tuple[Embedder, Watched],
) -> None:
    embedder, process = watched
    others = []

    def come() -> None:
        process.meanwhile = lambda: None
        others.append(embedder.submit(["text"], question=True))
        others.append(embedder.rank("few", ["one"]))

    process.meanwhile = come
    passages = ["x" * (1 + number % 7) for number in range(40)]
    assert embedder.rank("many", passages).result(60) == [len(passage) for passage in passages]
    assert [other.done() for other in others] == [True, True]
    assert process.work == ["rank 16 for many", "embed 1", "rank 1 for few", "rank 16 for many", "rank 8 for many"]


def test_passages_that_nobody_waits_for_any_more_are_not_ranked(watched: tuple[Embedder, Watched]) -> None:
    embedder, process = watched
    begun, given_up = threading.Event(), threading.Event()
    process.meanwhile = lambda: begun.set() or given_up.wait(30)
    ranking = embedder.rank("many", ["x"] * 40)
    assert begun.wait(30)
    assert ranking.cancel()
    given_up.set()
    assert embedder.rank("few", ["one"]).result(60) == [3]
    assert process.work == ["rank 16 for many", "rank 1 for few"]


def test_reranker_that_hangs_while_it_is_loaded_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hang").touch()
    process = vectors(tmp_path)
    monkeypatch.setattr(vectors_process, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ModelUnavailable, match="started again"):
        process.load_reranker("toy", tmp_path)
    assert not process.alive
    process.close()


def test_answers_go_on_while_an_embedder_that_died_in_its_turn_is_started_again(tmp_path: Path) -> None:
    cores, steps, seen = Cores(), [0], [0]

    def compute() -> None:
        steps[0] += 1
        time.sleep(0.001)

    chat = SteppingEngine(compute)
    cores.rule(chat)
    cores.engine_begins(chat)

    def start() -> VectorsProcess:
        before = steps[0]
        if before:  # not at the first start, when there was no turn yet
            until(lambda: steps[0] > before + 5, 10, "the engine goes on computing")
            seen[0] += 1
        return vectors(tmp_path)

    until(lambda: steps[0], 10, "the engine computes")
    embedder = Embedder(start, threads=1, cores=cores)
    seen[0] = 0
    with pytest.raises(ModelCrashed):
        embedder.submit(["die"], question=False).result(60)
    assert seen[0] == 1
    chat.stop.set()
    chat.thread.join(10)
    embedder.close()


def installed_embedder(store: Path) -> None:
    for file in find(EMBEDDER).files:  # of the right size is enough for what only looks whether it is there
        (store / file.name).parent.mkdir(parents=True, exist_ok=True)
        with (store / file.name).open("wb") as empty:
            empty.truncate(file.bytes)


def test_embedder_whose_process_ends_while_it_first_loads_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRIES", (0.01, 0.02, 0.03))
    installed_embedder(tmp_path)
    (tmp_path / "dies").write_text("2")
    made = hosted(tmp_path)
    made.start("none", EMBEDDER)
    until(lambda: made.embedders.status.status == "ok", 60, "it is loaded")
    assert len(made.embedders.find().submit(["text"], question=True).result(60).vectors) == 1
    made.close()


def test_embedder_that_was_missing_is_loaded_when_it_has_come(tmp_path: Path) -> None:
    made = hosted(tmp_path)
    made.start("none", EMBEDDER).join(60)
    assert made.embedders.status.status == "error"
    installed_embedder(tmp_path)
    made.load(EMBEDDER)
    until(lambda: made.embedders.status.status == "ok", 60, "it is loaded")
    first = made.embedders.find()
    made.load(EMBEDDER)
    assert (made.embedders.status.status, made.embedders.find()) == ("ok", first), "once is enough"
    with pytest.raises(NotFound):
        made.load("multilingual-e5-small")
    made.close()


@pytest.mark.parametrize("fault", ["damaged", "die", "hang"])
def test_search_by_meaning_goes_on_without_a_broken_reranker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(vectors_process, "ANSWER_SECONDS", 2.0)
    installed_embedder(tmp_path)
    (tmp_path / RERANKER).mkdir()
    (tmp_path / RERANKER / "config.json").touch()
    (tmp_path / RERANKER / fault).touch()
    made = hosted(tmp_path)
    made.start("none", EMBEDDER).join(60)
    assert (made.embedders.status.status, made.embedders.reranker) == ("ok", "")
    assert len(made.embedders.find().submit(["text"], question=True).result(60).vectors) == 1
    made.close()


def test_second_embedder_that_could_not_be_loaded_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    def load(model_id: str) -> Embedder:
        if broken[0]:
            raise ModelCorrupt("It is damaged.")
        return Embedder(lambda: vectors(tmp_path), threads=1, cores=Cores())

    second = SecondEmbedder(load)

    def found() -> str:
        try:
            return second.find("toy").id
        except ModelError as error:
            return str(error)

    until(lambda: found() == "It is damaged.", 10, "the reason is told")
    broken[0] = False
    assert found() == "It is damaged.", "it is not loaded again and again"
    monkeypatch.setattr(second_embedder, "AGAIN", 0.0)
    until(lambda: found() == "toy", 10, "it is loaded")
    second.close()
