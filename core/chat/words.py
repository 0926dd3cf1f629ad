"""The content words of answers, questions and passages, and how much of the one the other holds."""

from __future__ import annotations

from collections.abc import Mapping

from core.words import weighted

# What answers say of their sources: of no text that is cited.
FILLERS = frozenset(("according", "also", "document", "documents", "passage", "passages"))
ALIKE = 5  # letters that two words must share from their beginning on to be forms of one word


def words(text: str, language: str = "") -> dict[str, float]:
    """The content words of a text with their weight: numbers count three times, names twice."""
    return weighted(text, language, without=FILLERS)


def overlap(wanted: Mapping[str, float], held: Mapping[str, float], *, form: float = 1.0) -> float:
    """The weight of the wanted words that are held; another form of a word (`elected`, `election`) counts `form` of it.

    Numbers have no forms.
    """
    missing = [word for word in wanted if word not in held]
    there = sum(wanted.values()) - sum(wanted[word] for word in missing)
    if not missing or not form:
        return there
    beginnings = {word[:ALIKE] for word in held if len(word) >= ALIKE and not word[0].isdigit()}
    return there + form * sum(wanted[word] for word in missing if word[:ALIKE] in beginnings)


def support(claim: Mapping[str, float], quote: Mapping[str, float], *, form: float = 0.0) -> float:
    """The weighted share of the claim's words that the quote holds, from 0 to 1."""
    total = sum(claim.values())
    return min(1.0, overlap(claim, quote, form=form) / total) if total else 0.0
