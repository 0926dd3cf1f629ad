"""Place every claim of an answer on words of a passage: markers are checked, added, or removed. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.types import Citation, Passage

MARKER = re.compile(r"\s*[\[【]\s*(?:passages?\s*)?(\d{1,2}(?:\s*[,;&]\s*\d{1,2})*)\s*[\]】]", re.IGNORECASE)
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s*\[[\d,; ]+\])*(?=\s|$)|[。！？]+|\n+")
# What a full stop ends without ending a sentence: an abbreviation, an initial, the number of a list's item.
ABBREVIATION = re.compile(
    r"(?:^\s*\d{1,3}|\b[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|St|No|Nr|vs|etc|Inc|Ltd|Jr|Sr|Prof|approx|Fig|Art))\.$"
)
WORD = re.compile(r"\d[\d.,]*\d|[^\W_]+", re.UNICODE)
UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
PUNCTUATION = re.compile(r"[\s.!?…。！？:;,]*$")
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been but by can did do does for from had has have he her his how i in into is it its of
        on or our she so such than that the their them then there these they this those to was we were what when where
        which who whom whose why will with would you your according passage passages document documents also""",
    )
)
ABSTAINS = re.compile(
    r"\b(?:could not|couldn.t|cannot|can.t|did not|didn.t|do not|does not|doesn.t|unable to|not)\s+"
    r"(?:find|found|mentioned|provided|specified|stated|contain|hold|say|mention|provide|specify)",
    re.IGNORECASE,
)

# A line of a page that goes on in the next one: long, not ended, and not followed by a list, a table or a blank line.
FULL_LINE = 45
TERMINAL = re.compile(r"[.!?…:;|。！？]$")
CONTINUES = re.compile(r"[ \t]*\n[ \t]*(?![-*•|#\n]|\d{1,3}[.)]\s)\S")

TABLE_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)

SUPPORTED = 0.5  # share of a claim's words that a quote must hold to be cited without the model having said so
BETTER = 0.3  # how much more another passage must hold before the model's own marker is replaced


@dataclass(frozen=True, slots=True)
class Quote:
    """The words of a passage that a claim rests on; offsets count from the start of the passage."""

    passage: int
    start: int
    end: int
    support: float


def cite(answer: str, passages: Sequence[Passage], question: str) -> tuple[str, tuple[Citation, ...]]:
    """The answer with checked markers, and a citation for each of them; `passages[n - 1]` is what [n] means."""
    pieces: list[str] = []
    citations: dict[tuple[int, int, int], Citation] = {}
    windows = [list(_windows(passage.text)) for passage in passages]
    position = 0
    for start, end in sentences(answer):
        pieces.append(answer[position:start])
        sentence = answer[start:end]
        quotes = _quotes(sentence, question, passages, windows)
        pieces.append(_mark(sentence, [quote.passage for quote in quotes]))
        for quote in quotes:
            citation = _citation(quote, passages[quote.passage - 1])
            citations.setdefault((citation.number, citation.start, citation.end), citation)
        position = end
    pieces.append(answer[position:])
    return "".join(pieces), tuple(sorted(citations.values(), key=lambda c: c.number))


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of the sentences of a text, markers behind their full stop included."""
    start = 0
    for found in SENTENCE_END.finditer(text):
        piece = text[start : found.end()]
        if found[0].startswith(".") and ABBREVIATION.search(text[start : found.start() + 1]):
            continue
        if piece.strip():
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        start = found.end()
    rest = text[start:]
    if rest.strip():
        yield start + len(rest) - len(rest.lstrip()), start + len(rest.rstrip())


def abstains(text: str) -> bool:
    """Whether the answer says that the documents do not hold it."""
    return bool(ABSTAINS.search(text))


def words(text: str) -> dict[str, float]:
    """The content words of a text with their weight: numbers count three times, names twice."""
    found: dict[str, float] = {}
    for match in WORD.finditer(text):
        word = match[0]
        if word[0].isdigit():
            found[word.replace(",", "")] = 3.0
        elif UNSPACED.search(word):
            found.update({word[i : i + 2]: 1.0 for i in range(max(1, len(word) - 1))})
        elif word.lower() not in STOPWORDS:
            name = word[0].isupper() and match.start() > 0
            stem = _stem(word.casefold())
            found[stem] = max(found.get(stem, 0.0), 2.0 if name else 1.0)
    return found


def support(claim: dict[str, float], quote: dict[str, float]) -> float:
    """The weighted share of the claim's words that the quote holds, from 0 to 1."""
    total = sum(claim.values())
    return sum(weight for word, weight in claim.items() if word in quote) / total if total else 0.0


def _quotes(
    sentence: str, question: str, passages: Sequence[Passage], windows: Sequence[list[tuple[int, int]]]
) -> list[Quote]:
    marked = [n for n in _numbers(sentence) if 1 <= n <= len(passages)]
    claim = words(MARKER.sub("", sentence))
    if abstains(sentence) or not (claim or marked):
        return []
    asked = words(question)
    best = [_best(n, claim, asked, passages[n - 1].text, windows[n - 1]) for n in range(1, len(passages) + 1)]
    if not best:
        return []
    strongest = max(best, key=lambda quote: quote.support)
    kept = [best[n - 1] for n in dict.fromkeys(marked)]
    if kept and strongest.support - max(quote.support for quote in kept) > BETTER and strongest.support >= SUPPORTED:
        return [strongest]
    if kept:
        return kept
    return [strongest] if strongest.support >= SUPPORTED else []


def _best(
    number: int, claim: dict[str, float], asked: dict[str, float], text: str, windows: Sequence[tuple[int, int]]
) -> Quote:
    """The sentence of a passage (or two in a row) that holds most of the claim; the question breaks ties."""
    best, best_score = Quote(number, 0, len(text), 0.0), -1.0
    for start, end in windows:
        held = words(text[start:end])
        share = support(claim, held) if claim else support(asked, held)
        score = share + 0.3 * support(asked, held) - 0.0002 * (end - start)
        if score > best_score:
            best, best_score = Quote(number, start, end, round(share, 3)), score
    return best


def _windows(text: str) -> Iterator[tuple[int, int]]:
    found = list(_units(text))
    yield from found
    for (start, _), (_, end) in pairwise(found):
        yield start, end


def _units(text: str) -> Iterator[tuple[int, int]]:
    """What can be quoted of a passage: its sentences, and the rows of its tables as they are."""
    position = 0
    for row in TABLE_ROW.finditer(text):
        yield from ((position + start, position + end) for start, end in _unwrapped(text[position : row.start()]))
        yield row.span()
        position = row.end()
    yield from ((position + start, position + end) for start, end in _unwrapped(text[position:]))


def _unwrapped(text: str) -> Iterator[tuple[int, int]]:
    """The sentences of a text, put together again where only the width of its page broke the line."""
    start: int | None = None
    for begin, end in sentences(text):
        start = begin if start is None else start
        line = text[text.rfind("\n", 0, end) + 1 : end]
        wrapped = len(line) >= FULL_LINE and not TERMINAL.search(line) and CONTINUES.match(text, end)
        if not wrapped:
            yield start, end
            start = None
    if start is not None:
        yield start, len(text.rstrip())


def _mark(sentence: str, numbers: Sequence[int]) -> str:
    if list(dict.fromkeys(_numbers(sentence))) == list(numbers) and not re.search(r"[【】]", sentence):
        return sentence
    bare = MARKER.sub("", sentence)
    tail = PUNCTUATION.search(bare)
    cut = tail.start() if tail else len(bare)
    markers = "".join(f"[{number}]" for number in numbers)
    return f"{bare[:cut]} {markers}{bare[cut:]}" if markers else bare


def _numbers(sentence: str) -> list[int]:
    return [int(number) for found in MARKER.finditer(sentence) for number in re.findall(r"\d+", found[1])]


def _citation(quote: Quote, passage: Passage) -> Citation:
    return Citation(
        number=quote.passage, document_id=passage.document_id, document_title=passage.document_title,
        page=passage.page, heading=passage.heading, quote=passage.text[quote.start : quote.end],
        start=passage.start + quote.start, end=passage.start + quote.end, support=quote.support,
    )  # fmt: skip


def _stem(word: str) -> str:
    for ending in ("ies", "ing", "ed", "es", "s", "'s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
