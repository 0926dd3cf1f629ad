"""A summary of a whole document: notes on every part of it, then a text from the notes whose claims are cited."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import date

from langchain_core.runnables import RunnableConfig

from core.chat.citations import check
from core.chat.context import Composed, Limits, Said, TokenCounter, compose
from core.chat.ledger import Cut, in_words
from core.chat.outline import Outline, Titled
from core.chat.request import AnswerRequest
from core.chat.speaking import Speaker, raise_if
from core.chat.wary import safe
from core.prompts import render
from core.types import Cited, Event, Passage, Retrieved, Summarising, Way

MOST_PARTS = 30  # that are read: each takes up to half a minute on two cores
NOTE_TOKENS = 80
NOTE_ROOM = 40  # tokens of a note's place and number in the prompt


def summarise(
    speaker: Speaker, request: AnswerRequest, outline: Outline, document: Titled, counter: TokenCounter,
    config: RunnableConfig | None,
) -> Generator[Event, None, Cited]:  # fmt: skip
    """Read the document part by part, telling how far it is, then write the summary. Raises what a model can raise."""
    parts = outline.parts(document, request.scope)
    chosen = _spread(parts, min(MOST_PARTS, _most_notes(counter, request.options.max_tokens)))
    yield Retrieved(tuple(chosen), _words(left_out(parts, chosen)))
    notes = yield from _notes(speaker, request, document, chosen, config)
    composed = _composed(request, chosen, notes, left_out(parts, chosen), counter)
    request.trace.ledger = composed.ledger.as_dict()
    spoken = yield from speaker.aloud(request, composed.messages, config)
    with request.trace.span("cite"):
        checked = check(spoken.text, chosen, request.question)
    text = checked.text
    if len(chosen) < len(parts):
        text += f"\n\n({len(chosen)} of {len(parts)} parts of the document were read for this.)"
    return Cited(
        text, checked.citations, claims=checked.claims, unsupported=checked.unsupported, way=Way.summary
    )  # fmt: skip


def left_out(parts: Sequence[Passage], chosen: Sequence[Passage]) -> tuple[Cut, ...]:
    """What of a long document is not read."""
    read = {part.start for part in chosen}
    reason = f"This part was not read: a summary is made of at most {len(chosen)} parts, spread over the document."
    return tuple(
        Cut("section", reason, 0, None, part.document_id, part.document_title, ((part.start, part.end),))
        for part in parts
        if part.start not in read
    )


def _notes(
    speaker: Speaker, request: AnswerRequest, document: Titled, parts: Sequence[Passage], config: RunnableConfig | None
) -> Generator[Event, None, list[str]]:
    notes = []
    with request.trace.span("sections"):
        for done, part in enumerate(parts):
            raise_if(request.cancel)
            yield Summarising(done, len(parts), document.title)
            values = {"section": safe(part.text), "question": request.question}
            messages = render(request.prompts["section"], values)
            notes.append(speaker.quietly(request, messages, config, tokens=NOTE_TOKENS))
        yield Summarising(len(parts), len(parts), document.title)
    return notes


def _composed(
    request: AnswerRequest, parts: Sequence[Passage], notes: Sequence[str], cuts: tuple[Cut, ...], counter: TokenCounter
) -> Composed:
    """The prompt of the summary; in its ledger the passages are the notes."""
    noted = [replace(part, text=note, context="", kept=()) for part, note in zip(parts, notes, strict=True)]
    values = {"question": request.question, "today": date.today().isoformat()}
    limits = Limits(request.options.max_tokens)
    composed = compose(request.prompts["digest"], values, Said(), noted, counter=counter, limits=limits)
    ledger = composed.ledger
    all_cuts = (*ledger.cuts, *cuts)
    return replace(composed, ledger=replace(ledger, cuts=all_cuts, left_out=_words(all_cuts)))


def _spread(parts: Sequence[Passage], most: int) -> list[Passage]:
    """At most so many parts, evenly from the first to the last."""
    if len(parts) <= most:
        return list(parts)
    places = {round(n * (len(parts) - 1) / max(1, most - 1)) for n in range(most)}
    return [part for n, part in enumerate(parts) if n in places]


def _most_notes(counter: TokenCounter, answer: int) -> int:
    """As many notes as the prompt of the summary has room for."""
    fixed = 200
    return max(1, (counter.context_tokens() - answer - fixed) // (NOTE_TOKENS + NOTE_ROOM))


def _words(cuts: Sequence[Cut]) -> tuple[str, ...]:
    return tuple(in_words(cut) for cut in cuts)
