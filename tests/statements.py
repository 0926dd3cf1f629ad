"""What is asked of the database while something is done: to count it, not to look into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from core.services import Services


@contextmanager
def statements(live: Services) -> Iterator[list[str]]:
    """The statements of all sessions, in their order; each transaction that reads begins with BEGIN."""
    seen: list[str] = []

    def noting(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", noting)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", noting)
