"""Place every claim of an answer on words of a passage: markers are checked, added, or removed. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from core.chat.cutting import parts, titles
from core.chat.phrases import abstains
from core.chat.sentences import sentences, units
from core.chat.words import support, words
from core.types import Citation, Claim, Passage, Verdict
from core.words import tongue

__all__ = ["MARKER", "Checked", "abstains", "check", "nearest", "sentences", "unmarked"]

MARKER = re.compile(r"\s*[\[【]\s*(?:passages?\s*)?([1-9]\d?(?:\s*[,;&]\s*[1-9]\d?)*)\s*[\]】]", re.IGNORECASE)
PUNCTUATION = re.compile(r"[\s.!?…。！？:;,]*$")
# What is in backticks is quoted as it stands: sys.argv[1] is no marker. Its brackets are other signs while we look.
FENCED = re.compile(r"^[ \t]*```.*?(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
CODE = re.compile(rf"{FENCED.pattern}|`[^`\n]+`", re.DOTALL | re.MULTILINE)
HIDDEN, SHOWN = str.maketrans("[]【】", "\ue000\ue001\ue002\ue003"), str.maketrans("\ue000\ue001\ue002\ue003", "[]【】")
NEGATES = re.compile(
    r"\b(?:no|not|none|never|nor|neither|without|nicht|kein\w*|ohne|non|pas|aucune?|sans|sin|nu|fără|не|нет|без|δεν|"
    r"χωρίς|không|değil|yok\w*|\w+m[ae]z|\w+m[ae]mi[sş]\w*|\w+m[iıuü]yor\w*|لا|لم|لن|ليس)\b|n['’]t\b|"
    r"[没沒不未无無]|नहीं|बिना|ไม่",
    re.IGNORECASE,
)

SUPPORTED = 0.5  # share of a claim's words that a quote must hold to be cited without the model having said so
WEAK = 0.3  # what holds less than this bears nothing
BETTER = 0.3  # how much more another passage must hold before the model's own marker is replaced
ASKED = 0.3  # worth of the question's words in a quote, beside those of the claim
TELLING = 4  # words of its own (function words do not count) that a sentence needs to be offered as what stands nearest


@dataclass(frozen=True, slots=True)
class Quote:
    """The words of a passage that a claim rests on; offsets count from the start of the passage.

    `support` is the share of the claim's words that they hold, `news` the share of those that are not in the question.
    """

    passage: int
    start: int
    end: int
    support: float
    news: float


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer with checked markers, a citation for each of them, and its claims in their order."""

    text: str
    citations: tuple[Citation, ...]
    claims: tuple[Claim, ...]

    @property
    def unsupported(self) -> bool:
        """Whether it claims something, and nothing of it is borne by words of the passages."""
        return bool(self.claims) and all(claim.verdict is Verdict.unsupported for claim in self.claims)

    @property
    def abstains(self) -> bool:
        """Whether it says that the documents do not hold it, in words that the documents do not have themselves."""
        rest, position = [], 0
        for claim in self.claims:
            rest.append(self.text[position : claim.start])
            position = claim.end
        return any(map(abstains, [*rest, self.text[position:]]))


@dataclass(frozen=True, slots=True)
class _Claim:
    """The content words of a sentence of the answer; `news` are those that the question did not have.

    `silent` says that the sentence reads like an abstention: then only a passage that negates something bears it.
    """

    words: dict[str, float]
    news: dict[str, float]
    silent: bool = False

    @classmethod
    def of(cls, sentence: str, asked: Mapping[str, float], language: str) -> _Claim:
        bare = MARKER.sub("", sentence)
        silent = abstains(bare)
        said = words(NEGATES.sub(" ", bare) if silent else bare, language)
        news = {word: weight for word, weight in said.items() if word not in asked}
        return cls(said, news or said, silent)


def check(answer: str, passages: Sequence[Passage], question: str) -> Checked:
    """Place every sentence of the answer on the words that the model was shown of the passages."""
    language = _language(passages)
    asked = words(question, language)
    windows = [_searched(passage, language) for passage in passages]
    fences = [found.span() for found in FENCED.finditer(answer)]
    answer = CODE.sub(lambda found: found[0].translate(HIDDEN), answer)
    pieces: list[str] = []
    claims: list[Claim] = []
    citations: dict[tuple[int, int, int], Citation] = {}
    position = length = 0
    for start, end in sentences(answer):
        if any(first < end and start < last for first, last in fences):
            continue  # code says what it says; nothing is added to it
        sentence = answer[start:end]
        claim = _Claim.of(sentence, asked, language)
        quotes = _quotes(sentence, claim, asked, windows)
        marked = _mark(sentence, [quote.passage for quote in quotes])
        pieces += [answer[position:start], marked]
        length += start - position
        if claim.words and (quotes or not claim.silent):
            claims.append(_judged(quotes, length, length + len(marked)))
        length += len(marked)
        for quote in quotes:
            citation = _citation(quote, passages[quote.passage - 1])
            citations.setdefault((citation.number, citation.start, citation.end), citation)
        position = end
    pieces.append(answer[position:])
    found = tuple(sorted(citations.values(), key=lambda citation: citation.number))
    return Checked("".join(pieces).translate(SHOWN), found, tuple(claims))


def nearest(question: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Of each passage the sentence that has most of the question's words, as a citation; in the passages' order.

    Where a passage has others, neither a title nor one of a few words: in a passage that holds no word of the question,
    the best of all would be the shortest, which is a heading.
    """
    language = _language(passages)
    asked = words(question, language)
    found = []
    for n, passage in enumerate(passages, 1):
        windows = _searched(passage, language)
        above = titles(passage)
        telling = [w for w in windows if len(w.held) >= TELLING and w.text.strip("#* \n") not in above]
        found.append(_best(n, _Claim(asked, asked), asked, telling or windows))
    return tuple(_citation(quote, passages[quote.passage - 1]) for quote in found if quote.end > quote.start)


def unmarked(text: str) -> str:
    """A text without its markers; what is in backticks stays as it is."""
    hidden = CODE.sub(lambda found: found[0].translate(HIDDEN), text)
    return MARKER.sub("", hidden).translate(SHOWN)


def _judged(quotes: Sequence[Quote], start: int, end: int) -> Claim:
    held = max((quote.support for quote in quotes), default=0.0)
    news = max((quote.news for quote in quotes), default=0.0)
    verdict = Verdict.unsupported
    if held >= SUPPORTED and news >= SUPPORTED:
        verdict = Verdict.supported
    elif held >= WEAK and news > 0:
        verdict = Verdict.weak
    return Claim(start, end, verdict, round(held, 3), tuple(dict.fromkeys(quote.passage for quote in quotes)))


@dataclass(frozen=True, slots=True)
class _Window:
    """What can be quoted of a passage, by its offsets, with its words."""

    start: int
    end: int
    text: str
    held: dict[str, float]


Windows = Sequence[_Window]


def _quotes(sentence: str, claim: _Claim, asked: Mapping[str, float], windows: Sequence[Windows]) -> list[Quote]:
    marked = [n for n in _numbers(sentence) if 1 <= n <= len(windows)]
    if not (claim.words or marked):
        return []
    if claim.silent:
        windows = [[window for window in found if NEGATES.search(window.text)] for found in windows]
    best = {n: _best(n, claim, asked, found) for n, found in enumerate(windows, 1) if found}
    if claim.silent:
        best = {n: quote for n, quote in best.items() if min(quote.support, quote.news) >= SUPPORTED}
    if not best:
        return []
    strongest = max(best.values(), key=_worth)
    kept = [best[n] for n in dict.fromkeys(marked) if n in best]
    if kept and _worth(strongest) - max(map(_worth, kept)) > BETTER and strongest.support >= SUPPORTED:
        return [strongest]
    if kept:
        return kept
    return [strongest] if strongest.support >= SUPPORTED else []


def _worth(quote: Quote) -> float:
    return (quote.support + quote.news) / 2


def _best(number: int, claim: _Claim, asked: Mapping[str, float], windows: Windows) -> Quote:
    """The sentence of a passage (or two in a row) that holds most of the claim; the question breaks ties."""
    best, best_score = Quote(number, 0, 0, 0.0, 0.0), -1.0
    for window in windows:
        held = support(claim.words, window.held, form=1.0)
        quote = Quote(number, window.start, window.end, held, support(claim.news, window.held, form=1.0))
        asking = support(asked, window.held)
        score = (_worth(quote) if claim.words else asking) + ASKED * asking - 0.0002 * (window.end - window.start)
        if score > best_score:
            best, best_score = quote, score
    return replace(best, support=round(best.support, 3), news=round(best.news, 3))


def _language(passages: Sequence[Passage]) -> str:
    """In whose forms words are compared: that of what is quoted."""
    return tongue(passages[0].text) if passages else ""


def _searched(passage: Passage, language: str) -> Windows:
    texts = ((start, end, passage.text[start:end]) for start, end in _windows(passage))
    return [_Window(start, end, text, words(text, language)) for start, end, text in texts]


def _windows(passage: Passage) -> Iterator[tuple[int, int]]:
    """What can be quoted of what was shown of a passage: its sentences, and two in a row."""
    for start, end in parts(passage):
        found = [(start + first, start + last) for first, last in units(passage.text[start:end])]
        yield from found
        for (first, _), (_, last) in pairwise(found):
            yield first, last


def _mark(sentence: str, numbers: Sequence[int]) -> str:
    leading = MARKER.match(sentence)  # small models begin with the marker; readers expect it behind what it is for
    same = list(dict.fromkeys(_numbers(sentence))) == list(numbers)
    if same and not leading and not re.search(r"[【】]", sentence):
        return sentence
    bare = MARKER.sub("", sentence).lstrip() if leading else MARKER.sub("", sentence)
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
