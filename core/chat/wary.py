"""Sentences of documents that talk to the model are kept from it: the page shows them, no prompt holds them.

Two kinds: those that look like instructions to a model, whatever is asked; and questions and tasks that have nothing
to do with what is asked, because a small model answers any question that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.chat.words import words
from core.guard import data
from core.instructions import asks, sentences, suspicions, without
from core.types import Passage
from core.words import tongue

Parts = tuple[tuple[int, int], ...]


def wary(passages: Sequence[Passage], query: str) -> list[Passage]:
    """The passages with such sentences outside of what is `kept`; one that holds nothing else is not among them.

    A passage of which it is settled what the model was shown stays as it is.
    """
    found = []
    for passage in passages:
        parts = () if passage.kept else between(passage.text, distrusted(passage.text, query))
        if passage.kept or parts == ((0, len(passage.text)),):
            found.append(passage)
        elif parts:
            kept = tuple((passage.start + start, passage.start + end) for start, end in parts)
            found.append(replace(passage, kept=kept))
    return found


def withheld(passage: Passage, query: str) -> Parts:
    """Such sentences of a passage that the model was not shown, as offsets into the document's text."""
    spans = ((passage.start + start, passage.start + end) for start, end in distrusted(passage.text, query))
    return tuple(
        (start, end) for start, end in spans if not any(start < last and end > first for first, last in passage.kept)
    )


def distrusted(text: str, query: str) -> Parts:
    """The stretches of a text that no model should read when it is asked this, in their order, by their offsets."""
    stretches = [*((span.start, span.end) for span in suspicions(text)), *_strays(text, query)]
    joined: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if joined and (start <= joined[-1][1] or not text[joined[-1][1] : start].strip()):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def safe(text: str) -> str:
    """Words around a passage (its title, headings, the header of its table) as a prompt may hold them."""
    return data(without(text, suspicions(text)))


def _strays(text: str, query: str) -> Iterator[tuple[int, int]]:
    """Questions and tasks that share no word with the query; of another language than the query's nothing is known."""
    language, passage = tongue(query), tongue(text)
    wanted = set(words(query, language))
    for first, last in sentences(text):
        spans = [(first, last), *_lines(text, first, last)]
        for start, end in spans:
            if not asks(text[start:end]) or wanted & set(words(text[start:end], language)):
                continue
            # Whoever writes most of a passage in another language does not hide a task in ours by it.
            if language in ("", passage) or language == tongue(text[start:end]):
                yield start, end
                break


def _lines(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The lines of a sentence that has several: what looks like one may be a task below a line without an end."""
    start = first
    while (end := text.find("\n", start, last)) >= 0:
        yield start, end
        start = end + 1
    if start > first:
        yield start, last


def between(text: str, stretches: Parts) -> Parts:
    """The parts of a text between these stretches; all of it where there are none."""
    parts, position = [], 0
    for start, end in (*stretches, (len(text), len(text))):
        if text[position:start].strip():
            parts.append((position, start))
        position = end
    return tuple(parts)
