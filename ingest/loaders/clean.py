"""One spelling for every text, so that what is searched, quoted and counted is what people would type.

Applied to all text before offsets are taken: line ends become \\n, blanks of unusual width become blanks,
ligatures (ﬁ) become letters, typographic hyphens become -, letters with separate accents become one letter (NFC).
Removed is what nobody sees: soft hyphens, zero-width and direction characters, tag characters, control
characters and terminal colours, lone surrogates, non-characters. Joiners stay where a script needs them.
"""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\ufffd"

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_HYPHENS = re.compile("[\u2010\u2011]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"  # tags and the selectors beyond: text can be smuggled in both
)
# Arabic and Indic letters, and emoji, change their shape at joiners; in alphabets they only break words apart.
_JOINERS = re.compile("(?<=[\x00-\u052f\u1e00-\u1fff])[\u200c\u200d]+(?=[\x00-\u052f\u1e00-\u1fff])")
_LIGATURES = {
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st",
}  # fmt: skip
_LIGATURE = re.compile("[\ufb00-\ufb06]")


def clean(text: str) -> str:
    """The text in the one spelling; takes time in proportion to its length."""
    text = _LINE_ENDS.sub("\n", text)
    text = _UNSEEN.sub("", _COLOURS.sub("", text))
    if text.isascii():
        return text
    text = _HYPHENS.sub("-", _BLANKS.sub(" ", text))
    text = _LIGATURE.sub(lambda found: _LIGATURES[found[0]], _JOINERS.sub("", text))
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """The text cleaned, with every run of blanks and line ends as one blank."""
    if not (text.isascii() and text.isprintable()):
        text = clean(text)
    return " ".join(text.split())
