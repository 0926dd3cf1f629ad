"""Conversations get a title from the model once their first answer is there, when nobody else needs the model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.chat.conversations import LONGEST_TITLE, Conversations
from core.errors import GroundworkError
from core.prompts import Prompts, render
from core.types import ChatMessage, GenerationOptions
from core.words import tongue, weighted
from core.words.weights import NUMBER

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

log = logging.getLogger(__name__)

TITLE_TOKENS = 24
# Of the words of a title, but one always: a small model makes "Scuba diver's tank fails" of a failed instrument.
MOST_INVENTED = 1 / 3


class Namer:
    """Names conversations that have no title of their own. `model` makes the chat model when it is first needed."""

    def __init__(self, conversations: Conversations, prompts: Prompts, model: Callable[[], BaseChatModel]) -> None:
        self.conversations = conversations
        self.prompts = prompts
        self.model = model
        self.closing = threading.Event()

    def name(self, conversation_id: str, owner_id: str) -> None:
        """Ask the model for a title. A title is a nicety: failing at it is logged and nothing more."""
        try:
            if self.conversations.is_named(conversation_id, owner_id=owner_id):
                return
            thread = self.conversations.thread(conversation_id, owner_id=owner_id)
            values = {"question": thread[0].content[:1000], "answer": thread[1].content[:500]}
            title = tidy(self._complete(render(self.prompts.published("title").text, values)))
            if not title or not is_borrowed(title, values["question"], values["answer"]):
                # The beginning of the question stays, and the model is not asked again after the next answer.
                title = self.conversations.get(conversation_id, owner_id=owner_id).title
            self.conversations.rename(conversation_id, title, owner_id=owner_id, by="model")
        except GroundworkError as problem:
            log.info("conversation %s keeps its first title: %s", conversation_id, problem)

    def _complete(self, prompt: Sequence[ChatMessage]) -> str:
        from core.models.chat_model import arguments, to_langchain

        model, options = self.model(), GenerationOptions(max_tokens=TITLE_TOKENS, priority="background")
        return str(model.invoke(to_langchain(prompt), **arguments(model, options, self.closing)).content)


def tidy(text: str) -> str:
    """The first line without the decoration that models like to put around titles."""
    lines = [line.strip(" \t\"'“”*#.") for line in text.splitlines() if line.strip()]
    title = lines[0].removeprefix("Title:").strip(" \"'") if lines else ""
    return title if len(title) <= LONGEST_TITLE else ""


def is_borrowed(title: str, question: str, answer: str) -> bool:
    """Whether a title says what question and answer say: most of its words, and all of its numbers, are theirs."""
    language = tongue(question)
    theirs = weighted(f"{question}\n{answer}", language)
    own = weighted(title.lower(), language)
    if any(weight == NUMBER and term not in theirs for term, weight in own.items()):
        return False
    invented = sum(term not in theirs for term in own)
    return invented < len(own) and invented <= max(1, MOST_INVENTED * len(own))
