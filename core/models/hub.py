"""Models from the Hugging Face hub: streamed over plain HTTP, resumed by range, without the user's token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from core.errors import ModelUnavailable
from core.models.catalog import CatalogModel, HubSource, ModelFile
from core.models.partial import Partial, raise_if_cancelled

if TYPE_CHECKING:
    import httpx2

# A machine without the internet must not hang here: name resolution alone can take half a minute.
ANSWER_SECONDS = 4.0
SILENCE_SECONDS = 10.0
TRIES = 3


def download(
    model: CatalogModel,
    source: HubSource,
    partial: Partial,
    *,
    report: Callable[[int], None],
    cancel: threading.Event,
) -> None:
    """Fetch what is missing of every file; `report` gets the bytes that have arrived.

    Raises ModelUnavailable, ModelCorrupt, Cancelled.
    """
    # Imported here: it costs 0.3 s, and most programs that ask for a model have it already.
    from huggingface_hub import hf_hub_url

    if not _answers():
        raise ModelUnavailable("the Hugging Face hub cannot be reached")
    # Small files first, so that a wrong repository is found out before the weights are fetched.
    for file in sorted(model.files, key=lambda file: file.bytes):
        path = source.path or file.name.removeprefix(model.file)
        url = hf_hub_url(source.repository, path, revision=source.revision)
        _download_file(url, file, partial, report, cancel)


def _answers() -> bool:
    answered = threading.Event()

    def ask() -> None:
        import httpx2
        from huggingface_hub import constants, get_session

        try:
            get_session().head(constants.ENDPOINT, timeout=ANSWER_SECONDS)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True, name="hub-check")
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answered.is_set()


def _download_file(
    url: str, file: ModelFile, partial: Partial, report: Callable[[int], None], cancel: threading.Event
) -> None:
    import httpx2

    failed = 0
    while (before := partial.size(file.name)) < file.bytes:
        raise_if_cancelled(cancel)
        try:
            _stream(url, file, partial, report, cancel)
            reason = "the connection ended early"
        except (httpx2.HTTPError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
        failed = failed + 1 if partial.size(file.name) <= before else 0
        if failed == TRIES:
            raise ModelUnavailable(f"the Hugging Face hub could not send {file.name}: {reason}")
        cancel.wait(failed)


def _stream(
    url: str, file: ModelFile, partial: Partial, report: Callable[[int], None], cancel: threading.Event
) -> None:
    from huggingface_hub import get_session

    start = partial.size(file.name)
    headers = {"User-Agent": "groundwork", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=SILENCE_SECONDS) as response:
        if response.status_code >= 400:
            raise ModelUnavailable(f"the Hugging Face hub answered {response.status_code} for {file.name}")
        if start and response.status_code != 206:
            partial.restart(file.name)
        others = partial.done() - partial.size(file.name)
        partial.append(file.name, _pieces(response, others, report, cancel, start), limit=file.bytes)


def _pieces(
    response: httpx2.Response, others: int, report: Callable[[int], None], cancel: threading.Event, start: int
) -> Iterator[bytes]:
    arrived = start if response.status_code == 206 else 0
    for piece in response.iter_bytes():
        raise_if_cancelled(cancel)
        arrived += len(piece)
        yield piece
        report(others + arrived)
