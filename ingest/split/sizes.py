"""How large things may be, and counting them with the embedder's own tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Count = Callable[[str], int]

BUDGET = 180
OVERLAP = 0
READS = 254  # what all-MiniLM-L6-v2 embeds: 256 tokens, two of which are its own
HEADING_TOKENS = 40
CONTEXT_TOKENS = 60
SECTION_TOKENS = 500
# A token has about four letters. Tokenizers make one token of a long run without blanks, so letters count as well.
LETTERS_PER_TOKEN = 8
# Longer texts are cut before they are counted, which keeps the work in proportion to the length.
LONGEST_COUNTED = 20_000


@runtime_checkable
class CountsMany(Protocol):
    """A counter that is faster when it is given many texts at once."""

    def many(self, texts: Sequence[str]) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens that a chunk's text, all that is embedded of a chunk, and a section may have."""

    budget: int = BUDGET
    overlap: int = OVERLAP
    reads: int = READS
    section: int = SECTION_TOKENS

    @property
    def room(self) -> int:
        """For the text of a chunk apart from what it repeats."""
        return max(1, min(self.budget, self.reads - HEADING_TOKENS) - self.overlap)

    def room_beside(self, context: int) -> int:
        """The same for a chunk that carries so many tokens of context."""
        return max(1, min(self.budget, self.reads - HEADING_TOKENS - context) - self.overlap)


class Sizer:
    """Sizes of texts in tokens. `count` may raise to stop the work."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def exactly(self, texts: Sequence[str]) -> list[int]:
        """Tokens as the embedder counts them."""
        if isinstance(self._count, CountsMany):
            return self._count.many(texts)
        return [self._count(text) for text in texts]

    def many(self, texts: Sequence[str]) -> list[int]:
        """Tokens, and no fewer than the letters are worth; of very long texts an estimate beyond any room."""
        counted = iter(self.exactly([text for text in texts if len(text) <= LONGEST_COUNTED]))
        return [
            max(next(counted) if len(text) <= LONGEST_COUNTED else 0, -(-len(text) // LETTERS_PER_TOKEN))
            for text in texts
        ]
