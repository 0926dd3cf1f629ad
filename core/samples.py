"""Three documents and three questions for the first visit."""

from __future__ import annotations

from pathlib import Path

from core.documents import Added, Documents

COLLECTION = "Samples"
QUESTIONS = (
    "How many days of remote work are allowed per month?",
    "Which instrument failed during the second dive, and why?",
    "What does error E4 of the espresso machine mean?",
)


class Samples:
    """Loads what ships in data/samples into a collection of its own."""

    def __init__(self, documents: Documents, folder: Path) -> None:
        self.documents = documents
        self.folder = folder

    def load(self, *, owner_id: str) -> list[Added]:
        """Add the sample documents; those that are there already are left as they are."""
        collection = self.documents.collection(COLLECTION, owner_id=owner_id)
        added = []
        for path in sorted(self.folder.iterdir()):
            with path.open("rb") as file:
                added.append(self.documents.add(file, name=path.name, owner_id=owner_id, collection_id=collection))
        return added
