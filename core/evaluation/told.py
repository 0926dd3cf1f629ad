"""What an answer says of itself: confidence, claims, whether it abstained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.chat.citations import SUPPORTED, abstains
from core.types import Cited

BORNE = "supported"


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
        claims = getattr(cited, "claims", ())
        supports = [citation.support for citation in cited.citations]
        if claims:
            supported = sum(str(claim.verdict) == BORNE for claim in claims)
        else:
            supported = sum(support >= SUPPORTED for support in supports)
        silent = bool(getattr(cited, "abstained", False)) or abstains(cited.text)
        confidence = getattr(cited, "confidence", None)
        if confidence is None:
            confidence = 0.0 if silent or not supports else sum(supports) / len(supports)
        return cls(
            silent, getattr(cited, "draft", "") or cited.text, float(confidence), dict(getattr(cited, "signals", {})),
            len(claims) or len(supports), supported,
        )  # fmt: skip
