"""The composition root: the one place that knows which classes the product is made of."""

from __future__ import annotations

import gc
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from core.accounts import LOCAL, Accounts
from core.arrivals import Arrivals
from core.batches import Batches
from core.chat.answers import Answers
from core.chat.comparisons import Comparisons
from core.chat.conversations import Conversations
from core.chat.judging import Judge
from core.chat.naming import Namer
from core.chat.outline import Outline
from core.chat.pipelines import Pipelines
from core.chat.records import Recipe, TurnRecords
from core.chat.replays import Replays
from core.chat.request import Habits
from core.chat.turns import Turns
from core.deletions import Deletions
from core.documents import Documents
from core.evaluation.bench import Evaluations
from core.feedback import FeedbackBook
from core.health import HealthWatch
from core.installation import make_folder, silence_telemetry
from core.jobs import Jobs
from core.library import Library
from core.models.active import ActiveEngine, GuestEngine
from core.models.client import ModelClient
from core.models.endpoints import Endpoints
from core.models.installed import Models
from core.models.local import find_model
from core.models.secrets import KeyVault
from core.models.workbench import Workbench
from core.overview import Overview
from core.page_pictures import PagePictures
from core.processes import ChildProcess
from core.prompts import Prompts
from core.rebuilds import Rebuilds
from core.retrieval.keyword import KeywordIndex
from core.retrieval.serving_index import ServingIndex
from core.retrieval.store import ChunkStore
from core.samples import Samples
from core.settings import ROOT, Settings, load
from core.sources.book import Sources
from core.sources.reach import Reach
from core.storage.db import Database
from core.storage.files import FileStore
from core.storage.migrations import upgrade
from core.tidying import Tidying, patiently
from core.types import GenerationOptions, Scope

if TYPE_CHECKING:
    from core.chat.chain import AnswerChain

SEEDS = ROOT / "data" / "prompts"
SAMPLES = ROOT / "data" / "samples"
SWEEP_SECONDS = 300.0
DRAIN_SECONDS = 3.0
FIRST_PAGE_SECONDS = 4.0  # after the start: a page that is asked for then should not share its core with imports


@dataclass(frozen=True)
class Services:
    """Everything a page, a route or a command may ask. Stateless towards people: who asks is always an argument."""

    settings: Settings
    db: Database
    accounts: Accounts
    files: FileStore
    jobs: Jobs
    batches: Batches
    documents: Documents
    arrivals: Arrivals
    overview: Overview
    library: Library
    sources: Sources
    deletions: Deletions
    chunks: ChunkStore
    client: ModelClient
    endpoints: Endpoints
    models: Models
    workbench: Workbench
    comparisons: Comparisons
    health: HealthWatch
    index: ServingIndex
    rebuilds: Rebuilds
    chain: Callable[[], AnswerChain]
    prompts: Prompts
    conversations: Conversations
    turns: Turns
    answers: Answers
    replays: Replays
    pictures: PagePictures
    namer: Namer
    feedback: FeedbackBook
    samples: Samples
    evaluations: Evaluations
    tidying: Tidying

    @cached_property
    def model_server(self) -> ChildProcess:
        return ChildProcess("model server", self._server_arguments, first_line=secrets.token_urlsafe(32))

    @cached_property
    def worker(self) -> ChildProcess:
        return ChildProcess("ingest worker", lambda: ["-m", "ingest", "work", "--parent-pipe"])

    def start(self) -> None:
        """What the web process does once: recover from the last end, start the other processes, warm the index."""
        self.conversations.mark_interrupted()
        self.model_server.start()
        if self.settings.ingest:
            self.worker.start()
        threading.Thread(target=self._tend, name="tend", daemon=True).start()

    def _tend(self) -> None:
        """Load what the first question needs while nobody waits; now and then tidy up."""
        if not self.namer.closing.wait(FIRST_PAGE_SECONDS):
            for step in (self.index.warm, self.client.prepare, self.chain):
                patiently(step)
            gc.freeze()  # libraries stay: without this every later collection would look through them
        while not self.namer.closing.wait(SWEEP_SECONDS):
            self.tidying.round()

    def close(self) -> None:
        """End turns with what they have, then the processes, take in what has arrived, then save the index."""
        self.turns.stop_all()
        self.namer.closing.set()
        for working in (self.models, self.workbench, self.evaluations, self.endpoints.trials):
            working.close()
        self.comparisons.stop()
        self.turns.wait_idle(DRAIN_SECONDS)
        closing = threading.Thread(target=self.worker.close)
        closing.start()
        self.model_server.close()
        closing.join()
        self.arrivals.close(DRAIN_SECONDS)  # last: until here it had all that time too
        self.index.close()
        self.release()

    def release(self) -> None:
        """Close the connections; for commands, which start no processes."""
        self.client.close()
        self.db.close()

    @contextmanager
    def with_model_server(self) -> Iterator[None]:
        """For commands: use the application's model server when it runs, else one of our own for the time being."""
        ours = self.client.status().status == "down"
        if ours:
            self.model_server.start()
        try:
            yield
        finally:
            if ours:
                self.model_server.close()

    def _server_arguments(self) -> list[str]:
        settings = self.settings
        options = {
            "--data": settings.data,
            "--models": settings.model_store,
            "--chat": self.models.active_id(),
            "--embedder": (serving := self.index.serving()),
            "--embedder-form": self.chunks.form(serving) or settings.embedding_form,
            "--cache": settings.cache_folder,
            "--context": settings.context_tokens,
            "--slots": settings.slots,
            "--queue-limit": settings.queue_limit,
            "--threads": settings.threads,
            "--gpu-layers": settings.gpu_layers,
            "--cache-type-k": settings.cache_type_k,
            "--cache-type-v": settings.cache_type_v,
            "--rope-scaling": settings.rope_scaling,
            "--rope-factor": settings.rope_factor,
            "--prefix-mb": settings.prefix_cache_mb,
        }
        adapters = [part for adapter in settings.lora for part in ("--lora", adapter)]
        drafting = [] if settings.drafting else ["--no-drafting"]
        plain = [str(part) for option in options.items() for part in option]
        return ["-m", "core.serving", *plain, *adapters, *drafting]


def build(settings: Settings, client: ModelClient | None = None, *, beside: Services | None = None) -> Services:
    """Put everything together over the data folder; migrates the database. Raises StorageError, SettingsError.

    `client` is for tests, which have no model server. With `beside`, only the documents are this folder's own: they are
    asked with the prompts, models, calibrations and services of that installation.
    """
    silence_telemetry()
    make_folder(settings.data)
    upgrade(settings.database)
    db = Database(settings.database)
    accounts, files, jobs = Accounts(db), FileStore(settings.files), Jobs(db)
    accounts.prepare()
    documents = Documents(db, files, jobs, upload_mb=settings.upload_mb)
    sources = Sources(db, data=settings.data, reach=Reach(private=settings.fetch_private))
    chunks, client = ChunkStore(db), client or ModelClient(settings.run)
    endpoints = beside.endpoints if beside else Endpoints(db, KeyVault(settings.key_file))
    models = beside.models if beside else Models(settings, db, client, endpoints)
    prompts = beside.prompts if beside else Prompts(db, SEEDS)
    conversations, pipelines = Conversations(db), Pipelines(db)
    prompts.prepare(author_id=LOCAL.id)
    index = ServingIndex(chunks, settings.embedding_model, settings.index)
    options = GenerationOptions(max_tokens=settings.answer_tokens)
    habits = Habits(settings.passage_tokens, settings.history_tokens, settings.general_knowledge)

    def recipe() -> Recipe:
        endpoint = endpoints.active()
        model = endpoint.model if endpoint else models.active_id()
        sha256 = "" if endpoint else find_model(model, settings.model_store).sha256
        address = endpoint.url if endpoint else ""
        return Recipe(model, sha256, settings.embedding_model, settings.passages, options, address, habits)

    judge = cache(lambda: Judge.shipped((beside.settings if beside else settings).calibrations))
    chain = cache(lambda: _chain(settings, db, chunks, index, client, ActiveEngine(client, endpoints), judge()))
    namer = Namer(conversations, prompts, lambda: chain().model)
    workbench = Workbench(db, client, settings.model_store)
    comparisons = Comparisons(
        db, prompts, recipe, lambda model_id: chain().by(GuestEngine(client, model_id)) if model_id else chain()
    )
    replays = Replays(db, prompts, models, comparisons.chain)
    records = TurnRecords(db, prompts, pipelines, recipe, lambda collection_id: judge().named(collection_id))
    turns = Turns(chain, conversations, records, namer.name)
    batches, library = Batches(db), Library(db, documents)
    arrivals = Arrivals(documents, batches)
    rebuilds = Rebuilds(db, jobs, settings.embedding_model)
    deletions = Deletions(db, files, index)
    return Services(
        settings, db, accounts, files, jobs, batches, documents, arrivals,
        Overview(db, jobs, batches, library, rebuilds), library, sources,
        deletions, chunks, client, endpoints, models,
        workbench, comparisons, HealthWatch(models, client), index,
        rebuilds, chain, prompts, conversations, turns, Answers(db), replays,
        PagePictures(documents), namer, FeedbackBook(db), Samples(documents, SAMPLES), Evaluations(db),
        Tidying(db, documents, batches, arrivals, deletions, index, model_store=settings.model_store),
    )  # fmt: skip


def _chain(
    settings: Settings, db: Database, chunks: ChunkStore, index: ServingIndex, client: ModelClient,
    engine: ActiveEngine, judge: Judge,
) -> AnswerChain:  # fmt: skip
    """LangChain takes a second to import: the first question pays for it, or the time when nobody asks, but no page."""
    from core.chat.chain import AnswerChain
    from core.models.chat_model import EngineChatModel
    from core.retrieval.reranking import Reranking
    from core.retrieval.retriever import HybridRetriever

    keyword, scope = KeywordIndex(db), Scope(LOCAL.id)
    retriever = HybridRetriever(
        store=chunks, dense=index, keyword=keyword, embedder=client, scope=scope, k=settings.passages,
        reranking=Reranking(client),
    )  # fmt: skip
    return AnswerChain(retriever, EngineChatModel(client=engine), engine, outline=Outline(db), judge=judge)


_services: Services | None = None
_building = threading.Lock()


def get() -> Services:
    """The services of this process; built at the first call."""
    global _services
    with _building:
        if _services is None:
            _services = build(load())
        return _services


def use(services: Services | None) -> None:
    """Put these in the place of the process's services: for tests, and None at the end of the process."""
    global _services
    with _building:
        _services = services
