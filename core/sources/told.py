"""Sources as programs are told about them, by REST and by the shell."""

from __future__ import annotations

from typing import Any

from core.sources.types import Source, SourceItem


def source_json(source: Source) -> dict[str, Any]:
    counts = source.counts
    return {
        "id": source.id, "kind": source.kind, "address": source.address, "depth": source.depth,
        "within": source.within, "collection_id": source.collection_id, "collection": source.collection,
        "interval_minutes": source.interval_minutes, "state": source.state, "error": source.error or None,
        "done": source.done, "total": source.total,
        "looked_at": source.looked_at.isoformat() if source.looked_at else None,
        "next_at": source.next_at.isoformat() if source.next_at else None,
        "created_at": source.created_at.isoformat(),
        "counts": {
            "known": counts.known, "found": counts.found, "busy": counts.busy, "failed": counts.failed,
            "refused": counts.refused, "gone": counts.gone, "deleted": counts.deleted,
        },
    }  # fmt: skip


def item_json(item: SourceItem) -> dict[str, Any]:
    return {
        "address": item.address, "state": item.state, "error": item.error or None, "document_id": item.document_id,
        "gone_since": item.gone_at.isoformat() if item.gone_at else None,
    }  # fmt: skip
