"""What takes long is kept off the model server's event loop, through which every answer passes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from core.errors import GroundworkError
from core.serving.options import LoadOptions
from core.serving.tunings import Tunings
from core.serving.workshop import Workshop
from tests.models.test_gguf import entry
from tests.models.test_importing import imported, written

WORDS = 400_000  # of the vocabulary: some tenths of a second
HUGE = struct.pack("<I", 1 << 31)
Begin = Callable[[Workshop, str], Coroutine[object, object, object]]


@pytest.mark.parametrize(
    "begin",
    [
        lambda workshop, model: workshop.examine(model),
        lambda workshop, model: workshop.quantize(model, "Q2_K", "small.quantized"),
    ],
    ids=["examine", "quantize"],
)
def test_answers_go_on_while_the_head_of_a_model_is_read(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, WORDS) + bytes(8 * WORDS))
    # Its head claims more than any memory or disk holds, so that no process is started for it.
    layers = [entry(f"llama.{key}", 4, HUGE) for key in ("block_count", "embedding_length")]
    model = imported(written(tmp_path, vocabulary, *layers), tmp_path)
    monkeypatch.setattr("core.serving.workshop.free_space", lambda _folder: 0)
    workshop = Workshop(tmp_path, LoadOptions(), Tunings(tmp_path / "tunings.json"))

    async def answered_meanwhile() -> bool:
        work = asyncio.create_task(begin(workshop, model))
        await asyncio.sleep(0)
        others_had_their_turn = not work.done()
        with pytest.raises(GroundworkError):
            await work
        return others_had_their_turn

    assert asyncio.run(answered_meanwhile())
