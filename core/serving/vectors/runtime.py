"""OpenVINO, imported in such a way that it tells nobody; only the modules beside this one import it, through here."""

from __future__ import annotations

import sys
from typing import Any


def openvino() -> Any:
    """The package. Raises ImportError or OSError where it is missing or broken.

    `import openvino` reports itself, and each conversion, to Google Analytics, unless openvino_telemetry cannot be
    imported: then it takes a stub that does nothing. None in sys.modules makes every import of a name fail, whether
    the package is installed or not.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def computes_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 itself. Raises ImportError, OSError or RuntimeError.

    By its documentation OpenVINO lists BF16 among the capabilities only then; elsewhere it would emulate, which is
    many times slower than float32.
    """
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
