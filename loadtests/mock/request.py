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
CAPS: Final = ("max_completion_tokens", "max_tokens")
"""Names of a cap; the first replaces the second."""


class Request(NamedTuple):
    """One HTTP request; `problem` is the status it deserves unread, 0 where it is whole."""

    method: str
    path: str
    authorization: str
    body: bytes
    keep_alive: bool
    http_version: str
    problem: int = 0
    query: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def header(self, name: str) -> str:
        """The value of a header, or of the last of that name; "" where there is none."""
        wanted, length = name.lower().encode(), len(name)
        found = [value for key, value in self.headers if len(key) == length and key.lower() == wanted]
        return found[-1].decode("latin-1") if found else ""


class RequestReader:
    """
    The requests in the bytes of one connection, however these are split.

    httptools' parser holds this object and this object the parser: `close` breaks the cycle, which would outlive the
    connection where the garbage collector is off.
    """

    __slots__ = (
        "_authorization",
        "_body",
        "_headers",
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
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.awaits_continue = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))
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
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=parser.get_method().decode("ascii"),
            path=path if path.startswith("/") else _path(path),
            authorization=self._authorization.decode("latin-1"),
            body=b"".join(self._body),
            keep_alive=parser.should_keep_alive(),
            http_version=parser.get_http_version(),
            query=query,
            headers=tuple(self._headers),
        )
        self._requests.append(request)
        self._unread_bytes = 0
        self.on_message_begin()


def _path(target: str) -> str:
    """The path of a target as a proxy is told it, with scheme and host: servers take that, too (RFC 9112, 3.2.2)."""
    _, is_absolute, rest = target.partition("://")
    return f"/{rest.partition('/')[2]}" if is_absolute else target


class Wish(NamedTuple):
    """
    What is wanted besides a text in one piece of prose.

    Attributes:
        n: Choices.
        stops: Where any of these texts would come, the answer ends before it.
        call: Name of the function to call, and its arguments as JSON; None for none.
        json: The JSON text to answer with; None for prose.
    """

    n: int = 1
    stops: tuple[str, ...] = ()
    call: tuple[str, str] | None = None
    json: str | None = None


class Ask(NamedTuple):
    """What a chat completion's body wants. `cap` is in tokens, None where there is none; `wish` where it is prose."""

    model: str = ""
    prompt_tokens: int = 0
    cap: int | None = None
    stream: bool = False
    include_usage: bool = False
    wish: Wish | None = None


class BadAskError(ValueError):
    """A body that no provider would take; says why."""


def read_body(body: bytes) -> dict[str, Any]:
    """
    The fields of a body.

    Raises:
        BadAskError: It is no JSON object.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAskError(f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(asked, dict):
        raise BadAskError("The body of your request is not a JSON object.")
    return asked


def check_usual(asked: dict[str, Any]) -> None:
    """
    Refuse what no provider would take.

    Raises:
        BadAskError: It has no `model`, no `messages`, or a cap that isn't a whole number >= 1.
    """
    model, messages = asked.get("model"), asked.get("messages")
    if not isinstance(model, str) or not 0 < len(model) <= 256:
        raise BadAskError("you must provide a model parameter")
    if not isinstance(messages, list) or not messages:
        raise BadAskError("Missing required parameter: 'messages'.")
    for name in CAPS:
        cap = asked.get(name)
        if cap is not None and not _is_cap(cap):
            raise BadAskError(f"Invalid '{name}': expected an integer >= 1, but got {str(cap)[:40]} instead.")


def read_ask(asked: dict[str, Any], caps: tuple[str, ...] = CAPS, wish: Wish | None = None) -> Ask:
    """
    What a body's fields ask for; what is not of its type counts as absent.

    Args:
        asked: The fields.
        caps: Names under which a cap is heeded; the first that is there counts.
        wish: What else was found to be wanted.
    """
    model, messages, options = asked.get("model"), asked.get("messages"), asked.get("stream_options")
    given = [asked[name] for name in caps if _is_cap(asked.get(name))]
    return Ask(
        model=model if isinstance(model, str) else "",
        prompt_tokens=-(-_characters(messages if isinstance(messages, list) else []) // CHARACTERS_PER_TOKEN),
        cap=given[0] if given else None,
        stream=asked.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        wish=wish,
    )


def _is_cap(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


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
