"""One question, two answers, and what people prefer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.chat.comparisons import Comparison, Contender, cited
from core.errors import BadQuestion, Conflict, ModelMissing
from core.services import Services
from core.types import Failed, Scope
from tests.application import until
from tests.small import SmallClient

ACTIVE, OTHER = Contender("small", "The active one"), Contender("other", "Another one")
SCOPE = Scope("local")
DAM = "The dam of Orsa is 90 m high."


def compared(
    live: Services, first: Contender = ACTIVE, second: Contender = OTHER, question: str = "How high is the dam?"
) -> Comparison:
    comparison = live.comparisons.start(question, SCOPE, first, second)
    until(lambda: not comparison.active, 20, "both have answered")
    return comparison


def test_both_answer_from_the_same_passages(live: Services, client: SmallClient, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    comparison = compared(live)
    assert comparison.complete
    assert set(comparison.sides) == {ACTIVE, OTHER}
    assert set(client.asked_models) == {"", "other"}  # the active one by no name, the other as a guest
    assert client.invited == "other"
    assert client.asked[0] == client.asked[1]
    for turn in comparison.turns:
        found = cited(turn)
        assert found
        assert "90 m" in found.text
        assert found.citations


def test_order_is_left_to_chance(live: Services, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    first = {compared(live).sides[0] for _ in range(16)}
    assert first == {ACTIVE, OTHER}


def test_what_is_preferred_is_kept_and_counted(live: Services, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    for wanted in (ACTIVE, ACTIVE, OTHER, None):
        comparison = compared(live)
        side = "same" if wanted is None else ("left", "right")[comparison.sides.index(wanted)]
        live.comparisons.prefer(comparison, side, user_id="local")
    tally = live.comparisons.tallies()[0]
    assert {tally.first: tally.first_better, tally.second: tally.second_better} == {
        ACTIVE.label: 2,
        OTHER.label: 1,
    }
    assert tally.same == 1


def test_choice_is_made_once_and_among_two_answers(live: Services, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    comparison = compared(live)
    with pytest.raises(Conflict):
        live.comparisons.prefer(comparison, "middle", user_id="local")
    live.comparisons.prefer(comparison, "left", user_id="local")
    with pytest.raises(Conflict, match="made already"):
        live.comparisons.prefer(comparison, "right", user_id="local")


def test_two_prompt_versions_are_compared(live: Services, client: SmallClient, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    text = live.prompts.published("answer").text.replace("Answer from", "Cheerfully answer from")
    version = live.prompts.save("answer", text, author_id="local", reason="Try").version
    compared(live, Contender("small", "A", 1), Contender("small", "A", version))
    systems = {messages[0].content for messages in client.asked}
    assert len(systems) == 2
    assert set(client.asked_models) == {""}


def test_side_that_fails_says_why_and_nothing_can_be_chosen(
    live: Services, client: SmallClient, add_text: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_text(DAM)

    def missing(model_id: str) -> None:
        raise ModelMissing(f"{model_id} is not downloaded.")

    monkeypatch.setattr(client, "invite", missing)
    comparison = compared(live)
    failed = comparison.turns[comparison.sides.index(OTHER)]
    assert [event.message for event in failed.events if isinstance(event, Failed)] == ["other is not downloaded."]
    assert cited(comparison.turns[comparison.sides.index(ACTIVE)])
    with pytest.raises(Conflict):
        live.comparisons.prefer(comparison, "left", user_id="local")


def test_both_sides_end_whatever_goes_wrong(live: Services, client: SmallClient, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    client.reply = lambda messages: str(1 // 0)
    comparison = compared(live)
    failed = [event for turn in comparison.turns for event in turn.events if isinstance(event, Failed)]
    assert [event.code for event in failed] == ["internal", "internal"]
    assert live.comparisons.undecided(user_id="local") is None


def test_comparison_is_found_again_until_it_is_decided(
    live: Services, client: SmallClient, add_text: Callable[..., str]
) -> None:
    add_text(DAM)
    assert live.comparisons.undecided(user_id="local") is None
    client.gate.clear()
    comparison = live.comparisons.start("How high is the dam?", SCOPE, ACTIVE, OTHER)
    assert live.comparisons.undecided(user_id="local") is comparison
    assert live.comparisons.undecided(user_id="other") is None
    client.gate.set()
    until(lambda: not comparison.active, 20, "both have answered")
    assert live.comparisons.undecided(user_id="local") is comparison
    live.comparisons.prefer(comparison, "same", user_id="local")
    assert live.comparisons.undecided(user_id="local") is None


def test_comparison_is_stopped(live: Services, client: SmallClient, add_text: Callable[..., str]) -> None:
    add_text(DAM)
    client.gate.clear()
    comparison = live.comparisons.start("How high is the dam?", SCOPE, ACTIVE, OTHER)
    with pytest.raises(Conflict, match="running already"):
        live.comparisons.start("And now?", SCOPE, ACTIVE, OTHER)
    until(lambda: client.asked, 10, "the first is asked")
    comparison.cancel.set()
    until(lambda: not comparison.active, 10, "it has ended")
    assert not comparison.complete
    client.gate.set()


def test_nothing_is_compared_with_itself_or_without_a_question(live: Services) -> None:
    with pytest.raises(Conflict, match="two different"):
        live.comparisons.start("How high?", SCOPE, ACTIVE, ACTIVE)
    with pytest.raises(BadQuestion):
        live.comparisons.start("   ", SCOPE, ACTIVE, OTHER)
