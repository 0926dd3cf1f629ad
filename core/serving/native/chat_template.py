"""From messages to prompt tokens, so that only the template of the model can make control tokens.

A rendered prompt is text, and in text a `<|im_end|>` that stood in a document looks like one that the template
wrote. So the template is rendered with a random mark in place of every content; what stands between the marks is
tokenised with control tokens, the contents themselves without (reference: security.md, 4.5).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from core.errors import BadQuestion, ModelCorrupt
from core.serving.native.llama import Model
from core.serving.native.template_sandbox import Sandbox, TemplateRefused
from core.types import ChatMessage


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt; only a piece `of_template` may hold control tokens."""

    text: str
    of_template: bool


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """A prompt; its first `system` tokens are the same for every question with this system message."""

    tokens: list[int]
    system: int


class ChatTemplate:
    """The chat template of a model, checked when it is made: raises ModelCorrupt if it cannot be used."""

    def __init__(self, source: str, *, model: str, bos: str = "", eos: str = "") -> None:
        self._model = model
        if not source:
            raise ModelCorrupt(
                f"The model {model} brings no chat template, so it cannot lead a conversation. "
                "Choose an instruct or chat version of it."
            )
        self._sandbox = Sandbox()
        self._values = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": True}
        try:
            self._template = self._sandbox.compiled(source)
        except TemplateError as error:
            raise self._corrupt(f"cannot be read ({error})") from error
        try:
            self.segments([ChatMessage("user", "x")])
        except BadQuestion as error:
            raise self._corrupt("refuses a plain question") from error

    def segments(self, messages: Sequence[ChatMessage]) -> list[Segment]:
        """The prompt in pieces. Raises BadQuestion where the template refuses, ModelCorrupt where it misbehaves."""
        # Letters of both cases in every mark: a template that changes the case of contents is found out.
        contents = {f"gW{secrets.token_hex(8)}": message.content for message in messages}
        marked = [{"role": m.role, "content": mark} for m, mark in zip(messages, contents, strict=True)]
        try:
            rendered = self._sandbox.rendered(self._template, {**self._values, "messages": marked})
        except TemplateRefused as error:
            raise BadQuestion(f"The model {self._model} cannot take these messages: {error}.") from error
        except TemplateError as error:
            raise self._corrupt(f"fails ({error})") from error
        pieces = re.split(f"({'|'.join(contents)})", rendered)
        if sorted(pieces[1::2]) != sorted(contents):
            raise self._corrupt("drops, changes or repeats a message")
        return list(_with_contents(pieces, contents))

    def tokens(self, model: Model, messages: Sequence[ChatMessage]) -> PromptTokens:
        """The tokens of the whole prompt, up to where the answer begins. Raises as `segments` does."""
        tokens: list[int] = []
        ends: list[int] = []  # how many tokens there are before each content
        contents: list[str] = []
        for segment in self.segments(messages):
            if not segment.of_template:
                ends.append(len(tokens))
                contents.append(segment.text)
            tokens += model.tokenize(segment.text, special=segment.of_template)
        first = model.first_token
        added = int(first is not None and tokens[:1] != [first])
        if added and first is not None:
            tokens.insert(0, first)
        leads = messages[0].role == "system" and contents[:1] == [messages[0].content] and len(ends) > 1
        return PromptTokens(tokens, ends[1] + added if leads else 0)

    def _corrupt(self, what: str) -> ModelCorrupt:
        return ModelCorrupt(
            f"The chat template inside the model {self._model} {what}. Download the model again or choose another one."
        )


def _with_contents(pieces: Sequence[str], contents: dict[str, str]) -> Iterator[Segment]:
    for place, piece in enumerate(pieces):
        of_template = place % 2 == 0
        text = piece if of_template else contents[piece]
        if text:
            yield Segment(text, of_template)
