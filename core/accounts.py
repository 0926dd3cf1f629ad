"""Who is asking. One function decides; today there is one person, the owner of this machine."""

from __future__ import annotations

from core.storage.db import Database
from core.storage.tables import UserRow
from core.types import User

LOCAL = User(id="local", name="You", role="admin")


class Accounts:
    """People. Sign-in comes later; every caller already asks here and nowhere else."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def prepare(self) -> None:
        """Make sure that the local user exists."""
        with self.db.read() as session:
            if session.get(UserRow, LOCAL.id):
                return
        with self.db.write() as session:
            if not session.get(UserRow, LOCAL.id):
                session.add(UserRow(id=LOCAL.id, name=LOCAL.name, role=LOCAL.role))

    def who(self) -> User:
        """The person behind a page run, a request or a command."""
        return LOCAL
