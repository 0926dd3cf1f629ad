"""Why an answer was wrong: the first link that broke between the file and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.chat.citations import SUPPORTED
from core.chat.cutting import shown
from core.evaluation.matching import says
from core.evaluation.relation import best_coverage, coverage
from core.evaluation.whereabouts import Wanted, Whereabouts
from core.types import Citation, Passage

ABOUT = 0.5  # share of the question's words with which a quote speaks of the same thing
TWICE = 2.0  # how much nearer to the question the quote is than the expected answer when that is wrong


class Cause(StrEnum):
    """The links in their order; `expected answer wrong` means that nothing is broken but the expectation."""

    not_in_file = "not in the file"
    lost_in_parsing = "lost in parsing"
    in_no_chunk = "in no chunk"
    not_in_top = "not in the top 100"
    below_cut = "below the cut"
    cut_from_context = "cut from the context"
    ignored = "in the prompt and ignored"
    contradicted = "contradicted"
    expected_wrong = "expected answer wrong"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The broken link and a sentence for people that says what was seen."""

    cause: Cause
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return {"cause": self.cause.value, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class Missed:
    """An answer that is not the expected one: what the model wrote, the passages of its prompt, what it cites."""

    wanted: Wanted
    reply: str
    abstained: bool
    passages: tuple[Passage, ...]
    citations: tuple[Citation, ...]


def diagnose(missed: Missed, look: Whereabouts) -> Diagnosis:
    """Name the first broken link. Takes a search, and where nothing is found there a look through texts and files."""
    wanted = missed.wanted
    holding = [passage for passage in missed.passages if wanted.in_passage(passage, shown(passage))]
    if holding:
        return _in_prompt(missed, holding)
    chosen = look.chosen(wanted)
    if cut := _cut(missed, chosen):
        return cut
    ranking = look.ranking(wanted)
    holder = next((passage for passage in ranking if wanted.in_passage(passage)), None)
    if holder is not None:
        return Diagnosis(
            Cause.below_cut,
            f"The passage with the answer is in {holder.document_title}, on place {holder.rank} of the ranking; the "
            f"best {len(chosen)} were chosen for the prompt.",
        )
    if chunk := look.in_chunk(wanted):
        return Diagnosis(
            Cause.not_in_top,
            f"{chunk.document_title} has a passage with the answer, but search does not find it among the first "
            f"{len(ranking)}.",
        )
    if title := look.in_stored_text(wanted):
        return Diagnosis(Cause.in_no_chunk, f"The text of {title} holds the answer, but no single passage of it does.")
    if name := look.in_file(wanted, ranking):
        return Diagnosis(
            Cause.lost_in_parsing, f"{name} holds the answer, but the text that was read from it does not."
        )
    return _nowhere(missed)


def _in_prompt(missed: Missed, holding: Sequence[Passage]) -> Diagnosis:
    wanted = missed.wanted
    holder = holding[0]
    quote = _rests_on(missed)
    if quote is None:
        return Diagnosis(
            Cause.ignored,
            f"The passage with the answer, from {holder.document_title}, was in the prompt; the model did not use it.",
        )
    if _only_looks_like_it(wanted, quote, holding):
        return _wrong(quote)
    return Diagnosis(
        Cause.contradicted,
        f"{holder.document_title} says what was expected, but the answer rests on {quote.document_title}, which says "
        "something else.",
    )


def _only_looks_like_it(wanted: Wanted, quote: Citation, holding: Sequence[Passage]) -> bool:
    """Whether the expected words stand in the prompt for another reason, and the quote is what answers the question."""
    if wanted.relevant and quote.document_id not in wanted.relevant:
        return False
    there = max(best_coverage(passage.text, wanted.question, wanted.answers, alone=True) for passage in holding)
    return coverage(wanted.question, quote.quote) >= TWICE * there


def _rests_on(missed: Missed) -> Citation | None:
    """The cited words that answer the question otherwise than expected."""
    if missed.abstained:
        return None
    wanted = missed.wanted
    borne = [
        citation
        for citation in missed.citations
        if citation.support >= SUPPORTED
        and not says(citation.quote, wanted.answers)
        and _about(citation, wanted) >= ABOUT
    ]
    return max(borne, key=lambda citation: _about(citation, wanted), default=None)


def _about(citation: Citation, wanted: Wanted) -> float:
    return coverage(wanted.question, f"{citation.document_title} {citation.heading} {citation.quote}")


def _cut(missed: Missed, chosen: Sequence[Passage]) -> Diagnosis | None:
    """The answer was found and chosen, but what the model was shown of it does not hold it."""
    wanted = missed.wanted
    inside = next((passage for passage in missed.passages if wanted.in_passage(passage)), None)
    if inside is not None:
        return Diagnosis(
            Cause.cut_from_context,
            f"A passage of {inside.document_title} was in the prompt, but the words with the answer were cut from it.",
        )
    found = next((passage for passage in chosen if wanted.in_passage(passage)), None)
    if found is not None:
        return Diagnosis(
            Cause.cut_from_context,
            f"The passage with the answer, from {found.document_title}, was found on place {found.rank}, but did not "
            "go into the prompt.",
        )
    return None


def _nowhere(missed: Missed) -> Diagnosis:
    if quote := _rests_on(missed):
        return _wrong(quote)
    return Diagnosis(Cause.not_in_file, "None of the files holds the expected answer.")


def _wrong(quote: Citation) -> Diagnosis:
    return Diagnosis(
        Cause.expected_wrong,
        f"{quote.document_title} answers the question as the model did; nothing answers it as was expected.",
    )
