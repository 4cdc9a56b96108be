"""
What an exchange and its answer say, as columns of a record.

Pure assignments, off the timed path; `send` calls them when the answer is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests import clock
from loadtests.errors import retry_after_s
from loadtests.redact import redact

if TYPE_CHECKING:
    from loadtests.dialect import Answer
    from loadtests.errors import Failure
    from loadtests.profiles import Profile
    from loadtests.record import Record
    from loadtests.wire.exchange import Exchange

MAX_ERROR_CHARS: Final = 500
READ_CHARS: Final = 4096
"""Of an error text, as much is looked at: some servers echo the whole prompt."""

MAX_NAME_CHARS: Final = 200
MAX_LAG_US: Final = 2**31 - 1


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
    record.retry_after_s = retry_after_s(exchange.headers, clock.realtime_ns() / 1e9)
    if exchange.headers_ns is not None:
        record.clock = "kernel" if exchange.kernel else "user"
        record.bytes_received = exchange.received
        record.wake_lag_max_us = min(exchange.wake_lag_max_ns // 1000, MAX_LAG_US) if exchange.kernel else None


def answer_facts(record: Record, answer: Answer, flags: list[str], profile: Profile, model: str) -> None:
    """Tokens, their stamps, counts, and what is notable about the answer to a request for this model."""
    stamps = answer.stamps
    record.first_event_ns = answer.first_event
    record.first_answer_ns = answer.first_answer
    record.model_answered, record.response_id = _cut(answer.model), _cut(answer.id)
    record.finish_reason, record.server_time_s = _cut(answer.finish_reason), answer.server_time_s
    if stamps:
        record.first_token_ns, record.last_token_ns = stamps[0], stamps[-1]
        record.chunk_ns, record.chunk_kind, record.chunk_chars = stamps, answer.kinds, answer.chars
        record.chunks = len(stamps)
        record.shared_reads = sum(map(int.__eq__, stamps[1:], stamps))
        if record.chunks >= 8 and record.shared_reads > 0.8 * record.chunks:
            flags.append("buffered")
    if answer.chars:
        record.output_chars = sum(answer.chars)
    record.output_tokens, record.tokens_from = answer.output_tokens()
    record.input_tokens = answer.counted("prompt_tokens")
    record.reasoning_tokens = answer.counted("completion_tokens_details", "reasoning_tokens")
    record.cached_tokens = answer.counted("prompt_tokens_details", "cached_tokens")
    record.cost_usd = _cost(record, profile)
    if record.first_event_ns is not None:
        if not answer.done:
            flags.append("no_done")
        if not record.stream:
            flags.append("streamed_unasked")
    elif answer.chars and record.stream:
        flags.append("not_streamed")
    if answer.model is not None and answer.model != model:
        flags.append("model_differs")
    if answer.finish_reason == "content_filter":
        flags.append("content_filter")


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
    record.flags = flags or None
    if failure is None:
        record.outcome = "ok"
        return
    record.outcome = "error"
    record.error_kind = failure.kind
    record.error = redact(failure.text[:READ_CHARS], secrets)[:MAX_ERROR_CHARS]


def cancel(record: Record, flag: str) -> None:
    """It was ended by us, and why; what it had reached stays."""
    record.outcome = "cancelled"
    record.error_kind = record.error = None
    record.flags = [*(record.flags or ()), flag]


def _cut(text: str | None) -> str | None:
    """A name that somebody else chose, at a length that a column can bear."""
    return text if text is None else text[:MAX_NAME_CHARS]
