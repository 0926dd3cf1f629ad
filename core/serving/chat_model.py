"""A chat model in use: its weights, its template and the context that requests share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ContextTooLong
from core.serving.chat_template import ChatTemplate, prompt_tokens
from core.serving.llama import Batch, Context, Model, physical_cores
from core.types import ChatMessage

MAX_CHARACTERS = 2_000_000  # of all messages of a request together; more is not even counted in tokens


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How to load; `threads` 0 means the physical cores, `gpu_layers` -1 all of them."""

    tokens: int = 8192
    sequences: int = 4
    threads: int = 0
    gpu_layers: int = 0


@dataclass(frozen=True, slots=True)
class ChatModel:
    """All that belongs to a model in use."""

    id: str
    model: Model
    template: ChatTemplate
    context: Context

    @classmethod
    def load(cls, model_id: str, path: Path, options: ContextOptions) -> ChatModel:
        """Load and warm up. Raises ModelMissing, ModelCorrupt, or ModelError when the memory is too small."""
        model = Model(path, gpu_layers=options.gpu_layers)
        template = ChatTemplate(model.template, model=model_id, bos=model.bos, eos=model.eos)
        threads = options.threads or physical_cores()
        context = Context(model, cells=options.tokens, sequences=options.sequences, threads=threads)
        chat = cls(model_id, model, template, context)
        chat._warm_up()
        return chat

    @property
    def context_tokens(self) -> int:
        """What one prompt and its answer may have together."""
        return min(self.context.cells, self.model.trained_context)

    def prompt(self, messages: Sequence[ChatMessage], max_tokens: int = 0) -> list[int]:
        """The tokens of the whole prompt. Raises ContextTooLong, with the counts, if the answer has no room."""
        characters = sum(len(message.content) for message in messages)
        if characters > MAX_CHARACTERS:
            raise ContextTooLong(
                f"The question with its passages has {characters:,} characters, but the model {self.id} has room for "
                f"{self.context_tokens:,} tokens, a token being about four characters. Shorten the question."
            )
        tokens = prompt_tokens(self.model, self.template, messages)
        total = len(tokens) + max_tokens
        if total > self.context_tokens:
            raise ContextTooLong(
                f"The question with its passages has {len(tokens):,} tokens and the answer may take {max_tokens:,}: "
                f"together {total:,}, but the model {self.id} has room for {self.context_tokens:,}. "
                "Ask a shorter question, use fewer passages or allow a shorter answer."
            )
        return tokens

    def _warm_up(self) -> None:
        """Touch all weights once, so that the first question does not wait for the disk."""
        batch = Batch()
        batch.add(self.prompt([ChatMessage("user", "x")])[:8], sequence=0, position=0, logits=True)
        self.context.decode(batch)
        self.context.forget(0, 0)
