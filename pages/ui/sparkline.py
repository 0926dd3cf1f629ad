"""Small charts of one line: a picture, its newest value and its highest one, also in words for screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 240, 44


def sparkline(title: str, values: Sequence[float | None], unit: str, *, digits: int = 0) -> str:
    """HTML of a chart; None is a moment without a value, where the line has a gap."""
    known = [value for value in values if value is not None]
    newest = f"{known[-1]:,.{digits}f} {unit}" if known else "nothing yet"
    highest = f"{max(known):,.{digits}f}" if known else "–"
    label = escape(f"{title}: {newest}, at most {highest} {unit} in the last ten minutes")
    return (
        f'<div style="min-width:0"><div style="display:flex;justify-content:space-between;gap:.5rem">'
        f"<span>{escape(title)}</span><strong>{escape(newest)}</strong></div>"
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="{HEIGHT}" '
        f'preserveAspectRatio="none">{_lines(values, max(known, default=0.0))}</svg></div>'
    )


def _lines(values: Sequence[float | None], highest: float) -> str:
    step = WIDTH / max(1, len(values) - 1)
    scale = (HEIGHT - 4) / highest if highest else 0.0
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{place * step:.1f},{HEIGHT - 2 - value * scale:.1f}")
    style = 'fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"'
    dots = 'fill="currentColor"'
    return "".join(
        f'<polyline points="{" ".join(piece)}" {style}/>'
        if len(piece) > 1
        else f'<circle cx="{piece[0].split(",")[0]}" cy="{piece[0].split(",")[1]}" r="1.5" {dots}/>'
        for piece in pieces
        if piece
    )
