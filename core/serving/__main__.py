"""`python -m core.serving`: the model server as a child of the web process or of a command.

The parent writes a secret as the first line to stdin and keeps stdin open: its end is the parent's end, and ours.
Where we listen stands in `<data>/run/model-server.json`.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import uvicorn

from core.serving.chat_model import ContextOptions
from core.serving.host import ModelHost
from core.serving.http import build_app

log = logging.getLogger(__name__)

NICE = 5
SWITCH_SECONDS = 0.001  # Python's default of 5 ms is felt: the engine asks for the interpreter several times a token
GRACE_SECONDS = 1


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    secret = sys.stdin.readline().strip()
    if not secret:
        sys.exit("The model server is started by Groundwork, which gives it a secret on stdin.")
    gc.disable()
    sys.setswitchinterval(SWITCH_SECONDS)
    _stand_behind_pages()
    threading.excepthook = _die
    address = AddressFile(arguments.data / "run" / "model-server.json")
    threading.Thread(target=_follow_parent, args=(address,), name="parent-watch", daemon=True).start()

    options = ContextOptions(arguments.context, arguments.slots, arguments.threads, arguments.gpu_layers)
    host = ModelHost(arguments.models, options, queue_limit=arguments.queue_limit)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a token is small, and must not wait for the next
    for caught in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has its own way to take a signal; when it has stopped it raises the same one again, for us.
        signal.signal(caught, lambda *_: _leave(address))
    address.write(listener.getsockname()[1], secret)
    loading = host.start(arguments.chat, arguments.embedder)
    threading.Thread(target=_collect_after, args=(loading,), name="collector", daemon=True).start()
    _serve(host, secret, listener)
    _leave(address)


def _stand_behind_pages() -> None:
    """A page needs a core for milliseconds, a model for seconds: the page goes first."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    if hasattr(os, "SCHED_BATCH"):  # Linux: and is not made to wait until our slice of time is over
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _collect_after(loading: threading.Thread) -> None:
    """Collect garbage again, but never in the half million objects of torch and transformers, which stay.

    Looking through them costs a second and more while they are loaded, and 0.2 s in the middle of an answer later.
    """
    loading.join()
    gc.freeze()
    gc.enable()


class AddressFile:
    """Tells the clients where the server listens; readable for this user alone, since it holds the secret."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, port: int, secret: str) -> None:
        """Replace the file at once: nobody ever reads a half of it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        draft.unlink(missing_ok=True)
        body = {"pid": os.getpid(), "port": port, "secret": secret, "started": time.time()}
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def remove(self) -> None:
        """Remove it, unless it is the file of another server by now."""
        try:
            if json.loads(self._path.read_text())["pid"] == os.getpid():
                self._path.unlink()
        except (OSError, ValueError, KeyError):
            log.info("the address file is gone already")


def _serve(host: ModelHost, secret: str, listener: socket.socket) -> None:
    """Serve until a signal to stop; running answers get GRACE_SECONDS to say that they end."""
    config = uvicorn.Config(
        build_app(host, secret),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=60,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _follow_parent(address: AddressFile) -> None:
    sys.stdin.read()
    _leave(address)


def _leave(address: AddressFile) -> NoReturn:
    """End at once: a model may be loading, and nobody needs what it would come to."""
    address.remove()
    logging.shutdown()
    os._exit(0)


def _die(failure: threading.ExceptHookArgs) -> None:
    """A thread of ours ended by a fault: the server is of no use without it, so the supervisor starts a new one."""
    log.critical("thread %s failed", failure.thread and failure.thread.name, exc_info=failure.exc_value)
    logging.shutdown()
    os._exit(70)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core.serving", description="The model server of Groundwork.")
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--models", type=Path, required=True, help="model store")
    parser.add_argument("--chat", required=True, help="id of the chat model")
    parser.add_argument("--embedder", required=True, help="id of the embedding model")
    parser.add_argument("--context", type=int, default=8192, help="tokens that all running requests share")
    parser.add_argument("--slots", type=int, default=4, help="requests worked on at the same time")
    parser.add_argument("--queue-limit", type=int, default=64, help="requests that may wait")
    parser.add_argument("--threads", type=int, default=0, help="0: the number of physical cores")
    parser.add_argument("--gpu-layers", type=int, default=0, help="layers to put on a GPU; -1: all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
