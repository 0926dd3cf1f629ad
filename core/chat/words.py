"""The content words of a text in any script, with their weight: claims, quotations and questions share them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

WORD = re.compile(r"\d[\d.,]*\d|[^\W_]+", re.UNICODE)
# Scripts that put no blank between words: two neighbouring characters stand for a word.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Vowel signs and the like belong to the word before them: \w does not know them, and would cut it in pieces.
MARKS = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e]")
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been but by can could did do does for from had has have he her his how i in into is it
        its of on or our she should so such than that the their them then there these they this those to was we were
        what when where which who whom whose why will with would you your according passage passages document
        documents also
        der die das dem den des ein eine einer eines einem einen und oder ist sind war mit von zu für auf
        wie wer wann wo
        le la les un une du de des et est sont dans pour que qui quel quelle où quand
        el los las una en por para como cuál quién cuándo dónde es son fue il lo gli di che""",
    )
)
NUMBER, NAME, PLAIN = 3.0, 2.0, 1.0


def words(text: str) -> dict[str, float]:
    """The content words of a text with their weight: numbers count three times, names twice."""
    found: dict[str, float] = {}
    for word, weight in _weighted(text):
        found[word] = max(found.get(word, 0.0), weight)
    return found


def support(claim: Mapping[str, float], quote: Mapping[str, float]) -> float:
    """The weighted share of the claim's words that the quote holds, from 0 to 1."""
    total = sum(claim.values())
    return sum(weight for word, weight in claim.items() if word in quote) / total if total else 0.0


def _weighted(text: str) -> Iterator[tuple[str, float]]:
    bare = MARKS.sub("", text)
    for match in WORD.finditer(bare):
        word = match[0]
        if word[0].isdigit():
            yield word.replace(",", ""), NUMBER
        elif UNSPACED.search(word):
            yield from ((word[i : i + 2], PLAIN) for i in range(max(1, len(word) - 1)))
        elif word.lower() not in STOPWORDS:
            name = word[0].isupper() and match.start() > 0
            yield stem(word.casefold()), NAME if name else PLAIN


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without its commonest English ending; enough to find `peaked` for `peak`."""
    for ending in ("ies", "ing", "ed", "es", "s", "'s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
