"""People."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking."""

    id: str
    name: str
    role: str
