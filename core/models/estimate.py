"""How many tokens a text may have, for models whose tokenizer nobody here knows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.types import ChatMessage

# Tokens that one byte of UTF-8 is taken for, by what it belongs to. For documents in 15 languages, code and tables that
# is at least what the vocabularies of Llama 2 and 3, Qwen 2.5, Gemma 4, Phi 3 and Command R count (docs/measured.md).
# Too many is the safe side: a passage less goes into the prompt. What is too few all the same, the service refuses.
SMALL_LETTER, CAPITAL, DIGIT, SIGN, BLANK, FOREIGN = 1 / 3, 2 / 3, 1.2, 1.1, 0.2, 1 / 1.4
# Roles and control tokens of the usual templates: 3 (ChatML) to 9 (Llama 3) for a message.
MESSAGE, CHAT = 10, 8


def _weight(byte: int) -> float:
    if byte > 127:
        return FOREIGN
    sign = chr(byte)
    if sign.isalpha():
        return SMALL_LETTER if sign.islower() else CAPITAL
    if sign.isdigit():
        return DIGIT
    return BLANK if sign.isspace() else SIGN


WEIGHTS = tuple(_weight(byte) for byte in range(256))


def tokens(text: str) -> int:
    """More than most models will count."""
    return math.ceil(sum(map(WEIGHTS.__getitem__, text.encode(errors="replace"))))


def prompt_tokens(messages: Sequence[ChatMessage]) -> int:
    """The same for a whole chat, with what a template puts around its messages."""
    return CHAT + sum(MESSAGE + tokens(message.content) for message in messages)
