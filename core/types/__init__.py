"""The values that travel between the layers: frozen, without behaviour that needs a store or a model."""

from core.types.answers import (
    Cited,
    Condensed,
    Done,
    Event,
    Failed,
    MessageState,
    Reading,
    Retrieved,
    Searching,
    Token,
    Waiting,
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
    "Condensed",
    "Document",
    "DocumentStatus",
    "Done",
    "Event",
    "Failed",
    "GenerationChunk",
    "GenerationOptions",
    "Heading",
    "JobStatus",
    "MessageState",
    "Page",
    "Passage",
    "Reading",
    "Retrieved",
    "Scope",
    "Searching",
    "Table",
    "Token",
    "Usage",
    "User",
    "Waiting",
]
