"""Whose word counts for a query: an embedder knows nothing of languages that it was not made for."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import GroundworkError
from core.models.catalog import find
from core.words import tongue

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
    """Whether the embedder may be asked: it knows the language of the query, or of all there is to be found."""
    languages = made_for(embedder)
    if EVERY in languages:
        return True
    return knows(languages, tongue(query)) or (bool(library) and all(knows(languages, one) for one in library))
