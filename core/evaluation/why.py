"""Why was this wrong? For the questions of a run, and for one answer of a conversation."""

from __future__ import annotations

from collections.abc import Sequence

from core.chat.citations import abstains
from core.chat.conversations import MessageView
from core.evaluation.corpus import Corpus
from core.evaluation.dataset import Dataset, Question
from core.evaluation.diagnosis import Diagnosis, Missed, diagnose
from core.evaluation.retrieval import product_retriever
from core.evaluation.told import Told
from core.evaluation.whereabouts import RawText, Wanted, Whereabouts, characters_of
from core.services import Services
from core.types import Cited, Passage, Scope


def why_missed(
    corpus: Corpus, dataset: Dataset, question: Question, cited: Cited, kept: Sequence[Passage],
    *, raw: RawText = characters_of,
) -> Diagnosis | None:  # fmt: skip
    """The broken link of a question of a run; None where no answer is known, or it can have none."""
    if not question.answerable or not question.answers:
        return None
    told = Told.of(cited)
    wanted = Wanted(question.text, question.text, question.answers, documents_of(corpus, dataset, question))
    look = Whereabouts(corpus.services, corpus.scope, product_retriever(corpus), raw)
    return diagnose(Missed(wanted, told.draft, told.abstained, tuple(kept), cited.citations), look)


def why_wrong(
    services: Services, answer: MessageView, *, question: str, expected: Sequence[str], scope: Scope,
    raw: RawText = characters_of,
) -> Diagnosis:  # fmt: skip
    """The broken link of one answer of a conversation, when somebody says what the right answer would have been.

    `question` is what was typed, `scope` what was asked (`Making.scope`). Takes up to some seconds.
    """
    corpus = Corpus(services, scope, {})
    wanted = Wanted(question, answer.query or question, tuple(expected))
    missed = Missed(wanted, answer.content, abstains(answer.content), answer.passages, answer.citations)
    return diagnose(missed, Whereabouts(services, scope, product_retriever(corpus), raw))


def documents_of(corpus: Corpus, dataset: Dataset, question: Question) -> frozenset[str]:
    """The documents that the dataset says hold the answer."""
    relevant = dataset.relevant.get(question.id, {})
    return frozenset(
        document for document, ids in corpus.ids.items() if any(dataset.unit(id) in relevant for id in ids)
    )  # fmt: skip
