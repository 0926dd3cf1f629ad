"""What every group of measurements needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.models.catalog import find, installed_path
from core.serving.machine import physical_cores
from core.settings import load
from tests.bench.serving import yardsticks


@dataclass(frozen=True)
class Bench:
    """The model that is measured, and how often."""

    model: str
    rounds: int
    minutes: float

    @cached_property
    def store(self) -> Path:
        return load().model_store

    @cached_property
    def path(self) -> Path:
        return installed_path(find(self.model), self.store)

    @cached_property
    def tools(self) -> Path:
        return yardsticks.folder()

    @property
    def threads(self) -> int:
        return physical_cores()

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)
