"""An embedding model computed by OpenVINO: starts in a second, without torch or transformers.

The model is compiled with as many streams as there may be threads, each of a single thread. A batch is cut into parts,
and each thread of a call takes one after the other: so one model serves one thread or all, none waits for another in
the middle of a layer, and a question that comes meanwhile waits for the end of a part and not of the batch.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heapreplace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.serving.vectors import converted, errand, runtime
from core.serving.vectors.forms import Encoded, Form, Precision, readable

# Tokens. Multiples of 16 are computed 5 % faster than others, and every further width of a batch is a shape that
# OpenVINO prepares for, which takes as long as two short texts, and half a megabyte.
WIDTH_STEP = 16
PART_TOKENS = 1_024  # of the largest part; 0.13 s of one thread for a small model
DIVISIONS = 3
# OpenVINO prepares its use of numpy when it is first needed, behind a C++ lock that one thread holds while it waits for
# the interpreter: a second thread, with the interpreter and in want of the lock, would stop both for ever.
BINDING = threading.Lock()
HINTS = {Precision.float32: "f32", Precision.bfloat16: "bf16", Precision.int8: "f32"}


class OpenVinoModel:
    """A converted model; the conversion is made when it is missing or damaged."""

    def __init__(self, model_id: str, folder: Path, form: Form, *, work: Path, threads: int) -> None:
        """Load, in a second once it is converted. Raises ModelCorrupt, StorageError and ModelError."""
        self.form = form
        place = converted.place(work, converted.fingerprint(model_id, folder), form)
        plan = converted.read_plan(place) or _convert(model_id, folder, form, work, place)
        # With its threads turned loose, the tokenizer would take the cores that were given to somebody else.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        from tokenizers import Tokenizer

        self.dimension, self.max_tokens = plan.dimension, plan.max_tokens
        self._inputs, self._pad = plan.inputs, plan.pad
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        self._tokenizer.enable_truncation(plan.max_tokens)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vectors")
        compiled = compile_model(place / "model.xml", form.precision, threads)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(compiled.create_infer_request())

    def tokenize(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [_length(read) for read in self._tokenizer.encode_batch(readable(texts))]

    def encode(self, texts: Sequence[str], *, threads: int | None = None) -> Encoded:
        """Turn one batch into vectors."""
        read = self._tokenizer.encode_batch(readable(texts))
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        workers = min(threads or self._threads, self._threads)
        work = iter(parts([len(one.ids) for one in read], workers))
        if workers == 1:
            self._compute(work, read, vectors)
        else:
            jobs = [self._pool.submit(self._compute, work, read, vectors) for _ in range(workers)]
            for job in jobs:
                job.result()
        return Encoded(vectors, tuple(_length(one) for one in read))

    def _compute(self, work: Iterator[list[int]], read: Sequence[Any], vectors: NDArray[np.float32]) -> None:
        """Take parts from the iterator over a list, which gives each only once however many threads ask."""
        for part in work:
            batch = self._batch([read[place] for place in part])
            request = self._idle.get()
            try:
                with BINDING:
                    request.start_async(batch, share_inputs=True)
                request.wait()
                with BINDING:
                    vectors[part] = request.get_output_tensor(0).data
            finally:
                self._idle.put(request)

    def _batch(self, read: Sequence[Any]) -> dict[str, NDArray[np.int64]]:
        shape = (len(read), padded(max(len(one.ids) for one in read)))
        made = {name: np.zeros(shape, np.int64) for name in self._inputs}
        made["input_ids"].fill(self._pad)
        for row, one in enumerate(read):
            for name, values in (
                ("input_ids", one.ids),
                ("attention_mask", one.attention_mask),
                ("token_type_ids", one.type_ids),
            ):
                if name in made:
                    made[name][row, : len(values)] = values
        return made


def padded(tokens: int) -> int:
    """The width of a batch whose longest text has so many tokens."""
    return max(1, -(-tokens // WIDTH_STEP)) * WIDTH_STEP


def parts(lengths: Sequence[int], workers: int) -> list[list[int]]:
    """The places of the texts in parts of like lengths, so that so many workers are done with them soonest.

    Few parts are computed most efficiently; with more of them less is padding, and the workers end together.
    """
    fewest = -(-sum(map(padded, lengths)) // (workers * PART_TOKENS))
    options = [_divided(lengths, workers * (fewest + more)) for more in range(DIVISIONS)]
    return min(options, key=lambda made: _duration(lengths, made, workers)) if lengths else []


def _divided(lengths: Sequence[int], count: int) -> list[list[int]]:
    """At most so many parts of about equal work, those of the longest texts first."""
    total, before = sum(map(padded, lengths)), 0
    made: list[list[int]] = [[] for _ in range(count)]
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        made[before * count // total].append(place)
        before += padded(lengths[place])
    return [part for part in made if part]


def _duration(lengths: Sequence[int], made: Sequence[Sequence[int]], workers: int) -> float:
    """When the last worker is done, in the time of a token; measured, each part costs 7 % of a text more."""
    ends = [0.0] * workers
    heapify(ends)
    for part in made:
        heapreplace(ends, ends[0] + (len(part) + 0.07) * padded(lengths[part[0]]))
    return max(ends)


def compile_model(path: Path, precision: Precision, threads: int) -> Any:
    """The model ready to run in as many streams as threads. Raises RuntimeError."""
    core = runtime.openvino().Core()
    options = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
        # A pinned thread waits for its core while another is idle.
        "ENABLE_CPU_PINNING": "NO",
        # With 32 the cosine of a text of one character falls to 0.9990.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "16" if precision is Precision.int8 else "0",
        # Of shapes that were prepared for; without a limit, a long life among many texts costs 130 MB.
        "CPU_RUNTIME_CACHE_CAPACITY": "100",
    }
    return core.compile_model(core.read_model(path), "CPU", options)


def _length(read: Any) -> int:
    """All tokens of a text: each further piece repeats the tokens that the model adds."""
    total = len(read.ids)
    for piece in read.overflowing:
        total += len(piece.ids) - sum(piece.special_tokens_mask)
    return total


def _convert(model_id: str, folder: Path, form: Form, work: Path, place: Path) -> converted.Plan:
    errand.convert(model_id, folder, [form], work=work)
    plan = converted.read_plan(place)
    if plan is None:
        raise errand.broken(model_id, "what it wrote cannot be read")
    return plan
