"""One model service as it is known here, and as somebody describes it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import SecretStr

from core.errors import BadEndpoint, KeyRefused
from core.guard import visible
from core.models.remote.address import destination, host_of, is_this_machine, refuse_open_line, tidy
from core.models.remote.habits import Habits

LONGEST_NAME, LONGEST_MODEL, LONGEST_KEY = 100, 200, 4000
SMALLEST_CONTEXT, LARGEST_CONTEXT = 512, 10_000_000
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class KeyKind(StrEnum):
    """Where the key of a service is."""

    none = "none"
    stored = "stored"  # encrypted in the database
    variable = "variable"  # in the environment


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model service that speaks the OpenAI protocol. The key itself is never part of this."""

    id: str
    name: str
    url: str
    model: str
    context_tokens: int
    key_kind: KeyKind
    key_variable: str
    habits: Habits

    @property
    def host(self) -> str:
        return host_of(self.url)

    @property
    def is_elsewhere(self) -> bool:
        """Whether questions leave this machine while this one answers."""
        return not is_this_machine(self.url)

    @property
    def destination(self) -> str:
        """Where questions go while this one answers, in plain words."""
        return destination(self.url)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person typed about a service. With `stored` and no `key` the key that is stored already is kept."""

    name: str
    url: str
    model: str
    context_tokens: int
    key_kind: KeyKind = KeyKind.none
    key: SecretStr | None = None
    key_variable: str = ""

    def checked(self) -> Draft:
        """The same, as it may be kept. Raises BadEndpoint with what to write instead."""
        name, model = " ".join(visible(self.name).split()), visible(self.model).strip()
        url, variable = tidy(self.url), self.key_variable.strip()
        if not name or len(name) > LONGEST_NAME:
            raise BadEndpoint(f"Give the service a name of at most {LONGEST_NAME} characters.")
        if not model or len(model) > LONGEST_MODEL:
            raise BadEndpoint("Name the model as the service calls it, or choose one of its list.")
        if not SMALLEST_CONTEXT <= self.context_tokens <= LARGEST_CONTEXT:
            raise BadEndpoint(f"The context length must be {SMALLEST_CONTEXT:,} tokens or more.")
        if self.key_kind is KeyKind.variable and not VARIABLE.fullmatch(variable):
            raise BadEndpoint("Name the environment variable: letters, digits and underscores.")
        if self.key is not None and not _sendable(self.key.get_secret_value()):
            raise BadEndpoint("The key has blanks or characters that no key has. Copy it once more.")
        if self.key_kind is not KeyKind.none:
            refuse_open_line(url)
        return replace(self, name=name, url=url, model=model, key_variable=variable)


def key_of_environment(variable: str, owner: str) -> SecretStr:
    """The key that the environment holds for `owner`. Raises KeyRefused when there is none."""
    key = os.environ.get(variable, "").strip()
    if not _sendable(key):
        raise KeyRefused(
            f"The environment variable {variable}, which should hold the key of {owner}, was not set where Groundwork "
            "was started. Set it and start Groundwork again."
        )
    return SecretStr(key)


def _sendable(key: str) -> bool:
    return 0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key
