"""The values that travel between the layers: frozen, without behaviour that needs a store or a model."""

from core.types.answers import (
    Cited,
    Claim,
    Condensed,
    Done,
    Event,
    Failed,
    MessageState,
    Reading,
    Remembering,
    Retrieved,
    Searching,
    Summarising,
    Token,
    Verdict,
    Waiting,
    Way,
)
from core.types.documents import (
    Chunk,
    Document,
    DocumentStatus,
    Heading,
    JobStatus,
    Page,
    Table,
)
from core.types.models import (
    ChatMessage,
    GenerationChunk,
    GenerationOptions,
    InnerState,
    Usage,
)
from core.types.people import (
    User,
)
from core.types.retrieval import (
    Citation,
    Passage,
    Scope,
)

__all__ = [
    "ChatMessage",
    "Chunk",
    "Citation",
    "Cited",
    "Claim",
    "Condensed",
    "Document",
    "DocumentStatus",
    "Done",
    "Event",
    "Failed",
    "GenerationChunk",
    "GenerationOptions",
    "Heading",
    "InnerState",
    "JobStatus",
    "MessageState",
    "Page",
    "Passage",
    "Reading",
    "Remembering",
    "Retrieved",
    "Scope",
    "Searching",
    "Summarising",
    "Table",
    "Token",
    "Usage",
    "User",
    "Verdict",
    "Waiting",
    "Way",
]
