"""What checking an answer found out, as it is kept beside the answer, and as it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.types import Citation, Cited, Claim, Verdict, Way


def to_row(cited: Cited | None) -> dict[str, Any]:
    """Everything but text and citations, which have rows of their own; plain JSON."""
    if cited is None:
        return {}
    return {
        "claims": [[c.start, c.end, c.verdict.value, c.support, list(c.numbers)] for c in cited.claims],
        "unsupported": cited.unsupported,
        "confidence": cited.confidence,
        "abstained": cited.abstained,
        "nearest": list(cited.nearest),
        "draft": cited.draft,
        "way": cited.way.value,
        "signals": {name: round(value, 5) for name, value in cited.signals.items()},
    }


def from_row(row: Mapping[str, Any], text: str, citations: tuple[Citation, ...]) -> Cited | None:
    """The answer as it was told when it was finished; None for one of earlier versions, or that was not finished."""
    if not row:
        return None
    return Cited(
        text,
        citations,
        claims=tuple(
            Claim(start, end, Verdict(verdict), support, tuple(numbers))
            for start, end, verdict, support, numbers in row["claims"]
        ),
        unsupported=row["unsupported"],
        confidence=row["confidence"],
        abstained=row["abstained"],
        nearest=tuple(row["nearest"]),
        draft=row["draft"],
        way=Way(row["way"]),
        signals=row["signals"],
    )
