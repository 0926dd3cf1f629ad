"""Why a passage was chosen, in words and figures: how each search saw it, and what it shares with the question."""

from __future__ import annotations

from collections.abc import Sequence

from core.chat.words import WORD, words
from core.types import Passage

MOST_WORDS = 6
SEARCHES = ("dense_score", "keyword_score")
STAGES = {
    "By meaning": "dense_score",
    "By words": "keyword_score",
    "Both searches joined": "fused_score",
    "Reranker": "rerank_score",
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
    for name, field in STAGES.items():
        score = getattr(passage, field, None)
        if score is not None:
            better = sum(1 for other in passages if (getattr(other, field) or 0.0) > score)
            rows.append((name, f"{score:.4g}", f"{better + 1} of {len(passages)}"))
        elif field in SEARCHES:
            rows.append((name, "not found", ""))
    rows += [(EVIDENCE.get(name, name.capitalize()), f"{share:.2f}", "") for name, share in evidence(passage)]
    rows.append(("All together", f"{passage.score:.4g}", f"{passage.rank} of {len(passages)}"))
    return rows


def evidence(passage: Passage) -> Sequence[tuple[str, float]]:
    """What the second stage looked at, by name."""
    found: Sequence[tuple[str, float]] = getattr(passage, "evidence", ())
    return found


def why(passage: Passage, passages: Sequence[Passage], query: str, *, cited: bool) -> list[str]:
    """Sentences that say why the model was shown this passage."""
    said = [f"{told}."] if (told := getattr(passage, "why", "")) else []
    if shared := shared_words(query, passage):
        said.append(f"It holds {_listed(shared)} of the question.")
    if passage.dense_score is not None and passage.keyword_score is not None:
        said.append("Both searches found it, the one by words and the one by meaning.")
    elif passage.dense_score is not None:
        said.append("Only the search by meaning found it: it says something near, in other words.")
    elif passage.keyword_score is not None:
        said.append("Only the search by words found it.")
    place = "the best" if passage.rank == 1 else f"number {passage.rank}"
    said.append(f"All in all it was {place} of {len(passages)}.")
    said.append("The answer cites it." if cited else "The answer does not cite it.")
    return said


def shared_words(query: str, passage: Passage) -> list[str]:
    """The content words of the query that the passage holds, as they were typed, in their order."""
    held = words(f"{passage.heading} {passage.context} {passage.text}")
    found = (match[0] for match in WORD.finditer(query))
    return list(dict.fromkeys(word for word in found if words(word) and set(words(word)) <= set(held)))


def _listed(found: Sequence[str]) -> str:
    quoted = [f"“{word}”" for word in found[:MOST_WORDS]]
    if len(quoted) == 1:
        return f"the word {quoted[0]}"
    return f"the words {', '.join(quoted[:-1])} and {quoted[-1]}"
