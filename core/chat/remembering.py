"""What of a conversation goes into the next prompt: follow-ups stand alone, and a long beginning becomes notes."""

from __future__ import annotations

from collections.abc import Generator

from langchain_core.runnables import RunnableConfig

from core.chat.condense import SCHEMA, accept, shortened, stands_alone, transcript
from core.chat.context import MARGIN, Said, TokenCounter, newest
from core.chat.ledger import Cut
from core.chat.request import AnswerRequest
from core.chat.speaking import Speaker
from core.prompts import render
from core.types import ChatMessage, Condensed, Event, Remembering

CONDENSED_TOKENS = 120
NOTES_TOKENS = 160
# Notes are made of so much more than must go that the next turns need no new ones, and their prompts begin alike.
KEPT_SHARE = 0.5


def condense(speaker: Speaker, request: AnswerRequest, config: RunnableConfig | None) -> Generator[Event, None, str]:
    """The question as it can be searched for; only a question that leans on the conversation is rewritten."""
    if not request.history or stands_alone(request.question):
        return request.question
    with request.trace.span("condense") as attributes:
        values = {"history": transcript(request.history), "question": request.question}
        messages = render(request.condense_prompt, values)
        text = speaker.quietly(request, messages, config, tokens=CONDENSED_TOKENS, schema=SCHEMA)
        query = accept(text, request.question, request.history)
        attributes["query"] = query
    if query != request.question:
        yield Condensed(query)
    return query


def remember(
    speaker: Speaker, request: AnswerRequest, counter: TokenCounter, config: RunnableConfig | None
) -> Generator[Event, None, Said]:
    """What was said before, its beginning as notes where all of it is over the limit."""
    said = Said(request.history, request.summary, request.summarised)
    most, prompt = request.habits.history_tokens, request.prompts.get("remember", "")
    if not (most and prompt and said.messages):
        return said
    counts = counter.count([message.content for message in said.messages])
    if sum(counts) + MARGIN * len(counts) <= most:
        return said
    start = newest(said.messages, counts, int(most * KEPT_SHARE))
    yield Remembering(start)
    told, cuts = _told(said, start, prompt, counter)
    with request.trace.span("remember") as attributes:
        notes = speaker.quietly(request, render(prompt, {"history": told}), config, tokens=NOTES_TOKENS)
        attributes["messages"] = start
    return Said(said.messages[start:], notes or said.summary, said.summarised + start, cuts)


def _told(said: Said, start: int, prompt: str, counter: TokenCounter) -> tuple[str, tuple[Cut, ...]]:
    """The earlier notes and the newest of the messages that are to be added to them, as they fit; and what did not."""
    before = [transcript([ChatMessage("assistant", said.summary)])] if said.summary else []
    lines = [transcript([message]) for message in said.messages[:start]]
    frame = counter.count_messages(render(prompt, {"history": "\n".join(before)}))
    room = counter.context_tokens() - frame - NOTES_TOKENS - MARGIN
    first, counts = len(lines), counter.count([f"{line}\n" for line in lines])
    while first and counts[first - 1] <= room:
        first -= 1
        room -= counts[first]
    cuts = []
    if first:
        reason = f"{first} earlier messages did not fit into the prompt that makes notes of the conversation."
        cuts.append(Cut("history", reason, sum(counts[:first])))
    if rests := [rest for message in said.messages[first:start] if (rest := shortened(message))]:
        reason = f"Only the beginning of long messages ({len(rests)}) was read to make notes of the conversation."
        cuts.append(Cut("history", reason, sum(counter.count(rests))))
    return "\n".join([*before, *lines[first:]]), tuple(cuts)
