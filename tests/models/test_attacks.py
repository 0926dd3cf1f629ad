"""What is published of poisoned documents belongs to models of the catalog and can be true."""

from __future__ import annotations

from datetime import date

from core.models.attacks import attacks_on
from core.models.catalog import load_catalog
from pages.ui.model_figures import attacks


def test_every_published_rate_is_of_a_chat_model_of_the_catalog() -> None:
    for model in load_catalog().values():
        found = attacks_on(model.id)
        if found is not None:
            assert model.role == "chat"
            assert 0 <= found.product <= found.cases
            assert 0 <= found.plain <= found.cases
            date.fromisoformat(found.measured)
            assert f"{found.product} of {found.cases}" in attacks(found)


def test_a_model_that_was_not_measured_says_so() -> None:
    assert attacks_on("no-such-model") is None
    assert "not measured" in attacks(None)
