"""The values that travel between the layers: frozen, without behaviour that needs a store or a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking."""

    id: str
    name: str
    role: str


# --- documents -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document; `start` and `end` are character offsets into `Document.text`."""

    number: int
    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `start` is the character offset of its line in `Document.text`."""

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was written into the text as rows; `header` is the text of its header row."""

    start: int
    end: int
    header: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One source after loading. Every offset anywhere counts characters of `text`, which never changes."""

    title: str
    media_type: str
    text: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    tables: tuple[Table, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    parser: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document to be stored: `text == document.text[start:end]`."""

    position: int
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""


class DocumentStatus(StrEnum):
    """Where a document is on its way: only `searchable` and `ready` ones are found by questions."""

    queued = "queued"
    processing = "processing"
    searchable = "searchable"  # by keyword; vectors are still being made
    ready = "ready"
    failed = "failed"


class JobStatus(StrEnum):
    """Where a job is; the last three are final."""

    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


# --- retrieval -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents a question may see: the owner's, narrowed to a collection or to single documents."""

    owner_id: str
    collection_id: str | None = None
    document_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk found for a question; `rank` starts at 1, scores are None where that search did not find it."""

    chunk_id: int
    document_id: str
    document_title: str
    text: str
    start: int
    end: int
    page: int | None
    heading: str
    rank: int
    score: float
    dense_score: float | None = None
    keyword_score: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a claim of the answer comes from.

    `number` is the [n] in the answer and the place of the passage in the prompt; `start` and `end` are offsets
    of the quoted words in the document's text; `support` is the share of the claim's content words that the
    quote holds, from 0 to 1.
    """

    number: int
    document_id: str
    document_title: str
    page: int | None
    heading: str
    quote: str
    start: int
    end: int
    support: float


# --- models ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message for a model; roles are those of the OpenAI protocol: system, user, assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How an engine samples; temperature 0 is greedy.

    `json_schema`: a JSON schema as text, which the answer will obey. `top_logprobs`: None, or how many alternatives
    are told with the log-probability of every token. `logit_bias`: (token, added to its logit).
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    priority: str = "chat"  # chat goes before background
    cache_prompt: bool = True
    top_k: int = 0  # 0: all
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    json_schema: str = ""
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a generation cost: counts in tokens, times in seconds."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """One step of a streamed generation: text, or news about the waiting and reading before it.

    `queue_position` counts from 1 and is 0 once the engine works on it, which takes about `queue_seconds`;
    `restarted` says why the model had to be started again; `read_tokens` of `prompt_tokens` are processed; `usage`
    and `finish_reason` come with the last chunk.
    """

    text: str = ""
    queue_position: int | None = None
    queue_seconds: float | None = None
    restarted: str = ""
    read_tokens: int | None = None
    prompt_tokens: int | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


# --- answers ---------------------------------------------------------------------------------------------


class MessageState(StrEnum):
    """Where a message is; only `writing` changes."""

    complete = "complete"
    writing = "writing"
    stopped = "stopped"  # by the person
    interrupted = "interrupted"  # by a crash
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The turn waits for the model; position 1 is next, which takes about `seconds` (None: nobody knows).

    `restarted` says why the model had to be started again in the middle of this answer.
    """

    position: int
    seconds: float | None = None
    restarted: str = ""


@dataclass(frozen=True, slots=True)
class Condensed:
    """A follow-up was rewritten into a query that stands alone."""

    query: str


@dataclass(frozen=True, slots=True)
class Searching:
    """The documents are being searched for `query`."""

    query: str


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages that go into the prompt, in the order of their numbers; `left_out` says what did not fit."""

    passages: tuple[Passage, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The model has processed `done` of `total` prompt tokens."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The finished answer with its markers checked; `text` replaces what was streamed."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete and stored."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended with an error; the sentence is for the person. `retry_after`: seconds, when something is busy."""

    message: str
    code: str
    retry_after: float | None = None


Event = Waiting | Condensed | Searching | Retrieved | Reading | Token | Cited | Done | Failed
