"""What was measured, as a table with the date and the machine."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from core.serving.machine import physical_cores, processor


@dataclass(frozen=True)
class Row:
    """One figure: what, the bar, what was measured (the median of its rounds), and how it came about."""

    figure: str
    bar: str
    measured: str
    met: bool
    detail: str = ""


def row(
    figure: str, bar: str, values: Sequence[float], *, least: float = 0, most: float = 1e9, detail: str = ""
) -> Row:
    """A row for a figure that was measured several times."""
    middle = statistics.median(values)
    spread = f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else ""
    return Row(figure, bar, f"{middle:.2f}{spread}", least <= middle <= most, detail)


def save(file: Path, group: str, rows: Sequence[Row]) -> None:
    """Keep the rows of a group beside those of the others."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known[group] = [asdict(row) for row in rows]
    file.write_text(json.dumps(known, indent=1, ensure_ascii=False))


def table(file: Path, model: str) -> str:
    """All that was kept, as Markdown."""
    name = processor().partition("\n")[0].partition(":")[2].strip() or platform.processor()
    memory = psutil.virtual_memory().total / 1e9
    head = (
        f"{time.strftime('%-d %B %Y')}, {physical_cores()} cores ({name}), {memory:.0f} GB, "
        f"llama-cpp-python {version('llama-cpp-python')}, {model}. Medians, with the spread of the rounds in brackets."
    )
    lines = [head, "", "| figure | bar | measured | met | how |", "|---|---|---|---|---|"]
    for rows in json.loads(file.read_text()).values():
        for row in rows:
            met = "yes" if row["met"] else "**no**"
            lines.append(f"| {row['figure']} | {row['bar']} | {row['measured']} | {met} | {row['detail']} |")
    return "\n".join(lines) + "\n"
