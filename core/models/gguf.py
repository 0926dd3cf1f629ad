"""Reads what stands at the head of a GGUF file without believing any of it.

Every count, length and place is checked against the file before it is used, so that a damaged or hostile file is
refused here, with a reason, before llama.cpp sees it. Format: ggml/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelCorrupt, ModelMissing

MAX_KEYS = 4_096
MAX_TENSORS = 65_536
MAX_KEY = 65_535  # bytes, as the format says
MAX_TEXT = 4 << 20  # bytes of one text
MAX_ITEMS = 4 << 20  # of one array
MAX_TEXTS = 2 << 20  # of all arrays together: the largest vocabularies with their merges have 800,000
MAX_KEPT = 64 << 20  # bytes of all texts that are kept together: templates are the only long ones
MAX_DIMENSIONS = 4
KEPT_ITEMS = 1_024  # an array with more (a vocabulary) is only walked through
MAX_SIZE = 1 << 32  # of a layer, a head or a context: no model has that many numbers in one
# Behind the name of the architecture: what the memory that a model needs is computed from.
_SIZES = ("block_count", "context_length", "embedding_length", "attention.key_length", "attention.value_length")
_LAYERED = ("attention.head_count", "attention.head_count_kv")  # a number, or one for each layer

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
# Elements and bytes of a block, by the type of a tensor (enum ggml_type).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17),
}  # fmt: skip
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gguf:
    """What a GGUF file says of itself; `parameters` are the weights, counted, `bytes` the size of the file."""

    values: Mapping[str, Any]
    parameters: int
    bytes: int

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture", ""))

    @property
    def name(self) -> str:
        return str(self.values.get("general.name", ""))[:200]

    @property
    def licence(self) -> str:
        return str(self.values.get("general.license", ""))[:100]

    @property
    def precision(self) -> str:
        """How the weights are stored, as llama.cpp names it; "" when it does not say."""
        return _FILE_TYPES.get(self._whole("general.file_type", -1), "")

    @property
    def template(self) -> str:
        return str(self.values.get("tokenizer.chat_template", ""))

    @property
    def context_tokens(self) -> int:
        """The longest text the model was made for; 0 when it does not say."""
        return self._whole(f"{self.architecture}.context_length", 0)

    def cell_bytes(self, key_bytes: float = 2.0, value_bytes: float = 2.0) -> int:
        """Memory that each token takes in a context, for so many bytes per number; 0 when it cannot be known."""
        own = self.architecture
        layers, width = self._whole(f"{own}.block_count", 0), self._whole(f"{own}.embedding_length", 0)
        heads = max(1, self._most(f"{own}.attention.head_count", 1))
        sharing = self.values.get(f"{own}.attention.head_count_kv", heads)
        groups = sum(sharing) if isinstance(sharing, list) else layers * int(sharing)
        keys = self._whole(f"{own}.attention.key_length", width // heads)
        values = self._whole(f"{own}.attention.value_length", width // heads)
        return int(groups * (keys * key_bytes + values * value_bytes))

    def _whole(self, key: str, otherwise: int) -> int:
        value = self.values.get(key)
        return value if isinstance(value, int) and 0 <= value < 1 << 40 else otherwise

    def _most(self, key: str, otherwise: int) -> int:
        value = self.values.get(key)
        return max(value, default=otherwise) if isinstance(value, list) else self._whole(key, otherwise)


def read_gguf(path: Path) -> Gguf:
    """Read and check the head. Raises ModelMissing, or ModelCorrupt with what is wrong."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 24:
                raise _corrupt(path, "it is too short to be one")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path).read()
    except OSError as error:
        raise ModelMissing(f"The model file {path.name} cannot be read ({error.strerror}).") from error


class _Reader:
    """A place in the file that only moves forward, and never beyond the end."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data, self._path, self._place, self._size = data, path, 0, len(data)
        self._texts_left, self._bytes_left = MAX_TEXTS, MAX_KEPT

    def read(self) -> Gguf:
        if self._data[:4] != b"GGUF":
            raise _corrupt(self._path, "it does not begin as one")
        self._place = 4
        version = self._number("I")
        if version not in (2, 3):
            raise _corrupt(self._path, f"its version {version} is not known")
        tensors, keys = self._number("Q"), self._number("Q")
        if tensors > MAX_TENSORS or keys > MAX_KEYS:
            raise _corrupt(self._path, f"it claims {tensors:,} tensors and {keys:,} values")
        values: dict[str, Any] = {}
        for _ in range(keys):
            key = self._text(MAX_KEY)
            if key in values:
                raise _corrupt(self._path, f"it says {key[:80]!r} twice")
            values[key] = self._value(self._number("I"))
        if not isinstance(values.get("general.architecture"), str):
            raise _corrupt(self._path, "it does not say what kind of model it is")
        self._check_sizes(values)
        return Gguf(values, self._tensors(tensors, values), self._size)

    def _check_sizes(self, values: Mapping[str, Any]) -> None:
        for name in (*_SIZES, *_LAYERED):
            key = f"{values['general.architecture']}.{name}"
            if key not in values:
                continue
            value = values[key]
            numbers = value if name in _LAYERED and isinstance(value, list) else [value]
            if not all(type(number) is int and 0 <= number < MAX_SIZE for number in numbers):
                raise _corrupt(self._path, f"its {key[:80]} is no number that a model can have")

    def _tensors(self, count: int, values: Mapping[str, Any]) -> int:
        """Check that every tensor lies in the file; returns their elements."""
        spans, names, elements = [], set(), 0
        for _ in range(count):
            name, length = self._text(MAX_KEY), 1
            dimensions = self._number("I")
            if dimensions > MAX_DIMENSIONS or name in names:
                raise _corrupt(self._path, f"its tensor {name[:80]!r} is impossible")
            names.add(name)
            for _ in range(dimensions):
                length *= self._number("Q")
            kind, offset = self._number("I"), self._number("Q")
            block, size = _BLOCKS.get(kind, (1, 0))
            spans.append((name, offset, length // block * size))
            elements += length
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
            raise _corrupt(self._path, "its alignment is impossible")
        start = -(-self._place // alignment) * alignment
        for name, offset, length in spans:
            if offset % alignment or start + offset + length > self._size:
                raise _corrupt(self._path, f"it ends before its tensor {name[:80]!r} does: the download is incomplete")
        return elements

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _TEXT:
            return self._text(MAX_TEXT)
        if kind != _ARRAY:
            value = self._number(self._format(kind))
            return bool(value) if kind == 7 else value
        item, count = self._number("I"), self._number("Q")
        if count > MAX_ITEMS or depth or item == _ARRAY:
            raise _corrupt(self._path, f"it holds an impossible list of {count:,} items")
        if item == _TEXT:
            return self._texts(count)
        form = self._format(item)
        length = struct.calcsize(f"<{count}{form}")
        self._need(length)
        self._place += length
        if count > KEPT_ITEMS:
            return None
        return list(struct.unpack_from(f"<{count}{form}", self._data, self._place - length))

    def _texts(self, count: int) -> list[str] | None:
        self._texts_left -= count
        if self._texts_left < 0:
            raise _corrupt(self._path, f"its lists hold more than {MAX_TEXTS:,} texts")
        if count <= KEPT_ITEMS:
            return [self._text(MAX_TEXT) for _ in range(count)]
        place, last = self._place, self._size - _LENGTH.size
        for _ in range(count):
            if place > last:
                raise self._cut()
            place += _LENGTH.size + _LENGTH.unpack_from(self._data, place)[0]
        self._need(place - self._place)
        self._place = place
        return None

    def _format(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise _corrupt(self._path, f"it holds a value of unknown kind {kind}")
        return _NUMBERS[kind]

    def _number(self, form: str) -> Any:
        length = struct.calcsize(f"<{form}")
        self._need(length)
        self._place += length
        return struct.unpack_from(f"<{form}", self._data, self._place - length)[0]

    def _text(self, most: int) -> str:
        length = self._number("Q")
        if length > most:
            raise _corrupt(self._path, f"it holds a text of {length:,} bytes")
        self._need(length)
        self._bytes_left -= length
        if self._bytes_left < 0:
            raise _corrupt(self._path, f"its names and texts are longer than {MAX_KEPT >> 20} MB together")
        self._place += length
        return self._data[self._place - length : self._place].decode("utf-8", "replace")

    def _need(self, length: int) -> None:
        if self._place + length > self._size:
            raise self._cut()

    def _cut(self) -> ModelCorrupt:
        return _corrupt(self._path, "it ends in the middle: the download is incomplete")


def _corrupt(path: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(f"{path.name} is damaged, or no model file: {why}. Download it again, or choose another one.")
