"""What an answer gives away about whether the documents hold it: numbers that the confidence is computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.chat.citations import Checked
from core.chat.cutting import ASKS_NAME, ASKS_NUMBER, NUMBER, shown
from core.chat.words import support, words
from core.types import Passage, Verdict
from core.words import tongue

ABSENT = -3.0  # log-probability that is assumed where an engine tells none


def signals(
    question: str, passages: Sequence[Passage], checked: Checked, logprobs: Sequence[float], agreed: float = 0.5
) -> dict[str, float]:
    """All signals of an answer by name; the same names always, each a finite number.

    Scores of the search are not among them: they differ more from one library to the next than by whether there is an
    answer. `agreed` is how sure the model was, asked after its answer, that the passages say it.
    """
    language = tongue(passages[0].text) if passages else ""
    asked = words(question, language)
    quote = words(" ".join(citation.quote for citation in checked.citations), language)
    cited = {citation.number for citation in checked.citations}
    around = words(" ".join(shown(passages[n - 1]) for n in cited if n <= len(passages)), language)
    said = [value for value in logprobs if math.isfinite(value)]
    claims = checked.claims
    return {
        "asked_in_quote": support(asked, quote),
        "asked_in_passage": support(asked, around),
        "names_missing": sum(weight > 1 and word not in around for word, weight in asked.items()),
        "support": max((claim.support for claim in claims), default=0.0),
        "supported": float(any(claim.verdict is Verdict.supported for claim in claims)),
        "logprob_mean": sum(said) / len(said) if said else ABSENT,
        "logprob_least": min(said, default=ABSENT),
        "logprob_first": said[0] if said else ABSENT,
        "agreed": agreed,
        "cited": float(bool(cited)),
        "abstains": float(checked.abstains),
        "length": math.log1p(len(checked.text)),
        "kind_missing": float(_kind_missing(question, checked)),
    }


def _kind_missing(question: str, checked: Checked) -> bool:
    """Whether a number or a name is asked for and the answer has none."""
    if ASKS_NUMBER.search(question):
        return not NUMBER.search(checked.text)
    return bool(ASKS_NAME.search(question)) and not any(letter.isupper() for letter in checked.text[1:])
