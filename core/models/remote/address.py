"""Addresses of model services: how they are written, where text goes that is sent there, and who may hear a key."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import parse_qsl, urlsplit

from core.errors import BadEndpoint

LONGEST = 500
LOCALHOST = "localhost"
# What people paste from a manual: the address of one call, where the address of the service is wanted.
CALLS = ("/chat/completions", "/completions", "/models", "/embeddings", "/responses")
LABEL = re.compile(r"[\w-]{1,63}")
SECRET_WORDS = re.compile(r"(?:^|[-_])(?:api)?-?_?(?:key|token|secret|signature|sig|password|code)$", re.IGNORECASE)
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure-api.net")
AZURE_DEPLOYMENT = "/openai/deployments/"

# This machine, the private ranges of RFC 1918 and RFC 4193, and the shared one of RFC 6598 (tunnels between machines).
PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)


def tidy(text: str) -> str:
    """The base address as it is kept: scheme, host, path and query. Raises BadEndpoint."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # the port is read to see whether it is a number
    except ValueError as error:
        raise BadEndpoint(f"The address is not valid: {error}.") from error
    if parts.scheme.lower() not in ("http", "https") or not host:
        raise BadEndpoint("The address must begin with https:// or http://, for example http://127.0.0.1:8080/v1.")
    if not _is_host(host):
        raise BadEndpoint(f"{host} cannot be the name or the number of a host.")
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadEndpoint(f"The address must be at most {LONGEST} plain characters, without blanks.")
    if parts.username is not None or parts.password is not None:
        raise BadEndpoint("The address holds a name or password before the @. Put the key into the field for it.")
    if secret := next((name for name, _ in parse_qsl(parts.query) if SECRET_WORDS.search(name)), None):
        raise BadEndpoint(f"The address holds a secret ({secret}=…). Put the key into the field for it.")
    path = parts.path.rstrip("/")
    path = next((path.removesuffix(call) for call in CALLS if path.endswith(call)), path)
    return parts._replace(scheme=parts.scheme.lower(), path=path or "/v1", fragment="").geturl()


def _is_host(host: str) -> bool:
    """Whether a look-up of it can be tried."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return all(LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))


def join(base: str, call: str) -> str:
    """The address of one call; a query of the base (Azure's api-version) stays behind it."""
    parts = urlsplit(base)
    return parts._replace(path=parts.path + call).geturl()


def host_of(base: str) -> str:
    """Host, and port where one is written: what people read."""
    return urlsplit(base).netloc


def origin_of(base: str) -> str:
    """What has to stay the same for a stored key to stay with it."""
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def key_headers(base: str, key: str) -> dict[str, str]:
    """How this service wants to be shown a key: Azure in a header of its own, everybody else as a bearer."""
    parts = urlsplit(base)
    azure = (parts.hostname or "").endswith(AZURE_HOSTS) or AZURE_DEPLOYMENT in parts.path
    return {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}


def is_encrypted(base: str) -> bool:
    return urlsplit(base).scheme == "https"


def is_this_machine(base: str) -> bool:
    """Whether the host is this machine by its very name: no look-up, which somebody else would answer."""
    host = (urlsplit(base).hostname or "").rstrip(".")
    if host == LOCALHOST or host.endswith("." + LOCALHOST):
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified  # 0.0.0.0 is what many servers print, and reaches this machine


def destination(base: str) -> str:
    """Where the text of a question goes, in plain words."""
    host = host_of(base)
    if is_this_machine(base):
        return f"What you ask stays on this machine: the service at {host} answers."
    open_line = "" if is_encrypted(base) else " The connection is not encrypted."
    return f"What you ask, and the passages that go with it, are sent to {host}.{open_line}"


def is_private(address: str) -> bool:
    """Whether an IP address is of this machine or of a private network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in PRIVATE)


def refuse_open_line(base: str) -> None:
    """Raise BadEndpoint for http:// to a host beyond the private network: a key could be read on the way.

    A name that cannot be looked up now passes: the address that is reached is looked at again before a key is sent.
    """
    if is_encrypted(base) or is_this_machine(base):
        return
    try:
        found = socket.getaddrinfo(urlsplit(base).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return
    if not all(is_private(str(address[0])) for *_, address in found):
        raise BadEndpoint(
            f"{host_of(base)} is not on this machine or in a private network, and http:// would show the key to "
            "everybody on the way. Use https://, or leave the key out."
        )
