"""Whether a model suits this machine: its memory, and how fast it will write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from core.models.catalog import CatalogModel
from core.models.workbench import Measurement

OVERHEAD = 450_000_000  # bytes beside the weights: a context of usual length, and llama.cpp's own work
TIGHT = 0.8  # of the memory: beyond that other programs will feel it
FAST, SLOW = 20.0, 7.0  # tokens a second: people read about 7


@dataclass(frozen=True, slots=True)
class Fit:
    """`speed` in tokens a second of writing, None if nothing is known; `measured` tells it from an estimate."""

    memory: int
    fits: bool
    tight: bool
    speed: float | None
    measured: bool

    @property
    def pace(self) -> str:
        """The speed in a word."""
        if self.speed is None:
            return ""
        return "fast" if self.speed >= FAST else "comfortable" if self.speed >= SLOW else "slow"


def fit(model: CatalogModel, models: Sequence[CatalogModel], measurements: Mapping[str, Measurement]) -> Fit:
    """How a chat model suits this machine. The speed of one that was not measured follows from another one's.

    Writing a token means reading all weights once, so that speed goes down as size goes up.
    """
    needed = model.bytes + OVERHEAD
    total = int(psutil.virtual_memory().total)
    own = measurements.get(model.id)
    speed = float(own.figures["writing"]) if own and own.sha256 == model.sha256 else None
    measured = speed is not None
    if speed is None:
        sizes = {other.id: other.bytes for other in models}
        known = [(sizes[id], float(found.figures["writing"])) for id, found in measurements.items() if sizes.get(id)]
        if known and model.bytes:
            nearest, its_speed = min(known, key=lambda pair: abs(pair[0] - model.bytes))
            speed = its_speed * nearest / model.bytes
    return Fit(needed, needed <= total, needed > TIGHT * total, speed, measured)
