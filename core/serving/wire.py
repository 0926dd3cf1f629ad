"""Messages between the server and its native processes: a JSON object each, with bytes after it where it needs them.

A frame is two lengths (32 bit, big-endian), the JSON, the bytes. Both ends are ours; what they carry is not, so
nothing in a message is ever run, and lengths are checked before memory is taken.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

MAX_JSON = 64 << 20
MAX_PAYLOAD = 256 << 20
_HEAD = struct.Struct(">II")

Message = dict[str, Any]


class Wire:
    """One end of a connection; any thread may send, one receives."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any], payload: bytes | memoryview = b"") -> None:
        """Send whole. Raises OSError or ValueError when the other side is gone."""
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        with self._lock:
            self._outgoing.write(_HEAD.pack(len(body), len(payload)))
            self._outgoing.write(body)
            if payload:
                self._outgoing.write(payload)
            self._outgoing.flush()

    def receive(self) -> tuple[Message, bytes] | None:
        """The next message and its bytes; None when the other side is gone, or talks nonsense."""
        try:
            head = self._incoming.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            length, extra = _HEAD.unpack(head)
            if length > MAX_JSON or extra > MAX_PAYLOAD:
                return None
            body, payload = self._incoming.read(length), self._incoming.read(extra)
            if len(body) < length or len(payload) < extra:
                return None
            message = json.loads(body.decode("utf-8", "surrogatepass"))
        except (OSError, ValueError):
            return None
        return (message, payload) if isinstance(message, dict) else None
