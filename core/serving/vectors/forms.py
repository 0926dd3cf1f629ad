"""The forms in which an embedding model can compute, and what every one of them offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError, ModelMissing
from core.serving.vectors import runtime
from core.serving.vectors.processor import processor


class Backend(StrEnum):
    """The library that computes."""

    torch = "torch"
    openvino = "openvino"


class Precision(StrEnum):
    """The numbers it computes with; int8 only where weights are many, the rest of such a model is float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


@dataclass(frozen=True, slots=True)
class Form:
    """A way to compute the same vectors, written like "openvino-bfloat16"."""

    backend: Backend
    precision: Precision

    def __str__(self) -> str:
        return f"{self.backend}-{self.precision}"

    @classmethod
    def parse(cls, name: str) -> Form:
        """The form with this name. Raises ValueError."""
        for form in FORMS:
            if str(form) == name:
                return form
        raise ValueError(f"{name!r} is not one of {', '.join(map(str, FORMS))}")


PLAIN = Form(Backend.torch, Precision.float32)
FORMS = (
    PLAIN,
    Form(Backend.torch, Precision.bfloat16),
    Form(Backend.openvino, Precision.float32),
    Form(Backend.openvino, Precision.bfloat16),
    Form(Backend.openvino, Precision.int8),
)

# What libraries raise when they cannot do with a model what they are asked for.
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of length 1 as float32 of shape (texts, dimension), and how many tokens each text has.

    Where these are more than the model's `max_tokens`, only the beginning of the text is in the vector.
    """

    vectors: NDArray[np.float32]
    tokens: tuple[int, ...]


class VectorModel(Protocol):
    """A loaded embedding model; every form of it gives the same vectors but for the last digits.

    Safe to use from several threads: with torch they take turns by batches, with OpenVINO by parts of a batch. Half of
    a surrogate pair in a text is read as "?".
    """

    form: Form
    dimension: int
    max_tokens: int

    def tokenize(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, those included that the model adds and those it cannot read."""

    def encode(self, texts: Sequence[str], *, threads: int | None = None) -> Encoded:
        """Turn one batch into vectors, with so many threads or all that the model was loaded with.

        16 texts of like length are as fast as more, and 0.2 s of work for a small model on two cores.
        """


def survey() -> dict[Form, str]:
    """Every form, and why it cannot be used on this machine; "" if it can. Imports no torch."""
    torch = "" if find_spec("sentence_transformers") else "sentence-transformers is not installed"
    openvino, halves = torch, False  # what OpenVINO computes was a torch model once
    try:
        halves = runtime.computes_bfloat16()
    except (ImportError, OSError, RuntimeError) as error:
        openvino = f"OpenVINO cannot be used: {first_line(error)}"
    found: dict[Form, str] = {}
    for form in FORMS:
        reason, native = (torch, processor().computes_bfloat16) if form.backend is Backend.torch else (openvino, halves)
        emulated = form.precision is Precision.bfloat16 and not native
        found[form] = reason or ("the processor does not compute in bfloat16" if emulated else "")
    return found


def load(model_id: str, folder: Path, form: Form, *, work: Path, threads: int) -> VectorModel:
    """Load a sentence-transformers folder in a form; `threads` is the most it will ever use.

    What OpenVINO needs is made once, in a process of its own, and kept in `work`: this one imports no torch for it.
    Raises ModelMissing, ModelCorrupt, StorageError, ModelBusy, and ModelError where the form cannot be had.
    """
    if not folder.is_dir():
        raise ModelMissing(f"The folder {folder} of the model {model_id} is not there. Download the model again.")
    if form.backend is Backend.torch:
        from core.serving.vectors.torch_model import TorchModel

        return TorchModel(model_id, folder, form, threads=threads)
    from core.serving.vectors.openvino_model import OpenVinoModel

    try:
        return OpenVinoModel(model_id, folder, form, work=work, threads=threads)
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"The model {model_id} cannot be computed as {form}: {first_line(error)}.") from error


def readable(texts: Sequence[str]) -> list[str]:
    """The texts as tokenizers accept them: half of a surrogate pair would fail the whole batch, others' texts too."""
    return [text.encode("utf-8", "replace").decode() for text in texts]


def first_line(error: BaseException) -> str:
    """What an error of a foreign library says, as far as it fits into a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
