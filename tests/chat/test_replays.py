"""Every answer can be made again: unchanged it is the same, with a change it shows what that does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from core import replay_command
from core.chat.conversations import MessageView
from core.chat.making import making_of
from core.chat.reasons import shared_words, stages, why
from core.chat.replays import Change, Replay
from core.errors import Conflict, NotFound
from core.services import Services
from core.storage.tables import DocumentTextRow, MessageRow
from core.types import ChatMessage
from tests.application import until
from tests.small import SmallClient

ME = "local"
DAM = "The dam of Orsa is 90 m high.\n\nThe dam was built in 1931.\n\nThe dam of Orsa feeds the mill."
QUESTION = "How high is the dam of Orsa?"


@pytest.fixture
def answered(live: Services, add_text: Callable[..., str]) -> MessageView:
    add_text(DAM, name="dam.md")
    return ask(live, QUESTION)


def ask(live: Services, question: str, conversation: str | None = None) -> MessageView:
    turn = (
        live.turns.ask(conversation, question, owner_id=ME) if conversation else live.turns.begin(question, owner_id=ME)
    )
    assert turn.ended(10)
    return live.conversations.thread(turn.conversation_id, owner_id=ME)[-1]


def replayed(live: Services, message: MessageView, change: Change = Change()) -> Replay:
    replay = live.replays.start(message.id, change, owner_id=ME)
    until(lambda: not replay.turn.active, 10, "the replay ends")
    return replay


def test_an_answer_replayed_is_the_same_from_the_same_prompt(
    live: Services, client: SmallClient, answered: MessageView
) -> None:
    replay = replayed(live, answered)
    assert replay.same_text
    assert replay.same_prompt is True
    assert client.asked[-1] == client.asked[0]


def test_a_follow_up_is_replayed_with_what_was_said_before(
    live: Services, client: SmallClient, answered: MessageView
) -> None:
    conversation = live.conversations.list_conversations(owner_id=ME)[0].id
    second = ask(live, "And when was it built?", conversation)
    before = next(list(asked) for asked in reversed(client.asked) if "<passages>" in asked[-1].content)
    replay = replayed(live, second)
    assert replay.same_prompt is True
    assert client.asked[-1] == before
    assert any("90 m" in message.content for message in client.asked[-1][:-1])


def test_nothing_of_a_replay_is_stored(live: Services, answered: MessageView) -> None:
    def messages() -> int:
        with live.db.read() as session:
            return session.query(MessageRow).count()

    before = messages()
    replayed(live, answered)
    assert messages() == before


def test_a_replay_with_another_prompt_shows_the_difference(
    live: Services, client: SmallClient, answered: MessageView
) -> None:
    version = live.prompts.save(
        "answer", "[user]\n{{passages}}\n\nSHOUT: {{question}}", author_id=ME, reason="louder"
    ).version

    def shouting(messages: Sequence[ChatMessage]) -> str:
        return "NINETY METRES [1]" if "SHOUT" in messages[-1].content else "The dam of Orsa is 90 m high. [1]"

    client.reply = shouting
    replay = replayed(live, answered, Change(prompt=version))
    assert not replay.same_text
    assert replay.same_prompt is False
    assert replay.cited is not None
    assert "NINETY" in replay.cited.text


def test_a_replay_with_fewer_or_more_passages(live: Services, client: SmallClient, answered: MessageView) -> None:
    assert len(answered.passages) > 1
    replayed(live, answered, Change(passages=1))
    assert "[2]" not in client.asked[-1][-1].content
    replayed(live, answered, Change(passages=len(answered.passages) + 5))
    assert f"[{len(answered.passages)}]" in client.asked[-1][-1].content


def test_the_settings_of_then_are_used_and_nothing_from_the_cache(
    live: Services, client: SmallClient, answered: MessageView, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    chat = client.chat

    def noting(messages, options, cancel, **more):  # type: ignore[no-untyped-def]
        if options.priority == "chat":  # not the title of the conversation, which is asked for in the background
            seen.append(options)
        return chat(messages, options, cancel, **more)

    monkeypatch.setattr(client, "chat", noting)
    replayed(live, answered)
    replayed(live, answered, Change(temperature=0.7, seed=5))
    assert [(options.temperature, options.seed, options.cache_prompt) for options in seen] == [
        (0.0, None, False),
        (0.7, 5, False),
    ]


def test_an_answer_whose_document_is_gone_says_so_and_is_not_replayed(live: Services, answered: MessageView) -> None:
    live.documents.delete(answered.passages[0].document_id, owner_id=ME)
    obstacles = live.replays.obstacles(live.replays.making(answered.id, owner_id=ME))
    assert any("the document was deleted" in obstacle for obstacle in obstacles)
    with pytest.raises(Conflict, match="cannot be replayed"):
        live.replays.start(answered.id, owner_id=ME)


def test_words_that_are_others_now_are_noticed(live: Services, answered: MessageView) -> None:
    with live.db.write() as session:
        row = session.get_one(DocumentTextRow, answered.passages[0].document_id)
        row.text = row.text.replace("90 m", "80 m")
    making = live.replays.making(answered.id, owner_id=ME)
    assert making.changed
    assert any("read anew" in obstacle for obstacle in live.replays.obstacles(making))


def test_a_model_that_is_gone_or_another_file_is_said(live: Services, answered: MessageView) -> None:
    making = live.replays.making(answered.id, owner_id=ME)
    assert live.replays.obstacles(making) == []
    assert "not installed" in live.replays.obstacles(making, Change(model="no-such-model"))[0]
    assert making.attribution is not None
    with live.db.write() as session:
        session.connection().exec_driver_sql("UPDATE pipelines SET model_sha256 = ?", ("0" * 64,))
    again = live.replays.making(answered.id, owner_id=ME)
    assert "another one now" in live.replays.obstacles(again)[0]


def test_what_is_not_ones_own_does_not_exist(live: Services, answered: MessageView) -> None:
    with pytest.raises(NotFound):
        live.replays.start(answered.id, owner_id="somebody else")
    with pytest.raises(NotFound):
        making_of(live.db, 10_000, owner_id=ME)


def test_how_it_was_made_adds_up(live: Services, answered: MessageView) -> None:
    making = live.replays.making(answered.id, owner_id=ME)
    ledger = making.ledger
    parts = ("system", "question", "frame", "summary", "history")
    assert sum(ledger[part] for part in parts) + sum(ledger["passages"]) == ledger["prompt"]
    assert [step.name for step in making.steps][:1] == ["retrieve"]
    assert making.attribution is not None
    assert making.attribution.prompt == 1
    assert len(making.prompt_sha256) == 64


def test_the_command_prints_both_texts_and_tells_by_its_code(
    live: Services, answered: MessageView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay_command.services, "build", lambda _settings: live)
    wanted = SimpleNamespace(message=answered.id, prompt=None, model=None, passages=None, json=True)
    assert replay_command.run(wanted, live.settings) == 0  # type: ignore[arg-type]
    body = json.loads(capsys.readouterr().out)
    assert body["same_text"]
    assert body["now"] == answered.content


# --- why a passage was chosen ---


def test_the_reasons_name_the_words_of_the_question_as_they_were_typed(answered: MessageView) -> None:
    best = answered.passages[0]
    assert shared_words("How HIGH is Orsa's dam?", best) == ["HIGH", "Orsa", "dam"]
    said = " ".join(why(best, answered.passages, QUESTION, cited=True))
    assert "“high”, “dam” and “Orsa”" in said
    assert "The answer cites it." in said


def test_each_stage_has_its_score_and_place(answered: MessageView) -> None:
    for passage in answered.passages:
        rows = stages(passage, answered.passages)
        names = [name for name, _, _ in rows]
        assert names[:3] == ["By meaning", "By words", "Both searches joined"]
        assert "Words of the question" in names, "what the second stage looked at is shown too"
        assert rows[-1][2] == f"{passage.rank} of {len(answered.passages)}"
