"""
The network's failures as data: one closed list of kinds (`record.ERROR_KINDS`), one place that decides which it is.

Everything that can go wrong between a request and its answer becomes a `Failure`; nothing here is raised at a user.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

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
_RESET: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})

MAX_ODD_CHARS: Final = 200


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
        return Failure(kind, f"{errno.errorcode.get(error.errno or 0, '')} {error.strerror or error}".strip())
    raise error


def of_status(status: int, body: bytes) -> Failure:
    """The failure that an answer with a status other than 200 stands for."""
    kind = _STATUS.get(status)
    if kind is None:
        kind = "upstream" if 520 <= status <= 526 or status in (408, 599) else "other_status"
    return Failure(kind, f"HTTP {status}: {said(body)}")


def said(body: bytes) -> str:
    """What a body of any shape says went wrong, in one line; never raises."""
    try:
        return message(orjson.loads(body.strip())) or _plain(body)
    except (orjson.JSONDecodeError, RecursionError):
        return _plain(body)


def message(value: Any) -> str:
    """The message in a JSON value of any of the shapes that providers answer errors with; "" where there is none."""
    if isinstance(value, list) and value:
        return message(value[0])
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    error = value.get("error")
    if isinstance(error, dict):
        kind = error.get("code") or error.get("type")
        text = str(error.get("message") or "")
        return f"{text} ({kind})" if kind and text else text or str(kind or _dumped(error))
    if isinstance(error, str) and error:
        return error
    detail = value.get("detail")
    if isinstance(detail, list):
        return "; ".join(_detail(item) for item in detail)
    for other in (detail, value.get("message"), value.get("providerModelError")):
        if other:
            return other if isinstance(other, str) else _dumped(other)
    return ""


def _dumped(value: Any) -> str:
    """A JSON value as text; what is nested too deeply to be written as JSON again, as Python would say it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return str(value)[:MAX_ODD_CHARS]


def _detail(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    loc = item.get("loc")
    place = ".".join(map(str, loc)) if isinstance(loc, list) else str(loc or "")
    return f"{place}: {item.get('msg', '')}".strip(": ")


def _plain(body: bytes) -> str:
    """Text or HTML without its tags, in one line; long bodies are cut before anything is searched in them."""
    text = body[:4096].decode("utf-8", "replace")
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(text.split())[:200] or "empty body"


def is_error_event(value: Any) -> bool:
    """Whether the payload of an event is an error report: truthy `error`, whatever else it carries."""
    return isinstance(value, dict) and bool(value.get("error"))


def retry_after_s(headers: dict[bytes, bytes], now_unix_s: float) -> float | None:
    """
    The wait that the response asks for, in seconds, at least 0; None where it asks for none.

    Args:
        headers: Lower-case names.
        now_unix_s: Wall time, for the form that is a date.

    Source: RFC 9110, 10.2.3; `retry-after-ms` is what Azure sends.
    """
    milliseconds = _number(headers.get(b"retry-after-ms", b""))
    if milliseconds is not None:
        return milliseconds / 1000
    raw = headers.get(b"retry-after", b"")
    seconds = _number(raw)
    if seconds is not None or not raw:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(raw.decode("latin-1")).timestamp() - now_unix_s)
    except (ValueError, OverflowError):
        return None


def _number(raw: bytes) -> float | None:
    try:
        value = float(raw)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
