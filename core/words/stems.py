"""Words without their endings, by the language of the text and the script of the word (Snowball's algorithms)."""

from __future__ import annotations

import threading
import unicodedata
from functools import lru_cache
from typing import Protocol

# ISO 639-1 → the algorithm; grouped by the script that the language is written in.
ALGORITHMS = {
    "LATIN": {
        "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "en": "english", "eo": "esperanto",
        "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish",
        "hu": "hungarian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nl": "dutch", "no": "norwegian",
        "pl": "polish", "pt": "portuguese", "ro": "romanian", "sv": "swedish", "tr": "turkish",
    },
    "CYRILLIC": {"ru": "russian", "sr": "serbian"},
    "ARABIC": {"ar": "arabic", "fa": "persian"},
    "DEVANAGARI": {"hi": "hindi", "ne": "nepali"},
    "GREEK": {"el": "greek"},
    "HEBREW": {"yi": "yiddish"},
    "ARMENIAN": {"hy": "armenian"},
    "TAMIL": {"ta": "tamil"},
}  # fmt: skip
# What a word in this script most probably is when the text around it is in a language of another, or in none we know.
USUAL = {
    "LATIN": "en",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "GREEK": "el",
    "ARMENIAN": "hy",
    "TAMIL": "ta",
}
# Latin languages without an algorithm: the English one would cut what is no ending.
LEFT_AS_THEY_ARE = frozenset(("vi", "sw", "ms", "tl", "sq", "sl", "hr", "sk", "lv", "is", "cy", "af", "az", "uz", "mt"))
FOLDED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW")  # elsewhere marks are letters
WORDS_KEPT = 1 << 17

_own = threading.local()  # a stemmer keeps the word that it works on


class Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


@lru_cache(maxsize=WORDS_KEPT)
def stem(word: str, language: str) -> str:
    """A word in lower case as it is kept: without its ending, accents and vowel signs that are often left out."""
    script = script_of(word)
    algorithm = _algorithm(script, language)
    if algorithm:
        word = _stemmer(algorithm).stemWord(word)
    return fold(word) if script in FOLDED_SCRIPTS else word


def fold(word: str) -> str:
    """Without diacritics, ß as ss."""
    if word.isascii():
        return word
    bare = "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", bare).replace("ß", "ss").replace("ı", "i").replace("ø", "o").replace("ł", "l")


@lru_cache(maxsize=4096)
def _script_of_letter(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def script_of(word: str) -> str:
    """The script of the first letter, as Unicode names it; "" of numbers."""
    if word.isascii():
        return "LATIN" if word[:1].isalpha() else ""
    return next((_script_of_letter(letter) for letter in word if letter.isalpha()), "")


def _algorithm(script: str, language: str) -> str:
    known = ALGORITHMS.get(script, {})
    if script == "LATIN" and language in LEFT_AS_THEY_ARE:
        return ""
    return known.get(language) or known.get(USUAL.get(script, ""), "")


def _stemmer(algorithm: str) -> Stemmer:
    import snowballstemmer

    kept: dict[str, Stemmer] = _own.__dict__.setdefault("stemmers", {})
    if algorithm not in kept:
        kept[algorithm] = snowballstemmer.stemmer(algorithm)
    return kept[algorithm]
