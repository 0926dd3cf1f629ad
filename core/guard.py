"""Checks on what goes into a prompt: people's questions, and the words of documents."""

from __future__ import annotations

import re

from core.errors import BadQuestion

LONGEST_QUESTION = 12_000  # characters, about 3,000 tokens of English

# Invisible characters that carry instructions past a reader's eyes: tag characters, zero-width and direction
# controls, variation selectors. Joiners stay, because Persian, Hindi and emoji are wrong without them.
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
# Where the passages of a prompt begin and end. A document that writes such a mark itself gets another sign there, and
# what looks like the number of a passage at the beginning of its lines gets round brackets.
FENCE = "passages"
_FORGED = re.compile(r"[<＜﹤‹](?=\s*+(?:/\s*+)?passage)", re.IGNORECASE)
_NUMBERED = re.compile(r"^([ \t]*)[\[【](\s*\d{1,3}\s*)[\]】]", re.MULTILINE)

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def clean_question(text: str) -> str:
    """The question without control characters. Raises BadQuestion when it is empty or longer than the limit."""
    cleaned = CONTROL.sub("", text).strip()
    if not visible(cleaned).strip():
        raise BadQuestion("The question is empty. Type what you want to know.")
    if len(cleaned) > LONGEST_QUESTION:
        raise BadQuestion(
            f"The question has {len(cleaned):,} characters; the most is {LONGEST_QUESTION:,}. "
            "Upload long texts as documents and ask about them."
        )
    return cleaned


def whole(text: object) -> object:
    """A text without halves of characters (lone surrogates), which JSON can carry and nothing can store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore") if isinstance(text, str) else text


def visible(text: str) -> str:
    """The copy of a text that a model may see: what a reader of the document sees too, and nothing else."""
    return CONTROL.sub(" ", INVISIBLE.sub("", text))


def data(text: str) -> str:
    """The words of a document for a prompt: visible, and unable to end their fence or to begin another passage."""
    return _NUMBERED.sub(r"\1(\2)", _FORGED.sub("(", visible(text)))


def fenced(passages: str) -> str:
    """All passages of a prompt between marks that nothing in them can forge; their words went through `data`."""
    return f"<{FENCE}>\n{passages}\n</{FENCE}>"
