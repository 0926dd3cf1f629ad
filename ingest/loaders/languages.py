"""The language of a text, told by CLD2 (the detector of Chromium), whose models are part of its library."""

from __future__ import annotations

import re
from dataclasses import replace

from core.types import Document

SLICES = 8
SLICE = 1_500  # characters: with eight of them a document of any size takes about a millisecond
FEWEST_LETTERS = 80  # below, alphabets are guessed wrongly too often
FEWEST_SIGNS = 12  # where the script nearly is the language
LEAST_SHARE = 35  # per cent of the text
PARTS = 4
UNKNOWN = "un"
_OWN_SCRIPT = frozenset(
    ("zh", "ja", "ko", "th", "el", "he", "ka", "hy", "km", "lo", "my", "ta", "te", "ml", "kn", "gu")
)
_ISO_639_1 = {"iw": "he", "jw": "jv", "in": "id", "ji": "yi", "mo": "ro", "nn": "no", "nb": "no"}
# Names of files, options and variables look like these small languages.
_TAKEN_FOR_NAMES = frozenset(
    ("bi", "ie", "ia", "vo", "rm", "sm", "za", "aa", "sg", "to", "ay", "om", "lg", "gv", "kl", "st")
)
# Words that are no words: they have no language, and there are many of them in programs and tables.
_NO_WORDS = re.compile(r"[!-~]{0,60}[\d_/\\<>{}=@#|~^$&*+][!-~]{0,60}")
_LETTER = re.compile(r"[^\W\d_]")


def with_language(document: Document) -> Document:
    """The document with its language, or with the one that it states itself where that cannot be told."""
    found = language_of(document.text)
    stated = document.metadata.get("language", "")[:2].lower()
    return replace(document, language=found or (stated if stated.isascii() and stated.isalpha() else ""))


def language_of(text: str) -> str:
    """The code in ISO 639-1 of the language that most of the text is in; "" when that is not sure."""
    sample = _NO_WORDS.sub(" ", _sample(text))
    code = _detected(sample)
    if not code:
        # Names from elsewhere can spoil the whole; then the parts that have a language must agree on it.
        part = -(-len(sample) // PARTS)
        codes = [_detected(sample[start : start + part]) for start in range(0, len(sample), part or 1)]
        told = {code for code in codes if code}
        code = told.pop() if len(told) == 1 and len(codes) - codes.count("") >= PARTS // 2 else ""
    enough = FEWEST_SIGNS if code in _OWN_SCRIPT else FEWEST_LETTERS
    return code if len(_LETTER.findall(sample)) >= enough else ""


def _detected(sample: str) -> str:
    import pycld2

    try:
        reliable, _, found = pycld2.detect(sample, isPlainText=True)
        if not reliable:
            _, _, found = pycld2.detect(sample, isPlainText=True, bestEffort=True)
    except pycld2.error:
        return ""  # letters that its tables do not know
    for _, code, share, _ in found:
        if code != UNKNOWN and share >= LEAST_SHARE:
            code = _ISO_639_1.get(code, code).split("-")[0]
            return code if len(code) == 2 and code not in _TAKEN_FOR_NAMES else ""
    return ""


def _sample(text: str) -> str:
    """The whole of a short text, else slices from all over it: a foreword is often in another language."""
    if len(text) <= SLICES * SLICE:
        return text
    step = (len(text) - SLICE) // (SLICES - 1)
    return "\n".join(text[start : start + SLICE] for start in range(0, step * SLICES, step))
