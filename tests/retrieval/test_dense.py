from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import TextClause, text

from core.retrieval.dense import DenseIndex, Limits, NearIndex, feed, index_file, read, upkeep, write
from core.retrieval.dense import index as index_module
from core.retrieval.dense.gaps import EVERYTHING, OPEN, fill, open_end
from core.retrieval.dense.near import make
from core.retrieval.dense.sharing import SharedLock
from core.services import Services
from core.settings import ROOT
from core.types import Chunk, Document, JobStatus, Scope
from tests.stored import store_vectors

ME = Scope("local")
SMALL = Limits(exact=300, probes=8, inline=200)
TOPICS, DIMENSION = 24, 32
Vectors = NDArray[np.float32]


def cloud(count: int, seed: int = 0) -> Vectors:
    """Unit vectors around a few centres, as passages lie around topics."""
    luck = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(TOPICS, DIMENSION))
    vectors = centres[luck.integers(0, TOPICS, count)] + luck.normal(size=(count, DIMENSION)) * 0.4
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Library:
    """Documents whose chunks have given vectors, written as the worker writes them."""

    def __init__(self, live: Services) -> None:
        self.live = live
        self.vectors: dict[int, Vectors] = {}
        self.chunks: dict[str, list[int]] = {}
        self.written = 0

    def add(self, vectors: Vectors, *, collection: str | None = None) -> str:
        document = self.add_text(len(vectors), collection=collection)
        self.embed(document, vectors)
        return document

    def add_text(self, count: int, *, collection: str | None = None) -> str:
        """A document that has no vectors yet."""
        live, name = self.live, f"{self.written}.txt"
        self.written += 1
        home = live.documents.collection(collection, owner_id="local") if collection else None
        parts = [f"{name} {n}" for n in range(count)]
        whole = "\n".join(parts)
        added = live.documents.add(io.BytesIO(whole.encode()), name=name, owner_id="local", collection_id=home)
        starts = np.cumsum([0, *(len(part) + 1 for part in parts)]).tolist()
        chunks = [Chunk(n, starts[n], starts[n] + len(part), part) for n, part in enumerate(parts)]
        live.chunks.save_text(added.document_id, Document(name, "text/plain", whole), chunks, {})
        if job := live.jobs.claim("test"):
            live.jobs.finish(job.id, "test", JobStatus.done)
        self.chunks[added.document_id] = []
        return added.document_id

    def embed(self, document: str, vectors: Vectors) -> None:
        ids = store_vectors(self.live, document, vectors)
        self.chunks[document] = ids
        self.vectors |= dict(zip(ids, vectors, strict=True))

    def delete(self, document: str) -> None:
        self.live.documents.delete(document, owner_id="local")
        for id in self.chunks.pop(document):
            del self.vectors[id]

    def nearest(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[int]:
        ids = list(self.vectors) if among is None else among
        scores = {id: float(self.vectors[id] @ vector) for id in ids}
        return sorted(scores, key=lambda id: -scores[id])[:k]

    def recall(self, index: DenseIndex, scope: Scope = ME, among: Sequence[int] | None = None, k: int = 10) -> float:
        shares = []
        for vector in cloud(40, seed=7):
            found = {id for id, _ in index.search(vector, scope, k)}
            shares.append(len(found & set(self.nearest(vector, k, among))) / min(k, len(among or self.vectors)))
        return float(np.mean(shares))


@pytest.fixture
def library(live: Services) -> Library:
    return Library(live)


@pytest.fixture
def new_index(live: Services) -> Iterator[Callable[..., DenseIndex]]:
    made: list[DenseIndex] = []

    def new(limits: Limits = SMALL) -> DenseIndex:
        made.append(DenseIndex(live.chunks, live.settings.embedding_model, live.settings.index, limits))
        return made[-1]

    yield new
    for index in made:
        index.upkeep.stop()


def settled(index: DenseIndex) -> DenseIndex:
    index.warm()
    index.upkeep.settle()
    return index


def lists(index: DenseIndex) -> int:
    assert index.upkeep.held is not None
    return index.upkeep.held.index.lists


# --- forms ---


def test_a_small_library_is_searched_exactly(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    library.add(cloud(150))
    index = settled(new_index())
    assert lists(index) == 0
    assert library.recall(index) == 1.0


def test_a_library_that_grows_gets_lists_and_goes_on_finding(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(150))
    index = settled(new_index())
    for seed in range(1, 8):
        library.add(cloud(150, seed))
        assert library.recall(index) >= 0.95
    settled(index)
    assert lists(index) > 0
    assert library.recall(index) >= 0.98
    assert index.ids().tolist() == sorted(library.vectors)


def test_a_library_that_shrinks_becomes_exact_again(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    documents = [library.add(cloud(100, seed)) for seed in range(5)]
    index = settled(new_index())
    assert lists(index) > 0
    for document in documents[1:]:
        library.delete(document)
    settled(index)
    assert lists(index) == 0
    assert index.ids().tolist() == sorted(library.vectors)


def test_lists_are_made_anew_when_the_library_has_outgrown_them(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(400))
    index = settled(new_index())
    few = lists(index)
    for seed in range(1, 6):
        library.add(cloud(400, seed))
    settled(index)
    assert lists(index) >= 2 * few
    assert library.recall(index) >= 0.98


def test_scores_are_those_of_the_vectors_in_the_database_in_every_form(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(500))
    index = settled(new_index())
    assert lists(index) > 0
    for vector in cloud(10, seed=3):
        for id, score in index.search(vector, ME, 10):
            assert score == pytest.approx(float(library.vectors[id] @ vector), abs=1e-6)


def test_a_deleted_document_leaves_lists_memory_and_file(
    library: Library, new_index: Callable[..., DenseIndex], live: Services
) -> None:
    gone = library.add(cloud(100, 5))
    library.add(cloud(400))
    index = settled(new_index())
    index.save()
    ids = set(library.chunks[gone])
    library.delete(gone)
    for vector in cloud(20, seed=5):
        assert not ids & {id for id, _ in index.search(vector, ME, 50)}
    index.save()
    stored, _ = read(index.path)
    assert stored is not None
    assert not ids & set(stored.ids().tolist())
    assert not ids & set(index.ids().tolist())
    assert library.recall(index) >= 0.98


# --- scopes ---


def test_a_scope_of_one_document_is_compared_exactly_however_large_the_library(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    document = library.add(cloud(60, 1))
    for seed in range(2, 7):
        library.add(cloud(300, seed))
    index = settled(new_index(Limits(exact=300, probes=1, inline=200)))
    assert lists(index) > 0
    assert library.recall(index, Scope("local", document_ids=(document,)), library.chunks[document]) == 1.0


def test_a_collection_that_is_too_large_to_be_compared_one_by_one_keeps_its_recall(
    library: Library, new_index: Callable[..., DenseIndex], live: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "EXACT_SCOPE", 10)
    inside = [library.add(cloud(100, seed), collection="Some") for seed in range(3)]
    for seed in range(3, 15):
        library.add(cloud(100, seed))
    index = settled(new_index(Limits(exact=300, probes=3, inline=200)))
    scope = Scope("local", collection_id=live.documents.collection("Some", owner_id="local"))
    among = [id for document in inside for id in library.chunks[document]]
    assert library.recall(index, scope, among) >= 0.98
    assert {id for id, _ in index.search(cloud(1, 9)[0], scope, 10)} <= set(among)


@pytest.mark.parametrize("limits", [Limits(), SMALL])
def test_ids_behind_the_end_of_what_is_allowed_are_not_allowed(limits: Limits) -> None:
    vectors = cloud(600)
    index = make(DIMENSION, len(vectors), vectors, limits, lambda: False)
    assert index is not None
    index.add(np.arange(600), vectors)
    memory = np.full(200, 255, dtype=np.uint8)  # whatever lies behind is full of ones
    found, _ = index.search(vectors[500], 50, probes=100, allowed=memory[:4])
    assert set(found.tolist()) == set(range(32))


def test_who_owns_little_among_many_finds_all_of_it(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    mine = library.add(cloud(30, 2))
    library.add(cloud(700))
    with library.live.db.write() as session:
        session.execute(
            text("INSERT INTO users(id, name, role, created_at) VALUES ('ann', 'Ann', 'editor', '2026-01-01')")
        )
        session.execute(text("UPDATE documents SET owner_id = 'ann' WHERE id = :id"), {"id": mine})
        session.execute(text("UPDATE index_state SET generation = generation + 1"))
    index = settled(new_index())
    assert library.recall(index, Scope("ann"), library.chunks[mine]) == 1.0


# --- becoming current ---


def test_vectors_that_come_later_than_those_of_newer_documents_are_found(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    first, second = library.add_text(20), library.add_text(20)
    index = settled(new_index())
    library.embed(second, cloud(20, 2))
    assert library.recall(index) == 1.0
    library.embed(first, cloud(20, 1))
    assert library.recall(index) == 1.0
    library.add(cloud(20, 3))
    assert library.recall(index) == 1.0
    assert index.ids().tolist() == sorted(library.vectors)


def test_additions_removals_and_late_vectors_in_any_order_leave_what_the_database_has(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    luck = random.Random(4)
    index, waiting = new_index(), []
    for step in range(60):
        choice = luck.random()
        if choice < 0.4:
            library.add(cloud(luck.randint(1, 30), step))
        elif choice < 0.6:
            waiting.append((library.add_text(9), step))
        elif choice < 0.8 and waiting:
            document, seed = waiting.pop(luck.randrange(len(waiting)))
            library.embed(document, cloud(9, seed))
        elif ready := [document for document, ids in library.chunks.items() if ids]:
            library.delete(luck.choice(ready))
        if luck.random() < 0.5:
            index.search(cloud(1, step)[0], ME, 5)
        if luck.random() < 0.1:
            index.save()
            index = new_index()
    assert settled(index).ids().tolist() == sorted(library.vectors)


def test_many_additions_are_taken_in_behind_searches(
    library: Library, new_index: Callable[..., DenseIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(cloud(50))
    index = settled(new_index())
    monkeypatch.setattr(index.upkeep.feed, "block", 16)
    for seed in range(1, 4):
        library.add(cloud(60, seed))
    index.search(cloud(1)[0], ME, 5)
    index.upkeep.settle()
    assert index.ids().tolist() == sorted(library.vectors)


def test_searches_go_on_with_the_old_index_while_another_is_built(
    library: Library, new_index: Callable[..., DenseIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(cloud(150))
    index = settled(new_index())
    building, may_end = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> NearIndex | None:
        building.set()
        assert may_end.wait(20)
        return make(*arguments)

    monkeypatch.setattr(upkeep, "make", slow)
    library.add(cloud(300, 1))
    index.search(cloud(1)[0], ME, 5)
    assert building.wait(20)
    meanwhile = library.add(cloud(40, 2))
    assert library.recall(index) == 1.0
    assert lists(index) == 0
    library.delete(meanwhile)
    may_end.set()
    settled(index)
    assert lists(index) > 0
    assert index.ids().tolist() == sorted(library.vectors)


def test_many_threads_search_while_documents_come_and_go(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(250))
    stays = set(library.chunks[next(iter(library.chunks))])
    index, stop = settled(new_index()), threading.Event()
    wrong: list[str] = []

    def look(seed: int) -> None:
        number = 0
        while not stop.is_set():
            vector = cloud(1, seed * 1000 + number)[0]
            number += 1
            found = index.search(vector, ME, 10)
            scores = [score for _, score in found]
            if len(found) != 10 or scores != sorted(scores, reverse=True):
                wrong.append(f"{len(found)} found: {scores}")

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(1, 4)]
    for thread in threads:
        thread.start()
    for seed in range(10, 22):
        document = library.add(cloud(60, seed))
        if seed % 2:
            library.delete(document)
        if seed % 5 == 0:
            index.save()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert settled(index).ids().tolist() == sorted(library.vectors)
    assert stays <= set(index.ids().tolist())


def test_the_thread_ends_when_the_application_does(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    library.add(cloud(600))
    index = new_index()
    index.search(cloud(1)[0], ME, 5)
    index.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "index"]


@pytest.mark.parametrize("statement", [feed.ADDED, feed.FROM])
def test_what_is_new_is_found_without_reading_all_vectors(
    library: Library, new_index: Callable[..., DenseIndex], statement: TextClause
) -> None:
    library.add(cloud(20))
    values = {"gaps": "[[21, 99]]", "start": 21, "embedder": new_index().embedder, "dimension": DIMENSION, "most": 9}
    with library.live.db.read() as session:
        plan = [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {statement}"), values)]
    assert [step for step in plan if "vectors" in step and "(chunk_id>?" in step], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


# --- the file ---


def test_a_saved_index_with_lists_is_used_again(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    library.add(cloud(600))
    settled(new_index()).save()
    library.add(cloud(20, 1))
    again = new_index()
    assert library.recall(again) >= 0.98
    assert lists(again) > 0
    assert again.ids().tolist() == sorted(library.vectors)


@pytest.mark.parametrize("place", ["head", "middle", "end"])
def test_a_damaged_file_of_lists_is_rebuilt(library: Library, new_index: Callable[..., DenseIndex], place: str) -> None:
    library.add(cloud(600))
    index = settled(new_index())
    index.save()
    data = bytearray(index.path.read_bytes())
    data[{"head": 3, "middle": len(data) // 2, "end": -1}[place]] ^= 4
    index.path.write_bytes(data)
    assert read(index.path) == (None, -1)
    assert settled(new_index()).ids().tolist() == sorted(library.vectors)


def test_whole_garbage_with_a_right_hash_is_rebuilt(library: Library, new_index: Callable[..., DenseIndex]) -> None:
    library.add(cloud(50))
    index = new_index()
    index.path.parent.mkdir(parents=True)
    stamp, body = bytes(8), b"IxFI" + b"\xff" * 3000
    index.path.write_bytes(index_file.MAGIC + stamp + hashlib.sha256(stamp + body).digest() + body)
    assert settled(index).ids().tolist() == sorted(library.vectors)


def test_an_index_of_another_history_of_the_database_is_not_trusted(
    live: Services, library: Library, new_index: Callable[..., DenseIndex], tmp_path: Path
) -> None:
    library.add(cloud(50))
    live.release()
    copy = shutil.copytree(live.settings.data, tmp_path / "backup")
    lost = library.add(cloud(40, 1))
    settled(new_index()).save()
    live.release()
    for name in ("app.db", "app.db-wal", "app.db-shm"):
        (live.settings.data / name).unlink(missing_ok=True)
    shutil.copy(copy / "app.db", live.settings.data / "app.db")
    for id in library.chunks.pop(lost):
        del library.vectors[id]
    for seed in (2, 3, 4):  # the ids of what was lost are given again
        library.add(cloud(40, seed))
    again = settled(new_index())
    assert again.ids().tolist() == sorted(library.vectors)
    assert library.recall(again) == 1.0


def test_a_database_restored_under_a_running_index_is_followed(
    live: Services, library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(50))
    index = settled(new_index())
    with live.db.write() as session:
        session.execute(text("DELETE FROM vectors WHERE chunk_id > 20"))
        session.execute(text("UPDATE index_state SET generation = 0"))
    assert settled(index).ids().tolist() == [id for id in sorted(library.vectors) if id <= 20]


def test_a_full_disk_costs_the_file_and_nothing_else(
    library: Library, new_index: Callable[..., DenseIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(cloud(50))
    index = settled(new_index())
    index.save()
    before = index.path.read_bytes()
    library.add(cloud(50, 1))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    index.save()
    assert index.path.read_bytes() == before
    assert [path.name for path in index.path.parent.iterdir()] == [index.path.name]
    assert library.recall(index) == 1.0


KILLED = """
import os, signal, sys
from core.retrieval.dense import index_file, read
from pathlib import Path
path = Path(sys.argv[1])
index, _ = read(path)
calls = 0
def dying(write):
    def block(data):
        global calls
        calls += 1
        write(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return block
plain = index.write
index.write = lambda write: plain(dying(write))
index_file.write(index, 10**6, path)
"""


def test_a_process_killed_while_it_writes_leaves_the_old_file(
    library: Library, new_index: Callable[..., DenseIndex]
) -> None:
    library.add(cloud(600))
    index = settled(new_index())
    index.save()
    before = index.path.read_bytes()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(index.path)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert index.path.read_bytes() == before
    assert [*index.path.parent.glob("*.tmp.*")]
    assert library.recall(new_index()) >= 0.98
    write(read(index.path)[0], 3, index.path)  # type: ignore[arg-type]
    assert not [*index.path.parent.glob("*.tmp.*")]


# --- pure parts ---


def test_gaps_are_what_is_not_found() -> None:
    found = np.array([3, 4, 8])
    assert fill([EVERYTHING], found) == [(0, 2), (5, 7), (9, OPEN)]
    assert fill([(0, 2), (5, 7), (9, OPEN)], np.array([0, 1, 2, 6, 11])) == [(5, 5), (7, 7), (9, 10), (12, OPEN)]
    assert fill([(5, 6)], np.array([5, 6])) == []


def test_the_open_gap_begins_behind_the_newest_chunk() -> None:
    assert open_end([(2, 3), (9, OPEN)], 12) == [(2, 3), (9, 12), (13, OPEN)]
    assert open_end([(9, OPEN)], 5) == [(9, OPEN)]


def test_a_change_waits_for_readers_and_new_readers_wait_for_it() -> None:
    lock, order = SharedLock(), []
    inside, may_leave, wants = threading.Event(), threading.Event(), threading.Event()

    def read_first() -> None:
        with lock.reading():
            inside.set()
            may_leave.wait(10)
            order.append("reader")

    def change() -> None:
        inside.wait(10)
        wants.set()
        with lock.changing():
            order.append("change")

    threads = [threading.Thread(target=read_first), threading.Thread(target=change)]
    for thread in threads:
        thread.start()
    assert wants.wait(10)
    while not lock.wanted:
        pass
    late = threading.Thread(target=lambda: _read_late(lock, order))
    late.start()
    may_leave.set()
    for thread in (*threads, late):
        thread.join(10)
    assert order == ["reader", "change", "late"]


def _read_late(lock: SharedLock, order: list[str]) -> None:
    with lock.reading():
        order.append("late")
