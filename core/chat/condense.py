"""Follow-ups: when a question needs the conversation to be understood, and what comes back from the rewriting."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from core.chat.phrases import ENGLISH, says_nothing_found
from core.chat.words import words
from core.types import ChatMessage
from core.words import tongue

REFERRING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|one|ones|same|"
    r"other|others|another|former|latter|above|previous|else|also|more|again|instead|such|so|why|both)\b|"
    r"^\s*(?:and|or|but|what about|how about)\b",
    re.IGNORECASE,
)
SHORTEST_ALONE = 5  # words
MOST_EXCHANGES = 3
LONGEST_ANSWER = 400  # characters of an earlier answer that the rewriting needs to see
LONGEST_BESIDE = 160  # characters of a message that a query takes along
INVENTED = 0.34  # share of the words added by a rewriting that may come from nowhere; one always may
QUOTES = re.compile(r"\s*[\"“”„«»「『」』]+\s*")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
        "additionalProperties": False,
    }
)


def stands_alone(question: str) -> bool:
    """Whether a question clearly needs no rewriting; in doubt it does. Only judged for English."""
    if len(question.split()) < SHORTEST_ALONE or REFERRING.search(question):
        return False
    return tongue(question) == ENGLISH


def transcript(history: Sequence[ChatMessage]) -> str:
    """The last exchanges as text for a prompt; long answers are shortened and say so by an ellipsis."""
    lines = []
    for message in history[-2 * MOST_EXCHANGES :]:
        name = "Person" if message.role == "user" else "Assistant"
        text = " ".join(message.content.split())
        lines.append(f"{name}: {text[:LONGEST_ANSWER]}{'…' if len(text) > LONGEST_ANSWER else ''}")
    return "\n".join(lines)


def shortened(message: ChatMessage) -> str:
    """What a transcript does not have of a message."""
    return " ".join(message.content.split())[LONGEST_ANSWER:]


def accept(rewritten: str, question: str, history: Sequence[ChatMessage] = ()) -> str:
    """The rewritten question, or the original when what came back cannot be one.

    It comes as JSON with one field, from engines that obey no schema also as plain text. What it adds has to have been
    said before: a model that answers, or thinks of something else, is not followed.
    """
    first = _question_of(rewritten)
    if not first or len(first) > 3 * len(question) + 200:
        return question
    added = set(words(first)) - set(words(question))
    said = set(words(" ".join(message.content for message in history))) if history else added
    invented = [word for word in added if word not in said]
    return question if len(invented) > max(1, INVENTED * len(added)) else first


def beside(question: str, history: Sequence[ChatMessage]) -> str:
    """A query that cannot be misled: the question with the last exchange, which has the words it leans on.

    An answer that nothing was found has no words of its own, and what was in quotes then is not in quotes now.
    """
    told = [message.content for message in history[-2:] if not says_nothing_found(message.content)]
    return " ".join([question, *(QUOTES.sub(" ", text[:LONGEST_BESIDE]).strip() for text in told)])


def _question_of(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        cut_off = re.match(r'\s*\{\s*"question"\s*:\s*"((?:[^"\\]|\\.)*)', text)
        found = {"question": cut_off[1]} if cut_off else text
    if isinstance(found, dict):
        found = found.get("question")
    lines = [line.strip(" \"'“”") for line in str(found or "").strip().splitlines() if line.strip()]
    return re.sub(r"^(?:rewritten )?question:\s*", "", lines[0], flags=re.IGNORECASE) if lines else ""
