"""Titles of conversations: from the model, but only with what was asked and answered in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from core.chat.naming import Namer, is_borrowed, tidy
from core.chat.turns import Turns
from core.services import Services

ME = "local"
QUESTION = "Which instrument failed during the second dive, and why?"
ANSWER = "The oxygen sensor failed at a depth of 31 metres. [1]"


@pytest.mark.parametrize(
    ("title", "question", "answer"),
    [
        ("Instrument failure during second dive", QUESTION, ANSWER),
        ("Oxygen sensor failed at 31 metres", QUESTION, ANSWER),
        ("Ausfall beim zweiten Tauchgang", "Welches Gerät fiel beim zweiten Tauchgang aus?", "Ein Ausfall. [1]"),
        ("保修期有多长", "这台机器的保修期有多长?", "24 个月。"),
    ],
)
def test_a_title_says_what_was_said(title: str, question: str, answer: str) -> None:
    assert is_borrowed(title, question, answer)


@pytest.mark.parametrize(
    ("title", "question", "answer"),
    [
        ("Scuba diver's tank fails during second dive trip", QUESTION, ANSWER),
        ("Second dive failed at 32 metres", QUESTION, ANSWER),
        ("Weather in Oslo", QUESTION, ANSWER),
        ("北京的天气", "这台机器的保修期有多长?", "24 个月。"),
    ],
)
def test_a_title_that_says_something_else_is_not_taken(title: str, question: str, answer: str) -> None:
    assert not is_borrowed(title, question, answer)


def test_titles_are_stripped_of_what_models_put_around_them() -> None:
    assert tidy('\n**Title: "The second dive"**\nIt is short.') == "The second dive"
    assert tidy("") == ""
    assert tidy("word " * 100) == ""


@pytest.mark.parametrize(
    ("reply", "title"),
    [("Length of the warranty", "Length of the warranty"), ("A tank fails", "How long is the warranty?")],
)
def test_an_invented_title_leaves_the_question_in_its_place(
    live: Services, add_text: Callable[..., str], reply: str, title: str
) -> None:
    add_text("The warranty lasts 24 months.", name="manual.md")
    conversation = live.conversations.create(owner_id=ME)
    answering = Turns(live.chain, live.conversations, live.turns.records, lambda *_: None)
    assert answering.ask(conversation, "How long is the warranty?", owner_id=ME).ended(10)
    model = FakeListChatModel(responses=[reply, "The warranty"])
    namer = Namer(live.conversations, live.prompts, lambda: model)
    namer.name(conversation, ME)
    namer.name(conversation, ME)
    assert live.conversations.get(conversation, owner_id=ME).title == title
