"""The two parts of a checked answer that most tests look at."""

from __future__ import annotations

from collections.abc import Sequence

from core.chat.citations import check
from core.types import Citation, Passage


def cite(answer: str, passages: Sequence[Passage], question: str) -> tuple[str, tuple[Citation, ...]]:
    """The answer with checked markers, and a citation for each of them; `passages[n - 1]` is what [n] means."""
    checked = check(answer, passages, question)
    return checked.text, checked.citations
