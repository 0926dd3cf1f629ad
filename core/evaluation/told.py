"""What an answer says of itself: confidence, claims, whether it abstained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.chat.citations import SUPPORTED
from core.types import Cited, Verdict


@dataclass(frozen=True, slots=True)
class Told:
    """`draft` is what the model wrote, which is the answer itself unless the product held it back."""

    abstained: bool
    draft: str
    confidence: float
    signals: Mapping[str, float]
    claims: int
    supported: int

    @classmethod
    def of(cls, cited: Cited) -> Told:
        """Read from the answer where it tells; else from its citations: an answer without any is not to be trusted."""
        supports = [citation.support for citation in cited.citations]
        if cited.claims:
            supported = sum(claim.verdict is Verdict.supported for claim in cited.claims)
        else:
            supported = sum(support >= SUPPORTED for support in supports)
        confidence = cited.confidence
        if confidence is None:
            confidence = 0.0 if cited.abstained or not supports else sum(supports) / len(supports)
        written = "" if cited.abstained else cited.text  # what the product says in its place is not the model's
        return cls(
            cited.abstained, cited.draft or written, confidence, dict(cited.signals),
            len(cited.claims) or len(supports), supported,
        )  # fmt: skip
