from __future__ import annotations

import pytest

from core.chat.ways import is_thanks, way_of
from core.types import ChatMessage, Way

SAID = (ChatMessage("user", "How long is the warranty?"), ChatMessage("assistant", "It lasts 24 months."))


@pytest.mark.parametrize(
    "text", ["Hi!", "hello", "Good morning.", "Guten Tag", "Danke!", "你好", "thank you 🙏", "OK, thanks"]
)
def test_polite_words_are_not_searched_for(text: str) -> None:
    assert way_of(text, ()) is Way.greeting


@pytest.mark.parametrize(
    "text", ["What did I ask first?", "Please repeat that.", "Translate your answer into German", "Was habe ich gefragt?",
             "Summarise our conversation so far", "Can you shorten that?"],
)  # fmt: skip
def test_questions_about_the_conversation_need_one(text: str) -> None:
    assert way_of(text, SAID) is Way.conversation
    assert way_of(text, ()) is not Way.conversation


@pytest.mark.parametrize(
    "text", ["Summarise this document", "Please give me a short summary of the handbook", "What is this report about?",
             "tl;dr", "Fasse das Dokument zusammen", "总结这份文件"],
)  # fmt: skip
def test_summaries_are_asked_for_in_many_words(text: str) -> None:
    assert way_of(text, ()) is Way.summary


@pytest.mark.parametrize(
    "text",
    [
        "Hello, how long is the warranty?",
        "How do I greet a customer with hello?",
        "What does the contract say about the first answer to a claim?",
        "How long is the summary of a package description?",
        "Who wrote the overview of the battle?",
        "What did the king say to his men?",
        "Which question did the court have to answer?",
        "",
        "?" * 3000,
    ],
)
def test_everything_else_is_searched_for(text: str) -> None:
    assert way_of(text, SAID) is Way.documents


def test_thanks_are_told_from_greetings() -> None:
    assert is_thanks("Thanks!")
    assert not is_thanks("Hello!")
