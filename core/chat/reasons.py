"""Why a passage was chosen, in words and figures: how each search saw it, and what it shares with the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.chat.words import FILLERS, words
from core.retrieval.reasons import searches
from core.types import Passage
from core.words import telling, tongue

MOST_WORDS = 6
BY_MEANING, BY_WORDS = "By meaning", "By words"
STAGES: dict[str, Callable[[Passage], float | None]] = {
    BY_MEANING: lambda passage: passage.dense_score,
    BY_WORDS: lambda passage: passage.keyword_score,
    "Both searches joined": lambda passage: passage.fused_score,
    "Reranker": lambda passage: passage.rerank_score,
}
EVIDENCE = {
    "quoted": "Words in quotes",
    "identifiers": "Exact names and numbers",
    "near": "Words close together",
    "words": "Words of the question",
    "head": "Heading and title",
    "meaning": "Closeness in meaning",
    "about": "What its document is about",
    "link": "Named by another passage",
}


def stages(passage: Passage, passages: Sequence[Passage]) -> list[tuple[str, str, str]]:
    """(stage, score, place among the passages of the answer) for each stage that the passage went through."""
    rows = []
    for name, score_of in STAGES.items():
        score = score_of(passage)
        if score is not None:
            # How rare words are is counted over everybody's documents: the raw figure would tell of those of others.
            shown = "" if name == BY_WORDS else f"{score:.4g}"
            rows.append((name, shown, f"{_place(score, passages, score_of)} of {len(passages)}"))
        elif name in (BY_MEANING, BY_WORDS):
            rows.append((name, "not found", ""))
    rows += [(EVIDENCE.get(name, name.capitalize()), f"{share:.2f}", "") for name, share in passage.evidence]
    rows.append(("All together", f"{passage.score:.4g}", f"{passage.rank} of {len(passages)}"))
    return rows


def place_by_words(passage: Passage, passages: Sequence[Passage]) -> int | None:
    """The place that the search by words gave a passage among those of the answer; None where it did not find it."""
    score = passage.keyword_score
    return None if score is None else _place(score, passages, STAGES[BY_WORDS])


def _place(score: float, passages: Sequence[Passage], score_of: Callable[[Passage], float | None]) -> int:
    return 1 + sum((score_of(other) or 0.0) > score for other in passages)


def why(passage: Passage, passages: Sequence[Passage], query: str, *, cited: bool) -> list[str]:
    """Sentences that say why the model was shown this passage."""
    said = [f"{passage.why}."] if passage.why else []
    if shared := shared_words(query, passage):
        said.append(f"It holds {_listed(shared)} of the question.")
    if found := searches(passage):
        said.append(found)
    place = "the best" if passage.rank == 1 else f"number {passage.rank}"
    said.append(f"All in all it was {place} of {len(passages)}.")
    said.append("The answer cites it." if cited else "The answer does not cite it.")
    return said


def shared_words(query: str, passage: Passage) -> list[str]:
    """The content words of the query that the passage holds, as they were typed, in their order."""
    language = tongue(passage.text)
    held = words(f"{passage.heading} {passage.context} {passage.text}", language)
    asked = (piece for piece in telling(query, language) if piece.text not in FILLERS)
    return list(dict.fromkeys(piece.written for piece in asked if held.keys() >= set(piece.terms)))


def _listed(found: Sequence[str]) -> str:
    quoted = [f"“{word}”" for word in found[:MOST_WORDS]]
    if len(quoted) == 1:
        return f"the word {quoted[0]}"
    return f"the words {', '.join(quoted[:-1])} and {quoted[-1]}"
