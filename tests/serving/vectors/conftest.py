"""Small real models: a BERT of two layers with random weights and a tokenizer for letters, written like any other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.models.catalog import find, installed_path
from core.serving.vectors import torch_model
from core.serving.vectors.forms import Form, survey

EMBEDDER = "all-minilm-l6-v2"
LONGEST = 48  # tokens that the small models read
SPECIAL = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}

Build = Callable[..., Path]


def available() -> tuple[Form, ...]:
    """The forms that can be used on this machine."""
    return tuple(form for form, reason in survey().items() if not reason)


@pytest.fixture(scope="session", autouse=True)
def _offline() -> None:
    os.environ.update(torch_model.OFFLINE)


@pytest.fixture(scope="session")
def minilm(store: Path) -> Path:
    return installed_path(find(EMBEDDER), store)


@pytest.fixture(scope="session")
def build_bert(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Writes a BERT with the given head, "BertModel" or one that classifies, and its tokenizer into a folder."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*SPECIAL.values(), *letters, *(f"##{letter}" for letter in letters)]

    def build(kind: str, **options: Any) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        words = Tokenizer(models.WordPiece({token: id for id, token in enumerate(tokens)}, unk_token="[UNK]"))
        words.normalizer = normalizers.BertNormalizer(lowercase=True)  # type: ignore[assignment]
        words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
        words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))  # type: ignore[assignment]
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, model_max_length=LONGEST, **SPECIAL
        ).save_pretrained(folder)
        config = transformers.BertConfig(
            vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64, pad_token_id=1, **options,
        )  # fmt: skip
        torch.manual_seed(7)
        model = getattr(transformers, kind)(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def build_embedder(build_bert: Build, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Writes a sentence-transformers folder that pools as given; with `dense` it has a module that is not usual."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    def build(pooling: str = "mean", *, dense: bool = False) -> Path:
        folder = tmp_path_factory.mktemp("embedder") / "model"
        modules: list[Any] = [Transformer(str(build_bert("BertModel"))), Pooling(32, pooling)]
        modules.append(Dense(32, 16) if dense else Normalize())
        SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
        return folder

    return build


@pytest.fixture(scope="session")
def tiny(build_embedder: Build) -> Path:
    """An embedding model of 100 kB."""
    return build_embedder()
