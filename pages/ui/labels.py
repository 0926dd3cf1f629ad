"""Labels of choices. The browser sends a label back, so two of the same would be one choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

LONGEST = 90


def distinct(labels: Sequence[str]) -> list[str]:
    """The labels, with a number behind those that were there before: `a`, `b`, `a (2)`."""
    taken: set[str] = set()
    seen: Counter[str] = Counter()
    named = []
    for label in labels:
        shown = label
        while shown in taken:
            seen[label] += 1
            shown = f"{label} ({seen[label] + 1})"
        taken.add(shown)
        named.append(shown)
    return named


def shortened(text: str, longest: int = LONGEST) -> str:
    """One line, cut at its end when it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
