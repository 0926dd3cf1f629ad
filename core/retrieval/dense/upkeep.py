"""Keeping an index current while people search: loading, extending, cleaning, building anew, saving."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import GroundworkError
from core.retrieval.dense.feed import VectorFeed
from core.retrieval.dense.gaps import EVERYTHING, Gap, fill
from core.retrieval.dense.index_file import read, write
from core.retrieval.dense.near import NOTHING, Ids, Limits, NearIndex, make, sample_size
from core.retrieval.dense.sharing import SharedLock

log = logging.getLogger(__name__)

PATIENCE = 0.25  # seconds that a search waits for the index to become current, before it takes it as it is
FIRST_PATIENCE = 1.0  # the same while there is none at all
CLEANING_SHARE = 20  # removals are looked for during a twentieth of the time at the most
SPOT_CHECKS = 32
SAME = 0.02  # cosine; a byte for each number loses a tenth of this


@dataclass(slots=True)
class Held:
    """An index and what it holds: all of `generation`, or a part while not `complete`; nothing gone at `cleaned`."""

    index: NearIndex
    ids: Ids
    gaps: list[Gap]
    generation: int
    cleaned: int
    complete: bool = True

    def due(self, limits: Limits) -> bool:
        return not self.complete or self.cleaned < self.generation or self.index.outgrown(len(self.ids), limits)

    def state(self) -> tuple[int, int]:
        """What a file of it would hold."""
        return self.generation, len(self.ids)


class Upkeep:
    """The index of one embedder, kept current.

    Small changes are taken in by the search that meets them. A first build of many, another form and many additions are
    left to a thread, while searches use what there is.
    """

    def __init__(self, feed: VectorFeed, path: Path, limits: Limits) -> None:
        self.feed = feed
        self.path = path
        self.limits = limits
        self.held: Held | None = None
        self.lock = SharedLock()  # searches read the index, changes change it
        self._changing = threading.Lock()  # one change at a time, with the SQL that it needs
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        self._stopped = threading.Event()
        self._ready = threading.Event()  # the thread has made the first index
        self._loaded = False
        self._saved = (-1, -1)
        self._empty_at = -1  # the generation that was seen to have no vectors
        self._clean_after = 0.0  # time.monotonic()

    def warm(self) -> int:
        """Bring the index up to date, as far as that is not left to the thread; return its number of vectors."""
        self.refresh(patience=-1)
        with self._changing:
            self._clean()
        return len(self.held.ids) if self.held is not None else 0

    def save(self) -> None:
        """Bring the index up to date and write it, so that no file holds what is deleted. Searches go on."""
        if not self._loaded:
            return
        self.refresh(patience=-1)
        with self._changing:
            self._clean()
            held = self.held
            if held is None or self._saved == held.state():
                return
            try:
                write(held.index, held.generation, self.path)
            except OSError as error:
                log.warning("the index is not saved and will be made again at the next start: %s", error)
                return
            self._saved = held.state()

    def settle(self) -> None:
        """Wait until nothing is left to the thread."""
        while (worker := self._worker) is not None and worker.is_alive():
            worker.join()

    def stop(self) -> None:
        """End the thread, whatever it does."""
        self._stopped.set()
        self.settle()

    def refresh(self, *, patience: float = PATIENCE) -> int:
        """Take in what has changed; returns the generation that the database has."""
        generation = self.feed.generation()
        if self.held is None and self._working():
            self._ready.wait(FIRST_PATIENCE)
        elif not self._is_current(generation) and self._changing.acquire(timeout=patience):
            try:
                self._catch_up()
            finally:
                self._changing.release()
        held = self.held
        if held is not None and held.due(self.limits):
            self._in_background()
        return generation

    def _is_current(self, generation: int) -> bool:
        held = self.held
        if held is None:
            return self._empty_at == generation
        # What is incomplete is the thread's to complete.
        return held.generation == generation or (not held.complete and held.generation < generation)

    def _catch_up(self) -> None:
        """With `_changing` held: load, build or extend the index; leave what takes long to the thread."""
        generation = self.feed.generation()  # again: another search may have brought the index beyond the one it saw
        if not self._loaded:
            self._loaded = True
            self.held = self._load()
        held = self.held
        if held is not None and generation < held.generation:  # an older database was restored under us
            held = self.held = None
            self._saved = (-1, -1)
        if held is not None:
            if held.generation != generation:
                self._extend(held)
            return
        if self.feed.more_than(self.limits.inline):
            self._in_background()
            return
        self.held = self._built()
        if self.held is None:
            self._empty_at = generation

    def _extend(self, held: Held) -> None:
        """With `_changing` held: take in one block of what is new, and what is gone if that is cheap."""
        new = self.feed.added(held.gaps, held.index.dimension)
        if len(new.ids):
            with self.lock.changing():
                held.index.add(new.ids, new.vectors)
            held.ids = np.sort(np.concatenate([held.ids, new.ids]), kind="stable")
        held.gaps, held.complete = new.gaps, new.complete
        if new.complete:
            held.generation = new.generation
        if len(held.ids) <= self.limits.inline:
            self._clean()

    def _clean(self) -> None:
        """With `_changing` held: take out what the database has no more."""
        held = self.held
        if held is None or held.cleaned >= held.generation:
            return
        self._remove(held, *self._gone(held))

    def _gone(self, held: Held) -> tuple[Ids, int]:
        """What the index has and the database has no more, and as of which generation."""
        began, known = time.monotonic(), held.ids  # first: what is added while the database lists its own is not gone
        generation, chunks = self.feed.chunk_ids()
        self._clean_after = time.monotonic() + (time.monotonic() - began) * CLEANING_SHARE
        return _missing(known, chunks), generation

    def _remove(self, held: Held, gone: Ids, generation: int) -> None:
        if len(gone):
            with self.lock.changing():
                held.index.remove(gone)
            held.ids = _missing(held.ids, gone)
        held.cleaned = generation

    def _load(self) -> Held | None:
        index, generation = read(self.path)
        if index is None or generation > self.feed.generation() or not self._agrees(index):
            with suppress(OSError):
                self.path.unlink(missing_ok=True)  # what is not trusted may hold what is deleted
            return None
        ids = index.ids()
        held = Held(index, ids, fill([EVERYTHING], ids), generation, generation)
        self._saved = held.state()
        return held

    def _agrees(self, index: NearIndex) -> bool:
        """Whether some vectors, the newest among them, are those of the database: it may have another history."""
        ids = index.ids()
        chosen = np.unique(np.concatenate([ids[-SPOT_CHECKS:], ids[:: len(ids) // SPOT_CHECKS + 1]]))
        for id, vector in zip(*self.feed.vectors(chosen, index.dimension), strict=True):
            only = np.zeros(int(id) // 8 + 1, dtype=np.uint8)
            only[-1] = 1 << (int(id) % 8)
            _, scores = index.search(vector, 1, probes=self.limits.probes, allowed=only)
            if not len(scores) or abs(scores[0] - vector @ vector) > SAME:
                log.warning("the index file belongs to another database and is rebuilt")
                return False
        return True

    def _built(self) -> Held | None:
        """A new index over everything, in the form that the number of vectors asks for; None when there are none."""
        generation, count, dimension = self.feed.size()
        if not count:
            return None
        sample = self.feed.sample(sample_size(count, self.limits), dimension)
        index = make(dimension, count, sample, self.limits, self._stopped.is_set)
        if index is None:
            return None
        known = []
        for ids, vectors in self.feed.blocks(dimension):
            if self._stopped.is_set():
                return None
            index.add(ids, vectors)
            known.append(ids)
        all_ids = np.concatenate(known) if known else NOTHING
        return Held(index, all_ids, fill([EVERYTHING], all_ids), generation, generation)

    # --- the thread ---

    def _in_background(self) -> None:
        with self._starting:
            if self._stopped.is_set() or self._working():
                return
            self._ready.clear()
            self._worker = threading.Thread(target=self._work, name="index", daemon=True)
            self._worker.start()

    def _working(self) -> bool:
        return self._worker is not None and self._worker.is_alive()

    def _work(self) -> None:
        try:
            while not self._stopped.is_set() and self._next_step():
                pass
        except GroundworkError as error:
            log.warning("the index waits for the next question: %s", error)

    def _next_step(self) -> bool:
        """Do one thing that is due; False when nothing is."""
        held = self.held
        if held is None or held.index.outgrown(len(held.ids), self.limits):
            return self._replace()
        if not held.complete:
            with self._changing:
                self._extend(held)
        elif held.cleaned < held.generation:
            self._stopped.wait(max(0.0, self._clean_after - time.monotonic()))
            gone, generation = self._gone(held)  # takes long, and no search has to wait for it
            with self._changing:
                self._remove(held, gone, generation)
        return held.due(self.limits)

    def _replace(self) -> bool:
        """Build beside what is used, then put it in its place; searches notice nothing."""
        built = self._built()
        if built is None:  # stopped, or everything was deleted meanwhile
            return False
        with self._changing, self.lock.changing():
            built.complete = False  # what came meanwhile is taken in next
            self.held = built
            self._saved = (-1, -1)
        self._ready.set()
        return True


def _missing(ids: Ids, others: Ids) -> Ids:
    """Those of sorted ids that are not among sorted others."""
    if not len(others):
        return ids
    places = np.minimum(np.searchsorted(others, ids), len(others) - 1)
    left: Ids = ids[others[places] != ids]
    return left
