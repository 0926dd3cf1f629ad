"""The tables. Everything that belongs to somebody names its owner; every citation names its place in a text."""

from core.storage.tables.base import Base, UtcTime, new_id, now
from core.storage.tables.conversations import (
    CitationRow,
    ConversationRow,
    FeedbackRow,
    MessageRow,
    PassageRow,
    TraceRow,
)
from core.storage.tables.documents import (
    ChunkRow,
    CollectionDocumentRow,
    CollectionRow,
    DeletionRow,
    DocumentRow,
    DocumentTagRow,
    DocumentTextRow,
    IndexStateRow,
    PageReadingRow,
    PreferenceRow,
    UserRow,
    VectorDraftRow,
    VectorRow,
)
from core.storage.tables.endpoints import EndpointRow
from core.storage.tables.evaluation import EvaluationItemRow, EvaluationRunRow, EvaluationScoreRow
from core.storage.tables.jobs import BatchNoteRow, BatchRow, JobRow
from core.storage.tables.models import ComparisonRow, MeasurementRow
from core.storage.tables.prompts import (
    PipelineRow,
    PromptRow,
    PromptVersionRow,
    PublicationRow,
)
from core.storage.tables.sources import SourceDocumentRow, SourceItemRow, SourceRow

__all__ = [
    "Base",
    "BatchNoteRow",
    "BatchRow",
    "ChunkRow",
    "CitationRow",
    "CollectionDocumentRow",
    "CollectionRow",
    "ComparisonRow",
    "ConversationRow",
    "DeletionRow",
    "DocumentRow",
    "DocumentTagRow",
    "DocumentTextRow",
    "EndpointRow",
    "EvaluationItemRow",
    "EvaluationRunRow",
    "EvaluationScoreRow",
    "FeedbackRow",
    "IndexStateRow",
    "JobRow",
    "MeasurementRow",
    "MessageRow",
    "PageReadingRow",
    "PassageRow",
    "PipelineRow",
    "PreferenceRow",
    "PromptRow",
    "PromptVersionRow",
    "PublicationRow",
    "SourceDocumentRow",
    "SourceItemRow",
    "SourceRow",
    "TraceRow",
    "UserRow",
    "UtcTime",
    "VectorDraftRow",
    "VectorRow",
    "new_id",
    "now",
]
