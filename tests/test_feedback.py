from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import BadQuestion, NotFound
from core.feedback import FeedbackCounts
from core.services import Services

ME = "local"


@pytest.fixture
def answers(live: Services, add_text: Callable[..., str]) -> list[int]:
    add_text("The warranty lasts 24 months.\n\nThe battery weighs 3 kg.")
    conversation = live.conversations.create(owner_id=ME)
    for question in ("How long is the warranty?", "How heavy is the battery of this one?"):
        assert live.turns.ask(conversation, question, owner_id=ME).ended(10)
    return [m.id for m in live.conversations.thread(conversation, owner_id=ME) if m.role == "assistant"]


def test_a_person_has_one_rating_for_an_answer(live: Services, answers: list[int]) -> None:
    live.feedback.rate(answers[0], user_id=ME, thumb=1)
    live.feedback.rate(answers[0], user_id=ME, thumb=0, reasons=["wrong"], comment=" It is 36. ")
    (entry,) = live.feedback.entries(owner_id=ME)
    assert (entry.thumb, entry.reasons, entry.comment) == (0, ("wrong",), "It is 36.")
    assert (entry.question, entry.model, entry.prompt_version) == (
        "How long is the warranty?",
        live.settings.chat_model,
        1,
    )
    live.feedback.rate(answers[0], user_id=ME, thumb=1)
    (entry,) = live.feedback.entries(owner_id=ME)
    assert (entry.thumb, entry.reasons, entry.comment) == (1, ("wrong",), "It is 36."), "only the thumb was changed"
    live.feedback.rate(answers[0], user_id=ME, thumb=None)
    assert live.feedback.entries(owner_id=ME) == []


def test_ratings_are_filtered(live: Services, answers: list[int]) -> None:
    live.feedback.rate(answers[0], user_id=ME, thumb=1)
    live.feedback.rate(answers[1], user_id=ME, thumb=0, reasons=["citation", "style"], comment="50% right")
    assert [e.message_id for e in live.feedback.entries(owner_id=ME, thumb=0)] == [answers[1]]
    assert [e.message_id for e in live.feedback.entries(owner_id=ME, reason="style")] == [answers[1]]
    assert [e.message_id for e in live.feedback.entries(owner_id=ME, search="50%")] == [answers[1]]
    assert [e.message_id for e in live.feedback.entries(owner_id=ME, search="how long is")] == [answers[0]]
    assert live.feedback.entries(owner_id=ME, reason="style", limit=1)
    live.feedback.rate(answers[0], user_id=ME, thumb=1)
    assert live.feedback.entries(owner_id=ME, reason="style", limit=1), "newer ratings without the reason do not count"
    assert live.feedback.entries(owner_id=ME, reason="cit") == []
    assert live.feedback.entries(owner_id="other") == []


def test_reviewing_and_a_changed_verdict(live: Services, answers: list[int]) -> None:
    live.feedback.rate(answers[0], user_id=ME, thumb=0)
    (entry,) = live.feedback.entries(owner_id=ME, reviewed=False)
    live.feedback.review(entry.id, user_id=ME, reviewed=True)
    assert live.feedback.counts(owner_id=ME) == FeedbackCounts(up=0, down=1, open=0)
    live.feedback.rate(answers[0], user_id=ME, thumb=1)
    assert live.feedback.counts(owner_id=ME) == FeedbackCounts(up=1, down=0, open=1)


def test_only_ones_own_answers_can_be_rated(live: Services, answers: list[int]) -> None:
    for message, user in ((answers[0], "other"), (answers[0] - 1, ME), (9999, ME)):
        with pytest.raises(NotFound):
            live.feedback.rate(message, user_id=user, thumb=1)
    with pytest.raises(BadQuestion):
        live.feedback.rate(answers[0], user_id=ME, thumb=0, reasons=["because"])
