"""The reranker gives each pair the score it would get alone, and loads nothing that is no reranker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelCorrupt, ModelMissing
from core.serving.vectors.reranker import BATCH_PAIRS, Reranker
from tests.serving.vectors.conftest import LONGEST

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def folder(build_bert: Build) -> Path:
    return build_bert("BertForSequenceClassification", num_labels=1)


@pytest.fixture(scope="session")
def reranker(folder: Path) -> Reranker:
    return Reranker("tiny", folder, threads=2)


def test_every_passage_gets_the_score_it_would_get_alone(reranker: Reranker) -> None:
    passages = [("the mill " * (number * 7 % 3)) + f"burned {number}" for number in range(2 * BATCH_PAIRS + 5)]
    scores = reranker.scores("when did it burn?", passages)
    assert (scores.dtype, scores.shape) == (np.float32, (len(passages),))
    alone = [reranker.scores("when did it burn?", [passage], threads=1)[0] for passage in passages]
    assert np.allclose(scores, alone, atol=1e-5)
    assert len({round(float(score), 4) for score in scores}) > len(passages) * 0.9, "the scores tell passages apart"


def test_the_query_counts(reranker: Reranker) -> None:
    first, second = (reranker.scores(query, ["a bridge of stone"])[0] for query in ("how old?", "which colour?"))
    assert abs(first - second) > 1e-4


def test_the_end_of_a_pair_that_is_too_long_is_not_read(reranker: Reranker) -> None:
    long = "a " * LONGEST
    scores = reranker.scores("who?", [long, long + "and another end", "x" * 100_000, ""])
    assert reranker.max_tokens == LONGEST
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert np.isfinite(scores).all()


def test_nothing_to_rank_and_no_unicode_are_no_reason_to_fail(reranker: Reranker) -> None:
    assert reranker.scores("who?", []).shape == (0,)
    assert np.isfinite(reranker.scores("\ud800", ["\udfff 🚲 水"])).all()


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Download the model again"):
        Reranker("gone", tmp_path / "gone", threads=1)


@pytest.mark.parametrize("fault", ["no config", "no weights", "cut weights", "no tokenizer"])
def test_a_folder_that_is_broken_is_corrupt(fault: str, folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    if fault == "no config":
        (broken / "config.json").write_text("{")
    elif fault == "no weights":
        (broken / "model.safetensors").unlink()
    elif fault == "cut weights":
        (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5_000])
    else:
        (broken / "tokenizer.json").unlink()
    with pytest.raises(ModelCorrupt, match="damaged or incomplete"):
        Reranker("broken", broken, threads=1)


def test_a_model_that_gives_no_single_score_is_no_reranker(build_bert: Build, tiny: Path) -> None:
    # An embedding model would be given a last layer of random numbers, and rank by them.
    for other in (build_bert("BertModel"), build_bert("BertForSequenceClassification", num_labels=3), tiny):
        with pytest.raises(ModelCorrupt, match="or it is no reranker"):
            Reranker("other", other, threads=1)
    assert json.loads((tiny / "config.json").read_text())["architectures"] == ["BertModel"]
