"""Counting tokens as the embedder does, with its own tokenizer. The only user of `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import ModelMissing
from ingest.split.sizes import Count, CountsMany

PART = 2_000  # texts in one call: a fraction of a second, so that "cancel" is felt
REMEMBERED = 200_000  # words whose tokens are known


class TokenCounter:
    """Tokens of a text, without the special ones that the embedder puts around it."""

    def __init__(self, file: Path) -> None:
        """Raises ModelMissing without the file."""
        from tokenizers import Tokenizer

        if not file.is_file():
            raise ModelMissing("The embedding model is not downloaded. Get it on the Models page.")
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._known: dict[str, int] = {}
        # Tokenizers of BERT's kind cut at every blank: a text has the tokens of its words, and few words are new.
        self._by_words = json.loads(self._tokenizer.to_str())["pre_tokenizer"]["type"] == "BertPreTokenizer"

    def __call__(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def many(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text."""
        if not self._by_words:
            return self._encoded(texts)
        if len(self._known) > REMEMBERED:
            self._known.clear()
        known, words = self._known, [text.split() for text in texts]
        new = list({word for line in words for word in line if word not in known})
        if new:
            known.update(zip(new, self._encoded(new), strict=True))
        return [sum(map(known.__getitem__, line)) for line in words]

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        """Without places in the text, which are half of the work."""
        return [len(found) for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


class StoppableCounter:
    """A counter that calls `check` before it counts; what that raises stops the work."""

    def __init__(self, count: Count, check: Callable[[], None]) -> None:
        self._count = count
        self._check = check

    def __call__(self, text: str) -> int:
        self._check()
        return self._count(text)

    def many(self, texts: Sequence[str]) -> list[int]:
        if not isinstance(self._count, CountsMany):
            return [self(text) for text in texts]
        found: list[int] = []
        for start in range(0, len(texts), PART):
            self._check()
            found += self._count.many(texts[start : start + PART])
        return found
