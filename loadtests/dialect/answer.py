"""
An answer as it is read: what the events of a stream, or one whole JSON body, mean.

Knows content, reasoning, tool calls, refusals, usage, finish reasons and error reports, and never raises on what a
server sends: what cannot be read becomes a `Failure`.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.dialect import loose, usage
from loadtests.dialect.choices import GOOD_FINISH, Choices, is_chunk
from loadtests.dialect.template import Template, learn
from loadtests.dialect.usage import Usage
from loadtests.errors import Failure, is_error, read
from loadtests.record import REASONING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.profiles import Profile
    from loadtests.sse import Event

TRIES: Final = 16
"""Templates made of one answer's chunks at most: some providers put a new moment or noise into every chunk."""

DONE: Final = b"[DONE]"
FAILED: Final = frozenset({b"error", b"canceled", b"cancelled"})
"""Names of events that say that the answer failed, whatever they hold."""

PING: Final = b"ping"


class Answer:
    """
    One answer as it is read, event by event or as a whole.

    Args:
        n: Choices asked for. With one, all that comes is of that one, whatever its index; None: as many as begin.
        cut_at: Output tokens of a choice beyond which the client wants no more.
        counter: Counts the tokens of a text; has the text kept.
        keep_text: Keep the text.

    Attributes:
        stamps, kinds, chars: Per token-bearing event: its stamp (ns), what it bears (bits of `record`), characters.
        utf8: UTF-8 bytes of all the text.
        first_event: Stamp of the first data event of any kind; None before it.
        first_answer: Stamp of the first token that is not reasoning; None before it.
        usage: What it says of its tokens.
        choices: What its choices are, and why they ended.
        failure: What the answer itself reports as failed, or what could not be read.
        limited: By its type or code, what it reports is a limit, or too much load.
        done: [DONE] has come.
        cut_at: Output tokens of all choices together beyond which no more is wanted.
        cut: The answer has more than `cut_at` tokens, and is not over.
        over: Nothing that still comes is a part of the answer.
        ended: Nothing more is to be expected: done, cut, or failed in its own words.
        flags: What is notable about how it is written (of `record.FLAGS`).
    """

    __slots__ = (
        "_counter", "_length", "_template", "_tries", "chars", "choices", "cut", "cut_at", "done", "ended", "failure",
        "first_answer", "first_event", "flags", "id", "kinds", "limited", "model", "over", "profile", "server_time_s",
        "stamps", "usage", "utf8",
    )  # fmt: skip

    def __init__(
        self, profile: Profile, *, n: int | None = None, cut_at: int | None = None,
        counter: Callable[[str], int] | None = None, keep_text: bool = False,
    ) -> None:  # fmt: skip
        self.profile = profile
        self.cut_at = None if cut_at is None else cut_at * (n or 1)
        self.stamps = array("q")
        self.kinds = array("B")
        self.chars = array("i")
        self.utf8 = 0
        self._length = 0  # of what was not skimmed: an answer that may be cut is not
        self.first_event: int | None = None
        self.first_answer: int | None = None
        self.usage = Usage(profile.usage_paths)
        self.choices = Choices(asked=n, keep_text=keep_text or counter is not None)
        self.server_time_s: float | None = None
        self.model: str | None = None
        self.id: str | None = None
        self.done = self.cut = self.over = self.ended = self.limited = False
        self.failure: Failure | None = None
        self.flags: set[str] = set()
        self._counter = counter
        self._template: Template | None = None
        self._tries = TRIES if self.choices.pieces is None and cut_at is None else 0  # a glance sees no text

    # A stream.

    def skim(self, reads: list[bytes], stamps: array[int], at: int) -> int:
        """Take reads from there on that each are one whole chunk like those before; how many there were."""
        template = self._template
        if template is None:
            return 0
        chars, utf8 = template.measure(reads, at)
        taken = len(chars)
        if taken:
            self._tries = TRIES
            self.utf8 += utf8
            self.stamps.extend(stamps[at : at + taken])
            self.kinds.extend(bytes((template.kind,)) * taken)
            self.chars.extend(chars)
        return taken

    def event(self, event: Event) -> bool:
        """Take one event of a stream; whether there was something in it."""
        stamp, data, name = event
        if self.over or not data or data.isspace() or name == PING:
            return False
        if data == DONE:
            self.done = self.over = self.ended = True
            return True
        if self.first_event is None:
            self.first_event = stamp
        try:
            value, strict = orjson.loads(data), not name
        except orjson.JSONDecodeError:
            value, strict = self._odd(data, name), False
        if name or not isinstance(value, dict):
            value = self._special(data, name, value)
            if value is None:
                return True
        # What is_error would say no to at once is not worth the call.
        if ("choices" not in value or "error" in value or "x_groq" in value) and is_error(value):
            self._report(value)
        self._facts(value)
        kind, chars, utf8 = self.choices.take(value, "delta")
        if chars:
            self._token(stamp, kind, chars, utf8)
            if self._tries and strict and b'"role"' not in data:
                self._learn(data, value)
            elif self.cut_at is not None:
                self._watch(self.cut_at)
        return True

    def _odd(self, data: bytes, name: bytes) -> Any:
        """The value of an event that the strict parser refuses; None where it is none."""
        if data.strip() == DONE or name == b"done":
            self.done = self.over = self.ended = True
            return None
        try:
            value, broken = loose.loads(data)
        except ValueError:
            if name in FAILED:
                self._report(data)
            self._fail("bad_body", f"an event that is not JSON: {data[:80]!r}")
            return None
        if broken:
            self.flags.add("bad_utf8")
        return value

    def _special(self, data: bytes, name: bytes, value: Any) -> dict[str, Any] | None:
        """An event with a name, or one whose JSON is no object; what of it is to be read as a chunk."""
        if value is None and (self.done or self.failure is not None):
            return None
        if name in FAILED:
            self._report(value, f"an event named {name.decode()}")
        elif is_error(value):
            self._report(value)
        elif not isinstance(value, dict):
            self._fail("bad_body", f"an event that is no object: {data[:80]!r}")
        return value if isinstance(value, dict) else None

    def _learn(self, data: bytes, value: dict[str, Any]) -> None:
        """Make this chunk the template for the ones to come; given up where no two chunks are alike."""
        self._tries -= 1
        self._template = learn(data, value) or self._template

    def _token(self, stamp: int, kind: int, chars: int, utf8: int) -> None:
        self.stamps.append(stamp)
        self.kinds.append(kind)
        self.chars.append(chars)
        self._length += chars
        self.utf8 += utf8
        if self.first_answer is None and kind & ~REASONING:
            self.first_answer = stamp

    def _watch(self, cap: int) -> None:
        """
        Whether the cap is passed: by the chunks, each of which has a token, or by the estimate from the text.

        At the cap itself the answer may be over: its finish and its usage can come in chunks of their own.
        """
        if not self.choices.finished and max(len(self.stamps), usage.estimate(self._length, self.utf8)) > cap:
            self.cut = self.over = self.ended = True

    # A whole body.

    def whole(self, data: bytes) -> bool:
        """Take the body of an answer that was not streamed; False, and nothing taken, where it is no such body."""
        value, broken = loose.body(data)
        if is_error(value):
            self._report(value)
        elif not isinstance(value, dict) or is_chunk(value):
            return False
        if broken:
            self.flags.add("bad_utf8")
        if isinstance(value, dict):
            self._take_whole(value)
        return True

    def _take_whole(self, value: dict[str, Any]) -> None:
        if "choices" not in value and isinstance(text := value.get("message"), str) and text and not self.ended:
            # What the documents of LLM Gateway and its kin show of a complete answer.
            value = {**value, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
            self.flags.add("bare_message")
        self._facts(value)
        kind, chars, utf8 = self.choices.take(value, "message")
        if chars:
            self.kinds.append(kind)
            self.chars.append(chars)
            self.utf8 += utf8

    def unreadable(self, data: bytes) -> None:
        """The body is nothing that could be an answer."""
        text = data.strip()
        self._fail("bad_body", f"no answer in JSON: {text[:80]!r}" if text else "an empty body")

    # What both have in common.

    def _facts(self, value: dict[str, Any]) -> None:
        if self.model is None and isinstance(model := value.get("model"), str) and model:
            self.model = model
        if self.id is None and isinstance(identity := value.get("id"), str) and identity:
            self.id = identity
        if "usage" in value or self.profile.usage_paths:
            self.usage.take(value)
        if self.profile.server_time_paths and (took := usage.amount(value, self.profile.server_time_paths)) is not None:
            self.server_time_s = took

    def _report(self, value: Any, otherwise: str = "an error without a message") -> None:
        """The answer says itself that it failed."""
        said = read(value)
        self.ended = True
        self.limited = self.limited or (self.failure is None and said.is_limit)
        self._fail("stream_error", said.line or otherwise)

    def _fail(self, kind: str, text: str) -> None:
        if self.failure is None:
            self.failure = Failure(kind, text)

    # The end.

    def verdict(self, *, streamed: bool, model: str | None = None) -> Failure | None:
        """
        Why the complete answer is no good; None where it is.

        Args:
            streamed: It came as a stream.
            model: The one that was asked for, where no other will do.
        """
        if self.failure is not None or self.cut:
            return self.failure
        if self.profile.finish_required:
            if streamed and not self.done and not self.choices.complete:
                return Failure("truncated", "the stream ended without [DONE] and without finish_reason of every choice")
            if not self.choices.finished:
                return Failure("no_finish", "no finish_reason")
        reason = self.choices.finish_reason
        if reason is not None and reason.lower() not in GOOD_FINISH:
            return Failure("stream_error", f"finish_reason {reason!r}")
        if streamed and self.profile.done_required and not self.done:
            return Failure("truncated", "the stream ended without [DONE]")
        if model is not None and self.model not in (None, model):
            return Failure("bad_request", f"asked for the model {model!r}, answered by {self.model!r} (strict_model)")
        if not self.chars and not self.profile.empty_ok:
            return Failure("empty", "a complete answer without a token")
        return None

    # Counts.

    def output_tokens(self, counted: int | None = None) -> tuple[int | None, str | None]:
        """
        Output tokens, and where the count is from: usage, usage_alt, tokenizer, estimate.

        Args:
            counted: What `counted_tokens` says.

        Returns:
            (None, None) without any token. A count of nothing beside some text is not believed.
        """
        tokens, source = self.usage.output()
        if tokens is not None and (tokens > 0 or not self.chars):
            return tokens, source
        if counted is not None:
            return counted, "tokenizer"
        return (usage.estimate(sum(self.chars), self.utf8), "estimate") if self.chars else (None, None)

    def counted_tokens(self) -> int | None:
        """The text's tokens as `counter` counts them; None without one, and without any text."""
        text = self.choices.text if self._counter is not None else ""
        return self._counter(text) if self._counter is not None and text else None
