"""What goes into the prompt of an answer: chosen, counted exactly, and with a ledger of what stayed out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.chat.cutting import cut, shown
from core.chat.ledger import INSTRUCTIONS, Cut, Ledger, cut_instructions, cut_passage, cut_sentences, in_words
from core.chat.wary import safe, wary, withheld
from core.errors import ContextTooLong
from core.guard import data, fenced
from core.prompts import render
from core.types import ChatMessage, Passage

# What the template adds around a passage or a message; the engine refuses what is over, so this must not be too small.
MARGIN = 16
NO_ROOM = "It did not fit into the context."
NOTHING_TOLD = "None of its sentences has as much to do with the question as those that were chosen."
EARLIER = "What was said before, in short: "
NOTED = "I keep that in mind."


class TokenCounter(Protocol):
    """Counts as the engine counts."""

    def count(self, contents: Sequence[str]) -> list[int]: ...

    def count_messages(self, messages: Sequence[ChatMessage]) -> int: ...

    def context_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens that parts of a prompt may have at the most; 0 means as many as there is room for."""

    answer: int
    passages: int = 0
    history: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before: `messages` after the first `summarised` ones, which `summary` stands for.

    `cuts` is what was not read when that summary was made.
    """

    messages: tuple[ChatMessage, ...] = ()
    summary: str = ""
    summarised: int = 0
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Composed:
    """A prompt, the passages in it in the order of their numbers, and its ledger."""

    messages: tuple[ChatMessage, ...]
    passages: tuple[Passage, ...]
    ledger: Ledger


def compose(
    prompt: str, values: Mapping[str, str], said: Said, passages: Sequence[Passage], *, counter: TokenCounter,
    limits: Limits,
) -> Composed:  # fmt: skip
    """The prompt with its passages, best first, and the newest history, as far as both fit beside the answer.

    `values` are those of the prompt's variables but for the passages. Raises ContextTooLong when the question alone
    does not fit.
    """
    frame = render(prompt, {**values, "passages": ""})
    context, base = counter.context_tokens(), counter.count_messages(frame)
    room = context - limits.answer - base
    if room < 0:
        raise ContextTooLong(
            f"The question needs {base:,} tokens and the answer {limits.answer:,}, but the model reads {context:,} "
            "at once. Shorten the question, or upload the long part as a document."
        )
    kept, sizes, cuts = _passages(passages, values.get("question", ""), room, counter=counter, most=limits.passages)
    room -= sum(sizes) + MARGIN * len(kept)
    turns, spent, summary, forgotten = _history(said, room, counter=counter, most=limits.history)
    messages = [*_with_passages(prompt, values, kept)]
    messages[-1:-1] = turns
    cuts += [*said.cuts, *forgotten]
    total = counter.count_messages(messages)
    system, question = counter.count([_text(frame, "system"), values.get("question", "")])
    ledger = Ledger(
        context=context, answer=limits.answer, history=spent, passages=tuple(sizes), system=system, question=question,
        frame=total - system - question - spent - summary - sum(sizes), summary=summary, prompt=total,
        cuts=tuple(cuts), left_out=tuple(in_words(entry) for entry in cuts),
        remembered=said.summary if summary else "", summarised=said.summarised if summary else 0,
    )  # fmt: skip
    return Composed(tuple(messages), tuple(kept), ledger)


def block(number: int, passage: Passage) -> str:
    """A passage as the model sees it: number, where it is from, the header of its table, and its visible words."""
    heading = passage.heading.removeprefix(passage.document_title).removeprefix(" › ")  # often the same words
    place = " › ".join(part for part in (passage.document_title, heading) if part)
    page = f", page {passage.page}" if passage.page else ""
    words = "\n".join(part for part in (safe(passage.context), data(shown(passage))) if part)
    return f"[{number}] ({' '.join(safe(place).split())}{page})\n{words.strip()}"


def blocks(passages: Sequence[Passage]) -> str:
    """All passages for the prompt; said plainly when there are none."""
    found = "\n\n".join(block(number, passage) for number, passage in enumerate(passages, 1))
    return fenced(found or "(no passages were found)")


def newest(messages: Sequence[ChatMessage], counts: Sequence[int], room: int) -> int:
    """Where the newest whole exchanges (question and answer) begin that fit into `room` tokens."""
    start, spent = len(messages), 0
    while start >= 2:
        spent += sum(counts[start - 2 : start]) + 2 * MARGIN
        if spent > room:
            break
        start -= 2
    return start


def _passages(
    passages: Sequence[Passage], question: str, room: int, *, counter: TokenCounter, most: int
) -> tuple[list[Passage], list[int], list[Cut]]:
    """The passages to show, the tokens of each as it is shown, and what was cut."""
    whole = counter.count([block(number, passage) for number, passage in enumerate(passages, 1)])
    trusted = wary(passages, question)
    chosen = cut(trusted, question, tokens=min(most, room) if most else 0, count=counter.count)
    sizes = counter.count([block(number, passage) for number, passage in enumerate(chosen, 1)])
    price = {_place(passage): tokens for passage, tokens in zip(passages, whole, strict=True)}
    gone = {_place(passage) for passage in passages} - {_place(passage) for passage in chosen}
    told = {_place(passage) for passage in trusted}
    cuts = [
        cut_passage(p, price[_place(p)], NOTHING_TOLD if _place(p) in told else INSTRUCTIONS)
        for p in passages
        if _place(p) in gone
    ]
    kept: list[Passage] = []
    spent: list[int] = []
    for passage, size in zip(chosen, sizes, strict=True):
        if size + MARGIN > room:
            cuts.append(cut_passage(passage, price[_place(passage)], NO_ROOM))
            continue
        missing = _cuts(len(kept) + 1, passage, question, max(0, price[_place(passage)] - size), counter)
        kept.append(passage if missing else replace(passage, kept=()))  # the parts may be all that there is
        spent.append(size)
        room -= size + MARGIN
        cuts += missing
    return kept, spent, cuts


def _cuts(number: int, passage: Passage, question: str, tokens: int, counter: TokenCounter) -> list[Cut]:
    """What the model was not shown of a passage: `tokens` in all, for one reason or the other."""
    if not passage.kept:
        return []
    parts = withheld(passage, question)
    words = [passage.text[start - passage.start : end - passage.start] for start, end in parts]
    spent = min(tokens, sum(counter.count(words))) if words else 0
    found = cut_sentences(number, passage, tokens - spent, parts)
    return [*([found] if found else []), *([cut_instructions(number, passage, spent, parts)] if parts else [])]


def _history(
    said: Said, room: int, *, counter: TokenCounter, most: int
) -> tuple[list[ChatMessage], int, int, list[Cut]]:
    """The messages to show, their tokens, those of the summary before them, and what was left out."""
    room = min(room, most) if most else room
    beginning = _beginning(said)
    counts = counter.count([message.content for message in (*beginning, *said.messages)])
    price, counts = sum(counts[: len(beginning)]), counts[len(beginning) :]
    if price + MARGIN * len(beginning) > room:
        beginning, price = [], 0
    start = newest(said.messages, counts, room - price - MARGIN * len(beginning))
    cuts = []
    if gone := start + (0 if beginning else said.summarised):
        reason = f"{gone} earlier messages did not fit into the context."
        cuts.append(Cut("history", reason, sum(counts[:start])))
    if beginning:
        cuts.append(Cut("history", f"The first {said.summarised} messages of the conversation were summarised."))
    return [*beginning, *said.messages[start:]], sum(counts[start:]), price, cuts


def _beginning(said: Said) -> list[ChatMessage]:
    if not said.summary:
        return []
    return [ChatMessage("user", EARLIER + said.summary), ChatMessage("assistant", NOTED)]


def _with_passages(prompt: str, values: Mapping[str, str], passages: Sequence[Passage]) -> list[ChatMessage]:
    return render(prompt, {**values, "passages": blocks(passages)})


def _text(messages: Sequence[ChatMessage], role: str) -> str:
    return "\n".join(message.content for message in messages if message.role == role)


def _place(passage: Passage) -> tuple[str, int, int]:
    return passage.document_id, passage.start, passage.end
