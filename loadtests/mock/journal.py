"""
The request log: what each client asked, one JSON object a line, and which of the provider's rules it broke.

No secret gets into it: of a header that carries one its shape is kept alone, and wherever else the same text turns up
it is blotted out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson

from loadtests.mock.log import Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.mock.request import Request

SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})
SECRET_QUERIES: Final = frozenset({"key", "api_key", "api-key", "token", "access_token"})
SHORTEST: Final = 4
"""A secret shorter than this is not looked for elsewhere: it would blot out half of the line."""


class Journal(Written):
    """The request log being written."""

    def add(
        self, request: Request, unix_s: int, facts: Mapping[str, Any], asked: Mapping[str, Any] | None = None
    ) -> None:
        """Write one request: what it said, and further facts of it."""
        self.write(line(request, unix_s, facts, asked))


def line(request: Request, unix_s: int, facts: Mapping[str, Any], asked: Mapping[str, Any] | None) -> bytes:
    """A request as a line of JSON."""
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers]
    queries = parse_qsl(request.query, keep_blank_values=True)
    value = {
        "unix_s": unix_s,
        "method": request.method,
        "path": request.path,
        "query": {name: shape(text) if name.lower() in SECRET_QUERIES else text for name, text in queries},
        "headers": {name: shape(text) if name in SECRET_HEADERS else text for name, text in pairs},
        "body": None if asked is None else {name: _short(name, field) for name, field in asked.items()},
        **facts,
    }
    written = orjson.dumps(value)
    secrets = [text for name, text in pairs if name in SECRET_HEADERS]
    secrets += [text for name, text in queries if name.lower() in SECRET_QUERIES]
    for secret in sorted((word for text in secrets for word in text.split()), key=len, reverse=True):
        if len(secret) >= SHORTEST and secret.lower() not in ("bearer", "basic"):
            written = written.replace(orjson.dumps(secret)[1:-1], b"<secret>")
    return written + b"\n"


def shape(secret: str) -> str:
    """What may be told of a secret: its scheme, and how long it is."""
    scheme, _, rest = secret.rpartition(" ")
    return f"{scheme} <{len(rest)} chars>".strip()


def _short(name: str, value: Any) -> Any:
    """A field as it is; of messages their number and characters."""
    if name != "messages" or not isinstance(value, list):
        return value
    return {"messages": len(value), "characters": sum(map(_characters, value))}


def _characters(message: Any) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    return len(content) if isinstance(content, str) else len(orjson.dumps(content)) if content else 0
