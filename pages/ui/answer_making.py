"""How an answer was made: the time of each step, what filled the context, what was left out, and with what it ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.chat.making import Attribution, Making, Step
from core.errors import NotFound
from core.types import Cited, User
from pages.ui import filters, state
from pages.ui.figures import count, duration, moment
from pages.ui.markdown import plain

STEPS = {
    "condense": "Rewriting the question",
    "retrieve": "Searching",
    "remember": "Making notes of earlier messages",
    "fit": "Fitting the passages in",
    "section": "Reading sections",
    "digest": "Putting the summary together",
    "generate": "Reading and writing",
    "cite": "Checking the citations",
    "verify": "Asking whether the passages hold it",
}
PARTS = {
    "system": "Instructions",
    "frame": "Frame around the passages",
    "summary": "Notes of earlier messages",
    "history": "Earlier messages",
    "question": "Question",
}
SHORT = 12  # characters of a hash that are shown


def draw(message_id: int, user: User) -> None:
    """Everything that was stored of how this answer was made."""
    try:
        making = state.services().replays.making(message_id, owner_id=user.id)
    except NotFound as missing:  # the process ended before the record was written
        st.caption(plain(str(missing)))
        return
    _asked(making, user)
    _steps(making)
    _sure(making.cited)
    _ledger(making.ledger)
    _left_out(making.ledger)
    if making.attribution is not None:
        _attribution(making, making.attribution)


def _asked(making: Making, user: User) -> None:
    """Which documents were searched, where that was not all of them."""
    scope = making.scope
    if not scope.narrowed:
        return
    services, parts = state.services(), []
    if scope.collection_id:
        names = {c.id: c.name for c in services.documents.list_collections(owner_id=user.id)}
        parts.append(f"the collection {names.get(scope.collection_id, 'that was deleted')}")
    for document_id in scope.document_ids:
        try:
            document = services.documents.get(document_id, owner_id=user.id)
            parts.append(document.title or document.name)
        except NotFound:
            parts.append("a document that was deleted")
    parts += [filters.words(scope.filters)] if scope.filters.number else []
    st.markdown(f"**Searched only** {plain(' · '.join(parts))}")


def step_name(name: str) -> str:
    """What a step is called."""
    return STEPS.get(name, plain(name.replace("_", " ").capitalize()))


def _steps(making: Making) -> None:
    if not making.steps:
        return
    st.markdown("**Time of each step**")
    longest = max(step.seconds for step in making.steps) or 1.0
    for step in making.steps:
        st.progress(min(1.0, step.seconds / longest), text=f"{step_name(step.name)}: {duration(step.seconds)}")
    rows = [
        {"Step": step_name(step.name), "Began after": _precise(step.started), "Took": _precise(step.seconds),
         "Notes": _notes(step)}
        for step in making.steps
    ]  # fmt: skip
    st.table(rows, border="horizontal", hide_index=True, alt="When each step began and how long it took")


def _sure(cited: Cited | None) -> None:
    if cited is None or cited.confidence is None:
        return
    st.markdown(f"**Confidence {cited.confidence:.2f}**")
    st.caption(
        "How likely such an answer was right, among the questions that it was fitted on. The page Evaluation "
        "shows below which point an answer is held back."
    )


def _notes(step: Step) -> str:
    said = []
    if query := step.attributes.get("query"):
        said.append(f"“{query}”")
    if "passages" in step.attributes:
        said.append(count(int(step.attributes["passages"]), "passage"))
    if restarted := step.attributes.get("restarted"):
        said.append(f"the model was started again: {restarted}")
    if (reason := step.attributes.get("finish_reason")) == "length":
        said.append("the answer reached its longest length")
    elif reason and reason != "stop":
        said.append(str(reason))
    return plain(", ".join(said))


def _ledger(ledger: Mapping[str, Any]) -> None:
    """Tokens by part, in the order in which the model reads them."""
    if not ledger:
        return
    st.markdown("**What filled the context**")
    parts = [(word, int(ledger.get(part) or 0)) for part, word in PARTS.items()]
    passages = [(f"Passage {number}", int(size)) for number, size in enumerate(ledger.get("passages") or (), 1)]
    filled = [(word, tokens) for word, tokens in (*parts[:2], *passages, *parts[2:]) if tokens]
    total = int(ledger.get("prompt") or sum(tokens for _, tokens in filled)) or 1
    rows = [{"Part": word, "Tokens": f"{tokens:,}", "Share": f"{tokens / total:.0%}"} for word, tokens in filled]
    rows.append({"Part": "Together", "Tokens": f"{total:,}", "Share": "100%"})
    st.table(rows, border="horizontal", hide_index=True, alt="Tokens of each part of the prompt")
    room = f"The model reads {int(ledger.get('context') or 0):,} tokens at once"
    st.caption(f"{room}; {int(ledger.get('answer') or 0):,} were kept free for the answer.")


def _left_out(ledger: Mapping[str, Any]) -> None:
    left_out = [plain(str(sentence)) for sentence in ledger.get("left_out") or ()]
    if not left_out:
        if ledger:
            st.caption("Nothing was left out.")
        return
    st.markdown("\n".join(["**What was left out, and why**", "", *(f"- {sentence}" for sentence in left_out)]))


def _attribution(making: Making, origin: Attribution) -> None:
    st.markdown("**Made with**")
    sampling, usage = origin.sampling, making.usage
    seed = sampling.get("seed")
    facts = {
        "Model": plain(origin.model) + (f" at {plain(origin.endpoint)}" if origin.endpoint else ""),
        "SHA-256 of the model": f"{origin.model_sha256[:SHORT]}…" if origin.model_sha256 else "",
        "Prompt": f"Answer, version {origin.prompt}",
        "Hash of the prompt": f"{making.prompt_sha256[:SHORT]}…" if making.prompt_sha256 else "",
        "Temperature": _figure(sampling.get("temperature")),
        "Seed": "none: the likeliest word is taken each time" if seed is None else str(seed),
        "Longest answer": count(int(sampling.get("max_tokens") or 0), "token"),
        "Embedding model": plain(origin.embedder),
        "Passages at the most": _figure(origin.retrieval.get("passages")),
        "Tokens read": f"{_whole(usage, 'prompt_tokens')}, {_whole(usage, 'cached_tokens')} of them from the cache",
        "Tokens written": _whole(usage, "completion_tokens"),
        "First word after": duration(float(usage.get("first_token_seconds") or 0.0)),
        "Number of the answer": f"{making.message_id}, for `python -m core replay {making.message_id}`",
        "Version of Groundwork": plain(origin.code_version),
        "Made": moment(making.created_at),
    }
    shown = {name: fact for name, fact in facts.items() if fact}
    st.table(shown, border="horizontal", width="content", alt="Model, prompt and settings of the answer")


def _precise(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _figure(found: object) -> str:
    return "" if found is None else str(found)


def _whole(figures: Mapping[str, Any], name: str) -> str:
    return f"{int(figures.get(name) or 0):,}"
