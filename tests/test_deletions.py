"""Delete means gone: looked for in every place, down to the bytes of the database file."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert, select
from sqlalchemy import text as sql

from core import deletions
from core.deletions import Deletions
from core.retrieval.keyword import keyword_damage
from core.retrieval.serving_index import ServingIndex
from core.services import Services
from core.storage.db import Database
from core.storage.tables import DeletionRow, DocumentRow, PageReadingRow, VectorRow

Add = Callable[..., str]
ME = "local"
SECRET = "The heliotrope password is xylophone quartz."


def delete(live: Services, document: str) -> None:
    live.documents.delete(document, owner_id=ME)
    live.deletions.settle()


def test_a_deletion_is_kept_with_what_was_looked_for(live: Services, add_text: Add) -> None:
    add_text("Something that stays.\n\nAnd goes on.", name="other.md")
    document = add_text(f"{SECRET}\n\nMore of it.")
    sha256 = live.documents.get(document, owner_id=ME).sha256
    live.index.warm()
    live.index.save()
    live.documents.delete(document, owner_id=ME)
    (entry,) = live.deletions.list_deletions(owner_id=ME)
    assert (entry.document_id, entry.name, entry.sha256, entry.checked_at) == (document, "note.md", sha256, None)
    assert live.deletions.settle() == 0
    (entry,) = live.deletions.list_deletions(owner_id=ME)
    assert entry.clean
    assert set(entry.residues) >= {"documents", "text", "chunks", "vectors", "keyword index", "index file", "file"}
    assert set(entry.residues.values()) == {0}
    assert live.deletions.list_deletions(owner_id="other") == []


def test_nothing_of_the_text_is_left_in_the_bytes_of_the_data_folder(live: Services, add_text: Add) -> None:
    add_text("Something that stays.\n\nAnd goes on.", name="other.md")
    document = add_text(f"{SECRET}\n\n" + "\n\n".join(f"Paragraph {n} of heliotrope." for n in range(200)))
    live.db.checkpoint()
    assert left(live) != []
    delete(live, document)
    assert left(live) == []


def left(live: Services) -> list[str]:
    """The files that still hold words of the secret, as text or as terms of the keyword index."""
    live.db.close()
    files = [path for path in live.settings.data.rglob("*") if path.is_file()]
    return [path.name for path in files if any(word in path.read_bytes() for word in (b"heliotrop", b"xylophon"))]


def test_what_is_left_behind_is_found(live: Services, add_text: Add) -> None:
    document = add_text(SECRET)
    with live.db.read() as session:
        vector = session.scalars(select(VectorRow)).one()
    sha256 = live.documents.get(document, owner_id=ME).sha256
    content = live.files.path(sha256).read_bytes()
    live.documents.delete(document, owner_id=ME)
    with live.db.write() as session:
        session.execute(sql("PRAGMA defer_foreign_keys = ON"))
    with live.db.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        values = {"chunk_id": vector.chunk_id, "embedder": vector.embedder, "dimension": 1, "data": bytes(4)}
        connection.execute(insert(VectorRow).values(**values))
        connection.commit()
        connection.exec_driver_sql("COMMIT") if connection.in_transaction() else None
    live.db.close()
    live.files.path(sha256).write_bytes(content)
    assert live.deletions.settle() == 1
    (entry,) = live.deletions.list_deletions(owner_id=ME)
    assert not entry.clean
    assert entry.residues["vectors"] == 1
    assert entry.residues["file"] == 0, "an orphaned file is removed when it is found"


def test_the_file_of_somebody_else_stays(live: Services, add_text: Add) -> None:
    from core.storage.tables import UserRow

    with live.db.write() as session:
        session.add(UserRow(id="other", name="Other", role="user"))
    mine, theirs = add_text(SECRET), add_text(SECRET, owner_id="other")
    delete(live, mine)
    (entry,) = live.deletions.list_deletions(owner_id=ME)
    assert entry.clean
    assert live.documents.content(theirs, owner_id="other")[1]


def test_a_search_that_a_crash_cut_off_is_finished(
    live: Services, add_text: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = add_text(SECRET)
    with live.db.write() as session:
        session.add(DeletionRow(owner_id=ME, document_id="gone", name="n", sha256="0" * 64))
    assert live.deletions.settle() == 0
    assert live.deletions.list_deletions(owner_id=ME)[0].clean
    assert live.documents.get(document, owner_id=ME)


class Counting:
    """An index that counts how often its file is read."""

    def __init__(self, index: ServingIndex) -> None:
        self.index = index
        self.warm, self.save = index.warm, index.save
        self.reads = 0

    def stored_ids(self) -> NDArray[np.int64]:
        self.reads += 1
        return self.index.stored_ids()


def test_the_index_file_is_read_twice_however_many_deletions_wait(live: Services, add_text: Add) -> None:
    documents = [add_text(f"Note number {n}.", name=f"{n}.md") for n in range(5)]
    live.index.warm()
    live.index.save()
    for document in documents:
        live.documents.delete(document, owner_id=ME)
    index = Counting(live.index)
    assert Deletions(live.db, live.files, index).settle() == 0
    assert index.reads == 2
    assert all(entry.clean for entry in live.deletions.list_deletions(owner_id=ME))


def test_the_keyword_index_is_not_damaged_because_another_process_wrote_to_it(live: Services, add_text: Add) -> None:
    other = Database(live.settings.database)
    assert not keyword_damage(other)
    add_text("The dam is high.")
    assert not keyword_damage(other)
    other.close()


def test_what_was_found_in_the_keyword_index_once_is_looked_for_again(live: Services, add_text: Add) -> None:
    live.documents.delete(add_text(SECRET), owner_id=ME)
    with live.db.write() as session:
        row = session.scalars(select(DeletionRow)).one()
        row.residues = {**row.residues, "keyword index": 1}
    assert live.deletions.settle() == 0
    assert live.deletions.list_deletions(owner_id=ME)[0].clean


def test_a_deletion_takes_the_changed_file_along_that_was_still_to_be_read(live: Services, add_text: Add) -> None:
    document = add_text(SECRET)
    live.documents.replace(document, io.BytesIO(b"The heliotrope password is another."), owner_id=ME)
    delete(live, document)
    assert list(live.files.stored()) == []


def test_a_kill_before_the_files_go_leaves_the_changed_file_to_the_search(
    live: Services, add_text: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    document = add_text(SECRET)
    live.documents.replace(document, io.BytesIO(b"The heliotrope password is another."), owner_id=ME)
    with live.db.read() as session:
        before, incoming = session.execute(select(DocumentRow.sha256, DocumentRow.incoming_sha256)).one()
    with live.db.write() as session:
        page = PageReadingRow(sha256=incoming, reader="r", page=1, text="heliotrope", confidence=1.0, seconds=1.0)
        session.add(page)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(deletions, "forget_bytes", killed)
        live.documents.delete(document, owner_id=ME)
    remains = deletions._Remains(document, (before, incoming), None, None)
    found = deletions.search(live.db, live.files, remains)
    assert (found["file"], found["recognised pages"]) == (2, 1)
    assert live.deletions.settle() == 0
    (entry,) = live.deletions.list_deletions(owner_id=ME)
    assert (entry.clean, entry.residues["file"], entry.residues["recognised pages"]) == (True, 0, 0)
    assert list(live.files.stored()) == []
    with live.db.read() as session:
        assert session.scalars(select(PageReadingRow)).all() == []
