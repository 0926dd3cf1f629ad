"""Twenty conversations over the Debian handbooks: the last question, which leans on what was said, finds its passage.

The worst case is tried here: the model's rewriting is of no use, and there are no vectors. What is found then is found by
the question with the one before it. With the default model: `python -m tests.bench.bench_follow_ups`.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.services import Services
from core.settings import Settings
from tests.chat.follow_ups import CONVERSATIONS, HANDBOOKS, found, holds, take_in
from tests.small import SmallClient, first_sentence


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"passages": 5})


@pytest.fixture
def handbooks(live: Services) -> Services:
    if not HANDBOOKS.exists():
        pytest.skip("../shared/evaldata is not beside the repository")
    take_in(live)
    return live


def test_follow_ups_find_their_passage_even_when_the_rewriting_fails(handbooks: Services, client: SmallClient) -> None:
    client.reply = lambda messages: "{}" if "Last question" in messages[-1].content else first_sentence(messages)
    missed: list[dict[str, Any]] = []
    for conversation in CONVERSATIONS:
        if not any(holds(passage, conversation) for passage in found(handbooks, conversation)[1][:5]):
            missed.append(conversation)
    assert len(missed) <= 4, [conversation["ask"] for conversation in missed]


def test_the_conversations_expect_what_the_handbooks_say() -> None:
    if not HANDBOOKS.exists():
        pytest.skip("../shared/evaldata is not beside the repository")
    for conversation in CONVERSATIONS:
        text = " ".join((HANDBOOKS / conversation["document"]).read_text(encoding="utf-8").split())
        assert conversation["holds"] in text
