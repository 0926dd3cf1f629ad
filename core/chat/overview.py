"""A summary of a whole document: notes on every part of it, then a text from the notes whose claims are cited."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from langchain_core.runnables import RunnableConfig

from core.chat.citations import check
from core.chat.context import MARGIN, Composed, Limits, Said, TokenCounter, compose
from core.chat.cutting import shown
from core.chat.ledger import Cut, cut_instructions, in_words
from core.chat.outline import Outline, Titled
from core.chat.request import AnswerRequest
from core.chat.speaking import Speaker, raise_if
from core.chat.wary import between
from core.guard import data
from core.instructions import suspicions
from core.prompts import render
from core.types import Cited, Event, Passage, Retrieved, Summarising, Way

MOST_PARTS = 30  # that are read: each takes up to half a minute on two cores
PART_TOKENS = 1_500  # that are read at once: fifteen seconds on two cores
FILLED = 0.8  # of the room for a part: how many tokens its characters are is only told by samples
SAMPLES, SAMPLE = 8, 500  # places of a document, characters
TOO_LONG = "The end of this part did not fit into the context."
NOTE_TOKENS = 80
NOTE_ROOM = 40  # tokens of a note's place and number in the prompt


def summarise(
    speaker: Speaker, request: AnswerRequest, outline: Outline, document: Titled, counter: TokenCounter,
    config: RunnableConfig | None,
) -> Generator[Event, None, Cited]:  # fmt: skip
    """Read the document part by part, telling how far it is, then write the summary. Raises what a model can raise."""
    room = _room(request, counter)
    tokens = min(PART_TOKENS, int(FILLED * room))
    parts = outline.parts(document, request.scope, partial(_characters, counter, tokens))
    chosen = _spread(parts, min(MOST_PARTS, _most_notes(counter, request.options.max_tokens)))
    readable, cuts = _readable(chosen, counter, room)
    cuts = (*left_out(parts, chosen), *cuts)
    notes = yield from _notes(speaker, request, document, readable, config)
    composed = _composed(request, readable, notes, cuts, counter)
    request.trace.ledger = composed.ledger.as_dict()
    # A note that is empty, or does not fit, is not in the prompt, and the numbers count those that are.
    numbered = {(noted.start, noted.end) for noted in composed.passages}
    read = [part for part in readable if (part.start, part.end) in numbered]
    yield Retrieved(tuple(read), composed.ledger.left_out)
    spoken = yield from speaker.aloud(request, composed.messages, config)
    with request.trace.span("cite"):
        checked = check(spoken.text, read, request.question)
    text = checked.text
    if len(read) < len(parts):
        text += f"\n\n({len(read)} of {len(parts)} parts of the document were read for this.)"
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
            values = {"section": data(shown(part)), "question": request.question}
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


def _room(request: AnswerRequest, counter: TokenCounter) -> int:
    """Tokens that one part may have."""
    frame = render(request.prompts["section"], {"section": "", "question": request.question})
    return max(1, counter.context_tokens() - counter.count_messages(frame) - NOTE_TOKENS - MARGIN)


def _characters(counter: TokenCounter, tokens: int, text: str) -> int:
    """How many characters of a text make so many tokens: four times as many in English as in Chinese."""
    step = max(SAMPLE, len(text) // SAMPLES)
    samples = [text[start : start + SAMPLE] for start in range(0, len(text), step)]
    counted = sum(counter.count(samples)) if samples else 0
    return max(1, int(tokens * sum(map(len, samples)) / counted)) if counted else tokens


def _readable(parts: Sequence[Passage], counter: TokenCounter, room: int) -> tuple[list[Passage], tuple[Cut, ...]]:
    """The parts as a model may read them: as much as fits, and nothing in `kept` that talks to a model."""
    found: list[Passage] = []
    cuts: list[Cut] = []
    sizes = counter.count([part.text for part in parts])
    for part, tokens in zip(parts, sizes, strict=True):
        fitting = _fitting(part, tokens, counter, room)
        if fitting.end < part.end:
            lost = tokens - counter.count([fitting.text])[0]
            place = ((fitting.end, part.end),)
            cuts.append(Cut("section", TOO_LONG, lost, None, part.document_id, part.document_title, place))
        hidden = tuple((span.start, span.end) for span in suspicions(fitting.text))
        if hidden:
            spent = sum(counter.count([fitting.text[start:end] for start, end in hidden]))
            places = tuple((part.start + start, part.start + end) for start, end in hidden)
            cuts.append(cut_instructions(len(found) + 1, fitting, spent, places))
            rest = between(fitting.text, hidden)
            fitting = replace(fitting, kept=tuple((part.start + start, part.start + end) for start, end in rest))
        if fitting.kept or not hidden:
            found.append(fitting)
    return found, tuple(cuts)


def _fitting(part: Passage, tokens: int, counter: TokenCounter, room: int) -> Passage:
    """As much of the beginning of a part as fits."""
    text = part.text
    while tokens > room and len(text) > 1:
        text = text[: max(1, int(len(text) * FILLED * room / tokens))]
        tokens = counter.count([text])[0]
    return replace(part, text=text, end=part.start + len(text))


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
