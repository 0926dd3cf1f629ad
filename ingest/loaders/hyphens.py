"""Words that a line end cuts: made one word or kept with their hyphen, as the rest of the document writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# PDFium puts one of these in place of the hyphen and leaves out the line end.
MARKS = "\x02\ufffe"
LEAST_PART = 3
_CUT = re.compile(rf"(?<![^\W_])([^\W_]+)[{MARKS}]\s*([^\W_]+)")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


class Hyphens:
    """Knows the words of a document; `joined` gives the text with its cut words made whole."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words: set[str] = set()
        kept = [text for text in texts if text]
        if any(mark in text for text in kept for mark in MARKS):
            for text in kept:
                self._words.update(_WORD.findall(_CUT.sub(" ", text).lower()))
            # Parts of compounds are words too: "credit" in "credit-financing".
            self._words.update(part for word in list(self._words) if "-" in word for part in word.split("-"))

    def joined(self, text: str) -> str:
        return _CUT.sub(self._whole, text) if any(mark in text for mark in MARKS) else text

    def _whole(self, cut: re.Match[str]) -> str:
        before, after = cut.groups()
        one, two = before.lower(), after.lower()
        if one + two in self._words:
            return before + after
        compound = f"{one}-{two}" in self._words or (
            min(len(one), len(two)) >= LEAST_PART and one in self._words and two in self._words
        )
        return f"{before}-{after}" if compound or after[0].isdigit() or after[0].isupper() else before + after
