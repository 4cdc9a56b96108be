"""
The seam between offering load and judging it: every file of a run directory, every column, its type, unit and meaning.

One scheduled arrival is one row, whatever became of it. Workers write the raw columns (stamps, counts, outcomes) as
Arrow stream parts while the run is on; `derive` adds the columns that follow from them when the run is finished, off
the timed path. `analysis` knows this one module of `loadtests`.

Schema history: 1 first version; since then the nullable columns counted_tokens and tls_version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA_VERSION: Final = 1

# Files of a run directory.
MANIFEST: Final = "run.json"
REQUESTS: Final = "requests.parquet"
CLIENT: Final = "client.parquet"
SERVER: Final = "server.parquet"
VALIDITY: Final = "validity.json"
QUANTILES: Final = "quantiles.parquet"
REPORT: Final = "report.html"
CHARTS: Final = "charts"
PARTS: Final = "parts"
BODIES: Final = "bodies.jsonl"
SETTINGS: Final = "settings"
"""In the footer of requests.parquet: run.json as it was when that was written, without files, labels and stop."""

# Closed lists.
OUTCOMES: Final = ("ok", "error", "cancelled", "unsent", "lost")
ERROR_KINDS: Final = (
    "dns", "connect", "tls", "timeout_connect", "timeout_first_byte", "timeout_silence", "timeout_total", "reset",
    "protocol", "truncated", "no_finish", "empty", "bad_body", "stream_error", "auth", "credit", "bad_request",
    "throttled", "overloaded", "upstream", "other_status",
)  # fmt: skip
FLAGS: Final = (
    "no_done", "not_streamed", "buffered", "unterminated", "paused", "budget", "in_flight_cap", "turn_failed",
    "cold_session", "gave_up", "user_cancel", "run_end", "cut_at_cap", "model_differs", "streamed_unasked",
    "content_filter", "refusal", "not_sse", "compressed", "bad_utf8", "bare_message", "from_send",
)  # fmt: skip
CONTENT: Final = 1
REASONING: Final = 2
TOOL: Final = 4
REFUSAL: Final = 8

DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its Arrow type, its unit and what it means; stored in the file's column metadata."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str

    def field(self) -> pa.Field:
        """The Arrow field, unit and meaning as metadata."""
        return pa.field(self.name, self.type, metadata={"unit": self.unit, "meaning": self.meaning})


def _ns(name: str, meaning: str) -> Column:
    return Column(name, pa.int64(), "ns since the run's start, monotonic clock", meaning)


def _s(name: str, meaning: str) -> Column:
    return Column(name, pa.float64(), "s", meaning)


def _n(name: str, unit: str, meaning: str) -> Column:
    return Column(name, pa.int32(), unit, meaning)


def _word(name: str, meaning: str) -> Column:
    return Column(name, DICTIONARY, "", meaning)


def _text(name: str, meaning: str) -> Column:
    return Column(name, pa.string(), "", meaning)


REQUEST_COLUMNS: Final[tuple[Column, ...]] = (
    _word("run_id", "the run"),
    _word("arm", "side of a comparison"),
    _word("profile", "provider profile"),
    _word("model", "model asked for"),
    _word("workload", "what was asked"),
    Column("worker", pa.int16(), "", "worker process"),
    Column("block", pa.int16(), "", "block of interleaved arms; null without arms"),
    Column("seq", pa.int64(), "", "place in the schedule, unique in the arm; closed loop: k * users + user"),
    _word("phase", "measure, warmup (only under --warmup SECONDS) or drain (only under --hold)"),
    _n("user", "", "closed-loop user; null in open loop"),
    Column("conversation", pa.int64(), "", "conversation, by its place among the arrivals; null where there is none"),
    _n("turn", "", "turn of the conversation, from 0; null where there is none"),
    Column("stream", pa.bool_(), "", "a streamed answer was asked for"),
    _ns("scheduled_ns", "meant to go out; closed loop: ready to send"),
    _ns("started_ns", "picked up by the client"),
    _ns("sent_ns", "last request byte handed to the kernel"),
    _ns("headers_ns", "first response byte"),
    _ns("first_event_ns", "first data event of any kind"),
    _ns("first_token_ns", "first event with non-empty content, reasoning, tool call or refusal"),
    _ns("first_answer_ns", "first of these that is not reasoning"),
    _ns("last_token_ns", "last event with non-empty content, reasoning, tool call or refusal"),
    _ns("end_ns", "response over, or given up"),
    _s("dns_s", "name resolution; null where the connection was reused"),
    _s("connect_s", "TCP connect; null where the connection was reused"),
    _s("tls_s", "TLS handshake; null where the connection was reused or plain"),
    _word("tls_version", "TLSv1.3 and the like; null where the connection was plain, or was not opened"),
    Column("conn_reused", pa.bool_(), "", "sent on a connection that had served before; null where nothing was sent"),
    _word("http_version", "null where nothing was answered"),
    _s("ttft_s", "first token - scheduled; streamed answers only"),
    _s("ttft_from_send_s", "first token - sent; streamed answers only"),
    _s("latency_s", "last token (streaming) or end (not) - scheduled; null where nothing was answered"),
    _s("latency_from_send_s", "last token (streaming) or end (not) - sent"),
    _s("send_lag_s", "sent - scheduled"),
    _s("tpot_s", "(last - first token) / (output tokens - tokens in the first chunk); null with fewer than 2 chunks"),
    Column("output_tokens_per_s", pa.float64(), "1/s", "output tokens / latency_from_send_s"),
    _s("max_gap_s", "longest silence between tokens"),
    Column("prompt_hash", pa.int64(), "", "hash of the messages"),
    _n("output_cap", "tokens", "the cap sent, or kept by the client where the provider takes none; null without one"),
    _n("input_tokens", "tokens", "as the provider counts them"),
    _n("output_tokens", "tokens", "where the count is from: tokens_from"),
    _n("reasoning_tokens", "tokens", "part of output_tokens, where told"),
    _n("cached_tokens", "tokens", "part of input_tokens, where told"),
    _word("tokens_from", "source of output_tokens: usage, usage_alt, tokenizer or estimate"),
    _n("counted_tokens", "tokens", "the visible text as the configured tokenizer counts it; null without one"),
    _n("first_chunk_tokens", "tokens", "tokens in the first chunk: its share of the characters * output tokens"),
    _n("input_chars", "characters", "of all messages"),
    _n("output_chars", "characters", "content, reasoning, tool calls and refusal"),
    _n("chunks", "", "token-bearing events"),
    Column("chunk_gap_us", pa.list_(pa.int32()), "us", "gap before each token-bearing event, the first from sent_ns"),
    Column("chunk_kind", pa.list_(pa.uint8()), "bits", "1 content, 2 reasoning, 4 tool, 8 refusal"),
    Column("chunk_chars", pa.list_(pa.int32()), "characters", "of each token-bearing event"),
    _word("outcome", "ok, error, cancelled, unsent or lost"),
    _word("error_kind", "class of the failure; null where there was none"),
    _text("error", "what was said, redacted, at most 500 characters"),
    Column("status", pa.int16(), "", "HTTP status; null where nothing was answered"),
    _word("finish_reason", "as the provider said it"),
    Column("flags", pa.list_(pa.string()), "", "what else is notable"),
    _word("clock", "kernel (receive stamps) or user"),
    _n("shared_reads", "", "token events that shared a read with a later token event: their stamps are upper bounds"),
    _n("wake_lag_max_us", "us", "worst delay between a receive stamp and its reader"),
    Column("bytes_sent", pa.int64(), "bytes", "request head and body"),
    Column("bytes_received", pa.int64(), "bytes", "as read from the socket (TLS: decrypted)"),
    _text("model_answered", "the answer's own model"),
    _text("response_id", "the answer's own id"),
    _text("request_id", "from the response headers"),
    _s("server_time_s", "what the provider says it took"),
    _s("retry_after_s", "what the provider asks to wait"),
    Column("cost_usd", pa.float64(), "USD", "by the profile's prices; null without prices or counts"),
)

CLIENT_COLUMNS: Final[tuple[Column, ...]] = (
    Column("worker", pa.int16(), "", "worker process; -1: the parent"),
    _ns("t_ns", "end of the sampled second"),
    Column("cpu", pa.float32(), "share of one core", "CPU time of the process over the second"),
    Column("hub_lag_us", pa.int32(), "us", "worst overshoot of a timer of the event loop in the second"),
    Column("wake_lag_p50_us", pa.float32(), "us", "receive stamp to reader"),
    Column("wake_lag_p99_us", pa.float32(), "us", "receive stamp to reader"),
    Column("wake_lag_max_us", pa.float32(), "us", "receive stamp to reader"),
    Column("send_lag_p50_us", pa.float32(), "us", "sent - scheduled"),
    Column("send_lag_p99_us", pa.float32(), "us", "sent - scheduled"),
    Column("send_lag_max_us", pa.float32(), "us", "sent - scheduled"),
    Column("in_flight", pa.int32(), "requests", "issued and not over at the end of the second"),
    Column("issued", pa.int64(), "requests", "issued so far by this process"),
    Column("done", pa.int64(), "requests", "over so far in this process"),
    Column("events_per_s", pa.float32(), "1/s", "socket reads with response bytes"),
    Column("gc_pause_us", pa.int32(), "us", "time in garbage collection during the second"),
    Column("clock_offset_ns", pa.int64(), "ns", "CLOCK_REALTIME - CLOCK_MONOTONIC"),
    Column("clock_error_ns", pa.int32(), "ns", "half the width of that measurement"),
    Column("rss_bytes", pa.int64(), "bytes", "resident memory of the process"),
    Column("steal", pa.float32(), "share", "of the machine's CPU time, what a hypervisor gave to others"),
    Column("throttled", pa.float32(), "share of one core", "CPU time that a quota of the process' cgroup withheld"),
    Column("tcp_sent", pa.int32(), "segments", "sent by the machine in the second"),
    Column("tcp_again", pa.int32(), "segments", "sent once more by the machine"),
    Column("tcp_resets", pa.int32(), "connections", "of the machine that a reset broke"),
)

SERVER_COLUMNS: Final[tuple[Column, ...]] = (
    _ns("t_ns", "the endpoint was asked; before 0 once, to see whether it answers"),
    _word("source", "the endpoint's URL"),
    _word("name", "the series, as the endpoint calls it; up, scrape_duration_seconds, scrape_series_left_out: ours"),
    _word("labels", "its labels in order of their keys, as the text format writes them"),
    Column("value", pa.float64(), "as the series has it", "never NaN or infinite: such a sample is left out"),
)
"""Of runs with --server-metrics; series of a histogram's buckets are left out."""

DERIVED: Final = frozenset({
    "ttft_s", "ttft_from_send_s", "latency_s", "latency_from_send_s", "send_lag_s", "tpot_s", "output_tokens_per_s",
    "max_gap_s", "first_chunk_tokens", "chunk_gap_us",
})  # fmt: skip
"""Columns that follow from the others; parts do not carry them."""

ARM_WIDE: Final = frozenset({"run_id", "profile", "model"})
"""Columns that are the same for all rows of an arm and come from the manifest; parts do not carry them."""


def requests_schema() -> pa.Schema:
    """The schema of requests.parquet."""
    metadata = {"schema_version": str(SCHEMA_VERSION)}
    return pa.schema([column.field() for column in REQUEST_COLUMNS], metadata=metadata)


def client_schema() -> pa.Schema:
    """The schema of client.parquet and of the client's parts."""
    metadata = {"schema_version": str(SCHEMA_VERSION)}
    return pa.schema([column.field() for column in CLIENT_COLUMNS], metadata=metadata)


def server_schema() -> pa.Schema:
    """The schema of server.parquet."""
    metadata = {"schema_version": str(SCHEMA_VERSION)}
    return pa.schema([column.field() for column in SERVER_COLUMNS], metadata=metadata)


def part_schema() -> pa.Schema:
    """The schema of a worker's part: the raw columns, plain strings, and the stamps of the chunks."""
    raw = _plain(c for c in REQUEST_COLUMNS if c.name not in DERIVED and c.name not in ARM_WIDE)
    return pa.schema([*raw, pa.field("chunk_ns", pa.list_(pa.int64()))])


def server_part_schema() -> pa.Schema:
    """The schema of a part of an endpoint's series: plain strings."""
    return pa.schema(_plain(SERVER_COLUMNS))


def _plain(columns: Iterable[Column]) -> list[pa.Field]:
    """As parts have them: words are strings."""
    return [pa.field(c.name, pa.string() if c.type == DICTIONARY else c.type) for c in columns]


@dataclass(slots=True)
class Record:
    """One request as the client saw it: the raw columns. Stamps are ns since the run's start; absent is None."""

    arm: str
    workload: str
    worker: int
    seq: int
    phase: str
    stream: bool
    scheduled_ns: int
    outcome: str = "unsent"
    block: int | None = None
    user: int | None = None
    conversation: int | None = None
    turn: int | None = None
    started_ns: int | None = None
    sent_ns: int | None = None
    headers_ns: int | None = None
    first_event_ns: int | None = None
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int | None = None
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    tls_version: str | None = None
    conn_reused: bool | None = None
    http_version: str | None = None
    prompt_hash: int | None = None
    output_cap: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    tokens_from: str | None = None
    counted_tokens: int | None = None
    input_chars: int | None = None
    output_chars: int | None = None
    chunks: int | None = None
    chunk_ns: Any = None
    chunk_kind: Any = None
    chunk_chars: Any = None
    error_kind: str | None = None
    error: str | None = None
    status: int | None = None
    finish_reason: str | None = None
    flags: list[str] | None = None
    clock: str | None = None
    shared_reads: int | None = None
    wake_lag_max_us: int | None = None
    bytes_sent: int | None = None
    bytes_received: int | None = None
    model_answered: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    server_time_s: float | None = None
    retry_after_s: float | None = None
    cost_usd: float | None = None
