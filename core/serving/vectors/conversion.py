"""From a sentence-transformers model to the files that OpenVINO starts from, tokenizer included."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers import Tokenizer

from core.serving.vectors import converted, runtime
from core.serving.vectors.errand import broken
from core.serving.vectors.forms import FAULTS, Form, Precision, first_line
from core.serving.vectors.torch_model import TorchModel

LONGEST_TEXT = 8_192  # tokens; more is a tokenizer without a limit
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
EXAMPLE = ("A text.", "Another text, which is longer, so that the first one is filled up.")
GROUP = 32  # weights that share a scale; with one scale for a whole row the cosine falls below 0.998


def convert(model: TorchModel, model_id: str, folder: Path, forms: Sequence[Form], *, work: Path) -> None:
    """Write a float32 model into `work` in these forms of OpenVINO. Raises ModelError and StorageError."""
    reason = obstacle(model.transformer)
    if reason:
        raise broken(model_id, reason)
    openvino = runtime.openvino()
    plan = _plan(model)
    marks = converted.fingerprint(model_id, folder)
    try:
        made = openvino.convert_model(_Pipeline(model.transformer).eval(), example_input=_example(model, plan))
    except (*FAULTS, openvino.frontend.OpConversionFailure) as error:
        raise broken(model_id, first_line(error)) from error
    for form in forms:
        converted.write(converted.place(work, marks, form), model_id, plan, _Files(model, made, form))


def obstacle(transformer: Any) -> str:
    """Why a sentence-transformers model can only be computed by torch; "" if there is no reason."""
    modules = list(transformer)
    kinds = [type(module) for module in modules]
    tokenizer = transformer.tokenizer
    if kinds not in ([Transformer, Pooling], [Transformer, Pooling, Normalize]):
        return f"it is made of {' + '.join(kind.__name__ for kind in kinds)}"
    if modules[1].pooling_mode not in ("mean", "cls"):
        return f"it pools by {modules[1].pooling_mode}"
    if transformer.default_prompt_name or transformer.truncate_dim:
        return "it puts words before every text, or cuts its vectors"
    if not tokenizer.is_fast or (tokenizer.padding_side, tokenizer.truncation_side) != ("right", "right"):
        return "its tokenizer does not work from left to right, or not without transformers"
    if not 0 < (transformer.max_seq_length or 0) <= LONGEST_TEXT:
        return "it does not say how many tokens it reads"
    return ""


class _Pipeline(torch.nn.Module):
    """The whole way from tokens to vectors of length 1, as sentence-transformers goes it."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.model = transformer[0].model
        self.mean = transformer[1].pooling_mode == "mean"

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state
        if self.mean:
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        else:
            pooled = hidden[:, 0]
        return torch.nn.functional.normalize(pooled, dim=-1)


class _Files:
    """Writes what a form needs into a folder."""

    def __init__(self, model: TorchModel, made: Any, form: Form) -> None:
        self._tokenizer = model.transformer.tokenizer.backend_tokenizer
        self._made = made.clone()
        self._halves = form.precision is Precision.bfloat16
        if form.precision is Precision.int8:
            _quantize(self._made)

    def __call__(self, folder: Path) -> None:
        # As sentence-transformers has set it up, which is not always what tokenizer.json says.
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.save(str(folder / "tokenizer.json"))
        # float16 keeps more digits than bfloat16 and takes half of the memory of float32.
        runtime.openvino().save_model(self._made, folder / "model.xml", compress_to_fp16=self._halves)


def _plan(model: TorchModel) -> converted.Plan:
    tokenizer = model.transformer.tokenizer
    known = inspect.signature(model.transformer[0].model.forward).parameters
    inputs = tuple(name for name in INPUTS if name in tokenizer(list(EXAMPLE)) and name in known)
    return converted.Plan(model.dimension, model.max_tokens, tokenizer.pad_token_id or 0, inputs)


def _example(model: TorchModel, plan: converted.Plan) -> dict[str, torch.Tensor]:
    read = model.transformer.tokenizer(list(EXAMPLE), padding=True, return_tensors="pt")
    return {name: read[name] for name in plan.inputs}


def _quantize(made: Any) -> None:
    """Keep the weights of the feed-forward layers, which are most of them, in 8 bits.

    They are told by not being square. The square ones, of the attention, would cost more of the cosine than they gain
    in speed.
    """
    from openvino import opset15 as ops

    for node in made.get_ordered_ops():
        if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"]:
            continue
        source = node.input_value(1).get_node()
        shape = tuple(source.get_output_partial_shape(0).get_max_shape())
        if source.get_type_name() != "Constant" or len(shape) != 2 or shape[0] == shape[1] or shape[1] % GROUP:
            continue
        groups = source.get_data().astype(np.float32).reshape(shape[0], -1, GROUP)
        scale = np.maximum(np.abs(groups).max(axis=2, keepdims=True) / 127, np.finfo(np.float32).tiny)
        small = ops.constant(np.round(groups / scale).astype(np.int8))
        restored = ops.multiply(ops.convert(small, "f32"), ops.constant(scale))
        whole = ops.reshape(restored, ops.constant(np.array(shape, np.int64)), special_zero=False)
        node.input(1).replace_source_output(whole.output(0))
    made.validate_nodes_and_infer_types()
