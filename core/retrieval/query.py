"""What a query asks for: words with their forms in the languages of the library, identifiers, phrases in quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.guard import visible
from core.words import fold, is_function_word, pieces

LONGEST_QUERY = 4000  # letters that are looked at
MOST_UNITS, MOST_PHRASES, MOST_FORMS = 64, 4, 4
LONGEST_PHRASE = 32  # terms

HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-"})  # as word processors write them in AB‑1203
QUOTED = re.compile(r"[\"“”„«»「『](.+?)[\"“”„«»」』]", re.DOTALL)
# A word with a digit, or parts joined by signs of which one has a digit: AB-1203, 3.5, x86_64, CVE-2024-1086.
IDENTIFIER = re.compile(r"(?<![^\W_])(?=[^\W_]*(?:[-_./:#][^\W_]+)*\d)[^\W_]+(?:[-_./:#][^\W_]+)*", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Unit:
    """One word of a query: any of its forms, which are terms of the index, will do."""

    text: str
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in quotes, or an identifier: as they stand, made flat, and as terms that follow one another."""

    text: str
    forms: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A query as the keyword index is asked; `languages` are those of the library, in whose forms its words are."""

    text: str
    languages: tuple[str, ...]
    units: tuple[Unit, ...]
    phrases: tuple[Phrase, ...] = ()
    identifiers: tuple[Phrase, ...] = ()


def understand(text: str, languages: Sequence[str] = ("en",)) -> Query:
    """The query, with the forms that its words have in these languages; whatever people type is no syntax."""
    text = _plain(text[:LONGEST_QUERY])
    units: dict[str, dict[str, None]] = {}
    told: set[str] = set()  # the words that are no function words
    shouted = text.isupper()
    for language in languages or ("",):
        for piece in pieces(text, language):
            word = fold(piece.text)  # one word in all languages, whatever small letters they have for "IBM"
            for term in piece.terms:
                unit = word if piece.spaced else term
                units.setdefault(unit, {})[term] = None
                if not is_function_word(piece, shouted=shouted):
                    told.add(unit)
    telling = {unit: forms for unit, forms in units.items() if unit in told} or units
    quoted = [found[1] for found in QUOTED.finditer(text)][:MOST_PHRASES]
    named = list(dict.fromkeys(found[0] for found in IDENTIFIER.finditer(text)))[:MOST_PHRASES]
    return Query(
        text,
        tuple(languages),
        tuple(Unit(word, tuple(forms)[:MOST_FORMS]) for word, forms in telling.items())[:MOST_UNITS],
        tuple(phrase for words in quoted if (phrase := _phrase(words, languages)) is not None),
        tuple(phrase for words in named if (phrase := _phrase(words, languages)) is not None),
    )


def _phrase(words: str, languages: Sequence[str]) -> Phrase | None:
    forms = {
        tuple(term for piece in pieces(words, language) for term in piece.terms)[:LONGEST_PHRASE]: None
        for language in languages or ("",)
    }
    return Phrase(flat(words), tuple(form for form in forms if form)[:MOST_FORMS]) if any(forms) else None


def any_of(phrases: Iterable[Sequence[str]]) -> str:
    """An expression of FTS5: any of these, each a run of terms of the index; "" for none."""
    return " OR ".join(f'"{" ".join(terms)}"' for terms in dict.fromkeys(map(tuple, phrases)) if terms)


def flat(text: str) -> str:
    """A text for looking for words as they stand: without accents, in lower case, with single blanks."""
    return " ".join(fold(_plain(text).lower()).split())


def _plain(text: str) -> str:
    """A text as it looks: without what nobody sees, with one sort of hyphen."""
    return unicodedata.normalize("NFKC", visible(text)).translate(HYPHENS)
