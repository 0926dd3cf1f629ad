"""The difference between two texts, word by word: colour, and signs for those who do not see the colour."""

from __future__ import annotations

from core.prompts import word_difference
from pages.ui.markdown import BLANK, at_start, words

LEGEND = ":green-background[**+added+**]  :red-background[~~−removed−~~]"


def markdown(old: str, new: str) -> str:
    """The new text with what was added and removed, as Markdown that shows both texts exactly."""
    shown: list[str] = [""]
    for kind, text in word_difference(old, new):
        for number, piece in enumerate(text.split("\n")):
            if number:
                shown.append("")
            shown[-1] += _piece(kind, piece)
            if kind != "same" and not piece and number < text.count("\n"):
                shown[-1] += _piece(kind, "¶")
    return "  \n".join(at_start(line.strip()) or BLANK for line in shown)


def _piece(kind: str, text: str) -> str:
    bare = text.strip()
    if not bare:
        return text
    lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    if kind == "added":
        return f"{lead}:green-background[**+{words(bare)}+**]{tail}"
    if kind == "removed":
        return f"{lead}:red-background[~~−{words(bare)}−~~]{tail}"
    return lead + words(bare) + tail
