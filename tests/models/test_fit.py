"""Whether a model suits this machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from core.models.catalog import CatalogModel
from core.models.fit import fit
from core.models.local import make_model
from core.models.workbench import Measurement


def model(name: str, size: int) -> CatalogModel:
    return make_model(name, title=name, description="", licence="", context_tokens=2048, size=size, sha256="0" * 64)


def measured(name: str, writing: float, sha256: str = "0" * 64) -> Measurement:
    figures: dict[str, Any] = {"writing": writing}
    return Measurement(name, sha256, figures, datetime.now(UTC))


def test_speed_that_was_measured_is_told() -> None:
    found = fit(model("a", 10**9), [model("a", 10**9)], {"a": measured("a", 25)})
    assert (found.speed, found.measured, found.pace) == (25, True, "fast")


def test_speed_of_another_file_under_the_same_name_is_only_an_estimate() -> None:
    found = fit(model("a", 10**9), [model("a", 10**9)], {"a": measured("a", 25, "1" * 64)})
    assert not found.measured


def test_speed_follows_from_the_nearest_model_that_was_measured() -> None:
    models = [model("a", 10**9), model("b", 4 * 10**9), model("c", 5 * 10**9)]
    found = fit(models[2], models, {"a": measured("a", 30), "b": measured("b", 10)})
    assert found.speed == pytest.approx(8)
    assert found.pace == "comfortable"


def test_nothing_is_said_of_the_speed_when_nothing_is_known() -> None:
    found = fit(model("a", 10**9), [model("a", 10**9)], {})
    assert (found.speed, found.pace) == (None, "")


def test_model_that_is_larger_than_the_memory_does_not_fit() -> None:
    total = psutil.virtual_memory().total
    assert not fit(model("a", total), [], {}).fits
    assert fit(model("a", int(total * 0.9) - 450_000_000), [], {}).tight
    small = fit(replace(model("a", 10**6)), [], {})
    assert small.fits
    assert not small.tight
