"""Counting tokens as the embedder does, with its own tokenizer. The only user of `tokenizers`."""

from __future__ import annotations

from pathlib import Path

from core.errors import ModelMissing


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

    def __call__(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))
