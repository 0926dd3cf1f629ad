"""The bill of a prompt: tokens by part, and everything that was left out with the reason. Nothing is cut silently."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.types import Passage

Kind = Literal["passage", "sentences", "history", "section", "instructions"]
Parts = tuple[tuple[int, int], ...]


INSTRUCTIONS = "It asks the model for something else than you did, or reads like an instruction to it."


@dataclass(frozen=True, slots=True)
class Cut:
    """Something that the model was not shown.

    `sentences` of passage `number` in the prompt: `parts` are their offsets into the document's text; those that read
    like `instructions` to a model are never shown. A whole `passage` or `section` has no number. `history` are messages
    of the conversation. `tokens` is what it would have cost.
    """

    kind: Kind
    reason: str
    tokens: int = 0
    number: int | None = None
    document_id: str = ""
    title: str = ""
    parts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Tokens by part, as the engine counts them.

    `system + question + frame + summary + history + sum(passages) == prompt`, which is what the engine reads: `frame`
    is the prompt's other text with what the chat template adds. `context` is what the model reads at once, `answer`
    was kept free. `left_out` says in words what `cuts` says in parts. `remembered` is the summary of the first
    `summarised` messages of the conversation.
    """

    context: int
    answer: int
    frame: int
    history: int
    passages: tuple[int, ...]
    left_out: tuple[str, ...] = field(default=())
    system: int = 0
    question: int = 0
    summary: int = 0
    prompt: int = 0
    cuts: tuple[Cut, ...] = ()
    remembered: str = ""
    summarised: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def cut_sentences(number: int, passage: Passage, tokens: int, withheld: Parts = ()) -> Cut | None:
    """What was cut from a passage that the model was shown in part, but for what was `withheld` for another reason."""
    gaps, position = [], passage.start
    for start, end in (*sorted((*passage.kept, *withheld)), (passage.end, passage.end)):
        if passage.text[position - passage.start : max(position, start) - passage.start].strip():
            gaps.append((position, start))
        position = max(position, end)
    reason = "These sentences have least to do with the question."
    if not gaps:
        return None
    return Cut("sentences", reason, tokens, number, passage.document_id, passage.document_title, tuple(gaps))


def cut_instructions(number: int, passage: Passage, tokens: int, withheld: Parts) -> Cut:
    """What was kept from the model because it talks to a model."""
    return Cut("instructions", INSTRUCTIONS, tokens, number, passage.document_id, passage.document_title, withheld)


def cut_passage(passage: Passage, tokens: int, reason: str) -> Cut:
    """A passage that the model was not shown."""
    parts = ((passage.start, passage.end),)
    return Cut("passage", reason, tokens, None, passage.document_id, passage.document_title, parts)


def in_words(cut: Cut) -> str:
    """The entry as a sentence for people."""
    match cut.kind:
        case "sentences":
            return f"{cut.title}: {cut.tokens:,} tokens of passage {cut.number} were cut. {cut.reason}"
        case "instructions":
            return f"{cut.title}: {cut.tokens:,} tokens of passage {cut.number} were kept from the model. {cut.reason}"
        case "passage":
            return f"{cut.title}: a passage of {cut.tokens:,} tokens was left out. {cut.reason}"
        case "section":
            return f"{cut.title}: {cut.reason}"
        case "history":
            return cut.reason
