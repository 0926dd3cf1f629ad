"""JSON, and lines of JSON: every value is a line with the path of its key; lists of alike objects become tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadUpload
from core.types import Document
from ingest.loaders.clean import clean
from ingest.loaders.decode import decode
from ingest.loaders.draft import Block, Draft
from ingest.loaders.tables import flat, write_table
from ingest.loaders.text import TextLoader
from ingest.loaders.textkinds import JSON

DEEPEST = 100
MOST_COLUMNS = 60
LONGEST_LIST = 200  # characters of short values in one line
LONGEST_VALUE = 400  # characters; a longer one is a text of its own below its key
LONGEST_CELL = 300


@dataclass(frozen=True, slots=True)
class JsonLoader:
    """One JSON text, or one on each line."""

    version: int = 1
    library: str | None = "charset-normalizer"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        draft = Draft(name)
        warnings = decoded.warnings
        try:
            value, broken = parse(decoded.text, name)
        except ValueError:
            if not name.lower().endswith(("json", "jsonl")):
                return TextLoader().load(path, name)  # it only began like JSON
            draft.write(clean(decoded.text))
            warnings.append("It is not complete JSON, so it was read as plain text.")
        else:
            _Writer(draft).write(value)
            if broken:
                warnings.append(f"{broken:,} {'line is' if broken == 1 else 'lines are'} no JSON and stand as text.")
        return draft.document(JSON, metadata={"encoding": decoded.encoding}, warnings=warnings)


def parse(text: str, name: str) -> tuple[Any, int]:
    """The value of a JSON text, or the list of those of its lines with the number of lines that are none.

    Numbers stay the text that they are. Raises ValueError when it is neither, BadUpload when it is nested too deep.
    """
    try:
        try:
            return _loads(text), 0
        except ValueError:
            return _lines(text)
    except RecursionError as error:
        raise BadUpload(f"{name} is nested deeper than any real data. It was not read.") from error


def _loads(text: str) -> Any:
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def _lines(text: str) -> tuple[list[Any], int]:
    found, broken = [], 0
    for line in text.split("\n"):
        if line.strip():
            try:
                found.append(_loads(line))
            except ValueError:
                found.append(line)
                broken += 1
    if len(found) < 2 or broken > len(found) // 2:
        raise ValueError("neither JSON nor lines of it")
    return found, broken


@dataclass(slots=True)
class _Writer:
    """Collects lines and puts them into the draft as paragraphs, between headings and tables."""

    draft: Draft
    lines: list[str] = field(default_factory=list)

    def write(self, value: Any) -> None:
        if isinstance(value, dict):
            self._top(value)
        else:
            self._value(value, "", 0)
        self._flush()

    def _top(self, value: Mapping[str, Any]) -> None:
        """The outermost keys are headings where something stands below them, after those that have plain values."""
        sections = {key: inner for key, inner in value.items() if _is_section(inner)}
        for key, inner in value.items():
            if key not in sections:
                self._value(inner, key, 1)
        for key, inner in sections.items():
            self._flush()
            self.draft.add(Block(key, level=1))
            self._value(inner, key, 1)

    def _value(self, value: Any, path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise BadUpload(f"{self.draft.name} is nested deeper than {DEEPEST} levels. It was not read.")
        if isinstance(value, dict):
            for key, inner in value.items():
                self._value(inner, f"{path}.{key}" if path else key, depth + 1)
        elif isinstance(value, list):
            self._list(value, path, depth)
        else:
            self._leaf(path, _text(value))

    def _list(self, items: Sequence[Any], path: str, depth: int) -> None:
        if _short(items):
            self._leaf(path, ", ".join(map(_text, items)))
        elif columns := _columns(items):
            self._flush()
            if path and not self._is_heading(path):
                self.draft.write(f"{clean(path)}:")
            rows = ([flat(clean(_text(cell))) for cell in _cells(item, columns)] for item in items)
            write_table(self.draft, [flat(clean(column)) for column in columns], rows)
        else:
            for index, item in enumerate(items):
                if isinstance(item, dict):
                    self._flush()
                self._value(item, f"{path}[{index}]" if path else "", depth + 1)

    def _leaf(self, path: str, text: str) -> None:
        if not text:
            return
        if len(text) > LONGEST_VALUE or "\n" in text:
            self._flush()
            self.draft.write(clean(f"{path}:\n{text}" if path else text))
        else:
            self.lines.append(f"{path}: {text}" if path else text)

    def _is_heading(self, path: str) -> bool:
        return bool(self.draft.headings) and self.draft.headings[-1].title == path

    def _flush(self) -> None:
        self.draft.write(clean("\n".join(self.lines)))
        self.lines.clear()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_section(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value) and not _short(value)


def _short(value: Any) -> bool:
    """Whether it is a list of plain values that fits on a line."""
    if not isinstance(value, list) or any(isinstance(item, dict | list) for item in value):
        return False
    return sum(len(str(item)) + 2 for item in value) <= LONGEST_LIST


def _columns(items: Sequence[Any]) -> list[str]:
    """The keys of flat objects that are alike enough to be rows of a table; empty when they are not."""
    if len(items) < 2:
        return []
    columns: dict[str, None] = {}
    filled = 0
    for item in items:
        if not isinstance(item, dict) or not all(_fits(value) for value in item.values()):
            return []
        columns |= dict.fromkeys(item)
        filled += len(item)
        if len(columns) > MOST_COLUMNS:
            return []
    return list(columns) if len(columns) > 1 and filled >= len(columns) * len(items) / 2 else []


def _fits(value: Any) -> bool:
    return not isinstance(value, dict | list) and (not isinstance(value, str) or len(value) <= LONGEST_CELL)


def _cells(item: Mapping[str, Any], columns: Sequence[str]) -> Iterator[Any]:
    return (item.get(column) for column in columns)
