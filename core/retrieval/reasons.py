"""Why a passage was chosen, in words for people."""

from __future__ import annotations

from core.retrieval.candidates import Candidate
from core.types import Passage

CLOSE = 0.45  # a cosine from which on two texts are about the same thing
TOGETHER = 0.5  # the share of what the query asks for that stands in one window


def reasons(one: Candidate) -> str:
    """What spoke for a candidate, the strongest first; "" when only the first stage has judged it."""
    parts, said = one.parts, []
    if parts.get("quoted"):
        said.append("holds the words in quotes")
    if parts.get("identifiers"):
        said.append("holds the exact name or number")
    if parts.get("near", 0.0) >= TOGETHER:
        said.append("the words of the question stand close together")
    elif parts.get("words"):
        said.append("holds words of the question")
    if parts.get("head"):
        said.append("so does its heading or title")
    if parts.get("meaning", 0.0) >= CLOSE:
        said.append("is close in meaning")
    if parts.get("about", 0.0) >= TOGETHER:
        said.append("its document is about that")
    if parts.get("link"):
        said.append("is named by another passage that was found")
    told = ", ".join(said)
    return told[:1].upper() + told[1:]


def searches(passage: Passage) -> str:
    """Which of the two searches found a passage; "" where that is not known."""
    if passage.dense_score is not None and passage.keyword_score is not None:
        return "Both searches found it, the one by words and the one by meaning."
    if passage.dense_score is not None:
        return "Only the search by meaning found it: it says something near, in other words."
    return "Only the search by words found it." if passage.keyword_score is not None else ""
