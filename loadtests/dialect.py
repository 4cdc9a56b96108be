"""
What an OpenAI-style chat completion means: the request body out, the chunks of an answer in.

Sits between sse (stamped events) and record. An `Answer` reads events after the stream is over, or one whole JSON
body; it knows content, reasoning, tool calls, refusals, usage, finish reasons and error objects, and never raises on
what a server sends: what cannot be read becomes a `Failure`.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.delta import bears
from loadtests.errors import Failure, is_error_event, message
from loadtests.record import REASONING
from loadtests.template import Template, learn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.profiles import Profile
    from loadtests.sse import Event

CHARS_PER_TOKEN: Final = 4
"""The estimate where nobody counts: OpenAI's rule of thumb for English text."""

TRIES: Final = 16
"""Templates made of one answer's chunks at most: some providers put a new moment or noise into every chunk."""

GOOD_FINISH: Final = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})


def body(
    profile: Profile,
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    stream: bool,
    output_cap: int | None,
    params: Mapping[str, Any],
) -> bytes:
    """The JSON body of a chat completion request as this provider wants it."""
    value: dict[str, Any] = {"model": model, "messages": list(messages), "stream": stream}
    if output_cap is not None and profile.output_cap_param != "none":
        value[profile.output_cap_param] = output_cap
    if stream and profile.stream_usage == "option":
        value["stream_options"] = {"include_usage": True}
    value.update(profile.params.defaults)
    value.update(params)
    return orjson.dumps(value)


class Answer:
    """
    One answer as it is read, event by event or as a whole.

    Attributes:
        stamps, kinds, chars: Per token-bearing event: its stamp (ns), what it bears (bits of `record`), characters.
        first_event: Stamp of the first data event of any kind; None before it.
        first_answer: Stamp of the first token that is not reasoning; None before it.
        usage: The last usage object seen.
        failure: What the answer itself reports as failed, or what could not be read.
    """

    __slots__ = (
        "_choices", "_finished", "_template", "_tries", "chars", "done", "failure", "finish_reason", "first_answer",
        "first_event", "id", "kinds", "model", "profile", "server_time_s", "stamps", "usage", "usage_alt",
    )  # fmt: skip

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.stamps = array("q")
        self.kinds = array("B")
        self.chars = array("i")
        self.first_event: int | None = None
        self.first_answer: int | None = None
        self.usage: dict[str, Any] | None = None
        self.usage_alt: dict[str, Any] | None = None
        self.server_time_s: float | None = None
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.id: str | None = None
        self.done = False
        self.failure: Failure | None = None
        self._choices: set[int] = set()
        self._finished: set[int] = set()
        self._template: Template | None = None
        self._tries = TRIES

    # A stream.

    def skim(self, reads: list[bytes], stamps: array[int], at: int) -> int:
        """Take reads from there on that each are one whole chunk like those before; how many there were."""
        template = self._template
        if template is None:
            return 0
        chars = template.chars(reads, at)
        taken = len(chars)
        if taken:
            self._tries = TRIES
            self.stamps.extend(stamps[at : at + taken])
            self.kinds.extend(bytes((template.kind,)) * taken)
            self.chars.extend(chars)
        return taken

    def event(self, event: Event) -> None:
        """Take one event of a stream."""
        stamp, data, name = event
        if not data or data.isspace():
            return
        if data == b"[DONE]":
            self.done = True
            return
        if self.first_event is None:
            self.first_event = stamp
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            self._fail("bad_body", f"an event that is not JSON: {data[:80]!r}")
            return
        if not isinstance(value, dict):
            self._fail("bad_body", f"an event that is no object: {data[:80]!r}")
            return
        if is_error_event(value) or name == b"error":
            self._fail("stream_error", message(value) or "an error without a message")
        self._facts(value)
        kind, count = self._choices_of(value, "delta")
        if count:
            self._token(stamp, kind, count)
            if self._tries and not name and b'"role"' not in data:
                self._learn(data, value)

    def _learn(self, data: bytes, value: dict[str, Any]) -> None:
        """Make this chunk the template for the ones to come; given up where no two chunks are alike."""
        self._tries -= 1
        self._template = learn(data, value) or self._template

    def _token(self, stamp: int, kind: int, count: int) -> None:
        self.stamps.append(stamp)
        self.kinds.append(kind)
        self.chars.append(count)
        if self.first_answer is None and kind & ~REASONING:
            self.first_answer = stamp

    # A whole body.

    def whole(self, data: bytes) -> None:
        """Take the body of an answer that was not streamed."""
        try:
            value = orjson.loads(data.strip())
        except orjson.JSONDecodeError:
            self._fail("bad_body", f"not JSON: {data[:80]!r}" if data.strip() else "an empty body")
            return
        if not isinstance(value, dict):
            self._fail("bad_body", f"no object: {data[:80]!r}")
            return
        if is_error_event(value):
            self._fail("stream_error", message(value) or "an error without a message")
        self._facts(value)
        kind, count = self._choices_of(value, "message")
        if count:
            self.kinds.append(kind)
            self.chars.append(count)

    # What both have in common.

    def _facts(self, value: dict[str, Any]) -> None:
        if self.model is None and isinstance(model := value.get("model"), str) and model:
            self.model = model
        if self.id is None and isinstance(identity := value.get("id"), str) and identity:
            self.id = identity
        if isinstance(usage := value.get("usage"), dict):
            self.usage = usage
        for path in self.profile.usage_paths:
            if isinstance(found := pointer(value, path), dict):
                self.usage_alt = found
        if self.profile.server_time_path is not None:
            took = pointer(value, self.profile.server_time_path)
            if isinstance(took, int | float) and not isinstance(took, bool):
                self.server_time_s = float(took)

    def _choices_of(self, value: dict[str, Any], part: str) -> tuple[int, int]:
        """The kinds and the number of characters that all choices of one object bear."""
        kind = count = 0
        choices = value.get("choices")
        if not isinstance(choices, list):
            return 0, 0
        for place, choice in enumerate(choices):
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            index = index if isinstance(index, int) else place
            self._choices.add(index)
            delta = choice.get(part)
            if isinstance(delta, dict):
                bits, size = bears(delta)
                kind |= bits
                count += size
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                self.finish_reason = finish
                self._finished.add(index)
        return kind, count

    def _fail(self, kind: str, text: str) -> None:
        if self.failure is None:
            self.failure = Failure(kind, text)

    # The end.

    @property
    def finished(self) -> bool:
        """Every choice that began has said why it ended."""
        return bool(self._choices) and self._choices <= self._finished

    def verdict(self, *, streamed: bool) -> Failure | None:
        """Why the complete answer is no good; None where it is."""
        if self.failure is not None:
            return self.failure
        if not self.finished and self.profile.finish_required:
            if streamed and not self.done:
                return Failure("truncated", "the stream ended without finish_reason and without [DONE]")
            return Failure("no_finish", "no finish_reason")
        if self.finish_reason is not None and self.finish_reason.lower() not in GOOD_FINISH:
            return Failure("stream_error", f"finish_reason {self.finish_reason!r}")
        if streamed and self.profile.done_required and not self.done:
            return Failure("truncated", "the stream ended without [DONE]")
        if not self.chars:
            return Failure("empty", "a complete answer without a token")
        return None

    def output_tokens(self) -> tuple[int | None, str | None]:
        """Output tokens and where the count is from: usage, usage_alt, estimate; (None, None) without any token."""
        for usage, source in ((self.usage, "usage"), (self.usage_alt, "usage_alt")):
            count = _count(usage, "completion_tokens")
            if count is None:
                count = _count(usage, "output_tokens")
            if count is not None and (count > 0 or not self.chars):
                return count, source
        total = sum(self.chars)
        return (max(1, -(-total // CHARS_PER_TOKEN)), "estimate") if total else (None, None)

    def counted(self, *path: str) -> int | None:
        """A count inside the usage object, by its keys; None where it is not told."""
        for usage in (self.usage, self.usage_alt):
            value: Any = usage
            for key in path[:-1]:
                value = value.get(key) if isinstance(value, dict) else None
            if (count := _count(value, path[-1])) is not None:
                return count
        return None


def pointer(value: Any, path: str) -> Any:
    """
    What a JSON pointer points at; None where there is nothing.

    Source: RFC 6901.
    """
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _count(usage: Any, key: str) -> int | None:
    value = usage.get(key) if isinstance(usage, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        return None
    return int(value)
