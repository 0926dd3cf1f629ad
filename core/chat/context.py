"""What goes into the context, counted exactly, and what is left out with the reason: nothing is cut silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from core.errors import ContextTooLong
from core.guard import visible
from core.types import ChatMessage, Passage

# What the template adds around a passage or a message; the engine refuses what is over, so this must not be too small.
MARGIN = 16


class TokenCounter(Protocol):
    """Counts as the engine counts."""

    def count(self, contents: Sequence[str]) -> list[int]: ...

    def count_messages(self, messages: Sequence[ChatMessage]) -> int: ...

    def context_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """Tokens by part. `frame` is the prompt's own text with the question; `left_out` says what and why."""

    context: int
    answer: int
    frame: int
    history: int
    passages: tuple[int, ...]
    left_out: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit(
    frame: Sequence[ChatMessage],
    history: Sequence[ChatMessage],
    passages: Sequence[Passage],
    *,
    counter: TokenCounter,
    answer_tokens: int,
) -> tuple[list[ChatMessage], list[Passage], Ledger]:
    """Choose the passages, best first, and then the newest history that fit beside the frame and the answer.

    Raises ContextTooLong when the frame alone does not fit: it holds the question.
    """
    context = counter.context_tokens()
    base = counter.count_messages(frame)
    room = context - answer_tokens - base
    if room < 0:
        raise ContextTooLong(
            f"The question needs {base:,} tokens and the answer {answer_tokens:,}, but the model reads {context:,} "
            "at once. Shorten the question, or upload the long part as a document."
        )
    blocks = [block(number, passage) for number, passage in enumerate(passages, 1)]
    counts = counter.count([*blocks, *(message.content for message in history)])
    kept, sizes, left_out = [], [], []
    for passage, size in zip(passages, counts, strict=False):
        if size + MARGIN <= room:
            kept.append(passage)
            sizes.append(size)
            room -= size + MARGIN
        else:
            left_out.append(f"{passage.document_title}: a passage of {size:,} tokens did not fit into the context.")
    turns, spent = _newest(history, counts[len(blocks) :], room)
    if len(turns) < len(history):
        left_out.append(f"{len(history) - len(turns)} earlier messages did not fit into the context.")
    return turns, kept, Ledger(context, answer_tokens, base, spent, tuple(sizes), tuple(left_out))


def _newest(history: Sequence[ChatMessage], counts: Sequence[int], room: int) -> tuple[list[ChatMessage], int]:
    """Whole exchanges (question and answer), as many of the newest as fit."""
    start, spent = len(history), 0
    while start >= 2:
        size = sum(counts[start - 2 : start]) + 2 * MARGIN
        if spent + size > room:
            break
        start, spent = start - 2, spent + size
    return list(history[start:]), spent


def block(number: int, passage: Passage) -> str:
    """A passage as the model sees it: number, where it is from, the header of its table, and its visible words."""
    heading = passage.heading.removeprefix(passage.document_title).removeprefix(" › ")  # often the same words
    place = " › ".join(part for part in (passage.document_title, heading) if part)
    page = f", page {passage.page}" if passage.page else ""
    words = "\n".join(part for part in (passage.context, passage.text) if part)
    return f"[{number}] ({visible(place)}{page})\n{visible(words).strip()}"


def blocks(passages: Sequence[Passage]) -> str:
    """All passages for the prompt; said plainly when there are none."""
    found = "\n\n".join(block(number, passage) for number, passage in enumerate(passages, 1))
    return found or "(no passages were found)"
