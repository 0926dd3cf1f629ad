"""What the product has prompts for, and which variables each of them may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a prompt is for, which variables it must and may use, and what each of them holds."""

    name: str
    title: str
    description: str
    required: Mapping[str, str]
    optional: Mapping[str, str]

    @property
    def variables(self) -> dict[str, str]:
        return {**self.required, **self.optional}


PURPOSES = {
    purpose.name: purpose
    for purpose in (
        Purpose(
            "answer",
            "Answer",
            "Answers a question from the passages that were found.",
            {"passages": "the numbered passages", "question": "the question, standing alone"},
            {"today": "the date"},
        ),
        Purpose(
            "condense",
            "Condense",
            "Rewrites a follow-up so that it can be understood, and searched for, without the conversation.",
            {"history": "the last questions and answers", "question": "what the person typed"},
            {},
        ),
        Purpose(
            "title",
            "Title",
            "Names a conversation after its first question.",
            {"question": "the first question"},
            {"answer": "the beginning of its answer"},
        ),
        Purpose(
            "talk",
            "Talk",
            "Answers what is asked about the conversation itself; what was said stands before it.",
            {"question": "what the person typed"},
            {"today": "the date"},
        ),
        Purpose(
            "remember",
            "Remember",
            "Summarises the beginning of a conversation that has become too long for the prompt.",
            {"history": "the questions and answers to be summarised"},
            {},
        ),
        Purpose(
            "section",
            "Section",
            "Summarises one section of a document, before the notes become a summary of the whole.",
            {"section": "the text of the section"},
            {"question": "what the person typed"},
        ),
        Purpose(
            "digest",
            "Digest",
            "Makes the summary of a document from the notes about its sections.",
            {"passages": "the numbered notes", "question": "what the person typed"},
            {"today": "the date"},
        ),
        Purpose(
            "verify",
            "Verify",
            "Asks the model, after its answer, whether the passages really say it; how sure it is of yes is a signal.",
            {"question": "the question, standing alone"},
            {},
        ),
        Purpose(
            "general",
            "General knowledge",
            "Answers from what the model knows, where the documents hold no answer and the setting allows it.",
            {"question": "the question, standing alone"},
            {"today": "the date"},
        ),
    )
}
