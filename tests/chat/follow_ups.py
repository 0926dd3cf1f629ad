"""Conversations over the Debian handbooks whose last question cannot be understood alone, and where its answer stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.chat.request import AnswerRequest
from core.services import Services
from core.types import ChatMessage, Passage, Scope
from ingest import sandbox
from ingest.split import split
from tests.conftest import SHARED

HANDBOOKS = SHARED / "evaldata" / "docs" / "debian" / "txt"
CONVERSATIONS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("follow_ups.json").read_text(encoding="utf-8")
)


def said(conversation: dict[str, Any]) -> tuple[ChatMessage, ...]:
    """What was asked and answered before."""
    return tuple(
        ChatMessage(role, text)
        for turn in conversation["turns"]
        for role, text in zip(("user", "assistant"), turn, strict=True)
    )


def found(live: Services, conversation: dict[str, Any]) -> tuple[str, list[Passage]]:
    """The last question as it is asked alone, and its passages, best first, before any is cut."""
    request = AnswerRequest(
        conversation["ask"],
        Scope("local"),
        live.prompts.published("answer").text,
        live.prompts.published("condense").text,
        history=said(conversation),
    )
    steps = live.chain().search(request)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            query, passages = end.value
            return query, list(passages)


def holds(passage: Passage, conversation: dict[str, Any]) -> bool:
    """Whether the passage is where the answer stands; its first words are enough, as chunks may end behind them."""
    wanted = " ".join(conversation["holds"].split()[:6])
    return wanted in " ".join(passage.text.split())


def take_in(live: Services) -> list[str]:
    """Read the handbooks and make them searchable by keyword; vectors are left to who has an embedder. Returns ids."""
    ids = []
    for name in sorted({conversation["document"] for conversation in CONVERSATIONS}):
        path = HANDBOOKS / name
        with path.open("rb") as file:
            added = live.documents.add(file, name=name, owner_id="local")
        document = sandbox.parse(path, name, seconds=60, memory_mb=1024)
        chunks = split(document, count_tokens=lambda text: len(text) // 4)
        live.chunks.save_text(added.document_id, document, chunks, {})
        ids.append(added.document_id)
    return ids
