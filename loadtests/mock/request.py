"""
What a client asks of the mock: bytes of a connection to whole HTTP requests, and a body to what it wants.

Pure, but for the state of one connection's parser; `server` feeds it whatever the socket gave.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import httptools
import orjson

LONGEST_BYTES: Final = 16 * 1024 * 1024
"""Of one request, head and body; one that is longer by more than a read is answered with 413."""

CHARACTERS_PER_TOKEN: Final = 4


class Request(NamedTuple):
    """One HTTP request; `problem` is the status it deserves unread, 0 where it is whole."""

    method: str
    path: str
    authorization: str
    body: bytes
    keep_alive: bool
    http_version: str
    problem: int = 0


class RequestReader:
    """
    The requests in the bytes of one connection, however these are split.

    httptools' parser holds this object and this object the parser: `close` breaks the cycle, which would outlive the
    connection where the garbage collector is off.
    """

    __slots__ = (
        "_authorization",
        "_body",
        "_parser",
        "_requests",
        "_unread_bytes",
        "_url",
        "awaits_continue",
        "is_deaf",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._requests: list[Request] = []
        self._unread_bytes = 0
        self.is_deaf = False
        self.on_message_begin()

    def feed(self, data: bytes) -> list[Request]:
        """The requests that these bytes complete, in order; nothing after the first that is no HTTP or too long."""
        if self.is_deaf or self._parser is None:
            return []
        self._requests = []
        self._unread_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._requests.pop()  # reported as complete, but its body is left unread
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)
        if self._unread_bytes > LONGEST_BYTES:
            self._refuse(413)
        return self._requests

    def close(self) -> None:
        """Let the parser go."""
        self._parser = None

    def _refuse(self, status: int) -> None:
        if not self.is_deaf:
            self.is_deaf = True
            self._requests.append(Request("", "", "", b"", keep_alive=False, http_version="1.1", problem=status))

    # What httptools calls; on_url and on_body come in pieces.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url = b""
        self._authorization = b""
        self._body: list[bytes] = []
        self.awaits_continue = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, if it is one that matters here."""
        if len(name) == 13 and name.lower() == b"authorization":
            self._authorization = value
        elif len(name) == 6 and name.lower() == b"expect":
            self.awaits_continue = value.lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)
        self.awaits_continue = False

    def on_message_complete(self) -> None:
        """Keep the request, which is whole now."""
        parser = self._parser
        assert parser is not None
        request = Request(
            method=parser.get_method().decode("ascii"),
            path=self._url.decode("latin-1").partition("?")[0],
            authorization=self._authorization.decode("latin-1"),
            body=b"".join(self._body),
            keep_alive=parser.should_keep_alive(),
            http_version=parser.get_http_version(),
        )
        self._requests.append(request)
        self._unread_bytes = 0
        self.on_message_begin()


class Ask(NamedTuple):
    """What a chat completion's body wants. `cap` is in tokens, None where there is none."""

    model: str = ""
    prompt_tokens: int = 0
    cap: int | None = None
    stream: bool = False
    include_usage: bool = False


class BadAskError(ValueError):
    """A body that no provider would take; says why."""


def read_ask(body: bytes) -> Ask:
    """
    What a body asks for.

    Raises:
        BadAskError: It is no JSON object, has no `model`, no `messages`, or a cap that isn't a whole number >= 1.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAskError(f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(asked, dict):
        raise BadAskError("The body of your request is not a JSON object.")
    model, messages, options = asked.get("model"), asked.get("messages"), asked.get("stream_options")
    if not isinstance(model, str) or not 0 < len(model) <= 256:
        raise BadAskError("you must provide a model parameter")
    if not isinstance(messages, list) or not messages:
        raise BadAskError("Missing required parameter: 'messages'.")
    return Ask(
        model=model,
        prompt_tokens=-(-_characters(messages) // CHARACTERS_PER_TOKEN),
        cap=_cap(asked),
        stream=asked.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _cap(asked: dict[str, Any]) -> int | None:
    """max_completion_tokens, or else max_tokens, which it replaces."""
    for name in ("max_completion_tokens", "max_tokens"):
        cap = asked.get(name)
        if cap is None:
            continue
        if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
            raise BadAskError(f"Invalid '{name}': expected an integer >= 1, but got {str(cap)[:40]} instead.")
        return cap
    return None


def _characters(messages: list[Any]) -> int:
    """Characters of all messages: their content, or the text parts of it."""
    count = 0
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            count += len(content)
        elif isinstance(content, list):
            texts = (part.get("text") for part in content if isinstance(part, dict))
            count += sum(len(text) for text in texts if isinstance(text, str))
    return count
