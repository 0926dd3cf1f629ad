"""Every error that crosses a layer, in one tree.

    GroundworkError
    ├── SettingsError            a setting is missing, malformed or not allowed
    ├── NotFound                 no such thing, or not yours
    ├── Conflict                 the thing has changed, or another is in the way
    ├── BadUpload                a file is refused
    │   ├── UnknownType          nothing here can read this kind of file
    │   └── NoText               readable, but there is nothing to index
    ├── BadQuestion              a question is refused before any work is done
    ├── BadPrompt                a prompt text does not parse, or has unknown variables
    ├── BadSource                a web address or a folder is refused
    │   └── SourceUnreachable    it does not answer now; later it may
    ├── BadEndpoint              the description of another model service is refused
    ├── BadDataset               questions to measure with are refused
    ├── StorageError             the data folder or the database cannot do it
    │   ├── StorageBusy          locked by somebody else for too long
    │   ├── StorageFull          no space left
    │   ├── MachineBusy          no memory, process or open file to spare now
    │   └── DatabaseTooNew       made by a newer version of Groundwork
    └── ModelError               the model server, or a model file
        ├── ModelMissing         not downloaded
        ├── ModelCorrupt         the file is not what its hash says, or cannot be loaded
        ├── ModelUnavailable     the server is starting, restarting or gone
        ├── ModelCrashed         its native code ended while it worked on the request
        ├── ModelBusy            the queue is full
        ├── ContextTooLong       the prompt does not fit
        ├── KeyRefused           another model service wants a key, or another key
        ├── AnswerBroken         another model service broke off, or sent what is no answer
        └── Cancelled            somebody pressed Stop

`str(error)` is one sentence for people: what is wrong and what to do. Pages, the API and the command line
show it as it is; causes and traces go to the log.
"""

import math


class GroundworkError(Exception):
    """Anything Groundwork raises on purpose; `status` is its HTTP status, `code` its name for programs."""

    status = 500

    @property
    def code(self) -> str:
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class SettingsError(GroundworkError):
    """A setting is missing, malformed or not allowed."""


class NotFound(GroundworkError):
    """No such thing, or it belongs to somebody else: the two look the same on purpose."""

    status = 404


class Conflict(GroundworkError):
    """The thing has changed since it was read, or another one is in the way."""

    status = 409


class BadUpload(GroundworkError):
    """A file is refused; the sentence names the file, the reason and what to do."""

    status = 422


class UnknownType(BadUpload):
    """Nothing here can read this kind of file."""

    status = 415


class NoText(BadUpload):
    """The file can be read, but holds no text to index."""


class BadQuestion(GroundworkError):
    """A question is refused before any work is done."""

    status = 422


class BadPrompt(GroundworkError):
    """A prompt text does not parse, or uses variables that its purpose does not have."""

    status = 422


class BadEndpoint(GroundworkError):
    """The description of another model service is refused; the sentence says what to write instead."""

    status = 422


class BadDataset(GroundworkError):
    """Questions to measure with are refused; the sentence names the file and the line."""

    status = 422


class BadSource(GroundworkError):
    """A web address or a folder is refused; the sentence says why."""

    status = 422


class SourceUnreachable(BadSource):
    """A web server or a disk does not answer now; `retry_after` is in seconds, 0 when it did not say."""

    status = 502

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageError(GroundworkError):
    """The data folder or the database cannot do what was asked."""

    status = 503


class StorageBusy(StorageError):
    """Somebody else holds the database for longer than we wait."""


class StorageFull(StorageError):
    """No space left where the data folder is."""

    status = 507


class MachineBusy(StorageError):
    """The system gives no more memory, processes or open files now; later it may."""


class DatabaseTooNew(StorageError):
    """The database was made by a newer version; it is left untouched."""


class ModelError(GroundworkError):
    """The model server or a model file cannot do what was asked."""

    status = 503


class ModelMissing(ModelError):
    """The model is not downloaded."""


class ModelCorrupt(ModelError):
    """The file is not what its hash says, or the engine cannot load it."""


class ModelUnavailable(ModelError):
    """The model server is starting, restarting or gone."""


class ModelCrashed(ModelError):
    """The native code of the model ended while it worked on this request, more than once."""


class ModelBusy(ModelError):
    """The queue of the model server is full; `retry_after` is in seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ContextTooLong(ModelError):
    """The prompt and the room for the answer do not fit into the context."""

    status = 413


class KeyRefused(ModelError):
    """Another model service wants a key, or another one; or the key cannot be had, or must not be sent."""

    status = 502


class AnswerBroken(ModelError):
    """Another model service broke off, or sent something that is no answer; what it said before that is kept."""

    status = 502


class Cancelled(ModelError):
    """Somebody pressed Stop, or the connection is gone."""

    status = 499


def busy(sentence: str, seconds: float) -> ModelBusy:
    """The error of a full queue: the sentence with about how long to wait, a whole number from 1 to 60 seconds."""
    after = min(60, max(1, math.ceil(seconds)))
    return ModelBusy(f"{sentence} Try again in {after} second{'' if after == 1 else 's'}.", retry_after=after)


def from_code(code: str, message: str) -> GroundworkError:
    """The error that another process named; a ModelError when the name is not one of ours."""
    return _kinds(GroundworkError).get(code, ModelError)(message)


def _kinds(kind: type[GroundworkError]) -> dict[str, type[GroundworkError]]:
    found = {kind("").code: kind}
    for narrower in kind.__subclasses__():
        found |= _kinds(narrower)
    return found
