"""An embedding model computed by OpenVINO: starts in a second, without torch or transformers.

The model is compiled with as many streams as there may be threads, each a single thread. A batch is cut into about
equal parts, one for each thread of this call: so one model serves one thread or all, and no thread waits for another
in the middle of a layer, which costs half of the speed when somebody else wants a core.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.serving.vectors import converted, errand, runtime
from core.serving.vectors.forms import Encoded, Form, Precision, readable

# Every width of a batch is a shape that OpenVINO prepares for, which takes time and 0.4 MB once: so there are few.
WIDTH_STEP = 16
PART_TOKENS = 2_048  # the most that one thread gets at a time, 0.3 s of work for a small model
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
        compiled = compile_model(place / "model.xml", form.precision, threads)
        self._requests = [compiled.create_infer_request() for _ in range(threads)]
        self._turn = threading.Lock()

    def tokenize(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [_length(read) for read in self._tokenizer.encode_batch(readable(texts))]

    def encode(self, texts: Sequence[str], *, threads: int | None = None) -> Encoded:
        """Turn one batch into vectors."""
        read = self._tokenizer.encode_batch(readable(texts))
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        requests = self._requests[:threads]
        work = parts([len(one.ids) for one in read], len(requests))
        with self._turn:
            for start in range(0, len(work), len(requests)):
                running = list(zip(requests, work[start:], strict=False))
                for request, part in running:
                    request.start_async(self._batch([read[place] for place in part]), share_inputs=True)
                for request, part in running:
                    request.wait()
                    vectors[part] = request.get_output_tensor(0).data
        return Encoded(vectors, tuple(_length(one) for one in read))

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
    """The places of the texts in parts of like lengths and about equal work, as many as there are workers or more."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    total = sum(map(padded, lengths))
    count = workers * -(-total // (workers * PART_TOKENS))
    made: list[list[int]] = [[] for _ in range(count)]
    before = 0
    for place in order:
        made[before * count // total].append(place)
        before += padded(lengths[place])
    return [part for part in made if part]


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
        # Of the shapes that were prepared for; without a limit, a long life among many texts costs 130 MB.
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
