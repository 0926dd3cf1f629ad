"""A chat model in use: its weights, its template and the context that requests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ContextTooLong
from core.serving.machine import physical_cores
from core.serving.native.batch import Batch
from core.serving.native.chat_template import ChatTemplate, PromptTokens
from core.serving.native.drafting import LONGEST_GUESS
from core.serving.native.llama import Context, Model
from core.serving.options import LoadOptions
from core.types import ChatMessage

MAX_CHARACTERS = 2_000_000  # of all messages of a request together; more is not even counted in tokens


@dataclass(frozen=True, slots=True)
class ChatModel:
    """All that belongs to a model in use."""

    id: str
    model: Model
    template: ChatTemplate
    context: Context
    options: LoadOptions

    @classmethod
    def load(
        cls,
        model_id: str,
        path: Path,
        options: LoadOptions,
        *,
        loading: Callable[[float], None] = lambda _share: None,
        outputs: int = 0,
    ) -> ChatModel:
        """Load and warm up; `outputs` places of a step can have logits (0: as many as work on requests needs).

        Raises ModelMissing, ModelCorrupt, or ModelError when the memory is too small."""
        model = Model(path, gpu_layers=options.gpu_layers, loading=loading)
        template = ChatTemplate(model.template, model=model_id, bos=model.bos, eos=model.eos)
        context = Context(
            model,
            cells=options.context_tokens,
            sequences=options.slots,
            threads=options.threads or physical_cores(),
            outputs=outputs or options.slots * (LONGEST_GUESS + 1),
            options=options,
        )
        chat = cls(model_id, model, template, context, options)
        chat._warm_up()
        return chat

    @property
    def context_tokens(self) -> int:
        """What one prompt and its answer may have together."""
        trained = self.model.trained_context
        stretched = int(trained * self.options.rope_factor) if self.options.rope_scaling else trained
        return min(self.context.cells, stretched)

    def prompt(self, messages: Sequence[ChatMessage], max_tokens: int = 0) -> PromptTokens:
        """The tokens of the whole prompt. Raises ContextTooLong, with the counts, if the answer has no room."""
        characters = sum(len(message.content) for message in messages)
        if characters > MAX_CHARACTERS:
            raise ContextTooLong(
                f"The question with its passages has {characters:,} characters, but the model {self.id} has room for "
                f"{self.context_tokens:,} tokens, a token being about four characters. Shorten the question."
            )
        prompt = self.template.tokens(self.model, messages)
        total = len(prompt.tokens) + max_tokens
        if total > self.context_tokens:
            raise ContextTooLong(
                f"The question with its passages has {len(prompt.tokens):,} tokens and the answer may take "
                f"{max_tokens:,}: together {total:,}, but the model {self.id} has room for {self.context_tokens:,}. "
                "Ask a shorter question, use fewer passages or allow a shorter answer."
            )
        return prompt

    def _warm_up(self) -> None:
        """Touch all weights once, so that the first question does not wait for the disk."""
        batch = Batch()
        batch.add(self.prompt([ChatMessage("user", "x")]).tokens[:8], sequence=0, position=0, logits=1)
        self.context.decode(batch)
        self.context.forget(0, 0)
