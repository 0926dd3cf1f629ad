"""The engine with the smallest real model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from core.errors import ModelBusy, ModelCorrupt, ModelMissing, ModelUnavailable
from core.models.catalog import find, installed_path
from core.serving.chat_process import ChatProcess
from core.serving.engine import Engine
from core.serving.generation import Failure, Finish, News, Position, Progress, Restarted, Text
from core.serving.options import LoadOptions
from core.types import ChatMessage, GenerationChunk, GenerationOptions, Usage
from tests.contracts.engine import EngineContract, begun_in_order, words
from tests.serving.conftest import CHAT

pytestmark = pytest.mark.model
SLOTS, CELLS = 2, 2048


class LocalEngine:
    """The engine as the contract wants to see it."""

    slots, context_tokens = SLOTS, CELLS

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def generate(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event, *, user: str = ""
    ) -> Iterator[GenerationChunk]:
        box: SimpleQueue[News] = SimpleQueue()
        generation = self.engine.submit(messages, options, box.put, user=user)
        over = threading.Event()
        watcher = threading.Thread(target=lambda: self._watch(cancel, over, generation))
        watcher.start()
        try:
            while not over.is_set():
                if chunk := as_chunk(news := box.get(timeout=60)):
                    yield chunk
                if isinstance(news, Finish | Failure):
                    over.set()
        finally:
            over.set()
            watcher.join()

    def _watch(self, cancel: threading.Event, over: threading.Event, generation: object) -> None:
        while not over.is_set():
            if cancel.wait(0.01):
                self.engine.cancel(generation)  # type: ignore[arg-type]
                return


def as_chunk(news: News) -> GenerationChunk | None:
    match news:
        case Position(number, seconds):
            return GenerationChunk(queue_position=number, queue_seconds=seconds)
        case Restarted(why):
            return GenerationChunk(restarted=why)
        case Progress():
            return GenerationChunk(read_tokens=news.processed, prompt_tokens=news.total)
        case Text(text):
            return GenerationChunk(text=text)
        case Failure(error):
            raise error
        case Finish():
            usage = Usage(
                news.prompt_tokens,
                news.cached_tokens,
                news.completion_tokens,
                news.queue,
                news.queue + news.first_token,
                news.queue + news.prompt + news.generation,
            )
            return GenerationChunk(finish_reason=news.reason, usage=usage)
    return None


def started(engine: Engine, path: Path, **options: object) -> ChatProcess:
    """A process with the model of that file, which tells the engine its news and its end."""
    chosen = LoadOptions(**{"context_tokens": CELLS, "slots": SLOTS, **options})  # type: ignore[arg-type]
    process = ChatProcess(path.stem, chosen, hear=engine.hear, lost=engine.lost)
    process.load(path, identity=path.stem, tuning=None)
    return process


def load(engine: Engine, store: Path, **options: object) -> ChatProcess:
    process = started(engine, installed_path(find(CHAT), store), **options)
    engine.use(process)
    return process


@pytest.fixture(scope="module")
def running(store: Path) -> Iterator[Engine]:
    engine = Engine(queue_limit=12)
    load(engine, store)
    yield engine
    engine.close()


def ask(engine: Engine, *contents: str, **options: object) -> tuple[str, Usage]:
    """Ask in a conversation that begins with a system message."""
    roles = ["system", *["user", "assistant"] * len(contents)]
    messages = [ChatMessage(role, content) for role, content in zip(roles, contents, strict=False)]
    chosen = GenerationOptions(**{"max_tokens": 8, **options})  # type: ignore[arg-type]
    chunks = list(LocalEngine(engine).generate(messages, chosen, threading.Event()))
    assert chunks[-1].usage
    return "".join(chunk.text for chunk in chunks), chunks[-1].usage


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self, running: Engine) -> LocalEngine:
        return LocalEngine(running)


def test_users_take_turns(running: Engine) -> None:
    requests = [("ann", "chat"), ("ann", "chat"), ("ann", "chat"), ("ben", "chat")]
    assert begun_in_order(LocalEngine(running), requests) == [0, 3, 1, 2]


def test_measuring_the_machine_is_put_off_at_once_while_somebody_is_answered(running: Engine) -> None:
    box: SimpleQueue[News] = SimpleQueue()
    options = GenerationOptions(max_tokens=600, stop=("never",))
    request = running.submit([ChatMessage("user", words(40))], options, box.put)
    while not isinstance(box.get(timeout=30), Text):
        pass
    assert running.chat is not None
    assert running.chat.measure([1]) is None
    heard = [box.get() for _ in range(box.qsize())]
    assert not any(isinstance(news, Finish) for news in heard), "it was not put off until the end of the answer"
    running.cancel(request)


def test_background_work_leaves_a_slot_to_a_person(running: Engine) -> None:
    box: SimpleQueue[News] = SimpleQueue()
    later = GenerationOptions(max_tokens=200, priority="background", stop=("never",))
    background = [running.submit([ChatMessage("user", words(100))], later, box.put) for _ in range(2)]
    while box.get(timeout=60) != Position(0):
        pass
    assert ask(running, "You are kind.", "Hello", max_tokens=2)[1].completion_tokens
    assert running.waiting == 1
    for generation in background:
        running.cancel(generation)


def test_next_turn_of_a_conversation_reads_only_what_is_new(running: Engine) -> None:
    answer, first = ask(running, "You are kind.", words(60))
    _, second = ask(running, "You are kind.", words(60), answer, "And now?")
    assert first.prompt_tokens <= second.cached_tokens < second.prompt_tokens


def test_system_prompt_is_shared_with_a_conversation_that_goes_on(running: Engine) -> None:
    system = words(40)
    answer, _ = ask(running, system, "The first " + words(40))
    _, other = ask(running, system, "A second one")
    _, again = ask(running, system, "The first " + words(40), answer, "Go on.")
    assert other.cached_tokens > 100
    assert again.cached_tokens > other.prompt_tokens


def test_what_two_have_in_common_is_read_once_when_they_ask_at_the_same_moment(running: Engine) -> None:
    system = "Nobody has asked with this before. " + words(60)
    with ThreadPoolExecutor(SLOTS) as people:
        answers = list(people.map(lambda question: ask(running, system, question), ["What is fire?", "What is sand?"]))
    assert sorted(usage.cached_tokens > 100 for _, usage in answers) == [False, True]


def test_nothing_known_is_used_when_that_is_not_wanted(running: Engine) -> None:
    ask(running, "You are kind.", "Hello")
    assert ask(running, "You are kind.", "Hello", cache_prompt=False)[1].cached_tokens == 0


def test_answer_is_the_same_with_and_without_what_is_known(running: Engine) -> None:
    fresh, _ = ask(running, "You are kind.", "What is water?", cache_prompt=False)
    ask(running, "You are kind.", "What is fire?")
    known, usage = ask(running, "You are kind.", "What is water?")
    assert usage.cached_tokens
    assert known == fresh


def test_answers_go_on_while_a_long_prompt_is_read(running: Engine) -> None:
    heard: list[str] = []

    def listener(name: str, over: threading.Event) -> object:
        def listen(news: News) -> None:
            if isinstance(news, Text) or (isinstance(news, Progress) and name == "reader"):
                heard.append(name)
            if isinstance(news, Finish | Failure):
                over.set()

        return listen

    ends = [threading.Event(), threading.Event()]
    options = GenerationOptions(max_tokens=60, temperature=1.0, seed=3)
    running.submit([ChatMessage("user", "Write a story.")], options, listener("writer", ends[0]))  # type: ignore[arg-type]
    running.submit([ChatMessage("user", words(120))], options, listener("reader", ends[1]))  # type: ignore[arg-type]
    assert all(end.wait(60) for end in ends)
    begin, end = heard.index("reader"), len(heard) - heard[::-1].index("writer")
    assert heard[begin:end].count("writer") > 3
    assert heard[begin:end].count("reader") > 3


def test_room_is_made_by_forgetting_old_conversations(store: Path) -> None:
    engine = Engine()
    load(engine, store, context_tokens=512, slots=4)
    for topic in ("one", "two", "three", "four"):
        _, usage = ask(engine, f"{topic} {words(30)}", "Hello", max_tokens=300, stop=("a", "e", "i"))
        assert usage.completion_tokens
    engine.close()


def test_full_line_says_so(running: Engine) -> None:
    generations = []
    message = [ChatMessage("user", words(200))]
    with pytest.raises(ModelBusy, match="12 requests are waiting") as refused:
        for _ in range(SLOTS + 13):
            generations.append(running.submit(message, GenerationOptions(max_tokens=500), lambda news: None))
    assert refused.value.retry_after > 0
    for generation in generations:
        running.cancel(generation)


def test_no_request_is_lost_when_the_model_changes(running: Engine, store: Path) -> None:
    boxes: list[SimpleQueue[News]] = [SimpleQueue() for _ in range(4)]
    for box in boxes:
        running.submit([ChatMessage("user", "Write a story.")], GenerationOptions(max_tokens=20), box.put)
    new = load(running, store, context_tokens=512)
    for box in boxes:
        while not isinstance(news := box.get(timeout=60), Finish):
            assert not isinstance(news, Failure)
    assert running.chat is new
    load(running, store)


def test_engine_without_a_model_and_a_closed_one_say_so(store: Path) -> None:
    engine = Engine()
    with pytest.raises(ModelUnavailable, match="loading"):
        ask(engine, "x")
    load(engine, store, context_tokens=512)
    box: SimpleQueue[News] = SimpleQueue()
    engine.submit([ChatMessage("user", "Write a story.")], GenerationOptions(max_tokens=200), box.put)
    engine.close()
    while not isinstance(news := box.get(timeout=60), Failure):
        assert not isinstance(news, Finish)
    assert isinstance(news.error, ModelUnavailable)
    with pytest.raises(ModelUnavailable, match="stopping"):
        ask(engine, "x")


@pytest.mark.parametrize("content", [b"", b"not a model", b"GGUF" + bytes(4000), b"GGUF\x03\0\0\0" + b"\xff" * 4000])
def test_file_that_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelCorrupt, match="broken.gguf"):
        started(Engine(), file)


def test_truncated_model_is_refused(tmp_path: Path, store: Path) -> None:
    file = tmp_path / "half.gguf"
    whole = installed_path(find(CHAT), store)
    with whole.open("rb") as source:
        file.write_bytes(source.read(40_000_000))
    with pytest.raises(ModelCorrupt, match="half.gguf"):
        started(Engine(), file)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="gone.gguf"):
        started(Engine(), tmp_path / "gone.gguf")
