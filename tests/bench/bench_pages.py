"""What the pages cost: start-up, memory with a full library, and reruns while an answer is being written.

    python -m tests.bench.bench_pages [--models DIR] [--documents 1000] [--chunks 20]

A rerun is timed as the server sees it: from the message of a browser to the end of the script, over the websocket.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles

import numpy as np
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from core.services import build
from core.settings import load
from core.types import Chunk, Document, JobStatus
from tests.application import Application
from tests.bench.bench_answers import DATASET, lines
from tests.stored import store_vectors

PAGES = ["", "documents", "prompts", "feedback", "models"]
RERUNS = 40


def fill(data: Path, documents: int, chunks: int) -> None:
    """Documents of real text with vectors of the right size, written the way the worker writes them."""
    texts = [passage["text"] for passage in lines(DATASET / "corpus.jsonl")]
    live = build(load(data=data))
    luck = np.random.default_rng(3)
    for number in range(documents):
        parts = [f"{texts[(number * 7 + n) % len(texts)]} ({number}/{n})" for n in range(chunks)]
        text = "\n\n".join(parts)
        added = live.documents.add(io.BytesIO(text.encode()), name=f"Report {number}.md", owner_id="local")
        rows, start = [], 0
        for position, part in enumerate(parts):
            rows.append(Chunk(position, start, start + len(part), part))
            start += len(part) + 2
        receipt = {"pages": 0, "characters": len(text), "chunks": chunks}
        live.chunks.save_text(added.document_id, Document(f"Report {number}", "text/markdown", text), rows, receipt)
        ids = [id for id, _ in live.chunks.unembedded(added.document_id, live.settings.embedding_model)]
        vectors = luck.normal(size=(len(ids), 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store_vectors(live, added.document_id, vectors)
        job = live.jobs.claim("bench")
        if job is not None:
            live.jobs.finish(job.id, "bench", JobStatus.done)
    live.release()


def open_socket(app: Application) -> ClientConnection:
    url = f"ws://127.0.0.1:{app.port}/_stcore/stream"
    return connect(url, origin=app.url, subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item]


def rerun(socket: ClientConnection, page: str, query: str = "") -> float:
    """Seconds until the script has ended."""
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page
    began = time.perf_counter()
    socket.send(message.SerializeToString())
    while True:
        reply = ForwardMsg()
        reply.ParseFromString(socket.recv(timeout=30))  # type: ignore[arg-type]
        if reply.WhichOneof("type") == "script_finished":
            return time.perf_counter() - began


def keep_writing(app: Application, stop: threading.Event) -> None:
    body = {
        "messages": [{"role": "user", "content": "Write a long story about everything in the passages."}],
        "stream": True,
    }
    while not stop.is_set():
        with app.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            for _ in reply.iter_lines():
                if stop.is_set():
                    break


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=Path, default=load().model_store)
    parser.add_argument("--chat-model", default=load().chat_model)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        fill(data, options.documents, options.chunks)
        app = Application(data, models=options.models, chat_model=options.chat_model)
        try:
            measure(app, options.documents, options.chunks)
        finally:
            app.stop()
    return 0


def measure(app: Application, documents: int, chunks: int) -> None:
    began = time.monotonic()
    app.start()
    with open_socket(app) as socket:
        watch(app, socket, began)
    assert app.process is not None
    memory = psutil.Process(app.process.pid).memory_info().rss / 1e6
    print(f"web process with {documents} × {chunks} chunks     {memory:6.0f} MB")


def watch(app: Application, socket: ClientConnection, began: float) -> None:
    rerun(socket, "")
    print(f"first page answered after            {time.monotonic() - began:6.1f} s")
    app.wait_ready()
    print(f"model and embedder ready after       {time.monotonic() - began:6.1f} s")
    conversation = None
    for question in ("Who began the crisis?", "What came then in the long run of it?", "And what was the end of it?"):
        body = {"messages": [{"role": "user", "content": question}], "store": True, "conversation_id": conversation}
        conversation = app.http.post("/v1/chat/completions", json=body).json()["conversation_id"]
    for page in PAGES:
        rerun(socket, page)
    stop = threading.Event()
    writer = threading.Thread(target=keep_writing, args=(app, stop))
    writer.start()
    time.sleep(3)
    for page in PAGES:
        query = f"c={conversation}" if page == "" else ""
        times = []
        for _ in range(RERUNS):
            times.append(rerun(socket, page, query) * 1000)
            time.sleep(0.05)
        print(
            f"rerun of /{page:12} while writing: p50 {np.median(times):5.1f} ms, p95 {quantiles(times, n=20)[-1]:5.1f} ms"
        )
    stop.set()
    writer.join()


if __name__ == "__main__":
    sys.exit(main())
