"""
The bytes of an answer: a performance as the writes that the server makes, faults included.

Pure. Streamed events are put together from fragments that are prepared once per request, since a JSON encoder per
chunk would cost more than the sending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.mock.request import Ask
    from loadtests.mock.script import Performance

ERRORS: Final = {
    400: ("Bad Request", "invalid_request_error", None, "The request is malformed."),
    401: ("Unauthorized", "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("Payment Required", "insufficient_quota", "insufficient_quota", "You have run out of credits."),
    403: ("Forbidden", "invalid_request_error", "unsupported_country_region_territory", "Access is not allowed."),
    404: ("Not Found", "invalid_request_error", "unknown_url", "Unknown request URL."),
    413: ("Content Too Large", "invalid_request_error", None, "The request is too large."),
    429: ("Too Many Requests", "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("Internal Server Error", "server_error", None, "The server had an error while processing your request."),
    502: ("Bad Gateway", "", None, ""),
    503: ("Service Unavailable", "server_error", "overloaded", "The engine is currently overloaded."),
}
"""Status: reason, and the `type`, `code` and `message` of OpenAI's error object; 502 is a gateway's page instead."""

GATEWAY_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
GARBAGE: Final = b"\x00\xffICY 2OO garbage / not HTTP at all\r\n\r\n"
"""What `malformed` sends where a status line belongs."""

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
RETRY_AFTER: Final = "Retry-After: 2\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
BREAKS_OFF: Final = {"reset": "reset", "cut": "cut", "stall": "stall"}
"""Faults that end an answer half way, and how the connection ends with it."""


@dataclass(slots=True)
class Answer:
    """
    What goes out for one request.

    Attributes:
        offsets_ns: When each write but the last is due, in nanoseconds since the request was fully read; at least one.
        writes: The bytes of each, and then the last one, due at once after its predecessor; it may be empty.
        finish: What the log calls the end of it; see `log.FINISHES`.
        ending: What becomes of the connection: "keep", "close" (once all is out), "cut" (the same, in mid-answer),
            "reset" (RST) or "stall" (it stays, silent).
        has_tokens: The writes with an offset carry tokens, so that their moments are the truth about these.
        number: Of the chat completion, from 1; 0 for any other request.
        token_writes: The places of the writes that do, where not all of those with an offset do.
        tokens: Of the whole answer, as it would be counted.
    """

    offsets_ns: Sequence[int]
    writes: Iterator[bytes]
    finish: str
    ending: str = "keep"
    has_tokens: bool = False
    number: int = 0
    token_writes: tuple[int, ...] | None = None
    tokens: int = 0


class Voice(NamedTuple):
    """What an answer says of itself: its number, its moment in unix seconds, and what was asked and is told."""

    number: int
    created_s: int
    ask: Ask
    tells_usage: bool
    keeps_alive: bool

    def head(self, content_type: str, length: int | None = None, status: int = 200, extra: str = "") -> bytes:
        """Status line and headers; without a length, the body is chunked."""
        reason = "OK" if status == 200 else ERRORS[status][0]
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        identity = f"X-Request-Id: req-{self.number}\r\n" if self.number else ""
        close = "" if self.keeps_alive else "Connection: close\r\n"
        lines = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n{framing}\r\n{identity}{extra}{close}\r\n"
        )
        return lines.encode("ascii")

    def fragments(self) -> tuple[bytes, bytes]:
        """An event up to the inside of its choice, and what follows the choices but usage."""
        model = orjson.dumps(self.ask.model)
        before = b'data: {"id":"chatcmpl-%d","object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
        return before % (self.number, self.created_s, model), b'],"usage":null}\n\n' if self.tells_usage else b"]}\n\n"

    def choice(self, delta: bytes, finish: bytes = b"null") -> bytes:
        """An event with one choice."""
        before, after = self.fragments()
        return b'%b{"index":0,"delta":{%b},"finish_reason":%b}%b' % (before, delta, finish, after)

    def usage(self, tokens: int, reasoning: int) -> bytes:
        """The usage object."""
        asked = self.ask.prompt_tokens
        counts = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,' % (asked, tokens, asked + tokens)
        return counts + b'"completion_tokens_details":{"reasoning_tokens":%d}}' % reasoning


# Which answer.


def compose(voice: Voice, play: Performance) -> Answer:
    """The answer to a chat completion. Refusals (4xx) go out at once, 5xx and garbage when the first token would."""
    fault, first_ns = play.fault, play.offsets_ns[0]
    if fault is not None and fault.startswith("http_"):
        status = int(fault.removeprefix("http_"))
        answer = refuse(voice, status)
        answer.offsets_ns = (0 if status < 500 else first_ns,)
        answer.finish = fault
        return answer
    if fault == "malformed":
        return Answer((first_ns,), iter((GARBAGE, b"")), fault, "cut", number=voice.number)
    answer = _streamed(voice, play) if voice.ask.stream and fault != "json_for_stream" else _whole(voice, play)
    answer.finish = fault or play.finish_reason
    answer.ending = BREAKS_OFF.get(fault or "", "keep" if voice.keeps_alive else "close")
    answer.number = voice.number
    answer.tokens = play.tokens if answer.has_tokens else 0
    return answer


def refuse(voice: Voice, status: int, message: str | None = None) -> Answer:
    """An error with OpenAI's body, at once."""
    _, kind, code, usual = ERRORS[status]
    body = orjson.dumps({"error": {"message": message or usual, "type": kind, "param": None, "code": code}})
    extra = RETRY_AFTER if status == 429 else ""
    content_type = JSON
    if status == 502:
        body, content_type = GATEWAY_PAGE, "text/html"
    return say(voice, voice.head(content_type, len(body), status, extra), body)


def say(voice: Voice, head: bytes, body: bytes) -> Answer:
    """These bytes, at once."""
    ending = "keep" if voice.keeps_alive else "close"
    return Answer((0,), iter((head + body, b"")), "refused", ending, number=voice.number)


# An answer in one piece.


def _whole(voice: Voice, play: Performance) -> Answer:
    """The answer as one `chat.completion` at the moment of the last chunk; half of it where it breaks off."""
    body = _completion(voice, play)
    out = voice.head(JSON, len(body)) + body
    breaks_off = play.fault in BREAKS_OFF
    whole = out[: len(out) - len(body) // 2] if breaks_off else out
    return Answer((play.offsets_ns[-1],), iter((whole, b"")), "", has_tokens=not breaks_off and play.fault != "empty")


def _completion(voice: Voice, play: Performance) -> bytes:
    texts = () if play.fault == "empty" else play.texts
    message = {"role": "assistant", "content": "".join(texts[play.reasoning_chunks :])}
    if play.reasoning_chunks:
        message["reasoning_content"] = "".join(texts[: play.reasoning_chunks])
    choice = {"index": 0, "message": message, "finish_reason": play.finish_reason}
    completion = {
        "id": f"chatcmpl-{voice.number}",
        "object": "chat.completion",
        "created": voice.created_s,
        "model": voice.ask.model,
        "choices": [choice],
        "usage": orjson.Fragment(_usage_of(voice, play)),
    }
    return orjson.dumps(completion)


def _usage_of(voice: Voice, play: Performance) -> bytes:
    return voice.usage(0, 0) if play.fault == "empty" else voice.usage(play.tokens, play.reasoning_tokens)


# An answer in events.


def _streamed(voice: Voice, play: Performance) -> Answer:
    """The answer as events: one write per chunk of tokens, then one for all that follows the last."""
    opening = voice.head(EVENT_STREAM) + _chunk(voice.choice(b'"role":"assistant","content":""'))
    if play.fault == "empty":
        return Answer(play.offsets_ns[:1], iter((opening, tail(voice, play, 0))), "")
    half = max(1, len(play.texts) // 2)
    count = half if play.fault in BREAKS_OFF or play.fault == "stream_error" else len(play.texts)
    broken_after = half - 1 if play.fault == "bad_json" else -1
    writes = _writes(voice, play, (opening, count, broken_after))
    return Answer(play.offsets_ns[:count], writes, "", has_tokens=True)


def _writes(voice: Voice, play: Performance, plan: tuple[bytes, int, int]) -> Iterator[bytes]:
    """
    The writes of a stream. This is the path of every chunk: keep it short.

    Args:
        voice: What it says of itself.
        play: What is played.
        plan: What goes before the first chunk, how many there are, and after which one a broken event goes (-1: none).
    """
    opening, count, broken_after = plan
    before, after = voice.fragments()
    reasoning = before + b'{"index":0,"delta":{"reasoning_content":"'
    content = before + b'{"index":0,"delta":{"content":"'
    end = b'"},"finish_reason":null}' + after
    fixed = len(content) + len(end)
    longer = len(reasoning) - len(content)
    for position in range(count):
        text = play.texts[position].encode()
        if position >= play.reasoning_chunks:
            data = b"%x\r\n%b%b%b\r\n" % (fixed + len(text), content, text, end)
        else:
            data = b"%x\r\n%b%b%b\r\n" % (fixed + longer + len(text), reasoning, text, end)
        if position == 0:
            data = opening + data
        if position == broken_after:
            data += _chunk(content + b"\n\n")
        yield data
    yield tail(voice, play, count)


def tail(voice: Voice, play: Performance, count: int) -> bytes:
    """All that follows the last chunk of tokens."""
    fault = play.fault
    if fault in ("cut", "stall"):
        return b""
    if fault == "reset":
        event = _chunk(voice.choice(b'"content":"%b"' % play.texts[count - 1].encode()))
        return event[: len(event) // 2]
    if fault == "stream_error":
        error = {"message": ERRORS[500][3], "type": "server_error", "param": None, "code": None}
        return _chunk(b"data: %b\n\n" % orjson.dumps({"error": error})) + LAST_CHUNK
    finish = b"" if fault == "no_finish" else _chunk(voice.choice(b"", b'"%b"' % play.finish_reason.encode()))
    done = b"" if fault == "no_done" else _chunk(b"data: [DONE]\n\n")
    return finish + _usage_event(voice, play) + done + LAST_CHUNK


def _usage_event(voice: Voice, play: Performance) -> bytes:
    if not voice.tells_usage:
        return b""
    before, _ = voice.fragments()
    return _chunk(b'%b],"usage":%b}\n\n' % (before, _usage_of(voice, play)))


def _chunk(event: bytes) -> bytes:
    """A chunk of HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(event), event)
