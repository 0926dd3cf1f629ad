"""`python -m core.serving`: the model server as a child of the web process or of a command.

The parent writes a secret as the first line to stdin and keeps stdin open: its end is the parent's end, and ours.
Where we listen stands in `<data>/run/model-server.json`.
"""

from __future__ import annotations

import argparse
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

from core.serving.host import ModelHost
from core.serving.http import build_app
from core.serving.options import CACHE_TYPES, ROPE_SCALINGS, LoadOptions

log = logging.getLogger(__name__)

GRACE_SECONDS = 1


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    secret = sys.stdin.readline().strip()
    if not secret:
        sys.exit("The model server is started by Groundwork, which gives it a secret on stdin.")
    threading.excepthook = _die
    address = AddressFile(arguments.data / "run" / "model-server.json")
    threading.Thread(target=_follow_parent, args=(address,), name="parent-watch", daemon=True).start()

    host = ModelHost(
        arguments.models,
        _options(arguments),
        cache=arguments.cache or arguments.data / "cache",
        form=arguments.embedder_form,
        queue_limit=arguments.queue_limit,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a token is small, and must not wait for the next
    for caught in (signal.SIGTERM, signal.SIGINT):
        # uvicorn has its own way to take a signal; when it has stopped it raises the same one again, for us.
        signal.signal(caught, lambda *_: _leave(address))
    address.write(listener.getsockname()[1], secret)
    host.start(arguments.chat, arguments.embedder)
    _serve(host, secret, listener)
    _leave(address)


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
    parser.add_argument("--cache", type=Path, help="folder of what can be made again; <data>/cache by default")
    parser.add_argument("--models", type=Path, required=True, help="model store")
    parser.add_argument("--chat", required=True, help="id of the chat model")
    parser.add_argument("--embedder", required=True, help="id of the embedding model")
    parser.add_argument("--embedder-form", default="", help="how to compute it, e.g. torch-float32; empty: the fastest")
    parser.add_argument("--context", type=int, default=0, help="tokens that all running requests share; 0: by memory")
    parser.add_argument("--slots", type=int, default=8, help="requests worked on at the same time")
    parser.add_argument("--queue-limit", type=int, default=64, help="requests that may wait")
    parser.add_argument("--threads", type=int, default=0, help="0: measured")
    parser.add_argument("--gpu-layers", type=int, default=0, help="layers to put on a GPU; -1: all")
    parser.add_argument("--cache-type-k", choices=CACHE_TYPES, default="f16", help="how keys are kept in the context")
    parser.add_argument("--cache-type-v", choices=CACHE_TYPES, default="f16", help="how values are kept in the context")
    parser.add_argument(
        "--lora", action="append", default=[], metavar="FILE[:STRENGTH]", help="adapter for the weights"
    )
    parser.add_argument("--rope-scaling", choices=ROPE_SCALINGS, default="", help="how to stretch the context")
    parser.add_argument("--rope-factor", type=float, default=1.0, help="how far to stretch it")
    parser.add_argument("--prefix-mb", type=int, default=512, help="memory for beginnings of prompts that come again")
    parser.add_argument("--no-drafting", action="store_true", help="never guess ahead, even where it pays")
    return parser.parse_args()


def _options(arguments: argparse.Namespace) -> LoadOptions:
    return LoadOptions(
        context_tokens=arguments.context,
        slots=arguments.slots,
        threads=arguments.threads,
        gpu_layers=arguments.gpu_layers,
        cache_type_k=arguments.cache_type_k,
        cache_type_v=arguments.cache_type_v,
        lora=tuple(_adapter(text) for text in arguments.lora),
        rope_scaling=arguments.rope_scaling,
        rope_factor=arguments.rope_factor,
        prefix_mb=arguments.prefix_mb,
        drafting=not arguments.no_drafting,
        state_folder=str((arguments.cache or arguments.data / "cache") / "prompts"),
    )


def _adapter(text: str) -> tuple[str, float]:
    """`file` or `file:strength`."""
    file, _, strength = text.rpartition(":")
    try:
        return (file, float(strength)) if file else (text, 1.0)
    except ValueError:
        return text, 1.0


if __name__ == "__main__":
    main()
