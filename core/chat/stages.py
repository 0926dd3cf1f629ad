"""What the later stages of the search say of a passage, as it is kept beside an answer, and as it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core.types import Passage

STAGES = ("fused_score", "rerank_score", "evidence", "why")


def to_row(passage: Passage) -> dict[str, Any]:
    """Plain JSON; what was not looked at is not in it."""
    known = {field.name for field in fields(passage)}
    return {name: value for name in STAGES if name in known and (value := getattr(passage, name))}


def from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same, as the fields of a passage."""
    known = {field.name for field in fields(Passage)}
    return {name: _frozen(value) for name, value in row.items() if name in STAGES and name in known}


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
