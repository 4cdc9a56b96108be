"""
The network's failures as data: one closed list of kinds (`record.ERROR_KINDS`), one place that decides which it is.

Everything that can go wrong between a request and its answer becomes a `Failure`; nothing here is raised at a user.
What a body says is read by one function, whatever shape the provider gives its errors.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loadtests import limits

_STATUS: Final[dict[int, str]] = {
    401: "auth",
    403: "auth",
    402: "credit",
    429: "throttled",
    498: "throttled",
    503: "overloaded",
    529: "overloaded",
    500: "upstream",
    501: "upstream",
    502: "upstream",
    504: "upstream",
    424: "upstream",
    400: "bad_request",
    404: "bad_request",
    405: "bad_request",
    413: "bad_request",
    415: "bad_request",
    422: "bad_request",
    426: "bad_request",
}
CREDIT_CODES: Final = frozenset({
    "insufficient_quota", "insufficient_balance", "insufficient_credits", "billing_hard_limit_reached",
    "billing_not_active", "enforced_spend_limit", "enforced_spend_limit_reached",
})  # fmt: skip
"""Codes or types that mean money, under whatever 4xx they come: waiting does not help as it does with a 429."""

_LIMIT: Final = re.compile(
    r"rate.?limit|too.?many.?requests|throttl|slow.?down|overload|capacity|resource.?exhausted|unavailable"
    r"|\b(?:429|498|503|529)\b",
    re.IGNORECASE,
)
"""What types and codes say where a limit or too much load is the cause, as names and as statuses."""

MAX_TEXT_BYTES: Final = 4096
MAX_TEXT_CHARS: Final = 200
"""Of a body that is no JSON, so much is looked at and so much is shown."""

_EVENT: Final = re.compile(rb"^(?:data|error):[ ]?([{\[].*)$", re.MULTILINE)


class Failure(Exception):  # noqa: N818 - a failure of the network is an outcome, not an error of ours
    """
    A request that did not end well.

    Attributes:
        kind: One of `record.ERROR_KINDS`.
        text: What was said or seen, for people.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text

    def bare(self) -> Failure:
        """The same without traceback and context, which hold frames and what these hold."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


def refusal(error: Failure | ValueError) -> Failure:
    """What a consumer of body bytes raised because it won't have them."""
    return error.bare() if isinstance(error, Failure) else Failure("bad_body", str(error))


def of_callback(error: BaseException) -> Failure:
    """What a body consumer raised inside llhttp's callback: its refusal, else a flaw of ours that must show."""
    cause = error.__context__ or error.__cause__
    if isinstance(cause, Failure | ValueError):
        return refusal(cause)
    raise cause or error


def of_exception(error: BaseException, *, connecting: bool) -> Failure:
    """The failure that an exception of a socket, of TLS or of name resolution stands for."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, socket.gaierror):
        return Failure("dns", str(error))
    if isinstance(error, ssl.SSLError):
        return Failure("tls", getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error))
    if isinstance(error, TimeoutError):
        return Failure("timeout_connect" if connecting else "timeout_total", str(error) or "timed out")
    if isinstance(error, UnicodeError):
        return Failure("dns", f"not a host name: {error}")
    if isinstance(error, OSError):
        kind = "connect" if connecting else "reset"
        said = limits.no_port_left() if connecting and error.errno == errno.EADDRNOTAVAIL else ""
        said = said or error.strerror or str(error)
        return Failure(kind, f"{errno.errorcode.get(error.errno or 0, '')} {said}".strip())
    raise error


# What an answer says went wrong.


@dataclass(frozen=True, slots=True)
class Said:
    """An error as a provider words it; "" where it says nothing. `type` and `code` as text, whatever they were."""

    message: str
    type: str = ""
    code: str = ""
    param: str = ""

    @property
    def line(self) -> str:
        """All of it in one line: the message, with type and code behind it."""
        names = ", ".join(dict.fromkeys(name for name in (self.type, self.code) if name))
        text = " ".join(self.message[:MAX_TEXT_BYTES].split())
        return f"{text} ({names})" if text and names else text or names

    @property
    def is_limit(self) -> bool:
        """By its type or its code, a limit or too much load is the cause; the message may quote anything."""
        return bool(_LIMIT.search(f"{self.type} {self.code}"))


@dataclass(frozen=True, slots=True)
class Explained:
    """What an answer with an error status means: one of `record.ERROR_KINDS`, and what was said."""

    kind: str
    message: str
    type: str
    code: str

    @property
    def line(self) -> str:
        """What was said, in one line."""
        return Said(self.message, self.type, self.code).line


def of_status(status: int, body: bytes) -> Failure:
    """The failure that an answer with a status other than 2xx stands for."""
    explained = explain(status, body)
    return Failure(explained.kind, f"HTTP {status}: {explained.line or 'empty body'}")


def explain(status: int, body: bytes) -> Explained:
    """What an answer with this status, other than 2xx, and this body means; never raises."""
    said = read(body)
    return Explained(_kind(status, said), said.message, said.type, said.code)


def _kind(status: int, said: Said) -> str:
    if 400 <= status < 500 and {said.type.lower(), said.code.lower()} & CREDIT_CODES:
        return "credit"
    kind = _STATUS.get(status)
    if kind is None:
        kind = "upstream" if 520 <= status <= 526 or status in (408, 599) else "other_status"
    return kind


def read(value: Any) -> Said:
    """
    What went wrong, in the words of a body (bytes) or of a JSON value of any shape; never raises.

    In this order: the first item of a list; `error` as an object, as text, as true beside a message; `x_groq.error`;
    `detail` as text or as a list of places; `message`; `providerModelError`. Bytes that are no JSON: the payload of
    their first event, else their text without tags.
    """
    if isinstance(value, bytes):
        return _of_bytes(value)
    while isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, str):
        return Said(value)
    if not isinstance(value, dict):
        return Said("")
    groq = value.get("x_groq")
    error = value.get("error") or (groq.get("error") if isinstance(groq, dict) else None)
    while isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        return _of_object(error)
    if isinstance(error, str):
        return _of_text(error, value)
    return _of_flat(value)


def _of_bytes(body: bytes) -> Said:
    for candidate in (body.strip().removeprefix(b"\xef\xbb\xbf"), *_EVENT.findall(body[: 16 * MAX_TEXT_BYTES])[:1]):
        try:
            said = read(orjson.loads(candidate.decode("utf-8", "replace")))
        except orjson.JSONDecodeError:
            continue
        return said if said.line else Said(_plain(body))
    return Said(_plain(body))


def _of_object(error: dict[str, Any]) -> Said:
    """The object under `error`, or one as flat as that."""
    status = error.get("status")
    kind = error.get("type") or error.get("error_type") or (status if isinstance(status, str) else None)
    code = error.get("code") or error.get("http_status_code") or (status if isinstance(status, int) else None)
    message = _text(error.get("message") or error.get("detail") or error.get("error"))
    said = Said(message, _name(kind), _name(code), _name(error.get("param")))
    return said if said.line else Said(_text(error))


def _of_text(error: str, value: dict[str, Any]) -> Said:
    """`error` is a text itself: what it stands beside may say more."""
    more = value.get("message")
    message = f"{error}: {more}" if isinstance(more, str) and more and more != error else error
    return Said(message, _name(value.get("error_type")), _name(value.get("code")))


def _of_flat(value: dict[str, Any], depth: int = 1) -> Said:
    """No `error` at all; what takes its place may be an object itself: Mistral's message, a Lumerin node's error."""
    detail = value.get("detail")
    if isinstance(detail, list) and detail:
        return Said("; ".join(map(_place, detail)))
    for told in (detail, value.get("message"), value.get("providerModelError")):
        if told:
            inner = _of_flat(told, depth - 1).message if depth and isinstance(told, dict) else ""
            return _of_object({**value, "message": inner or told, "status": None})
    return Said("", *(_name(value.get(key)) for key in ("type", "code")))


def _name(value: Any) -> str:
    """A type or a code as text; some servers write the word None, some a number."""
    if value is None or isinstance(value, bool | dict | list) or value == "None":
        return ""
    return " ".join(_text(value).split())[:MAX_TEXT_CHARS]


def _text(value: Any) -> str:
    """Any JSON value as text; "" for null."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "an error too deeply nested, or too large a number, to be shown"


def _place(item: Any) -> str:
    """One entry of FastAPI's list: where, and what is wrong there."""
    if not isinstance(item, dict):
        return _text(item)
    loc = item.get("loc")
    place = ".".join(map(_text, loc)) if isinstance(loc, list) else _text(loc)
    return f"{place}: {_text(item.get('msg'))}".strip(": ")


def _plain(body: bytes) -> str:
    """Text or HTML without its tags, in one line; long bodies are cut before anything is searched in them."""
    text = body[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(text.split())[:MAX_TEXT_CHARS]


def is_error(value: Any) -> bool:
    """
    Whether the payload of an event, or the body of an answer with status 200, reports an error.

    A truthy `error` does, whatever else is there; without `choices`, so does every other shape of an error body.
    """
    while isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return False
    if value.get("error"):
        return True
    groq = value.get("x_groq")
    if isinstance(groq, dict) and groq.get("error"):
        return True
    if "choices" in value:
        return False
    flat = isinstance(value.get("message"), str) and ("code" in value or "type" in value)
    told = value.get("detail") or value.get("providerModelError")
    return bool(flat or told or "error" in (value.get("object"), value.get("status")))
