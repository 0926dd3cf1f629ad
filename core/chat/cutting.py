"""Passages are cut to the sentences that matter before a model reads them: every token of a prompt is waited for.

What is cut is never lost: a passage keeps its text, and `kept` says which parts of it the model was shown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.chat.sentences import units
from core.chat.words import overlap, words
from core.types import Passage
from core.words import tongue

Spans = tuple[tuple[int, int], ...]
CountMany = Callable[[Sequence[str]], list[int]]

GAP = " … "
LONGEST = 500  # characters of a sentence; what is longer is cut in pieces
HEAD_TOKENS = 14  # what number, title and heading of one more passage cost, about
NEIGHBOUR = 0.25  # share of its worth that a sentence lends the next: answers often stand beside the words asked for
FIRST = 0.35  # worth of standing in the first passage, falling with the rank: the search knows more than words do
LIKE = 0.7  # worth of another form of a word
KIND = 0.3  # worth of holding what the question asks for: a number, a name
LEANS = re.compile(
    r"^(?:it|its|he|his|she|her|they|their|these|this|those|that|such|however|but|also)\b", re.IGNORECASE
)
ASKS_NUMBER = re.compile(
    r"\b(?:when|how (?:many|much|long|old|far|high|large|big|tall|often|fast)|what (?:year|date|percent\w*|number)|"
    r"wann|wie ?viele?|combien|quand|cuánt\w+|cuándo)\b",
    re.IGNORECASE,
)
ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where|which|wer|wen|wo|qui|où|quién|dónde)\b", re.IGNORECASE)
NUMBER = re.compile(
    r"\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million|half|third|quarter)\b"
)
NAME = re.compile(r"(?<=[\w,;] )[A-Z]\w+")
HEADING = re.compile(r"#{1,6} (.*)")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, row or heading of a passage, by offsets into the passage's text."""

    passage: int
    start: int
    end: int
    worth: float
    heading: bool
    told: bool = False  # it stands above the passage in the prompt anyway


def cut(passages: Sequence[Passage], query: str, *, tokens: int, count: CountMany) -> list[Passage]:
    """The passages with what is shown of them in `kept`, all together about `tokens` tokens; best first as they came.

    A passage of which nothing is worth showing is left out. 0 tokens mean: cut nothing.
    """
    if not tokens or not passages:
        return list(passages)
    found = _units(passages, query)
    costs = count([passages[unit.passage].text[unit.start : unit.end] for unit in found])
    if sum(costs) + HEAD_TOKENS * len(passages) <= tokens:
        return list(passages)
    chosen = _choose(found, costs, tokens, passages)
    cuts = ((place, passage, _kept(passage, [found[n] for n in chosen if found[n].passage == place]))
            for place, passage in enumerate(passages))  # fmt: skip
    return [replace(passage, kept=kept) for _, passage, kept in cuts if kept]


def shown(passage: Passage) -> str:
    """What a model is shown of a passage; an ellipsis stands for what is left out."""
    if not passage.kept:
        return passage.text
    pieces = [passage.text[start - passage.start : end - passage.start] for start, end in passage.kept]
    before = "… " if passage.kept[0][0] > passage.start else ""
    return before + GAP.join(pieces)


def titles(passage: Passage) -> tuple[str, ...]:
    """What stands above a passage where it is shown: the title of its document and the headings over it."""
    return (passage.document_title, *passage.heading.split(" › "))


def parts(passage: Passage) -> list[tuple[int, int]]:
    """The parts of `passage.text` that a model was shown, as offsets into it."""
    if not passage.kept:
        return [(0, len(passage.text))]
    return [(start - passage.start, end - passage.start) for start, end in passage.kept]


def _units(passages: Sequence[Passage], query: str) -> list[_Unit]:
    spans = [
        (place, start, end)
        for place, passage in enumerate(passages)
        for unit in units(passage.text)
        for start, end in _pieces(passage.text, *unit)
        if _may_be_shown(passage, start, end)
    ]
    texts = [passages[place].text[start:end] for place, start, end in spans]
    language = tongue(passages[0].text)
    held = [words(text, language) for text in texts]
    asked = _weights(words(query, language), held)
    total = sum(asked.values()) or 1.0
    bare = [overlap(asked, unit, form=LIKE) / total for unit in held]
    kind = _kind(query)
    worths = []
    for n, (place, start, end) in enumerate(spans):
        beside = [bare[m] for m in (n - 1, n + 1) if 0 <= m < len(spans) and spans[m][0] == place]
        worth = bare[n] + NEIGHBOUR * max(beside, default=0.0) + FIRST / (place + 1)
        worth += KIND * bool(kind and _news(kind, texts[n], query))
        heading = HEADING.fullmatch(texts[n])
        told = heading is not None and heading[1] in titles(passages[place])
        worths.append(_Unit(place, start, end, worth, bool(heading), told))
    return worths


def _kind(query: str) -> re.Pattern[str] | None:
    """What an answer looks like: a number, a name; None where the question does not say."""
    if ASKS_NUMBER.search(query):
        return NUMBER
    return NAME if ASKS_NAME.search(query) else None


def _news(kind: re.Pattern[str], text: str, query: str) -> bool:
    """Whether the text has one that is not in the question already."""
    return any(found[0] not in query for found in kind.finditer(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence, or pieces of what is none for a reader: a log, a list of words, a text without full stops."""
    while end - start > LONGEST:
        blank = max(text.rfind(" ", start + LONGEST // 2, start + LONGEST), text.rfind("\n", start, start + LONGEST))
        stop = blank if blank > start else start + LONGEST
        yield start, stop
        start = stop + 1 if blank > start else stop
    if text[start:end].strip():
        yield start, end


def _may_be_shown(passage: Passage, start: int, end: int) -> bool:
    """Whether what is kept of the passage already holds this unit."""
    first, last = passage.start + start, passage.start + end
    return not passage.kept or any(low <= first and last <= high for low, high in passage.kept)


def _weights(asked: dict[str, float], held: Sequence[dict[str, float]]) -> dict[str, float]:
    """The words of the question; one that stands in nearly every sentence tells nothing."""
    spread = Counter(word for unit in held for word in unit if word in asked)
    return {word: weight * math.log(1 + len(held) / (1 + spread[word])) for word, weight in asked.items()}


def _choose(found: Sequence[_Unit], costs: Sequence[int], tokens: int, passages: Sequence[Passage]) -> set[int]:
    """The units to show: by their worth as long as they fit, each with the one before it that it leans on.

    A heading alone tells nothing; it comes with what stands under it.
    """
    chosen: set[int] = set()
    opened: set[int] = set()
    room = tokens
    able = [n for n, unit in enumerate(found) if not unit.heading] or range(len(found))
    for n in sorted(able, key=lambda n: -found[n].worth):
        wanted = [n, *_leaned_on(n, found, passages)]
        price = sum(costs[m] for m in wanted if m not in chosen)
        price += HEAD_TOKENS if found[n].passage not in opened else 0
        if price <= room or not chosen:
            chosen.update(wanted)
            opened.add(found[n].passage)
            room -= price
    return chosen


def _leaned_on(n: int, found: Sequence[_Unit], passages: Sequence[Passage]) -> list[int]:
    """`It was sold in 1990.` says nothing without the sentence before; a heading says what is spoken of."""
    unit = found[n]
    if not n or found[n - 1].passage != unit.passage:
        return []
    text = passages[unit.passage].text[unit.start : unit.end]
    before = found[n - 1]
    return [n - 1] if not before.told and (before.heading or LEANS.search(text)) else []


def _kept(passage: Passage, chosen: Sequence[_Unit]) -> Spans:
    """The chosen units as offsets into the document, joined where nothing but blanks is between them."""
    joined: list[tuple[int, int]] = []
    for unit in sorted(chosen, key=lambda unit: unit.start):
        if joined and not passage.text[joined[-1][1] : unit.start].strip():
            joined[-1] = (joined[-1][0], unit.end)
        else:
            joined.append((unit.start, unit.end))
    return tuple((passage.start + start, passage.start + end) for start, end in joined)
