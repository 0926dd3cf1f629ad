"""Whether a text holds an answer to a question, and not only its words for another reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.evaluation.matching import says, tokens

AROUND = 300  # characters on each side of an answer that say what it is about
LEAST = 0.25  # share of the question's words there, where nobody has said which document answers it
STEM = 4  # letters that two forms of a word share at the least
ENDS = 3  # letters in which they may differ
SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
EMPTY = frozenset(
    re.findall(
        r"\w+",
        """what which who whom whose when where why how many much long is are was were be been do does did has have had
        can could will would should may might of in on at by for from to with about into as and or not it its this that
        these those there their his her they he she you your i we our me my if then than so no any some all name called
        der die das ein eine und ist sind war wie was wer wo wann welche welcher le la les des un une et est sont que
        qui quel quelle el los las y es son qué cuál cómo""",
    )
)


def content(question: str) -> list[str]:
    """The words of a question that say what it is about."""
    words = tokens(question)
    return [word for word in dict.fromkeys(words) if word not in EMPTY] or list(dict.fromkeys(words))


def coverage(question: str, text: str) -> float:
    """The share of the question's words that the text has in some form, from 0 to 1."""
    asked, there = content(question), set(tokens(text))
    if not asked:
        return 0.0
    stems = {word[:STEM] for word in there}
    return sum(_has(word, there, stems) for word in asked) / len(asked)


def holds(text: str, question: str, answers: Sequence[str], *, beside: str = "", least: float = LEAST) -> bool:
    """Whether the text says an answer where it is about the question. `beside` is its title and heading."""
    return says(text, answers) and best_coverage(text, question, answers, beside=beside) >= least


def best_coverage(text: str, question: str, answers: Sequence[str], *, beside: str = "", alone: bool = False) -> float:
    """How much of the question stands near the answer at best; 0 where the text does not say it.

    `alone` looks at the sentence with the answer, without its neighbours.
    """
    parts = [part for part in SENTENCE.split(text) if part.strip()]
    best = 0.0
    for place, part in enumerate(parts):
        together, following = part, "".join(parts[place + 1 : place + 2])
        if not says(part, answers):
            together = f"{part} {following}"  # an answer may go over the end of a line
            if says(following, answers) or not says(together, answers):
                continue
        before, after = ("", "") if alone else (_tail(parts, place), following)
        near = f"{before} {together[: 4 * AROUND]} {after}"[: 8 * AROUND]
        best = max(best, coverage(question, f"{beside} {near}"))
    if not best and says(text, answers):
        return coverage(question, f"{beside} {text[: 8 * AROUND]}")
    return best


def _tail(parts: Sequence[str], place: int) -> str:
    return parts[place - 1][-AROUND:] if place else ""


def _has(word: str, there: set[str], stems: set[str]) -> bool:
    if word in there:
        return True
    if len(word) < STEM or word[:STEM] not in stems or not word.isalpha():
        return False
    return any(other[:STEM] == word[:STEM] and _alike(word, other) for other in there)


def _alike(word: str, other: str) -> bool:
    same = 0
    for one, two in zip(word, other, strict=False):
        if one != two:
            break
        same += 1
    return same >= STEM and max(len(word), len(other)) - same <= ENDS
