"""From a text to the terms that are searched: words without endings, pairs of letters where no blanks stand."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from core.words.stems import stem

if TYPE_CHECKING:
    import regex

LONGEST_TERM = 64  # letters
PAIRED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー"
CLUSTERED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
DOTTED = ("tr", "az")  # languages with two letters i
_DOTTED = str.maketrans({"İ": "i", "I": "ı"})
# Latin letters but İ, digits and signs: where a text has nothing else, Python's own patterns find the same words in a
# third of the time.
_PLAIN = re.compile("[\x00-\u012f\u0131-\u02ff\u2000-\u206f\u20a0-\u20bf\u2190-\u22ff\u2500-\u25ff]*")
_POSSESSIVE = re.compile(r"(?<=[^\W\d_])['’][sS](?![^\W\d_])")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or a run without blanks, as it stands in the text (in lower case), and its terms in order.

    `written` is the same with its capitals; it begins at the offset `start` of the text in the form NFKC.
    """

    text: str
    terms: tuple[str, ...]
    spaced: bool = True
    written: str = ""
    start: int = 0


def terms(text: str, language: str) -> list[str]:
    """Terms of a text in a language (ISO 639-1, "" where it is not known), in the order of the text."""
    plain = unicodedata.normalize("NFKC", text)
    if language not in DOTTED and _PLAIN.fullmatch(plain):
        return [stem(word[:LONGEST_TERM], language) for word in _WORD.findall(_POSSESSIVE.sub(" ", plain).lower())]
    return [term for piece in pieces(text, language) for term in piece.terms]


def pieces(text: str, language: str) -> Iterator[Piece]:
    """The words of a text, one after the other."""
    dotted = language in DOTTED
    for match in _pattern().finditer(unicodedata.normalize("NFKC", text)):
        written, start = match[0], match.start()
        run = (written.translate(_DOTTED) if dotted else written).lower()
        if match.lastgroup == "possessive":
            continue
        if match.lastgroup == "paired":
            yield Piece(run, tuple(_pairs(list(run))), False, written, start)
        elif match.lastgroup == "clustered":
            yield Piece(run, tuple(_pairs(_clusters(run))), False, written, start)
        else:
            yield Piece(run, (stem(run[:LONGEST_TERM], language),), True, written, start)


def _pairs(letters: list[str]) -> list[str]:
    if len(letters) == 1:
        return letters
    return [first + second for first, second in itertools.pairwise(letters)]


def _clusters(run: str) -> list[str]:
    import regex

    found: list[str] = regex.findall(r"\X", run)
    return found


@cache
def _pattern() -> regex.Pattern[str]:
    import regex

    return regex.compile(
        rf"(?P<possessive>(?<=\p{{L}})['’][sS](?!\p{{L}}))|(?P<paired>[{PAIRED}]+)|(?P<clustered>[{CLUSTERED}\p{{M}}]+)"
        rf"|(?P<word>[[\p{{L}}\p{{M}}\p{{N}}]--[{PAIRED}{CLUSTERED}]]+)",
        regex.V1,
    )


def chunk_words(text: str, context: str, language: str) -> str:
    """The terms of a chunk as they are stored: those of the text first, in its order."""
    return " ".join(terms(f"{text}\n{context}" if context else text, language))


def head_words(heading: str, title: str, name: str, language: str) -> str:
    """The terms that stand over a chunk: headings, title and file name, none said twice."""
    found: list[str] = []
    for part in (title, name.rsplit(".", 1)[0], heading):
        added = terms(part, language)
        found += added if not set(added) <= set(found) else []
    return " ".join(found)
