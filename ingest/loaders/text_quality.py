"""How good a text layer is, from the text alone: from 0 (noise) to 1 (language).

Scanners and broken fonts leave layers that hold text, but not that of the page. Three things give them away: signs
that stand for nothing, words that are no words, and letters in shares that no language has.
"""

from __future__ import annotations

import re
from collections import Counter

LONGEST_LOOKED_AT = 1_500  # characters; more of a page says nothing new
LONGEST_WORD = 24
_SHORT_WORDS = "aioyeuàéè0123456789"
ENOUGH_LETTERS = 120  # below, shares of letters say little
# A layer below this is worse than what recognition makes of a clean page.
GOOD = 0.5
# European languages in Latin letters: e, a, i, n, r, s, t and o are 45 to 65 of 100 letters, vowels 35 to 50.
_COMMON, _LEAST_COMMON = frozenset("eainrsto"), 0.38
_VOWELS, _LEAST_VOWELS, _MOST_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüý"), 0.22, 0.62
# Signs that stand for nothing: replacement, private use, control (but not PDFium's hyphens), unassigned.
_STRANGE = re.compile("[\ufffd\ue000-\uf8ff\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\U000f0000-\U0010ffff]")
_TOKEN = re.compile(r"\S+")
_NUMBER = re.compile(r"^[\d.,:;/()%$€£+\-–—]+$")
_CORE = re.compile(r"^\W*(\w(?:[\w'’\-./@:]*\w)?)\W*$")


def quality(text: str) -> float:
    """The share of what stands in a text that is language or numbers; 0 for no text."""
    text = text[:LONGEST_LOOKED_AT]
    tokens = _TOKEN.findall(text)
    if not tokens:
        return 0.0
    signs = sum(map(len, tokens))
    strange = len(_STRANGE.findall(text))
    good = sum(len(token) for token in tokens if _is_word(token))
    return max(0.0, (good - 2 * strange) / signs) * _likeness(text)


def _is_word(token: str) -> bool:
    if token.isascii() and token.isalpha():  # what nearly every word is
        return len(token) <= LONGEST_WORD and (len(token) > 1 or token.lower() in _SHORT_WORDS)
    if _NUMBER.match(token):
        return True
    if max(token) > "\u2e80":  # no blanks between words: any run of letters is language
        return _STRANGE.search(token) is None
    core = _CORE.match(token)
    if core is None:
        return False
    word = core[1]
    if len(word) > LONGEST_WORD:
        return "/" in word or "-" in word or "." in word or "_" in word
    return len(word) > 1 or word.lower() in _SHORT_WORDS


def _likeness(text: str) -> float:
    """1 where the letters are distributed as in a language, 0.3 where not; a few letters are always right."""
    letters = [c for c in text.lower() if c.isalpha()]
    latin = [c for c in letters if c < "\u0250"]
    if len(latin) < max(ENOUGH_LETTERS, 0.7 * len(letters)):
        return 1.0
    counts = Counter(latin)
    common = sum(counts[c] for c in _COMMON) / len(latin)
    vowels = sum(counts[c] for c in _VOWELS) / len(latin)
    return 1.0 if common > _LEAST_COMMON and _LEAST_VOWELS < vowels < _MOST_VOWELS else 0.3
