"""Which processor this is: a choice that was measured on one is not valid on another."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# As the kernel names them: x86 with AVX-512 or AMX, and Arm.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True, slots=True)
class Processor:
    """Its name and the instructions it knows, which are unknown (empty) on other systems than Linux."""

    name: str
    flags: frozenset[str]

    @property
    def computes_bfloat16(self) -> bool:
        return bool(self.flags & BFLOAT16)


@cache
def processor() -> Processor:
    """The processor of this machine."""
    try:
        return parse(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return parse("")


def parse(cpuinfo: str) -> Processor:
    """The first processor in the text of /proc/cpuinfo."""
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    name = facts.get("model name") or platform.processor() or platform.machine()
    return Processor(name, frozenset((facts.get("flags") or facts.get("Features") or "").split()))
