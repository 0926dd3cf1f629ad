"""Who is next: requests wait in lanes, and within a lane the users take turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

LANES = ("chat", "background")
_REMEMBERED_USERS = 1_000


class Waiting(Protocol):
    """What the line needs to know of a request."""

    @property
    def priority(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def interrupted(self) -> bool: ...


R = TypeVar("R", bound=Waiting)


class Line(Generic[R]):
    """Waiting requests in the order in which they will be served.

    What was interrupted by a crash goes on first. A person's request goes before background work.
    Within a lane it is first come, first served, but every user
    gets one turn before anybody gets the second: the one who was served longest ago begins.
    """

    def __init__(self) -> None:
        self._requests: list[R] = []
        self._served: dict[str, int] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[R]:
        """In the order of service, the next one first."""
        rounds: Counter[tuple[str, str]] = Counter()
        ranked = []
        for arrival, request in enumerate(self._requests):
            mine = (request.priority, request.user)
            served = self._served.get(request.user, 0)
            rank = (not request.interrupted, LANES.index(request.priority), rounds[mine], served, arrival)
            rounds[mine] += 1
            ranked.append((rank, request))
        return (request for _, request in sorted(ranked, key=lambda pair: pair[0]))

    def add(self, request: R) -> None:
        self._requests.append(request)

    def remove(self, request: R) -> bool:
        """Take a request out that will not be served; False if it is not waiting."""
        if request not in self._requests:
            return False
        self._requests.remove(request)
        return True

    def serve(self, request: R) -> None:
        """Take a request out because it is served now; its user goes to the back."""
        self._requests.remove(request)
        self._turn += 1
        self._served.pop(request.user, None)
        self._served[request.user] = self._turn
        if len(self._served) > _REMEMBERED_USERS:
            del self._served[next(iter(self._served))]
