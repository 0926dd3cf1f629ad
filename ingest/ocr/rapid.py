"""One page through RapidOCR, whose models come in its wheel: a PGM on stdin, JSON on stdout."""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> int:
    import numpy as np
    from rapidocr import RapidOCR

    header = [sys.stdin.buffer.readline() for _ in range(3)]
    width, height = map(int, header[1].split())
    grey = np.frombuffer(sys.stdin.buffer.read(width * height), np.uint8).reshape(height, width)
    engine = RapidOCR(
        params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"}  # of two cores
    )
    found: Any = engine(np.repeat(grey[:, :, None], 3, axis=2))
    texts, scores = list(found.txts or ()), list(found.scores or ())
    letters = sum(map(len, texts))
    sure = sum(score * len(text) for text, score in zip(texts, scores, strict=True))
    answer = {"text": "\n".join(texts), "confidence": float(sure / letters) if letters else 0.0}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
