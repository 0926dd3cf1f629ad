"""A conversation as a file: Markdown for people, JSON for programs. Both say that the answers come from an AI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from core.chat.conversations import ConversationInfo, MessageView
from core.settings import VERSION
from core.types import Citation

NOTICE = "The answers were written by an AI from the documents cited, and may be wrong."


def to_markdown(conversation: ConversationInfo, thread: Sequence[MessageView]) -> str:
    """Questions as headings, answers with their citations as a list below."""
    lines = [f"# {conversation.title or 'Conversation'}", "", f"*{NOTICE} Groundwork {VERSION}.*", ""]
    for message in thread:
        if message.role == "user":
            lines += [f"## {' '.join(message.content.split())}", ""]
            continue
        lines += [message.content, ""]
        if message.error:
            lines += [f"*{message.error}*", ""]
        lines += [_line(citation) for citation in message.citations]
        lines += [""] if message.citations else []
    return "\n".join(lines)


def to_json(conversation: ConversationInfo, thread: Sequence[MessageView]) -> str:
    """Everything that is known of the branch, passages included."""
    body: dict[str, Any] = {
        "format": "groundwork-conversation-1",
        "ai_generated": True,
        "notice": NOTICE,
        "version": VERSION,
        "exported_at": datetime.now(UTC).isoformat(),
        "conversation": asdict(conversation),
        "messages": [asdict(message) for message in thread],
    }
    return json.dumps(body, ensure_ascii=False, indent=2, default=str)


def _line(citation: Citation) -> str:
    place = f", page {citation.page}" if citation.page else ""
    missing = "the document was read again since" if citation.changed else "the document was deleted"
    quote = " ".join(citation.quote.split()) or missing
    return f"- [{citation.number}] {citation.document_title}{place}: “{quote}”"
