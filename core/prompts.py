"""Prompts: immutable numbered versions of a purpose, a pointer to the one in use, and a renderer without logic."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import BadPrompt, Conflict, NotFound
from core.purposes import PURPOSES, Purpose
from core.storage.db import Database
from core.storage.tables import PromptRow, PromptVersionRow, PublicationRow, UserRow
from core.types import ChatMessage

SHIPPED = "Ships with Groundwork."
LONGEST = 20_000
ROLE = re.compile(r"^\[(system|user|assistant)\]\s*$", re.MULTILINE)
FIELD = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
STRAY = re.compile(r"\{\{|\}\}")


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One version; `published` says that it is in use."""

    id: str
    prompt: str
    version: int
    text: str
    author: str
    reason: str
    created_at: datetime
    published: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """One move of the pointer."""

    from_version: int
    to_version: int
    author: str
    reason: str
    created_at: datetime


class Prompts:
    """The prompts that the product uses."""

    def __init__(self, db: Database, seeds: Path) -> None:
        self.db = db
        self.seeds = seeds

    def prepare(self, *, author_id: str) -> None:
        """Store the seeds: those of new prompts, and those that this version of Groundwork words differently.

        A new wording is put to use where the one in use was shipped too; what somebody wrote stays in use.
        """
        for name, purpose in sorted(PURPOSES.items()):
            text = (self.seeds / f"{name}.md").read_text(encoding="utf-8").strip()
            check(purpose, text)
            with self.db.write() as session:
                prompt = session.get(PromptRow, name)
                known = session.scalars(select(PromptVersionRow).where(PromptVersionRow.prompt == name)).all()
                if any(row.text == text and row.reason == SHIPPED for row in known):
                    continue
                number = max((row.version for row in known), default=0) + 1
                if prompt is None:
                    prompt = PromptRow(name=name, published=number)
                    session.add(prompt)
                    session.flush()
                session.add(
                    PromptVersionRow(prompt=name, version=number, text=text, author_id=author_id, reason=SHIPPED)
                )
                session.flush()
                if any(row.version == prompt.published and row.reason == SHIPPED for row in known):
                    _move(session, prompt, number, author_id, SHIPPED)

    def published(self, name: str) -> PromptVersion:
        """The version in use."""
        with self.db.read() as session:
            number = session.scalar(select(PromptRow.published).where(PromptRow.name == name))
            return _version(session, name, number or 0)

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """The texts in use of several prompts, by their names. Raises NotFound."""
        in_use = (PromptRow.name == PromptVersionRow.prompt) & (PromptRow.published == PromptVersionRow.version)
        query = select(PromptRow.name, PromptVersionRow.text).join(PromptVersionRow, in_use)
        with self.db.read() as session:
            found = dict(session.execute(query.where(PromptRow.name.in_(names))).all())
        if missing := set(names) - set(found):
            raise NotFound(f"The prompt {min(missing)} has no version in use.")
        return found

    def version(self, name: str, number: int) -> PromptVersion:
        with self.db.read() as session:
            return _version(session, name, number)

    def versions(self, name: str) -> list[PromptVersion]:
        """All versions, the newest first."""
        query = (
            select(PromptVersionRow, UserRow.name, PromptRow.published)
            .join(PromptRow, PromptRow.name == PromptVersionRow.prompt)
            .outerjoin(UserRow, UserRow.id == PromptVersionRow.author_id)
            .where(PromptVersionRow.prompt == name)
            .order_by(PromptVersionRow.version.desc())
        )
        with self.db.read() as session:
            return [_prompt_version(row, author, published) for row, author, published in session.execute(query)]

    def publications(self, name: str) -> list[Publication]:
        """How the pointer moved, the newest move first."""
        query = (
            select(PublicationRow, UserRow.name)
            .outerjoin(UserRow, UserRow.id == PublicationRow.author_id)
            .where(PublicationRow.prompt == name)
            .order_by(PublicationRow.id.desc())
        )
        with self.db.read() as session:
            return [
                Publication(row.from_version, row.to_version, author or "", row.reason, row.created_at)
                for row, author in session.execute(query)
            ]

    def save(self, name: str, text: str, *, author_id: str, reason: str) -> PromptVersion:
        """Store a new version and return it; it is not in use until it is published.

        Raises BadPrompt (unknown or missing variables, no reason), Conflict when nothing changed.
        """
        purpose = PURPOSES.get(name)
        if purpose is None:
            raise NotFound(f"There is no prompt called {name}.")
        text, reason = text.replace("\r\n", "\n").strip(), " ".join(reason.split())
        check(purpose, text)
        if not reason:
            raise BadPrompt("Say in a few words why you changed it: the reason is kept with the version.")
        with self.db.write() as session:
            newest = (
                session.scalar(select(func.max(PromptVersionRow.version)).where(PromptVersionRow.prompt == name)) or 0
            )
            if newest and _version(session, name, newest).text == text:
                raise Conflict(f"Nothing has changed since version {newest}.")
            row = PromptVersionRow(prompt=name, version=newest + 1, text=text, author_id=author_id, reason=reason[:500])
            session.add(row)
            session.flush()
            return _version(session, name, row.version)

    def publish(self, name: str, version: int, *, author_id: str, reason: str) -> None:
        """Put a version to use: the next answer is made with it. Going back to an older one is the same move."""
        with self.db.write() as session:
            prompt = session.get(PromptRow, name)
            if prompt is None:
                raise NotFound(f"There is no prompt called {name}.")
            _version(session, name, version)
            if prompt.published == version:
                raise Conflict(f"Version {version} is in use already.")
            _move(session, prompt, version, author_id, reason)


def check(purpose: Purpose, text: str) -> None:
    """Refuse a text that could not be rendered. Raises BadPrompt with line and column."""
    if len(text) > LONGEST:
        raise BadPrompt(f"The prompt has {len(text):,} characters; the most is {LONGEST:,}.")
    used = set()
    for found in FIELD.finditer(text):
        if found[1] not in purpose.variables:
            known = ", ".join(f"{{{{{name}}}}}" for name in purpose.variables)
            raise BadPrompt(
                f"{_place(text, found.start())}: {found[0]} is not a variable of this prompt. It has {known}."
            )
        used.add(found[1])
    remainder = FIELD.sub(lambda found: " " * len(found[0]), text)
    if stray := STRAY.search(remainder):
        raise BadPrompt(
            f"{_place(text, stray.start())}: {stray[0]} is not part of a variable such as {{{{question}}}}."
        )
    if missing := [name for name in purpose.required if name not in used]:
        raise BadPrompt(f"The prompt does not use {{{{{missing[0]}}}}} ({purpose.required[missing[0]]}).")
    if not any(message.role == "user" for message in split_roles(text)):
        raise BadPrompt("The prompt has no [user] part: put the line [user] before what the model is asked.")


def render(text: str, values: Mapping[str, str]) -> list[ChatMessage]:
    """The messages of a checked prompt. Values are put in as they are, once: what they hold is never read again."""
    return [
        ChatMessage(message.role, FIELD.sub(lambda found: values.get(found[1], ""), message.content))
        for message in split_roles(text)
    ]


def split_roles(text: str) -> list[ChatMessage]:
    """Cut a prompt at its lines [system], [user] and [assistant]; a text without any is one user message."""
    parts = ROLE.split(text)
    messages = [ChatMessage("user", parts[0].strip())] if parts[0].strip() else []
    messages += [ChatMessage(role, content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True)]
    return [message for message in messages if message.content]


def word_difference(old: str, new: str) -> list[tuple[str, str]]:
    """How `new` differs from `old`, word by word: ("same" | "removed" | "added", text) in reading order."""
    before, after = _words(old), _words(new)
    steps: list[tuple[str, str]] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            steps.append(("same", "".join(before[i1:i2])))
            continue
        if i2 > i1:
            steps.append(("removed", "".join(before[i1:i2])))
        if j2 > j1:
            steps.append(("added", "".join(after[j1:j2])))
    return steps


def _words(text: str) -> Sequence[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"Line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _move(session: Session, prompt: PromptRow, version: int, author_id: str, reason: str) -> None:
    session.add(
        PublicationRow(
            prompt=prompt.name,
            from_version=prompt.published,
            to_version=version,
            author_id=author_id,
            reason=reason[:500],
        )
    )
    prompt.published = version


def _version(session: Session, name: str, number: int) -> PromptVersion:
    row = session.execute(
        select(PromptVersionRow, UserRow.name, PromptRow.published)
        .join(PromptRow, PromptRow.name == PromptVersionRow.prompt)
        .outerjoin(UserRow, UserRow.id == PromptVersionRow.author_id)
        .where(PromptVersionRow.prompt == name, PromptVersionRow.version == number)
    ).first()
    if row is None:
        raise NotFound(f"The prompt {name} has no version {number}.")
    return _prompt_version(*row)


def _prompt_version(row: PromptVersionRow, author: str | None, published: int) -> PromptVersion:
    return PromptVersion(
        row.id, row.prompt, row.version, row.text, author or "", row.reason, row.created_at, row.version == published
    )
