"""The ways of a question through the real services: what is asked of the model, what is told, and what is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from core.chat.chain import AnswerChain
from core.chat.confidence import Calibration, Signal
from core.chat.context import Limits, Said, compose
from core.chat.judging import NOT_FROM_DOCUMENTS, NOTHING_FOUND, Judge
from core.chat.phrases import HELLO, NOTHING, WELCOME
from core.chat.records import Recipe
from core.chat.turns import LiveTurn
from core.services import Services
from core.settings import Settings
from core.storage.tables import TraceRow
from core.traces import Trace
from core.types import (
    ChatMessage,
    Cited,
    Done,
    GenerationChunk,
    GenerationOptions,
    Passage,
    Remembering,
    Retrieved,
    Scope,
    Searching,
    Summarising,
    Verdict,
    Way,
)
from tests.small import CONTEXT, SmallClient, first_sentence

Add = Callable[..., str]
ME = "local"
TOWN = (
    "The town was founded in 1120. Its market was famous for salt. The church is made of red brick. The bridge over the "
    "river was built by Anna Holm in 1688. It is 90 metres long. Today 4,000 people live there. They work in the mill."
)
PROMPT = "[system]\nBe brief.\n[user]\n{{passages}}\nQ: {{question}}"


def asked(live: Services, question: str, **more: object) -> tuple[LiveTurn, Cited]:
    turn = live.turns.ask_once(question, Scope(ME), **more)  # type: ignore[arg-type]
    assert turn.ended(20)
    return turn, next(event for event in turn.events if isinstance(event, Cited))


def kinds(turn: LiveTurn) -> list[type]:
    return [type(event) for event in turn.events]


def ledger(parts: dict[str, object]) -> int:
    names = ("system", "question", "frame", "summary", "history")
    return sum(int(parts[name]) for name in names) + sum(parts["passages"])  # type: ignore[call-overload]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"passage_tokens": 60, "history_tokens": 120})


def test_the_ledger_adds_up_to_what_the_engine_read(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN + "\n\nThe old bridge was made of wood. Nobody knows who built it. It burnt down in 1660.")
    conversation = live.conversations.create(owner_id=ME)
    live.conversations.rename(conversation, "Named", owner_id=ME)
    for question in ("Who built the bridge over the river?", "And how long is it in metres, the bridge?"):
        turn = live.turns.ask(conversation, question, owner_id=ME)
        assert turn.ended(20)
        with live.db.read() as session:
            trace = session.get_one(TraceRow, turn.message_id)
            assert ledger(trace.ledger) == trace.ledger["prompt"] == trace.usage["prompt_tokens"]
            assert json.loads(json.dumps(trace.ledger)) == trace.ledger
            assert "sentences" in [cut["kind"] for cut in trace.ledger["cuts"]]
    assert trace.ledger["history"] > 0


def test_every_word_of_a_passage_was_shown_or_is_in_the_ledger(live: Services, add_text: Add) -> None:
    add_text(TOWN)
    conversation = live.conversations.create(owner_id=ME)
    turn = live.turns.ask(conversation, "Who built the bridge over the river?", owner_id=ME)
    assert turn.ended(20)
    answer = live.conversations.thread(conversation, owner_id=ME)[-1]
    [passage] = answer.passages
    with live.db.read() as session:
        [entry] = session.get_one(TraceRow, answer.id).ledger["cuts"]
    pieces = sorted([*passage.kept, *(tuple(part) for part in entry["parts"])])
    assert "".join(TOWN[start:end] for start, end in pieces).replace(" ", "") == TOWN.replace(" ", "")
    assert answer.citations[0].quote in TOWN


def test_a_verdict_is_kept_with_the_answer(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN)
    client.reply = lambda _: "The bridge was built by Anna Holm. It was painted green by elephants."
    conversation = live.conversations.create(owner_id=ME)
    live.conversations.rename(conversation, "Named", owner_id=ME)
    assert live.turns.ask(conversation, "Who built the bridge?", owner_id=ME).ended(20)
    answer = live.conversations.thread(conversation, owner_id=ME)[-1]
    assert answer.cited is not None
    assert [claim.verdict for claim in answer.cited.claims] == [Verdict.supported, Verdict.unsupported]
    told = [answer.content[claim.start : claim.end] for claim in answer.cited.claims]
    assert told == ["The bridge was built by Anna Holm [1].", "It was painted green by elephants."]
    assert not answer.cited.unsupported
    assert answer.cited.way is Way.documents


def test_an_answer_that_nothing_bears_says_so(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN)
    client.reply = lambda _: "Purple elephants painted everything yesterday."
    live.chain().judge = Judge()  # type: ignore[misc]
    assert asked(live, "Who built the bridge?")[1].unsupported


def test_an_answer_is_replayed_from_what_was_shown(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN)
    conversation = live.conversations.create(owner_id=ME)
    live.conversations.rename(conversation, "Named", owner_id=ME)
    assert live.turns.ask(conversation, "Who built the bridge over the river?", owner_id=ME).ended(20)
    shown = client.asked[-1][-1].content
    answer = live.conversations.thread(conversation, owner_id=ME)[-1]
    prompt = live.prompts.published("answer").text
    assert live.turns.try_prompt(answer.id, prompt, owner_id=ME).ended(20)
    assert client.asked[-1][-1].content == shown


def test_a_greeting_is_answered_without_a_search(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN)
    turn, cited = asked(live, "Hello!")
    assert cited.way is Way.greeting
    assert Searching not in kinds(turn)
    assert client.asked == []


def test_we_answer_in_the_language_of_the_question(live: Services, client: SmallClient) -> None:
    assert asked(live, "Guten Morgen!")[1].text == HELLO["de"]
    assert asked(live, "谢谢")[1].text == WELCOME["zh"]
    _, cited = asked(live, "Wer hat die Brücke über den Fluss gebaut?")
    assert cited.text == f"{NOTHING['de']} Gesucht habe ich nach „Wer hat die Brücke über den Fluss gebaut?“."
    assert client.asked == []


def test_a_question_about_the_conversation_is_answered_from_it(
    live: Services, add_text: Add, client: SmallClient
) -> None:
    add_text(TOWN)
    client.reply = lambda _: "You asked who built the bridge [1]."
    history = (ChatMessage("user", "Who built the bridge?"), ChatMessage("assistant", "Anna Holm."))
    turn, cited = asked(live, "What did I ask first?", history=history)
    assert (cited.way, cited.text, cited.citations) == (Way.conversation, "You asked who built the bridge.", ())
    assert Searching not in kinds(turn)
    assert [message.content for message in client.asked[-1][1:]] == [
        "Who built the bridge?", "Anna Holm.", "What did I ask first?",
    ]  # fmt: skip


def test_a_summary_reads_every_part_and_cites_it(live: Services, add_text: Add, client: SmallClient) -> None:
    parts = [f"Chapter {n} tells of the {word} mill. " * 100 for n, word in enumerate(("red", "blue", "green"), 1)]
    add_text("\n\n".join(parts), name="mills.md")

    def reply(messages: Sequence[ChatMessage]) -> str:
        if "{{" in messages[-1].content or "Summary:" in messages[-1].content:
            return first_sentence([ChatMessage("user", "[1] (x)\n" + messages[-1].content)]).removesuffix(" [1]")
        return "Chapter 2 tells of the blue mill [2]. Chapter 3 tells of the green mill [3]."

    client.reply = reply
    turn, cited = asked(live, "Summarise this document")
    assert [event.done for event in turn.events if isinstance(event, Summarising)] == [0, 1, 2, 3]
    assert cited.way is Way.summary
    assert [citation.quote for citation in cited.citations] == [
        "Chapter 2 tells of the blue mill.", "Chapter 3 tells of the green mill.",
    ]  # fmt: skip
    notes = client.asked[-1][-1].content
    assert "Chapter 1 tells of the red mill." in notes
    assert len(notes) < 1000


def test_a_summary_of_one_of_many_documents_needs_its_name(live: Services, add_text: Add) -> None:
    add_text(TOWN, name="Town history.md")
    add_text("Cheese is made of milk.", name="Cheese.md")
    outline = live.chain().outline
    assert outline is not None
    assert outline.meant("Summarise this document", Scope(ME)) is None
    named = outline.meant("Summarise the town history, please", Scope(ME))
    assert named is not None
    assert named.title == "Town history.md"
    assert outline.meant("Summarise the town history", Scope("somebody else")) is None


def test_parts_that_a_summary_does_not_read_are_in_the_ledger(
    live: Services, add_text: Add, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.chat.overview.MOST_PARTS", 2)
    add_text("\n\n".join(f"Chapter {n} is long. " * 200 for n in range(5)), name="long.md")
    turn, cited = asked(live, "Summarise this document")
    retrieved = next(event for event in turn.events if isinstance(event, Retrieved))
    assert len(retrieved.passages) == 2
    assert len(retrieved.left_out) == 3
    assert "2 of 5 parts" in cited.text


def test_a_long_conversation_becomes_notes_that_are_kept(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN)
    notes: list[str] = []

    def reply(messages: Sequence[ChatMessage]) -> str:
        if "Notes:" in messages[-1].content:
            notes.append(messages[-1].content)
            return "Somebody asked about the bridge."
        return "The bridge was built by Anna Holm in 1688 [1]. " * 4

    client.reply = reply
    conversation = live.conversations.create(owner_id=ME)
    live.conversations.rename(conversation, "Named", owner_id=ME)
    seen = []
    for _ in range(4):
        turn = live.turns.ask(conversation, "Who built the bridge over the river of the town?", owner_id=ME)
        assert turn.ended(20)
        seen.append(Remembering in kinds(turn))
    assert seen[0] is False
    assert any(seen)
    with live.db.read() as session:
        kept = session.get_one(TraceRow, turn.message_id).ledger
    assert kept["remembered"] == "Somebody asked about the bridge."
    assert kept["summarised"] >= 2
    assert any("were summarised" in line for line in kept["left_out"])
    assert ledger(kept) == kept["prompt"]
    assert len(notes) < 4, "notes that are kept are not made again at every turn"
    assert any("Somebody asked about the bridge." in m.content for m in client.asked[-1])


def test_a_follow_up_is_searched_with_the_words_it_leans_on(live: Services, add_text: Add, client: SmallClient) -> None:
    add_text(TOWN + "\n\nThe harbour is deep.")
    client.reply = lambda messages: "{}" if "Last question" in messages[-1].content else first_sentence(messages)
    history = (ChatMessage("user", "Who built the bridge over the river?"), ChatMessage("assistant", "Anna Holm."))
    turn, _ = asked(live, "And how long is it?", history=history)
    retrieved = next(event for event in turn.events if isinstance(event, Retrieved))
    assert "bridge" in retrieved.passages[0].text


def unsure(live: Services) -> None:
    live.chain().judge = Judge(Calibration({}, -5.0, 0.5, "never sure", 1, 0.5))  # type: ignore[misc]


def test_without_certainty_the_nearest_passages_are_offered(live: Services, add_text: Add) -> None:
    add_text(TOWN)
    unsure(live)
    _, cited = asked(live, "Who built the bridge over the river?")
    assert cited.abstained
    assert cited.confidence is not None
    assert cited.text.startswith(NOTHING_FOUND)
    assert "Anna Holm in 1688" in cited.text
    assert all(TOWN[c.start : c.end] == c.quote for c in cited.citations)


def test_general_knowledge_is_only_used_where_it_is_allowed_and_marked(
    live: Services, add_text: Add, client: SmallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(TOWN)
    unsure(live)
    client.reply = lambda messages: (
        "Paris [1]." if "1120" not in str(messages) and "Anna" not in str(messages) else first_sentence(messages)
    )
    assert asked(live, "What is the capital of France with its bridge?")[1].way is Way.documents
    plain = live.turns.records.recipe

    def recipe() -> Recipe:
        made = plain()
        return replace(made, habits=replace(made.habits, general=True))

    monkeypatch.setattr(live.turns.records, "recipe", recipe)
    _, cited = asked(live, "What is the capital of France with its bridge?")
    assert cited.way is Way.general
    assert cited.text.startswith(NOT_FROM_DOCUMENTS)
    assert cited.citations == ()


def test_nothing_found_says_what_was_searched(live: Services) -> None:
    turn, cited = asked(live, "Who built the bridge?")
    assert cited.text == f"{NOTHING_FOUND} I searched for “Who built the bridge?”."
    assert cited.abstained
    assert turn.text == cited.text
    assert kinds(turn)[-1] is Done


def test_what_does_not_fit_is_cut_with_an_entry(client: SmallClient) -> None:
    passages = [
        Passage(n, f"d{n}", "T", f"Bridge {n}. " + "word " * 900, 0, 5000, None, "", n, 1.0) for n in range(1, 7)
    ]
    for most in (0, 300, 3000):
        made = compose(PROMPT, {"question": "bridge?"}, Said(), passages, counter=client, limits=Limits(400, most))
        assert made.ledger.prompt + 400 <= CONTEXT
        told = {(cut.document_id, cut.kind) for cut in made.ledger.cuts}
        for passage in passages:
            whole = any(kept.document_id == passage.document_id and not kept.kept for kept in made.passages)
            assert whole or any(id == passage.document_id for id, _ in told)


def test_another_model_answers_the_same_way(live: Services, add_text: Add, client: SmallClient) -> None:
    chain = live.chain()
    other = chain.by(client)
    assert isinstance(other, AnswerChain)
    assert (other.outline, other.judge, other.retriever) == (chain.outline, chain.judge, chain.retriever)


class Telling(SmallClient):
    """Tells log-probabilities where they are asked for, and agrees with what it has said."""

    def chat(
        self, messages: Sequence[ChatMessage], options: GenerationOptions, cancel: threading.Event, *, model: str = ""
    ) -> Iterator[GenerationChunk]:
        self.reply = lambda asked: "Yes." if "Say yes or no" in asked[-1].content else first_sentence(asked)
        for step in super().chat(messages, options, cancel, model=model):
            told = step.text and options.top_logprobs is not None
            yield replace(step, logprob=-0.25) if told else step


def test_the_model_is_asked_whether_the_passages_say_it(live: Services, add_text: Add, settings: Settings) -> None:
    add_text(TOWN)
    telling = Telling(settings.run)
    request = live.turns.records.draft(
        "Who built the bridge?", Scope(ME), history=(), cancel=threading.Event(), trace=Trace()
    )
    live.chain().judge = Judge(Calibration({"agreed": Signal(0.5, 0.2, 1.0)}, 2.0, 0.1, "agreed", 1, 0.5))  # type: ignore[misc]
    cited = live.chain().by(telling).invoke(request)
    assert telling.asked[-1][:-2] == telling.asked[-2]
    assert "Who built the bridge?" in telling.asked[-1][-1].content
    assert cited.signals["agreed"] == pytest.approx(0.7788, abs=1e-4)
    assert cited.signals["logprob_mean"] == -0.25


def test_an_engine_that_tells_no_probabilities_is_not_asked_twice(
    live: Services, add_text: Add, client: SmallClient
) -> None:
    add_text(TOWN)
    live.chain().judge = Judge(Calibration({"agreed": Signal(0.5, 0.2, 1.0)}, 2.0, 0.1, "agreed", 1, 0.5))  # type: ignore[misc]
    _, cited = asked(live, "Who built the bridge?")
    assert len(client.asked) == 1
    assert cited.signals["agreed"] == 0.5


def test_the_model_is_not_asked_again_where_its_word_would_not_count(
    live: Services, add_text: Add, settings: Settings
) -> None:
    add_text(TOWN)
    telling = Telling(settings.run)
    request = live.turns.records.draft(
        "Who built the bridge?", Scope(ME), history=(), cancel=threading.Event(), trace=Trace()
    )
    live.chain().by(telling).invoke(request)
    assert len(telling.asked) == 1
