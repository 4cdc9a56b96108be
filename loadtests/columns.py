"""
What an exchange and its answer say, as columns of a record.

Pure assignments, off the timed path; `send` calls them when the answer is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests import clock, ratelimit
from loadtests.dialect import usage
from loadtests.errors import Failure, of_status
from loadtests.record import REFUSAL
from loadtests.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.dialect import Answer
    from loadtests.profiles import Profile
    from loadtests.reader import Reader
    from loadtests.record import Record
    from loadtests.wire.exchange import Exchange

MAX_ERROR_CHARS: Final = 500
READ_CHARS: Final = 4096
"""Of an error text, as much is looked at: some servers echo the whole prompt."""

MAX_NAME_CHARS: Final = 200
FRESH: Final = "--new-connections, or keep_alive = false in the profile, uses none twice"
MAX_LAG_US: Final = 2**31 - 1

LEAST_CHUNKS: Final = 8
"""Fewer chunks than this say nothing of a proxy that collects them."""

WAITS: Final = frozenset({"throttled", "overloaded"})
"""Kinds of errors whose words may ask to wait."""

BROKEN_END: Final = frozenset({"truncated", "reset", "protocol", "bad_body", "timeout_silence", "timeout_total"})
"""How the rest of a body may go wrong without a loss, behind [DONE] or where a status has said it all."""


def wire_facts(record: Record, exchange: Exchange, profile: Profile) -> None:
    """Stamps, status, headers and bytes of the response."""
    if record.sent_ns is not None and exchange.headers_ns is not None:
        # The stamp is taken when send() has returned; on the same host the answer can be there before that.
        record.sent_ns = min(record.sent_ns, exchange.headers_ns)
    record.headers_ns = exchange.headers_ns
    record.end_ns = exchange.end_ns
    record.status = exchange.status
    record.http_version = exchange.http_version
    for name in profile.request_id_headers:
        if record.request_id is None and (value := exchange.headers.get(name.lower().encode())) is not None:
            record.request_id = value.decode("latin-1")[:MAX_NAME_CHARS]
    if exchange.headers_ns is not None:
        record.clock = "kernel" if exchange.kernel else "user"
        record.bytes_received = exchange.received
        record.wake_lag_max_us = min(exchange.wake_lag_max_ns // 1000, MAX_LAG_US) if exchange.kernel else None


def judge(record: Record, exchange: Exchange, reader: Reader, model: str, secrets: list[str]) -> None:
    """
    What the answer to a request for this model says, and how it ended.

    An error status comes first, then what the answer itself reports, then how the connection broke, then what is
    wrong with an answer that came whole.
    """
    answer, profile = reader.answer, reader.answer.profile
    flags: list[str] = []
    reader.end(flags)
    answer_facts(record, answer, flags, model)
    broken, refused = exchange.failure, None
    if broken is None or broken.kind in BROKEN_END:
        if broken is not None and answer.done and answer.choices.finished:
            broken = None
            flags.append("unterminated")
        refused = None if reader.wanted or exchange.status is None else of_status(exchange.status, reader.whole())
    asked = model if profile.strict_model else None
    own = answer.failure if answer.failure is not None and answer.failure.kind == "stream_error" else None
    if broken is not None and broken.kind == "reset" and record.conn_reused and exchange.headers_ns is None:
        broken = Failure("reset", f"{broken.text}; it had served before, so the provider may close idle ones: {FRESH}")
    failure = refused or own or broken or answer.verdict(streamed=reader.streamed, model=asked)
    _wait(record, exchange, reader, refused)
    outcome(record, failure, flags, secrets)


def _wait(record: Record, exchange: Exchange, reader: Reader, refused: Failure | None) -> None:
    """
    How long the provider asks to wait: by headers, else by its words where a limit or too much load is the cause.

    Other errors quote what they refuse, and a prompt can ask for any wait.
    """
    now_unix_s, own = clock.realtime_ns() / 1e9, reader.answer.failure
    if reader.wanted:
        asked_s = ratelimit.asked_s(exchange.headers, now_unix_s)
        if asked_s is None and own is not None and reader.answer.limited:
            asked_s = ratelimit.said_s(own.text)
        record.retry_after_s = asked_s
    elif exchange.status is not None:
        words = reader.whole() if refused is not None and refused.kind in WAITS else b""
        record.retry_after_s = ratelimit.wait_s(exchange.headers, words, now_unix_s)


def answer_facts(record: Record, answer: Answer, flags: list[str], model: str) -> None:
    """Tokens, their stamps, counts, and what is notable about the answer to a request for this model."""
    record.first_event_ns = answer.first_event
    record.first_answer_ns = answer.first_answer
    record.model_answered, record.response_id = _cut(answer.model), _cut(answer.id)
    record.finish_reason, record.server_time_s = _cut(answer.choices.finish_reason), answer.server_time_s
    if answer.stamps:
        _chunk_facts(record, answer, flags)
    if answer.chars:
        record.output_chars = sum(answer.chars)
    record.counted_tokens = answer.counted_tokens()
    record.output_tokens, record.tokens_from = answer.output_tokens(record.counted_tokens)
    if record.tokens_from == "estimate":
        record.output_tokens = _within_cap(record, answer)
    record.input_tokens = answer.usage.counted(usage.INPUT)
    record.reasoning_tokens = answer.usage.counted(usage.REASONING)
    record.cached_tokens = answer.usage.counted(usage.CACHED)
    record.cost_usd = _cost(record, answer.profile)
    if answer.first_event is not None:
        if not answer.done and not answer.cut:
            flags.append("no_done")
        if not record.stream:
            flags.append("streamed_unasked")
    elif answer.chars and record.stream:
        flags.append("not_streamed")
    notable = {
        "cut_at_cap": answer.cut,
        "model_differs": answer.model is not None and answer.model != model,
        "content_filter": answer.choices.filtered,
        "refusal": any(kind & REFUSAL for kind in set(answer.kinds)),
    }
    flags += [flag for flag, is_so in notable.items() if is_so]


def _within_cap(record: Record, answer: Answer) -> int | None:
    """An estimate that knows of the cap: a provider that keeps it makes no more, and just that if it says `length`."""
    keeps = answer.profile.output_cap_param != "none" and answer.choices.asked == 1
    if record.output_tokens is None or record.output_cap is None or not keeps:
        return record.output_tokens
    return record.output_cap if record.finish_reason == "length" else min(record.output_tokens, record.output_cap)


def _chunk_facts(record: Record, answer: Answer, flags: list[str]) -> None:
    stamps = answer.stamps
    record.first_token_ns, record.last_token_ns = stamps[0], stamps[-1]
    record.chunk_ns, record.chunk_kind, record.chunk_chars = stamps, answer.kinds, answer.chars
    record.chunks = len(stamps)
    record.shared_reads = sum(map(int.__eq__, stamps[1:], stamps))
    if _is_buffered(record, stamps[0], stamps[-1]):
        flags.append("buffered")


def _is_buffered(record: Record, first_ns: int, last_ns: int) -> bool:
    """Somebody on the way collects the chunks: nearly all share a read, or most do, after 90 % of the time."""
    chunks, shared = record.chunks or 0, record.shared_reads or 0
    if chunks < LEAST_CHUNKS:
        return False
    late = record.sent_ns is not None and first_ns - record.sent_ns > 0.9 * (last_ns - record.sent_ns)
    return shared > (0.5 if late else 0.8) * chunks


def _cost(record: Record, profile: Profile) -> float | None:
    """USD by the profile's prices; None where there is no price or no count, or the prices are in another currency."""
    prices = profile.prices
    if prices is None or prices.currency != "USD" or record.input_tokens is None or record.output_tokens is None:
        return None
    cached = record.cached_tokens or 0
    cached_price = prices.cached_input_per_million
    if cached_price is None:
        cached_price = prices.input_per_million
    fresh = (record.input_tokens - cached) * prices.input_per_million
    return (fresh + cached * cached_price + record.output_tokens * prices.output_per_million) / 1e6


def outcome(record: Record, failure: Failure | None, flags: list[str], secrets: list[str]) -> None:
    """How it ended; the error text never holds a secret."""
    record.flags = [*(record.flags or ()), *flags] or None
    if failure is None:
        record.outcome = "ok"
        return
    record.outcome = "error"
    record.error_kind = failure.kind
    record.error = _sound(redact(failure.text[:READ_CHARS], secrets)[:MAX_ERROR_CHARS])


def mask(record: Record, masked: Callable[[str], str]) -> None:
    """A provider may put anything into the names it chooses, even the key that it was sent."""
    for name in ("request_id", "model_answered", "response_id", "finish_reason"):
        if (value := getattr(record, name)) is not None:
            setattr(record, name, masked(value))


def cancel(record: Record, flag: str) -> None:
    """It was ended by us, and why; what it had reached stays."""
    record.outcome = "cancelled"
    record.error_kind = record.error = None
    record.flags = [*(record.flags or ()), flag]


def _cut(text: str | None) -> str | None:
    """A name that somebody else chose, at a length that a column can bear."""
    return text if text is None else _sound(text[:MAX_NAME_CHARS])


def _sound(text: str) -> str:
    """A text that a column can hold: half of a surrogate pair, which JSON can name alone, is a question mark."""
    return text.encode(errors="replace").decode()
