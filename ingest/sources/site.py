"""A look at a web site, one page at a time: from the start page outward, nearest first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

from core.documents import Documents
from core.errors import BadSource, BadUpload, SourceUnreachable
from core.sources.address import page_name, same_but_for_query
from core.sources.items import from_item
from core.sources.types import ItemState
from core.storage.db import Database
from core.storage.tables import SourceItemRow, SourceRow
from ingest.sources import queue
from ingest.sources.fetch import Fetched, Fetcher
from ingest.sources.line import Ended
from ingest.sources.links import MOST_BYTES, PageLinks, links_of, read_links
from ingest.sources.queue import Plan, Target
from ingest.sources.robots import Robots

PAGES = ("text/html", "application/xhtml+xml")
GONE = (404, 410)
ASK_LATER = (429, 503)
BLOCK = 1 << 20
WAIT_SECONDS = 60.0  # when a server asks us to come later and does not say when
TRIES = 3  # of a page whose server asks us to come later
REFUSALS = {401: "wants a sign-in", 402: "wants to be paid", 403: "does not let strangers read this page"}


@dataclass(frozen=True, slots=True)
class Step:
    """What one step came to: `over` when the look is, else seconds until the host may be asked again."""

    over: bool
    wait: float = 0.0


class SiteLook:
    """Looks at sites. What it knows about the way of a look stands in SQL; only the count of tries is kept here."""

    def __init__(
        self, db: Database, documents: Documents, fetcher: Fetcher, robots: Robots, *, most_pages: int
    ) -> None:
        self.db = db
        self.documents = documents
        self.fetcher = fetcher
        self.robots = robots
        self.most_pages = most_pages
        self._tries: dict[int, int] = {}

    def begin(self, source_id: str) -> None:
        """Start a look; one that a dead worker left goes on instead."""
        with self.db.write() as session:
            row = session.get(SourceRow, source_id)
            if row is not None and (row.wanted or not row.looking):
                queue.begin(session, row)

    def step(self, source_id: str, ended: Ended) -> Step:
        """Ask one page. Raises Cancelled when `ended` says so in the middle of it; then nothing has changed."""
        with self.db.read() as session:
            row = session.get(SourceRow, source_id)
            if row is None or not row.looking:
                return Step(over=True)
            plan, target = queue.plan_of(row), queue.next_target(session, row)
        if target is None:
            with self.db.write() as session:
                if (row := session.get(SourceRow, source_id)) is not None and row.looking:
                    queue.finish(session, row)
            return Step(over=True)
        try:
            self._ask(plan, target, ended)
        except SourceUnreachable as error:
            return self._unreachable(plan, target, error)
        except (BadSource, BadUpload) as error:
            self._mark(plan, target.item_id, str(error))
        self._tries.pop(target.item_id, None)
        return Step(over=False, wait=self.robots.delay_of(target.address))

    def _ask(self, plan: Plan, target: Target, ended: Ended) -> None:
        def permit(address: str) -> None:
            self.robots.check(address, ended=ended)

        permit(target.address)
        came = self.fetcher.fetch(
            target.address, etag=target.etag, modified=target.modified, permit=permit, ended=ended
        )
        if came.status == 304 and self._links_lost(plan, target):
            came = self.fetcher.fetch(target.address, permit=permit, ended=ended)
            if came.status == 304:
                raise BadSource(
                    f"{urlsplit(came.address).netloc} says that this page is unchanged, and does not send it."
                )
        if came.status in ASK_LATER:
            wait = came.retry_after or WAIT_SECONDS
            raise SourceUnreachable(f"{urlsplit(came.address).netloc} asks us to come later.", retry_after=wait)
        if came.status == 200 and came.body is not None:
            with came.body:
                self._take(plan, target, came, came.body)
        elif came.status == 304:
            self._unchanged(plan, target, self._stored_links(plan, target))
        elif came.status in GONE:
            with self.db.write() as session:
                if (item := session.get(SourceItemRow, target.item_id)) is not None:
                    item.seen = plan.round
                    queue.missing(session, item, came.status)
                queue.count(session, plan.id)
        else:
            host = urlsplit(came.address).netloc
            reason = REFUSALS.get(came.status, f"answers with the error {came.status}")
            kind = SourceUnreachable if came.status >= 500 else BadSource
            raise kind(f"{host} {reason}.")

    def _take(self, plan: Plan, target: Target, came: Fetched, body: BinaryIO) -> None:
        """A page that came: find out whose it is, store it when it is new, and queue what it leads to."""
        found, begin = PageLinks(), body.read(1)
        body.seek(0)
        if came.media_type in PAGES or (not came.media_type and begin == b"<"):
            found = read_links(body.read(MOST_BYTES), came.address)
            body.seek(0)
        item_id = self._whose(plan, target, came.address, found.canonical)
        if item_id is None:
            return
        digest = _digest(body)
        facts = {"sha256": digest, "etag": came.etag, "modified": came.modified}
        with self.db.read() as session:
            item = session.get(SourceItemRow, item_id)
            known = item is not None and item.sha256 == digest and item.state != ItemState.queued
            first = item is None or not item.sha256
        if not known:
            name = page_name(came.address, came.media_type)
            # The first time it goes where the source says; afterwards it stays where people have put it.
            home = plan.collection_id if first else None
            attach = from_item(item_id, **facts)
            self.documents.add(body, name=name, owner_id=plan.owner_id, collection_id=home, attach=attach)
        self._seen(plan, item_id, target.depth, found, facts)

    def _whose(self, plan: Plan, target: Target, address: str, canonical: str) -> int | None:
        """The item that a page belongs to; None when it is known already, or will be asked by its own address, or when
        nobody wants it any more."""
        if target.is_start:
            plan = self._settle_base(plan, address)
        if address != target.address and not plan.site.holds(address):
            raise BadSource(f"{target.address} leads to {address}, which is not part of what is to be read.")
        with self.db.write() as session:
            row, item = session.get(SourceRow, plan.id), session.get(SourceItemRow, target.item_id)
            if row is None or item is None or not row.looking:  # cancelled or removed while the page was on its way
                return None
            if address != target.address:
                own, item = item, queue.item_for(session, row, address, target.depth)
                own.seen = plan.round
                queue.lead_on(session, own, item)
                if item.seen == plan.round:
                    return None
            elsewhere = canonical not in ("", address) and same_but_for_query(canonical, address)
            if elsewhere and plan.site.holds(canonical):
                other = queue.item_for(session, row, canonical, target.depth)
                stays = other.seen == plan.round and other.state == ItemState.alias.value  # two that name each other
                if queue.has_document(item):  # it is kept up to date until the other one can be found
                    stays = not queue.is_found(session, other)
                if not stays:
                    item.seen = plan.round
                    queue.lead_on(session, item, other)
                    return None
            return item.id

    def _settle_base(self, plan: Plan, address: str) -> Plan:
        """Where the start page is found for the first time is where the site is. A later move is refused: pages of
        the old host would be dropped for those of whoever has its name now."""
        with self.db.write() as session:
            row = session.get(SourceRow, plan.id)
            if row is None:
                return plan
            row.base = row.base or address
            return queue.plan_of(row)

    def _seen(self, plan: Plan, item_id: int, depth: int, found: PageLinks, facts: Mapping[str, object]) -> None:
        with self.db.write() as session:
            row, item = session.get(SourceRow, plan.id), session.get(SourceItemRow, item_id)
            if row is None or item is None:
                return
            item.error, item.gone_at, item.seen = "", None, plan.round
            item.state = ItemState.present.value
            for name, fact in facts.items():
                setattr(item, name, fact)
            if row.looking and depth < row.depth:
                site = queue.plan_of(row).site
                links = [address for address in found.links if site.holds(address)]
                if not queue.enqueue(session, row, links, depth + 1, most=self.most_pages):
                    row.error = f"The site has more than {self.most_pages:,} pages. The rest was left out."
            queue.count(session, row.id)

    def _unchanged(self, plan: Plan, target: Target, found: PageLinks) -> None:
        self._seen(plan, target.item_id, target.depth, found, {})

    def _stored_links(self, plan: Plan, target: Target) -> PageLinks:
        path = self.documents.files.path(target.sha256)
        needed = target.depth < plan.depth and path.is_file()
        return links_of(path, target.address) if needed else PageLinks()

    def _links_lost(self, plan: Plan, target: Target) -> bool:
        """Whether an unchanged page has to be fetched all the same, because its file is no longer here to be read."""
        return not target.sha256 or (
            target.depth < plan.depth and not self.documents.files.path(target.sha256).is_file()
        )

    def _unreachable(self, plan: Plan, target: Target, error: SourceUnreachable) -> Step:
        """Come later when the server asks for that; else pass the page over; the first one ends the look."""
        tries = self._tries[target.item_id] = self._tries.get(target.item_id, 0) + 1
        if error.retry_after and tries < TRIES:
            return Step(over=False, wait=error.retry_after)
        self._tries.pop(target.item_id, None)
        if target.is_start:
            with self.db.write() as session:
                if (row := session.get(SourceRow, plan.id)) is not None:
                    queue.fail(session, row, str(error))
            return Step(over=True)
        self._mark(plan, target.item_id, str(error))
        return Step(over=False, wait=self.robots.delay_of(target.address))

    def _mark(self, plan: Plan, item_id: int, error: str) -> None:
        """Note why a page could not be read; what was read of it before stays."""
        with self.db.write() as session:
            if (item := session.get(SourceItemRow, item_id)) is not None:
                item.seen, item.error = plan.round, error
                if item.document_id is None:
                    item.state = ItemState.refused.value
            queue.count(session, plan.id)


def _digest(body: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := body.read(BLOCK):
        digest.update(block)
    body.seek(0)
    return digest.hexdigest()
