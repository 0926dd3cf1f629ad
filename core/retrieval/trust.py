"""Whose word counts for a query: an embedder knows nothing of languages that it was not made for."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import GroundworkError
from core.models.catalog import find
from core.words import TOLD_BY_SCRIPT, tongue

EVERY = "multilingual"


def made_for(embedder: str) -> tuple[str, ...]:
    """The languages of an embedder, as the catalog says; every one where it does not know the model."""
    try:
        return find(embedder).languages or (EVERY,)
    except GroundworkError:
        return (EVERY,)


def knows(languages: Sequence[str], language: str) -> bool:
    """Whether vectors of a text in this language mean something; of one that could not be told they may."""
    return not language or EVERY in languages or language in languages


def trusted(query: str, embedder: str, library: Sequence[str]) -> bool:
    """Whether the embedder may be asked.

    It knows the language of the query; or the query is in Latin letters, of which few are easily taken for another
    language, and nothing in the library is in a language that it does not know.
    """
    languages = made_for(embedder)
    if EVERY in languages:
        return True
    language = tongue(query)
    if knows(languages, language):
        return True
    return language not in TOLD_BY_SCRIPT and all(knows(languages, one) for one in library)
