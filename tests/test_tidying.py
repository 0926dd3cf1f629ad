"""What is tidied up while nobody waits: no foreign file and no failing step keeps the rest from being done."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.deletions import COPIES
from core.errors import StorageFull
from core.fsck import Fsck
from core.services import Services
from core.storage.db import backup
from core.storage.tables import PreferenceRow, now
from core.tidying import COPIES_KEPT, GOOD

Add = Callable[..., str]
ME = "local"


def test_a_foreign_file_among_the_originals_ends_nothing(live: Services, add_text: Add) -> None:
    document = add_text("The dam is high.")
    (live.settings.files / "Thumbs.db").write_bytes(b"x")
    orphan = live.settings.files / ("0" * 64)
    orphan.write_bytes(b"x")
    os.utime(orphan, (1, 1))
    live.documents.delete(document, owner_id=ME)
    live.tidying.round()
    assert [path.name for path in live.settings.files.iterdir()] == ["Thumbs.db"]
    assert live.deletions.list_deletions(owner_id=ME)[0].clean
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == []


@pytest.mark.parametrize("error", [StorageFull("The disk is full."), ValueError("unforeseen")])
def test_a_step_that_fails_does_not_keep_the_others_from_being_done(
    live: Services, add_text: Add, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    document = add_text("The dam is high.")

    def fail(**_: float) -> None:
        raise error

    monkeypatch.setattr(live.documents, "sweep", fail)
    live.documents.delete(document, owner_id=ME)
    live.tidying.round()
    assert live.deletions.list_deletions(owner_id=ME)[0].clean


def copy_before_update(live: Services):  # type: ignore[no-untyped-def]
    copy = live.db.path.with_name("app.before-0001_documents.db")
    backup(live.db.path, copy)
    return copy


def worked_since(live: Services, name: str, ago: timedelta) -> None:
    with live.db.write() as session:
        session.get_one(PreferenceRow, GOOD.format(name=name)).value = (now() - ago).isoformat()


def test_a_copy_of_before_an_update_counts_as_a_rest_until_it_is_removed(live: Services, add_text: Add) -> None:
    document = add_text("The heliotrope password.")
    copy = copy_before_update(live)
    later = add_text("Written after the update.", name="later.md")
    for one in (document, later):
        live.documents.delete(one, owner_id=ME)
    live.tidying.round()
    after, before = live.deletions.list_deletions(owner_id=ME)
    assert after.clean
    assert not before.clean
    assert {place: number for place, number in before.residues.items() if number} == {COPIES: 1}
    assert Fsck(live.db, live.files, live.jobs, live.index).run() == [], "it is kept on purpose"
    worked_since(live, copy.name, COPIES_KEPT - timedelta(hours=1))
    live.tidying.round()
    assert copy.exists()
    worked_since(live, copy.name, COPIES_KEPT + timedelta(hours=1))
    live.tidying.round()
    assert not copy.exists()
    assert live.deletions.list_deletions(owner_id=ME)[1].clean
    with live.db.read() as session:
        assert not session.scalars(select(PreferenceRow.name).where(PreferenceRow.name.like("good_since%"))).all()


def test_a_copy_that_an_update_did_not_finish_is_removed(live: Services) -> None:
    for name, written in (("app.before-0001_documents.tmp", 1), ("app.before-0002_conversations.tmp", None)):
        draft = live.db.path.with_name(name)
        draft.write_bytes(b"half")
        if written is not None:
            os.utime(draft, (written, written))
    live.tidying.round()
    assert [path.name for path in live.settings.data.glob("*.tmp")] == ["app.before-0002_conversations.tmp"]


def test_models_that_were_never_completed_are_removed_when_nothing_is_written_any_more(live: Services) -> None:
    store = live.settings.model_store
    store.mkdir(parents=True)
    for name in ("one.gguf.12345.import", "two.quantized", "one.gguf", "one.json"):
        (store / name).write_bytes(b"half")
        os.utime(store / name, (1, 1))
    for name in ("three.gguf.12345.import", "four.quantized"):
        (store / name).write_bytes(b"half")
    live.tidying.round()
    left = sorted(path.name for path in store.iterdir())
    assert left == ["four.quantized", "one.gguf", "one.json", "three.gguf.12345.import"]


def test_the_bytes_that_a_document_is_to_be_read_from_are_not_swept_away(live: Services, add_text: Add) -> None:
    document = add_text("The dam is high.")
    live.documents.replace(document, io.BytesIO(b"The dam is low."), owner_id=ME)
    for path in live.settings.files.iterdir():
        os.utime(path, (1, 1))
    live.tidying.round()
    assert len(list(live.files.stored())) == 2
