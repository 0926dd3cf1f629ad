"""Watched folders: what follows, what is left alone, and what is never removed."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from core.errors import BadSource
from core.fsck import Fsck
from core.retrieval.keyword import KeywordIndex
from core.services import Services
from core.sources.types import ItemState, Source, SourceState
from core.storage.tables import SourceDocumentRow
from core.types import Chunk, Document, Scope
from ingest.sources.folder import FolderLook
from ingest.sources.keeper import Keeper
from ingest.sources.patience import Patience
from ingest.sources.scan import is_skipped, scan
from tests.sources.conftest import OWNER, all_ready, make_keeper, names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    return made


@pytest.fixture
def keeper(live: Services) -> Keeper:
    return make_keeper(live)


Follow = Callable[[int], Source]


@pytest.fixture
def follow(live: Services, keeper: Keeper, folder: Path) -> Follow:
    """Watches the folder and looks at it so many times."""
    source = live.sources.add_folder(str(folder), owner_id=OWNER)

    def look(times: int = 2) -> Source:
        for _ in range(times):
            keeper.turn_of_folders(due_only=False)
            all_ready(live)
        keeper.turn_of_folders()
        return live.sources.get(source.id, owner_id=OWNER)

    return look


def write(path: Path, text: str, *, age: float = 100.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def ids(live: Services) -> dict[str, str]:
    return {document.name: document.id for document in live.documents.list_documents(owner_id=OWNER)}


def test_new_changed_and_removed_files_follow(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "a.md", "a")
    write(folder / "sub/deeper/b.md", "b")
    assert (follow(1).counts.found, names(live)) == (2, ["a.md", "b.md"])
    before = ids(live)
    write(folder / "a.md", "a, changed", age=50)
    (folder / "sub/deeper/b.md").unlink()
    source = follow(2)
    assert names(live) == ["a.md"]
    assert ids(live)["a.md"] != before["a.md"]
    assert (source.state, source.counts.known) == (SourceState.followed, 1)
    assert len(list(live.files.stored())) == 1


def test_files_go_into_the_collection_of_the_folder(live: Services, folder: Path, keeper: Keeper) -> None:
    home = live.documents.collection("Work", owner_id=OWNER)
    live.sources.add_folder(str(folder), owner_id=OWNER, collection_id=home)
    write(folder / "a.md", "a")
    keeper.turn_of_folders()
    assert live.documents.list_collections(owner_id=OWNER)[0].documents == 1


def test_a_file_that_is_being_written_is_left_until_it_is_quiet(live: Services, folder: Path) -> None:
    keeper = make_keeper(live, quiet=30.0)
    live.sources.add_folder(str(folder), owner_id=OWNER)
    (folder / "growing.md").write_text("half")
    keeper.turn_of_folders(due_only=False)
    (folder / "growing.md").write_text("half and the other half")
    keeper.turn_of_folders(due_only=False)
    assert names(live) == []
    keeper.turn_of_folders(due_only=False)  # the same as at the last look
    assert names(live) == ["growing.md"]


def test_a_file_that_changes_while_it_is_read_is_taken_as_it_is_in_the_end(
    live: Services, folder: Path, keeper: Keeper, follow: Follow
) -> None:
    path = write(folder / "a.md", "first")
    changed = False
    receive = live.files._write

    def written_meanwhile(source: object, *rest: object) -> object:
        nonlocal changed
        if not changed:
            changed = True
            write(path, "second and longer", age=20)
        return receive(source, *rest)  # type: ignore[arg-type]

    keeper.documents.files._write = written_meanwhile  # type: ignore[method-assign, assignment]
    follow(1)
    follow(1)
    (document,) = live.documents.list_documents(owner_id=OWNER)
    assert live.documents.content(document.id, owner_id=OWNER)[1] == b"second and longer"


def test_a_renamed_or_moved_file_is_not_read_again(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "old.md", "words")
    follow(1)
    before = ids(live)
    jobs = len(live.jobs.list_jobs(owner_id=OWNER))
    (folder / "sub").mkdir()
    (folder / "old.md").rename(folder / "sub" / "new.md")
    source = follow(3)
    assert ids(live) == {"new.md": before["old.md"]}
    assert len(live.jobs.list_jobs(owner_id=OWNER)) == jobs
    assert source.counts.known == 1


def test_two_files_with_the_same_bytes_are_one_document_until_both_are_gone(
    live: Services, folder: Path, follow: Follow
) -> None:
    write(folder / "one.md", "same")
    write(folder / "two.md", "same")
    follow(1)
    assert names(live) == ["one.md"]
    (folder / "one.md").unlink()
    follow(2)
    assert len(names(live)) == 1
    (folder / "two.md").unlink()
    follow(2)
    assert names(live) == []


@pytest.mark.parametrize("first", ["hand", "folder"])
def test_a_file_that_was_also_uploaded_stays_when_the_folder_loses_it(
    live: Services, folder: Path, follow: Follow, first: str
) -> None:
    def upload() -> None:
        live.documents.add(io.BytesIO(b"words"), name="mine.md", owner_id=OWNER)

    if first == "hand":
        upload()
    write(folder / "a.md", "words")
    follow(1)
    if first == "folder":
        upload()
    (folder / "a.md").unlink()
    assert follow(3).counts.known == 0
    assert len(names(live)) == 1


def test_hidden_and_temporary_files_are_passed_over(live: Services, folder: Path, follow: Follow) -> None:
    for name in (".hidden.md", "~$report.docx", "a.md.tmp", "b.pdf.part", "c.crdownload", ".git/config", "Thumbs.db",
                 "d.md~", "#e.md#", ".~lock.f.odt#", "good.md"):  # fmt: skip
        write(folder / name, name)
    follow(1)
    assert names(live) == ["good.md"]
    assert is_skipped("DESKTOP.INI")


def test_a_name_that_begins_with_a_number_sign_is_no_draft(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "#1 budget.md", "budget")
    write(folder / "#2 plans" / "a.md", "plan")
    follow(1)
    assert names(live) == ["#1 budget.md", "a.md"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
@pytest.mark.parametrize("name", [b"caf\xe9.md", b"caf\xe9/a.md"])
def test_a_name_that_is_not_text_is_told(live: Services, folder: Path, follow: Follow, name: bytes) -> None:
    write(Path(os.fsdecode(os.fsencode(folder) + b"/" + name)), "a")
    write(folder / "good.md", "good")
    source = follow(2)
    assert names(live) == ["good.md"]
    assert re.match(r"caf(\.md)? cannot be read: the name is not UTF-8\. Rename it\.", source.error)


def test_links_are_not_followed_wherever_they_lead(
    live: Services, folder: Path, tmp_path: Path, follow: Follow
) -> None:
    secret = write(tmp_path / "secret" / "key.txt", "secret")
    write(folder / "inside.md", "inside")
    (folder / "file.txt").symlink_to(secret)
    (folder / "dir").symlink_to(secret.parent)
    (folder / "self").symlink_to(folder)
    follow(2)
    assert names(live) == ["inside.md"]


def test_a_folder_that_becomes_a_link_between_scan_and_reading_is_not_followed(
    live: Services, folder: Path, tmp_path: Path, keeper: Keeper, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "secret" / "a.md", "secret")
    write(folder / "sub" / "a.md", "harmless")
    due = FolderLook._due

    def swapped(self: FolderLook, *arguments: object) -> object:
        found = due(self, *arguments)  # type: ignore[arg-type]
        if not (folder / "sub").is_symlink():
            shutil.rmtree(folder / "sub")
            (folder / "sub").symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(FolderLook, "_due", swapped)
    follow(1)
    assert names(live) == []


def test_a_pipe_in_the_folder_does_not_hold_anything_up(live: Services, folder: Path, follow: Follow) -> None:
    os.mkfifo(folder / "pipe.md")
    write(folder / "a.md", "a")
    follow(1)
    assert names(live) == ["a.md"]


def test_a_folder_that_is_not_there_removes_nothing_and_says_so(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "a.md", "a")
    follow(1)
    folder.rename(folder.with_name("unmounted"))
    source = follow(3)
    assert source.state == SourceState.failed
    assert "Nothing was removed" in source.error
    assert names(live) == ["a.md"]
    folder.with_name("unmounted").rename(folder)
    assert follow(1).state == SourceState.followed


def test_an_empty_folder_in_its_place_is_not_taken_for_it(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "a.md", "a")
    follow(1)
    folder.rename(folder.with_name("disk"))
    folder.mkdir()  # the mount point without its disk
    assert "Another, empty folder" in follow(3).error
    assert names(live) == ["a.md"]


def test_the_last_file_of_a_folder_may_go(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "a.md", "a")
    follow(1)
    (folder / "a.md").unlink()
    assert follow(2).error == ""
    assert names(live) == []


def test_files_on_a_disk_that_is_not_connected_stay(
    live: Services, folder: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "disk" / "a.md", "a")
    write(folder / "b.md", "b")
    from ingest.sources import scan as scanning

    taken = scanning._take

    def mounted(found: scanning.Scan, entry: os.DirEntry[str], path: str) -> bool:
        goes_on = taken(found, entry, path)
        if path in found.files and path.startswith("disk/"):
            found.files[path] = scanning.Seen(found.files[path].size, found.files[path].mtime_ns, mounted=True)
        return goes_on

    monkeypatch.setattr(scanning, "_take", mounted)
    follow(1)
    (folder / "disk" / "a.md").unlink()
    (folder / "b.md").unlink()
    follow(3)
    assert names(live) == ["a.md"]


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is readable for root")
def test_what_may_not_be_read_is_told_and_kept(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "sub" / "a.md", "a")
    write(folder / "b.md", "b")
    follow(1)
    (folder / "sub").chmod(0)
    write(folder / "c.md", "c").chmod(0)
    source = follow(3)
    (folder / "sub").chmod(0o700)
    assert "may not be read" in source.error
    assert source.counts.refused == 1
    assert names(live) == ["a.md", "b.md"]


def test_a_folder_below_that_cannot_be_listed_loses_nothing(
    live: Services, folder: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "sub" / "a.md", "a")
    follow(1)
    listing = os.scandir

    def refusing(path: object) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "no")
        return listing(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refusing)
    source = follow(3)
    assert "sub may not be read" in source.error
    assert names(live) == ["a.md"]


@pytest.mark.parametrize("broken", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_what_does_not_say_whether_it_is_there_is_not_taken_for_gone(
    live: Services, folder: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    write(folder / "sub" / "a.md", "a")
    write(folder / "b.md", "b")
    follow(1)
    listing = os.scandir

    def failing(path: Path) -> object:
        with listing(path) as entries:
            return nullcontext([_Unknown(entry.name, broken) for entry in entries])

    with monkeypatch.context() as patched:  # as a folder that may be listed and not entered, or a disk that fell asleep
        patched.setattr(os, "scandir", failing)
        source = follow(3)
    assert "b.md and 1 more may not be read" in source.error
    assert names(live) == ["a.md", "b.md"]
    (folder / "b.md").unlink()
    assert follow(2).error == ""
    assert names(live) == ["a.md"]


@dataclass(frozen=True)
class _Unknown:
    """An entry of a folder that cannot be looked at more closely."""

    name: str
    broken: int

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise OSError(self.broken, os.strerror(self.broken))


def test_a_file_that_could_not_be_read_is_tried_again_after_a_while_and_at_once_when_somebody_says_so(
    live: Services, folder: Path, follow: Follow, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.md", "a")
    tried, opening = 0, os.open

    def refusing(path: object, *rest: object, **more: object) -> int:
        nonlocal tried
        if str(path).endswith("a.md"):
            tried += 1
            raise PermissionError(errno.EACCES, "no")
        return opening(path, *rest, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing)
        source = follow(5)
        assert (tried, source.counts.refused, names(live)) == (1, 1, [])
        live.sources.look(source.id, owner_id=OWNER)
        follow(1)
        assert tried == 2
        write(folder / "a.md", "a, changed")
        follow(1)
        assert tried == 3
    follow(1)
    assert names(live) == []  # its time has not come
    monkeypatch.setattr(Patience, "waits", lambda *_: False)
    assert follow(1).counts.refused == 0
    assert names(live) == ["a.md"]


def test_a_data_folder_that_may_not_be_written_to_is_not_put_down_to_the_files(
    live: Services, folder: Path, follow: Follow, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.md", "a")
    opening = Path.open

    def refusing(path: Path, *rest: Any, **more: Any) -> object:
        if path.is_relative_to(live.files.folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opening(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refusing)
        source = follow(1)
    assert (names(live), source.counts.refused) == ([], 0)
    assert f"The folder {live.files.folder} cannot be written to." in source.error
    monkeypatch.setattr(Patience, "waits", lambda *_: False)
    assert follow(1).error == ""
    assert names(live) == ["a.md"]


def test_a_file_that_was_too_large_is_taken_when_larger_ones_are_allowed(
    live: Services, folder: Path, follow: Follow
) -> None:
    write(folder / "a.md", "a" * 100)
    live.documents.limit = 50
    assert follow(2).counts.refused == 1
    live.documents.limit = 200
    keeper = make_keeper(live)  # as after the restart that a changed setting needs
    keeper.turn_of_folders()
    assert names(live) == ["a.md"]


def test_what_is_tried_in_vain_is_left_alone_for_longer_each_time() -> None:
    patience = Patience(first=0.0, longest=50.0)
    patience.failed("a")
    assert not patience.waits("a")
    patience = Patience(first=30.0, longest=50.0)
    for _ in range(3):
        patience.failed("a", state=1)
    assert patience.waits("a", state=1)
    assert not patience.waits("a", state=2)
    assert not patience.waits("b")
    assert patience._pauses["a"].seconds == 50.0
    assert patience.forget("a")
    assert not patience.waits("a", state=1)


def test_a_renamed_file_is_found_by_its_new_name(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "apples.md", "words")
    follow(1)
    document = ids(live)["apples.md"]
    chunks = [Chunk(0, 0, 5, "words", heading="Part one")]
    live.chunks.save_text(document, Document("apples.md", "text/plain", "words"), chunks, {})
    assert live.library.titles(owner_id=OWNER) == ((document, "apples.md"),)
    (folder / "apples.md").rename(folder / "pears.md")
    follow(2)
    assert live.library.titles(owner_id=OWNER) == ((document, "pears.md"),)
    keywords = KeywordIndex(live.db)
    assert [len(keywords.search(word, Scope(OWNER), 5)) for word in ("pears", "apples", "part", "words")] == [
        1,
        0,
        1,
        1,
    ]
    assert "keyword index" not in {f.check for f in Fsck(live.db, live.files, live.jobs, live.index).run()}


def test_a_file_that_becomes_a_known_document_brings_it_into_its_collections_at_once(
    live: Services, folder: Path, keeper: Keeper, add_text: Callable[..., str]
) -> None:
    known = add_text("a known text")
    home = live.documents.collection("Work", owner_id=OWNER)
    source = live.sources.add_folder(str(folder), owner_id=OWNER, collection_id=home)
    write(folder / "a.md", "something else")
    keeper.folders.look(source.id, lambda: False)
    vector, scope = live.client.embed(["a known text"], priority="ingest")[0], Scope(OWNER, collection_id=home)
    assert live.index.current().search(vector, scope, 5) == []
    write(folder / "a.md", "a known text", age=50)
    keeper.folders.look(source.id, lambda: False)
    assert home in live.documents.get(known, owner_id=OWNER).collection_ids
    assert len(live.index.current().search(vector, scope, 5)) == 1


def test_a_folder_whose_files_do_not_fit_holds_up_neither_the_others_nor_what_frees_space(
    live: Services, folder: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder.with_name("other")
    write(folder / "large.md", "large")
    write(other / "small.md", "small")
    first = live.sources.add_folder(str(folder), owner_id=OWNER)
    live.sources.add_folder(str(other), owner_id=OWNER)
    leaving = live.documents.add(io.BytesIO(b"gone"), name="gone.md", owner_id=OWNER).document_id
    with live.db.write() as session:
        session.add(SourceDocumentRow(document_id=leaving))  # as of a file that is no longer there
    tried, write_file = 0, live.files._write

    def full(source: object, draft: Path, name: str, limit: int) -> object:
        nonlocal tried
        if name == "large.md":
            tried += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_file(source, draft, name, limit)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(keeper.documents.files, "_write", full)
        for _ in range(5):
            keeper.turn_of_folders()
        assert names(live) == ["small.md"]
        assert tried == 1  # it is not tried again and again
        found = live.sources.get(first.id, owner_id=OWNER)
        assert (found.state, "is full" in found.error) == (SourceState.waiting, True)
    keeper.turn_of_folders(due_only=False)
    assert names(live) == ["large.md", "small.md"]
    assert live.sources.get(first.id, owner_id=OWNER).error == ""


@pytest.mark.parametrize("error", [OSError(errno.EACCES, os.strerror(errno.EACCES)), ValueError("unforeseen")])
def test_a_deletion_that_the_disk_refuses_ends_nothing(
    live: Services, folder: Path, keeper: Keeper, follow: Follow, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("SCAN_SECONDS", "SLOW_SHARE", "IDLE_SECONDS", "STORAGE_PAUSE"):
        monkeypatch.setattr(f"ingest.sources.keeper.{name}", 0.02)
    path = write(folder / "a.md", "a")
    follow(2)
    assert names(live) == ["a.md"]
    refused = threading.Event()

    def refuse(_sha256: str) -> None:
        refused.set()
        raise error

    monkeypatch.setattr(live.files, "remove", refuse)
    path.unlink()
    keeper.start()
    try:
        assert refused.wait(20)
        write(folder / "b.md", "b")
        until(lambda: names(live) == ["b.md"])
        assert keeper._lock.is_locked
    finally:
        keeper.stop.set()
        until(lambda: not keeper._lock.is_locked)


def test_refused_files_are_told_with_a_sentence_and_tried_again_when_they_change(
    live: Services, folder: Path, follow: Follow
) -> None:
    write(folder / "empty.md", "")
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(60 << 20)
    os.utime(folder / "huge.bin", (1, 1))
    source = follow(2)
    errors = [item.error for item in live.sources.items(source.id, owner_id=OWNER, states=[ItemState.refused])]
    assert [error.split(".")[1][:20] for error in errors] == ["md is empty", "bin is larger than 5"]
    write(folder / "empty.md", "no more", age=30)
    assert follow(1).counts.refused == 1
    assert names(live) == ["empty.md"]


def test_a_document_that_somebody_deleted_stays_away(live: Services, folder: Path, follow: Follow) -> None:
    write(folder / "a.md", "a")
    follow(1)
    live.documents.delete(ids(live)["a.md"], owner_id=OWNER)
    assert follow(2).counts.deleted == 1
    assert names(live) == []


def test_a_paused_folder_stands_still(live: Services, folder: Path, follow: Follow) -> None:
    source = follow(1)
    live.sources.pause(source.id, owner_id=OWNER)
    write(folder / "a.md", "a")
    follow(2)
    assert names(live) == []
    live.sources.look(source.id, owner_id=OWNER)
    follow(1)
    assert names(live) == ["a.md"]


def test_only_real_folders_outside_of_our_own_data_are_watched(live: Services, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in ("", "relative/path", str(tmp_path / "missing"), str(tmp_path / "file"), str(tmp_path), "/",
                  str(live.settings.data), str(live.settings.data / "run"), "/nul\0l"):  # fmt: skip
        (live.settings.data / "run").mkdir(parents=True, exist_ok=True)
        with pytest.raises(BadSource):
            live.sources.add_folder(wrong, owner_id=OWNER)


def test_names_of_every_kind_are_followed(live: Services, folder: Path, follow: Follow) -> None:
    for name in ("ünï cödé.md", "emoji 🎉.md", "-dash.md", "a'b\"c.md", "line\nend.md"):
        write(folder / name, name)
    os.close(os.open(os.fsencode(folder) + b"/bad\xff.md", os.O_CREAT | os.O_WRONLY))  # no text in any encoding
    assert follow(2).counts.known == 5


def test_a_look_without_news_writes_nothing(live: Services, folder: Path, follow: Follow, keeper: Keeper) -> None:
    for number in range(20):
        write(folder / f"{number}.md", str(number))
    follow(2)
    begun: list[str] = []
    event.listen(live.db.engine, "begin", lambda connection: begun.append("write" if connection.get_execution_options().get("write", True) else "read"))  # fmt: skip
    keeper.turn_of_folders(due_only=False)
    assert begun
    assert "write" not in begun


def test_a_scan_ends_when_it_is_told_to(folder: Path) -> None:
    write(folder / "a.md", "a")
    assert scan(folder, lambda: True).files == {}


def test_a_look_goes_on_after_its_time_is_up(
    live: Services, folder: Path, keeper: Keeper, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        write(folder / f"{number}.md", str(number))
    monkeypatch.setattr("ingest.sources.folder.BUDGET_SECONDS", 0.0)
    assert keeper.turn_of_folders(due_only=False)
    monkeypatch.undo()
    follow(1)
    assert len(names(live)) == 5


def test_only_one_of_two_workers_follows(live: Services) -> None:
    first, second = make_keeper(live), make_keeper(live)
    live.settings.run.mkdir(parents=True, exist_ok=True)
    assert first.try_lock()
    assert not second.try_lock()
    first.release()
    assert second.try_lock()
    second.release()
