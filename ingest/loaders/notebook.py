"""Jupyter notebooks: text cells with their headings, code in fences, what it wrote as text; pictures are left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadUpload
from core.types import Document
from ingest.loaders.clean import clean
from ingest.loaders.decode import decode
from ingest.loaders.draft import Draft
from ingest.loaders.jsons import JsonLoader, parse
from ingest.loaders.text import add_markdown
from ingest.loaders.textkinds import NOTEBOOK

LONGEST_OUTPUT = 20_000  # characters; the rest is most likely a log


@dataclass(frozen=True, slots=True)
class NotebookLoader:
    """Notebooks of format 3 and later."""

    version: int = 1
    library: str | None = "markdown-it-py"

    def load(self, path: Path, name: str) -> Document:
        decoded = decode(path.read_bytes())
        try:
            book, _ = parse(decoded.text, name)
        except ValueError as error:
            raise BadUpload(f"{name} is damaged: this notebook is cut off. Save it anew.") from error
        cells = _cells(book)
        if cells is None:
            return JsonLoader().load(path, name)
        return _read(cells, _language(book), Draft(name))


def _cells(book: Any) -> list[dict[str, Any]] | None:
    """The cells, which the older format keeps in worksheets; None when it is no notebook."""
    if not isinstance(book, dict):
        return None
    sheets = book.get("worksheets")
    holders = sheets if isinstance(sheets, list) else [book]
    lists = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    if not any(isinstance(cells, list) for cells in lists):
        return None
    return [cell for cells in lists if isinstance(cells, list) for cell in cells if isinstance(cell, dict)]


def _language(book: dict[str, Any]) -> str:
    about = book.get("metadata")
    for key, entry in (("language_info", "name"), ("kernelspec", "language")):
        found = about.get(key) if isinstance(about, dict) else None
        if isinstance(found, dict) and isinstance(found.get(entry), str):
            return str(found[entry])[:30]
    return ""


def _read(cells: list[dict[str, Any]], language: str, draft: Draft) -> Document:
    pictures = cut = 0
    for cell in cells:
        source = clean(_joined(cell.get("source", cell.get("input")))).strip("\n")
        if cell.get("cell_type") != "code":
            add_markdown(draft, source)
            continue
        if source.strip():
            draft.write(f"```{clean(language)}\n{source}\n```")
        for output in cell.get("outputs") or ():
            text, picture = _output(output) if isinstance(output, dict) else ("", False)
            pictures += picture
            cut += len(text) > LONGEST_OUTPUT
            if text := clean(text[:LONGEST_OUTPUT]).strip("\n"):
                draft.write(f"```output\n{text}\n```")
    warnings = []
    if pictures:
        warnings.append(f"{pictures:,} {'picture' if pictures == 1 else 'pictures'} that the code made were left out.")
    if cut:
        warnings.append(f"Of {cut:,} long {'output' if cut == 1 else 'outputs'} only the beginning was kept.")
    return draft.document(NOTEBOOK, metadata={"programming_language": language}, warnings=warnings)


def _output(output: dict[str, Any]) -> tuple[str, bool]:
    """The text of an output and whether it is a picture."""
    shown = output.get("data", output)
    if "text" in output:
        return _joined(output["text"]), False
    if "traceback" in output:
        return _joined(output.get("traceback"), "\n"), False
    if not isinstance(shown, dict):
        return "", False
    picture = any(str(kind).startswith(("image", "png", "jpeg", "svg")) for kind in shown)
    plain = "" if picture else next(_texts(shown), "")
    return plain, picture


def _texts(shown: dict[str, Any]) -> Iterator[str]:
    for kind in ("text/markdown", "text/plain", "text/latex", "application/json"):
        if text := _joined(shown.get(kind)):
            yield text


def _joined(lines: Any, between: str = "") -> str:
    """Text that the format keeps whole or in lines."""
    if isinstance(lines, list):
        return between.join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""
