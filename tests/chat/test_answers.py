from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import BadQuestion, NotFound
from core.services import Services
from tests.small import SmallClient

ME = "local"
TEXT = "The warranty lasts 24 months.\n\nThe battery weighs 3 kg."


def test_complete_answers_with_passages_are_offered_newest_first(
    live: Services, client: SmallClient, add_text: Callable[..., str]
) -> None:
    add_text(TEXT, name="manual.md")
    first = live.turns.begin("How long is the warranty?", owner_id=ME)
    assert first.ended(10)
    second = live.turns.begin("What does the battery weigh?", owner_id=ME)
    assert second.ended(10)
    client.gate.clear()
    stopped = live.turns.begin("Who is stopped?", owner_id=ME)
    stopped.cancel.set()
    assert stopped.ended(10)
    recent = live.answers.recent(owner_id=ME)
    assert [entry.message_id for entry in recent] == [second.message_id, first.message_id]
    assert (recent[1].question, recent[1].answer) == ("How long is the warranty?", "The warranty lasts 24 months. [1]")
    assert live.answers.recent(owner_id="somebody") == []


def test_the_steps_of_an_answer_are_its_owners(live: Services, add_text: Callable[..., str]) -> None:
    add_text(TEXT, name="manual.md")
    turn = live.turns.begin("How long is the warranty?", owner_id=ME)
    assert turn.ended(10)
    steps = live.answers.steps(turn.message_id, owner_id=ME)
    assert list(steps.seconds) == ["retrieve", "fit", "generate", "cite"]
    assert steps.prompt_tokens > 0
    for message_id, owner_id in ((turn.message_id, "somebody"), (9999, ME)):
        with pytest.raises(NotFound):
            live.answers.steps(message_id, owner_id=owner_id)


@pytest.mark.parametrize(("question", "collection", "error"), [("  ", None, BadQuestion), ("Why?", "0" * 32, NotFound)])
def test_a_question_that_is_refused_opens_no_conversation(
    live: Services, question: str, collection: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        live.turns.begin(question, owner_id=ME, collection_id=collection)
    with live.db.read() as session:
        assert session.connection().exec_driver_sql("select count(*) from conversations").scalar() == 0
