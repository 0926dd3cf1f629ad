"""The embedder: turns texts into vectors, questions before documents, several callers in one batch."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import GroundworkError, ModelCrashed, ModelError, ModelUnavailable, busy
from core.serving.cores import PATIENCE, SHARE, Cores
from core.serving.vectors_process import Encoded, VectorsProcess

log = logging.getLogger(__name__)

# A question waits for the end of a batch, and on a processor larger ones are not faster.
BATCH_TEXTS = 16
BATCH_CHARACTERS = 3_000
ALIKE = 0.7  # a text of another caller joins a batch if it is at least that long, compared with the longest
REMEMBERED = 20_000  # vectors, by the hash of their text: 30 MB
BUSY_SECONDS = 5.0  # after which somebody who was sent away may try again
LULL = 1.0  # seconds without documents after which no more are expected
LIVES = 2  # times that a batch may be begun: one that kills the process twice is given up

T = TypeVar("T")
Vector = NDArray[np.float32]
Known = tuple[Vector, int]


def nothing() -> None:
    """For who has nothing to do before a process is started."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of length 1 as float32 of shape (texts, dimension); `truncated` are the texts that were too long.

    Of those only the beginning is in the vector: the model cannot read more.
    """

    vectors: Vector
    tokens: int
    truncated: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Job:
    """Texts of one request, the longest first: a batch of equal lengths wastes nothing on padding."""

    texts: Sequence[str]
    vectors: Vector
    result: Future[Embedded] = field(default_factory=Future)
    tokens: int = 0
    truncated: list[int] = field(default_factory=list)
    rest: deque[int] = field(default_factory=deque)
    unfinished: int = 0

    def __post_init__(self) -> None:
        self.rest.extend(sorted(range(len(self.texts)), key=lambda place: -len(self.texts[place])))
        self.unfinished = len(self.texts)


@dataclass(slots=True, eq=False)
class _Ranking:
    """Passages that wait for their scores; `rest` are those without one, the longest first."""

    query: str
    passages: Sequence[str]
    rest: list[int]
    scores: dict[int, float] = field(default_factory=dict)
    result: Future[list[float]] = field(default_factory=Future)


class Embedder:
    """An embedding model in a process of its own, which is replaced when it ends, and the line in front of it."""

    def __init__(
        self, start: Callable[[], VectorsProcess], *, threads: int, cores: Cores, queue_limit: int = 64
    ) -> None:
        """Start the process and load. Raises ModelMissing, ModelCorrupt or ModelUnavailable."""
        self._start, self._threads, self._cores, self._queue_limit = start, threads, cores, queue_limit
        self._process = start()
        self.id, self.form = self._process.id, self._process.form
        self.dimension, self.max_tokens = self._process.dimension, self._process.max_tokens
        self.restarts, self.ended, self.count = 0, "", 0  # texts embedded
        self._questions: deque[_Job] = deque()
        self._rankings: deque[_Ranking] = deque()
        self._documents: deque[_Job] = deque()
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._due = 0.0  # when the next batch of documents wants its turn
        self._closing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="embedder", daemon=True).start()

    @property
    def busy(self) -> bool:
        return bool(self._questions or self._rankings or self._documents)

    @property
    def pid(self) -> int:
        return self._process.pid

    def submit(self, texts: Sequence[str], *, question: bool) -> Future[Embedded]:
        """Embed texts; a cancelled future stops the work. Raises ModelBusy."""
        job = _Job(texts, np.zeros((len(texts), self.dimension), np.float32))
        with self._changed:
            if len(self._questions) + len(self._documents) >= self._queue_limit:
                raise busy("Too many texts are waiting for the embedding model.", BUSY_SECONDS)
            self._recall(job)
            if not job.unfinished:
                _succeed(job)
                return job.result
            (self._questions if question else self._documents).append(job)
            self._changed.notify_all()
        if question:
            self._cores.nudge()
        return job.result

    def rank(self, query: str, passages: Sequence[str]) -> Future[list[float]]:
        """Score passages with the reranker; a cancelled future stops the work. Raises ModelBusy."""
        longest_first = sorted(range(len(passages)), key=lambda place: -len(passages[place]))
        ranking = _Ranking(query, passages, longest_first)
        with self._changed:
            if len(self._rankings) >= self._queue_limit:
                raise busy("Too many passages are waiting for the reranker.", BUSY_SECONDS)
            self._rankings.append(ranking)
            self._changed.notify_all()
        self._cores.nudge()
        return ranking.result

    def close(self) -> None:
        """End the thread and the process; who still waits hears that the server stops."""
        with self._changed:
            self._closing = True
            left: list[_Job | _Ranking] = [*self._questions, *self._rankings, *self._documents]
            for waiting in left:
                _fail(waiting, ModelUnavailable("The model server is stopping."))
            self._changed.notify_all()
        self._cores.nudge()
        self._process.close()

    # --- the embedder's own thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait():
            # What somebody waits for runs beside the engine, but must not crowd its threads.
            threads = 1 if self._cores.engine_works else self._threads
            if self._questions:
                self._embed(self._questions, threads=threads)
            elif self._rankings:
                self._rank(threads=threads)
            else:
                self._embed_documents()

    def _wait(self) -> bool:
        """Until there is something to do; False when the embedder is closed."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._closing or self.busy, LULL):
                self._cores.documents(False)
            return not self._closing

    def _embed_documents(self) -> None:
        """One batch of documents, when it is their turn; what somebody waits for goes first."""
        with self._changed:
            self._documents.rotate(-1)  # their callers lead a batch in turns
        self._cores.documents(True)
        now = time.monotonic()
        if self._due < now - LULL:
            self._due = now + PATIENCE
        interrupted = lambda: self._closing or bool(self._questions or self._rankings)  # noqa: E731
        with self._cores.ingest(self._due, interrupted) as granted:
            if granted:
                begin = time.monotonic()
                # Starting the process again takes seconds, in which people should not wait for their answers.
                self._embed(self._documents, threads=self._threads, before_start=self._cores.give_back)
                end = time.monotonic()
                self._due = end + SHARE * (end - begin)

    def _rank(self, *, threads: int) -> None:
        """One batch of the next ranking: a question that has come meanwhile goes before the rest of it."""
        ranking = self._rankings[0]
        batch, ranking.rest = ranking.rest[:BATCH_TEXTS], ranking.rest[BATCH_TEXTS:]
        passages = [ranking.passages[place] for place in batch]
        try:
            if not ranking.result.done():  # nobody has given it up
                scores = self._tried(lambda process: process.rerank(ranking.query, passages, threads=threads))
                ranking.scores.update(zip(batch, scores, strict=True))
        except GroundworkError as error:
            log.warning("reranking failed: %s", error)
            with self._changed:
                _fail(ranking, error)
        with self._changed:
            self._rankings.popleft()
            if ranking.rest and not ranking.result.done():
                self._rankings.append(ranking)  # they take turns
            elif not ranking.result.done() and ranking.result.set_running_or_notify_cancel():
                ranking.result.set_result([ranking.scores[place] for place in range(len(ranking.passages))])

    def _embed(self, waiting: deque[_Job], *, threads: int, before_start: Callable[[], None] = nothing) -> None:
        with self._changed:
            for job in [job for job in waiting if job.result.cancelled()]:
                waiting.remove(job)
            batch = _next_batch(waiting)
        if not batch:
            return
        texts = [job.texts[place] for job, place in batch]
        try:
            encoded = self._tried(lambda process: process.encode(texts, threads=threads), before_start)
        except GroundworkError as error:
            log.warning("embedding failed: %s", error)
            with self._changed:
                for job in {id(job): job for job, _ in batch}.values():
                    if job in waiting:
                        waiting.remove(job)
                    _fail(job, error)
            return
        with self._changed:
            self._deliver(batch, encoded, waiting)

    def _tried(self, work: Callable[[VectorsProcess], T], before_start: Callable[[], None] = nothing) -> T:
        """Have the process do something; with a new one if it has ended, before whose start `before_start` is called.

        Raises what the process says, ModelCrashed, and what starting raises.
        """
        for _ in range(LIVES):
            if not self._process.alive:
                before_start()
                self._process = self._start()
            try:
                return work(self._process)
            except ModelUnavailable:
                if self._closing or self._process.alive:  # alive: it only says that it has no reranker
                    raise
                self.restarts, self.ended = self.restarts + 1, self._process.end
                log.error("the process of %s ended: %s", self.id, self.ended)
        raise ModelCrashed(f"The embedding model was lost twice over the same texts: {self.ended}.")

    def _deliver(self, batch: Sequence[tuple[_Job, int]], encoded: Encoded, waiting: deque[_Job]) -> None:
        self.count += len(batch)
        for (job, place), vector, tokens in zip(batch, encoded.vectors, encoded.tokens, strict=True):
            self._known[_key(job.texts[place])] = (vector, tokens)
            self._take(job, place, vector, tokens)
            if not job.unfinished:
                waiting.remove(job)
                _succeed(job)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _recall(self, job: _Job) -> None:
        """Take what is known of the texts: the same question again, or a chunk that has not changed."""
        for place in list(job.rest):
            if known := self._known.get(key := _key(job.texts[place])):
                self._known.move_to_end(key)
                job.rest.remove(place)
                self._take(job, place, *known)

    def _take(self, job: _Job, place: int, vector: Vector, tokens: int) -> None:
        job.vectors[place] = vector
        job.tokens += min(tokens, self.max_tokens)
        job.unfinished -= 1
        if tokens > self.max_tokens:
            job.truncated.append(place)


def _next_batch(waiting: Sequence[_Job]) -> list[tuple[_Job, int]]:
    """Texts of about the same length, the first caller's longest first; others join where they are alike."""
    batch: list[tuple[_Job, int]] = []
    characters = longest = 0
    while len(batch) < BATCH_TEXTS and characters < BATCH_CHARACTERS:
        heads = [(len(job.texts[job.rest[0]]), job) for job in waiting if job.rest]
        if not heads:
            break
        alike = [head for head in heads if ALIKE * longest <= head[0] <= longest] if longest else heads[:1]
        length, job = max(alike or heads[:1], key=lambda head: head[0])
        longest = longest or max(1, length)
        batch.append((job, job.rest.popleft()))
        characters += length
    return batch


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _succeed(job: _Job) -> None:
    if job.result.set_running_or_notify_cancel():
        job.result.set_result(Embedded(job.vectors, job.tokens, tuple(sorted(job.truncated))))


def _fail(job: _Job | _Ranking, error: GroundworkError) -> None:
    if not job.result.done() and job.result.set_running_or_notify_cancel():
        job.result.set_exception(error if isinstance(error, ModelError) else ModelError(str(error)))
