"""What an engine must do: subclass with a fixture `engine`, and every test here is run on it.

`AnyEngineContract` is for every service that speaks the OpenAI protocol, `EngineContract` for our own, which does more.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Protocol

import pytest

from core.errors import Cancelled, ContextTooLong
from core.types import ChatMessage, GenerationChunk, GenerationOptions

PATIENCE = 60  # seconds; nothing here takes that long unless it hangs


class EngineUnderTest(Protocol):
    """`slots` requests at a time, `context_tokens` for each; iterating over an answer drives nothing but the reader."""

    slots: int
    context_tokens: int

    def generate(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event, *, user: str = ""
    ) -> Iterator[GenerationChunk]: ...


def ask(engine: EngineUnderTest, content: str, *, user: str = "", **options: object) -> list[GenerationChunk]:
    chosen = GenerationOptions(**{"max_tokens": 16, **options})  # type: ignore[arg-type]
    return list(engine.generate([ChatMessage("user", content)], chosen, threading.Event(), user=user))


def text_of(chunks: Sequence[GenerationChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def words(count: int) -> str:
    return " ".join(f"word{number % 97}" for number in range(count))


class AnyEngineContract:
    """What is expected of every service. The three marks say what the protocol asks for and some do not do."""

    counts_tokens = True
    tells_length = True
    serves_many = True

    @pytest.fixture
    def engine(self) -> EngineUnderTest:
        raise NotImplementedError

    def test_text_is_streamed_and_counted(self, engine: EngineUnderTest) -> None:
        chunks = ask(engine, "Write a story about a cat.", max_tokens=24)
        assert sum(bool(chunk.text) for chunk in chunks) > 5
        last = chunks[-1]
        assert last.finish_reason in ("stop", "length")
        assert last.usage is not None
        assert last.usage.total_seconds >= last.usage.first_token_seconds > 0
        if self.counts_tokens:
            assert last.usage.prompt_tokens > 0
            assert 0 < last.usage.completion_tokens <= 24

    def test_answer_ends_at_the_longest_allowed(self, engine: EngineUnderTest) -> None:
        chunks = ask(engine, "Write a long story about a cat.", max_tokens=5)
        assert 0 < sum(bool(chunk.text) for chunk in chunks) <= 5
        last = chunks[-1]
        assert last.finish_reason == ("length" if self.tells_length else "stop")
        assert last.usage is not None
        assert last.usage.completion_tokens == (5 if self.counts_tokens else 0)

    def test_answer_ends_before_a_stop_string_and_shows_nothing_of_it(self, engine: EngineUnderTest) -> None:
        repeatable = {"seed": 1, "cache_prompt": False, "max_tokens": 24}
        whole = text_of(ask(engine, "Write a story about a cat.", **repeatable))
        stop = whole[len(whole) // 2 : len(whole) // 2 + 6]
        chunks = ask(engine, "Write a story about a cat.", stop=(stop, "never said"), **repeatable)
        assert text_of(chunks) == whole[: whole.index(stop)]
        assert chunks[-1].finish_reason == "stop"

    def test_everybody_gets_a_whole_answer(self, engine: EngineUnderTest) -> None:
        if not self.serves_many:
            pytest.skip("it breaks one answer off for the next")
        with ThreadPoolExecutor() as pool:
            answers = [pool.submit(ask, engine, f"Write story number {number}.") for number in range(engine.slots + 2)]
            for answer in answers:
                assert text_of(answer.result(PATIENCE))
                assert answer.result()[-1].finish_reason

    def test_answer_is_cancelled_while_it_is_written(self, engine: EngineUnderTest) -> None:
        cancel = threading.Event()
        with pytest.raises(Cancelled):
            story = engine.generate([ChatMessage("user", "Write a story.")], GenerationOptions(max_tokens=60), cancel)
            for chunk in story:
                if chunk.text:
                    cancel.set()
        assert text_of(ask(engine, "Are you still there?"))

    def test_prompt_that_does_not_fit_is_refused(self, engine: EngineUnderTest) -> None:
        with pytest.raises(ContextTooLong):
            ask(engine, words(engine.context_tokens), max_tokens=64)
        assert text_of(ask(engine, "Are you still there?"))

    def test_characters_are_always_whole(self, engine: EngineUnderTest) -> None:
        for seed in range(2):  # at this temperature the choice is nearly random: bytes and halves of characters come
            chunks = ask(engine, "日本語 🎉 ñ", temperature=2.0, seed=seed, max_tokens=40)
            assert not any("\ufffd" in chunk.text for chunk in chunks)


class EngineContract(AnyEngineContract):
    """Our own engine: it reports its line and its reading, keeps an order, and separates text from control tokens.

    The fixture `engine` should have few slots: the tests fill all of them.
    """

    def test_reading_is_reported_up_to_the_end_of_the_prompt(self, engine: EngineUnderTest) -> None:
        chunks = ask(engine, words(100), max_tokens=1, cache_prompt=False)
        read = [(chunk.read_tokens, chunk.prompt_tokens) for chunk in chunks if chunk.read_tokens is not None]
        assert [done for done, _ in read if done] == sorted(done for done, _ in read if done)
        assert read[-1][0] == read[-1][1] == chunks[-1].usage.prompt_tokens  # type: ignore[union-attr]

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_same_seed_gives_the_same_answer_alone_and_in_company(
        self, engine: EngineUnderTest, temperature: float
    ) -> None:
        options = {"seed": 7, "temperature": temperature, "cache_prompt": False, "max_tokens": 20}
        alone = text_of(ask(engine, "Tell me about the sea.", **options))
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(ask, engine, f"{n} {words(30)}", max_tokens=20) for n in range(3)]
            again = [pool.submit(ask, engine, "Tell me about the sea.", **options) for _ in range(2)]
            assert {text_of(answer.result(PATIENCE)) for answer in again} == {alone}
            assert all(text_of(other.result(PATIENCE)) for other in others)

    def test_answer_is_cancelled_while_its_prompt_is_read(self, engine: EngineUnderTest) -> None:
        cancel = threading.Event()
        prompt = [ChatMessage("user", words(engine.context_tokens // 8))]
        read = []

        def follow() -> None:
            for chunk in engine.generate(prompt, GenerationOptions(max_tokens=4, cache_prompt=False), cancel):
                if chunk.read_tokens is not None and chunk.prompt_tokens is not None:
                    read.append(chunk.read_tokens / chunk.prompt_tokens)
                    cancel.set()

        with pytest.raises(Cancelled):
            follow()
        assert read[-1] < 1
        assert text_of(ask(engine, "Are you still there?"))

    def test_waiting_answer_is_cancelled(self, engine: EngineUnderTest) -> None:
        with ThreadPoolExecutor() as pool:
            busy = [pool.submit(ask, engine, "Write a long story.", max_tokens=60) for _ in range(engine.slots)]
            cancel = threading.Event()
            waiting = engine.generate([ChatMessage("user", "x")], GenerationOptions(max_tokens=4), cancel)
            assert next(chunk for chunk in waiting if chunk.queue_position is not None).queue_position
            cancel.set()
            with pytest.raises(Cancelled):
                list(waiting)
            assert all(answer.result(PATIENCE)[-1].usage for answer in busy)

    def test_prompt_that_does_not_fit_is_refused_with_the_counts(self, engine: EngineUnderTest) -> None:
        with pytest.raises(ContextTooLong) as refused:
            ask(engine, words(engine.context_tokens), max_tokens=64)
        counts = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", str(refused.value))]
        assert engine.context_tokens in counts
        assert 64 in counts
        assert max(counts) > engine.context_tokens

    def test_position_in_the_line_is_reported_until_the_work_begins(self, engine: EngineUnderTest) -> None:
        with ThreadPoolExecutor() as pool:
            answers = [
                pool.submit(ask, engine, f"Write story number {number}.", max_tokens=20)
                for number in range(engine.slots + 3)
            ]
            seen = [[c.queue_position for c in a.result(PATIENCE) if c.queue_position is not None] for a in answers]
        assert all(positions[-1] == 0 for positions in seen)
        assert all(positions == sorted(positions, reverse=True) for positions in seen)
        assert max(max(positions) for positions in seen) >= 2

    def test_person_goes_before_background_work(self, engine: EngineUnderTest) -> None:
        begun = begun_in_order(engine, [("", "background"), ("", "background"), ("", "chat")])
        assert begun[0] == 2

    def test_control_tokens_in_content_stay_text(self, engine: EngineUnderTest) -> None:
        def prompt_tokens(content: str) -> int:
            usage = ask(engine, content, max_tokens=1)[-1].usage
            assert usage is not None
            return usage.prompt_tokens

        empty = prompt_tokens("x") - 1
        for token in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):
            assert prompt_tokens(token) - empty > 2, "a control token is one token, its text are several"


def begun_in_order(engine: EngineUnderTest, requests: Sequence[tuple[str, str]]) -> list[int]:
    """Fill all slots, let (user, priority) wait in this order; returns in which order the engine began with them."""
    begun: list[int] = []
    lined_up = [threading.Event() for _ in requests]

    def wait(number: int, user: str, priority: str) -> None:
        options = GenerationOptions(max_tokens=2, priority=priority)
        for chunk in engine.generate([ChatMessage("user", "x")], options, threading.Event(), user=user):
            lined_up[number].set()
            if chunk.queue_position == 0:
                begun.append(number)

    with ThreadPoolExecutor(max_workers=engine.slots + len(requests)) as pool, ExitStack() as held:
        first, *_ = [held.enter_context(one_slot_held(engine, pool)) for _ in range(engine.slots)]
        waiting = []
        for number, (user, priority) in enumerate(requests):
            waiting.append(pool.submit(wait, number, user, priority))
            assert lined_up[number].wait(PATIENCE)
        first.set()  # the one free slot takes them one after the other
        for answer in waiting:
            answer.result(PATIENCE)
    return begun


@contextmanager
def one_slot_held(engine: EngineUnderTest, pool: ThreadPoolExecutor) -> Iterator[threading.Event]:
    """Keep one slot busy with reading until the event is set, at the latest until the end of the block."""
    begun, cancel = threading.Event(), threading.Event()
    prompt = [ChatMessage("user", words(engine.context_tokens // (8 * engine.slots)))]

    def follow() -> None:
        with suppress(Cancelled):
            for chunk in engine.generate(prompt, GenerationOptions(max_tokens=40, cache_prompt=False), cancel):
                if chunk.queue_position == 0:
                    begun.set()

    pool.submit(follow)
    assert begun.wait(PATIENCE)
    try:
        yield cancel
    finally:
        cancel.set()
