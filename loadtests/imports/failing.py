"""What other tools say of a failed request, as our kinds of failure; what their words do not tell stays open."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from loadtests.errors import explain
from loadtests.redact import redact

MOST_CHARS: Final = 500

BY_NAME: Final = {
    "ClientConnectorDNSError": "dns",
    "gaierror": "dns",
    "ClientConnectorCertificateError": "tls",
    "ClientConnectorSSLError": "tls",
    "SSLError": "tls",
    "ConnectionTimeoutError": "timeout_connect",
    "ClientConnectorError": "connect",
    "ConnectionRefusedError": "connect",
    "SocketTimeoutError": "timeout_silence",
    "ServerTimeoutError": "timeout_total",
    "TimeoutError": "timeout_total",
    "RequestSendTimeout": "timeout_total",
    "ClientPayloadError": "truncated",
    "TransferEncodingError": "truncated",
    "ContentLengthError": "truncated",
    "ServerDisconnectedError": "reset",
    "ClientOSError": "reset",
    "ConnectionResetError": "reset",
    "BrokenPipeError": "reset",
    "JSONDecodeError": "bad_body",
    "SSEResponseError": "stream_error",
    "InvalidInferenceResultError": "empty",
}
"""By the name of an exception of aiohttp, Python or the tool; one that holds another's name is asked first."""

BY_PHRASE: Final = {status.phrase.lower(): int(status) for status in HTTPStatus if status >= 400}
EMPTY: Final = "Never received a valid chunk"


def kind_of(status: int | None, name: str, said: str) -> str | None:
    """
    One of `record.ERROR_KINDS`, or None where what is told fits none of them for certain.

    Args:
        status: Of the answer, where it was an error of HTTP.
        name: Of the exception.
        said: The message.
    """
    if status is not None:
        return explain(status, said.encode()).kind
    return BY_NAME.get(name) or ("empty" if said.startswith(EMPTY) else None)


def status_of(phrase: str) -> int | None:
    """The status that a reason phrase stands for: 429 for `Too Many Requests`."""
    return BY_PHRASE.get(phrase.strip().lower())


def shown(said: str) -> str | None:
    """The message as a record keeps it: one line, redacted, at most 500 characters; None where nothing was said."""
    return redact(" ".join(said.split()), ())[:MOST_CHARS] or None
