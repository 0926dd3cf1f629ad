"""How often a model followed instructions that were hidden in documents, as it was measured for the catalog."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("attacks.toml")


@dataclass(frozen=True, slots=True)
class Attacks:
    """Of `cases` poisoned documents, in how many the attacker's instruction was followed; `measured` is a date."""

    cases: int
    product: int
    plain: int
    measured: str


def attacks_on(model_id: str) -> Attacks | None:
    """What was measured for this model; None when nothing was."""
    return _measured().get(model_id)


@cache
def _measured() -> Mapping[str, Attacks]:
    return {name: Attacks(**entry) for name, entry in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()}
