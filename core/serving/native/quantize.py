"""Makes a smaller file of a model with llama.cpp's own quantizer."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import llama_cpp.llama_cpp as native

from core.errors import ModelCorrupt
from core.serving.native import llama

KINDS = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q4_K_M": 15, "Q4_0": 2, "Q3_K_M": 12, "Q2_K": 10}  # enum llama_ftype
_STEP = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")


class _Listener(logging.Handler):
    """llama.cpp tells its progress nowhere but in its log, a line for each tensor."""

    def __init__(self, hear: Callable[[float], None]) -> None:
        super().__init__(logging.DEBUG)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        if found := _STEP.search(record.getMessage()):
            self._hear(int(found[1]) / int(found[2]))


def quantize(source: Path, target: Path, kind: str, *, threads: int, hear: Callable[[float], None]) -> None:
    """Write `target`; `hear` gets the share that is done. Raises ModelCorrupt when llama.cpp cannot do it."""
    llama.start_backend()
    params = native.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = threads, KINDS[kind], True
    listener, level, log = _Listener(hear), llama.log.level, llama.log
    log.addHandler(listener)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        code = native.llama_model_quantize(os.fsencode(source), os.fsencode(target), params)
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
        log.propagate = True
    if code:
        target.unlink(missing_ok=True)
        raise ModelCorrupt(f"llama.cpp cannot make {kind} of {source.name}. Choose another precision or model.")
