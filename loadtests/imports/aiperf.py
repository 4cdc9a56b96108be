"""
What AIPerf writes of each request: profile_export.jsonl, and what profile_export_aiperf.json beside it says of the run.

A line has `metadata` (stamps in ns of the wall clock), `metrics` by name as `{value, unit}`, and `error` where it
failed. credit_issued_ns is the moment at which its pacer let the request go, the nearest it has to a schedule.

Source: ai-dynamo/aiperf 0.13.0, common/models/record_models.py (MetricRecordInfo), metrics/types/*.py and
transports/aiohttp_client.py (errors).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.imports import aiperf_about, failing
from loadtests.imports.told import (
    EPOCH_NS,
    FROM_SEND,
    LONG_NS,
    ImportsError,
    Told,
    count,
    items,
    nanoseconds,
    number,
    table,
    text,
)
from loadtests.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Line = Mapping[str, Any]

TOOL: Final = "AIPerf"
NS: Final = {"ns": 1.0, "us": 1e3, "ms": 1e6, "sec": 1e9, "s": 1e9}
BYTES: Final = {"B": 1, "bytes": 1, "KB": 1024, "MB": 1024**2}
COUNTED: Final = "input and output tokens are as AIPerf's tokenizer counts them: the file has no usage of the server"
NO_LOAD: Final = "the load is not told: profile_export_aiperf.json does not lie beside the file"
MOST_WORKERS: Final = (1 << 15) - 1
CONNECT: Final = "connect_s holds the TLS handshake too"


def is_one(value: Any) -> bool:
    """Whether it is a line of profile_export.jsonl."""
    metadata = table(value).get("metadata")
    return isinstance(metadata, dict) and "request_start_ns" in metadata and isinstance(value.get("metrics"), dict)


def is_aggregate(value: Mapping[str, Any]) -> bool:
    """Whether it is profile_export_aiperf.json, or what GenAI-Perf called so."""
    metric = table(value.get("request_latency")) or table(value.get("request_throughput"))
    return "unit" in metric and "avg" in metric


def read(lines: Iterable[bytes], about: Mapping[str, Any], file: str) -> Told:
    """
    The run of one file.

    Args:
        lines: Of profile_export.jsonl.
        about: profile_export_aiperf.json; empty where there is none.
        file: What it is called in messages.

    Raises:
        ImportsError: No line of it is a request.
    """
    found, broken = _parsed(lines)
    found, broken = _together(found, broken)
    if not found:
        raise ImportsError(f"{file}: no request of AIPerf in it; name the profile_export.jsonl of a run")
    released = all(_is_released(one) for one in found)
    stamp = "credit_issued_ns" if released else "request_start_ns"
    found.sort(key=lambda one: int(one["metadata"][stamp]))
    zero, config = int(found[0]["metadata"][stamp]), table(about.get("input_config"))
    numbers, streams = _Numbers(found), _streams(config, found)
    records = [_record(one, int(one["metadata"][stamp]) - zero, zero, streams=streams) for one in found]
    for seq, (told, one) in enumerate(zip(records, found, strict=True)):
        told.seq, told.flags = seq, None if released else [FROM_SEND]
        numbers.place(told, one["metadata"])
    return Told(
        tool=TOOL, version=text(about.get("aiperf_version")), records=records, moments=True,
        since="release" if released else "send", plan=aiperf_about.plan(config, len(numbers.workers), streams=streams),
        profile=aiperf_about.profile(config), model=aiperf_about.model(config), seed=aiperf_about.seed(about),
        started_unix_ns=zero, stopped=aiperf_about.stopped(about), broken=broken, about=aiperf_about.kept(about),
        notes=tuple(_notes(records, config)),
    )  # fmt: skip


def _streams(config: Line, found: list[Line]) -> bool:
    """Whether streamed answers were asked for: as it was configured, else as there are such."""
    streaming = table(config.get("endpoint")).get("streaming")
    if isinstance(streaming, bool):
        return streaming
    return any("time_to_first_token" in one["metrics"] for one in found)


def _notes(records: list[Record], config: Line) -> list[str]:
    """What is not told, or counted otherwise than by us."""
    notes = [] if config else [NO_LOAD]
    if not any(one.tokens_from == "usage" for one in records):
        notes.append(COUNTED)
    if aiperf_about.profile(config)["base_url"].startswith("https") and any(one.connect_s for one in records):
        notes.append(CONNECT)
    return notes


def _parsed(lines: Iterable[bytes]) -> tuple[list[Line], int]:
    """Its requests, and how many lines are none."""
    found, broken = [], 0
    for line in lines:
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        if is_one(value) and count(value["metadata"]["request_start_ns"], EPOCH_NS):
            found.append(value)
        else:
            broken += 1
    return found, broken


def _together(found: list[Line], broken: int) -> tuple[list[Line], int]:
    """Without those that began days before or after the others, which no run does."""
    starts = sorted(one["metadata"]["request_start_ns"] for one in found)
    middle = starts[len(starts) // 2] if starts else 0
    kept = [one for one in found if abs(one["metadata"]["request_start_ns"] - middle) <= LONG_NS]
    return kept, broken + len(found) - len(kept)


def _is_released(one: Line) -> bool:
    """Whether it tells when the pacer let it go, on the clock that the start is on."""
    issued = count(one["metadata"].get("credit_issued_ns"), EPOCH_NS)
    return issued is not None and 0 <= one["metadata"]["request_start_ns"] - issued <= LONG_NS


# One request.


def _record(one: Line, scheduled_ns: int, zero: int, *, streams: bool) -> Record:
    metadata, metrics = one["metadata"], one["metrics"]
    sent = int(metadata["request_start_ns"]) - zero
    ack, end = (_since(metadata.get(name), zero) for name in ("request_ack_ns", "request_end_ns"))
    usage, counted = (_tokens(metrics, name) for name in ("usage_completion_tokens", "output_sequence_length"))
    source = None if counted is None else "tokenizer"
    told = Record(
        arm="default", workload="", worker=0, seq=0, stream=streams, clock="user", scheduled_ns=scheduled_ns,
        phase="warmup" if metadata.get("benchmark_phase") == "warmup" else "measure", started_ns=sent, sent_ns=sent,
        headers_ns=ack, end_ns=end, input_tokens=_first(metrics, "usage_prompt_tokens", "input_sequence_length"),
        output_tokens=counted if usage is None else usage, tokens_from=source if usage is None else "usage",
        counted_tokens=counted, cached_tokens=_tokens(metrics, "usage_prompt_cache_read_tokens"),
        reasoning_tokens=_first(metrics, "usage_reasoning_tokens", "reasoning_token_count"),
        request_id=text(metadata.get("x_request_id")) or None,
    )  # fmt: skip
    _streamed(told, metrics, sent)
    _connected(told, metrics)
    _ended(told, one)
    return told


def _streamed(told: Record, metrics: Line, sent: int) -> None:
    """The stamps of the chunks with content, as far as they are told."""
    first, last = _ns(metrics, "time_to_first_token"), _ns(metrics, "request_latency")
    if not told.stream or first is None:
        return
    answer = _ns(metrics, "time_to_first_output_token")
    told.first_token_ns, told.first_answer_ns = sent + first, None if answer is None else sent + answer
    told.last_token_ns = None if last is None else max(sent + last, told.first_token_ns)
    gaps = _gaps_ns(table(metrics.get("inter_chunk_latency")))
    if gaps is not None:
        told.chunk_ns = [told.first_token_ns + at for at in accumulate(gaps, initial=0)]
        told.chunks, told.last_token_ns = len(told.chunk_ns), told.chunk_ns[-1]


def _gaps_ns(metric: Line) -> list[int] | None:
    """The gaps between chunks; None where they are not told whole."""
    unit = NS.get(text(metric.get("unit")), 0.0)
    gaps = [nanoseconds(gap, unit) for gap in items(metric.get("value"))]
    known = [gap for gap in gaps if gap is not None]
    return known if unit and len(known) == len(gaps) and sum(known) <= LONG_NS else None


def _connected(told: Record, metrics: Line) -> None:
    """How it went out: on which connection, how many bytes."""
    reused = number(table(metrics.get("http_req_connection_reused")).get("value"))
    told.conn_reused = None if reused is None else reused > 0
    if told.conn_reused is False:
        dns, connect = (_ns(metrics, f"http_req_{name}") for name in ("dns_lookup", "connecting"))
        told.dns_s, told.connect_s = dns / 1e9 if dns else None, connect / 1e9 if connect else None
    told.bytes_sent, told.bytes_received = (_bytes(metrics, f"http_req_data_{name}") for name in ("sent", "received"))


def _ended(told: Record, one: Line) -> None:
    """What became of it. Its client cancels on request, and what is left over at the end."""
    error = table(one.get("error"))
    if one["metadata"].get("was_cancelled") is True:
        told.outcome, told.error = "cancelled", failing.shown(text(error.get("message")))
    elif error:
        code, name, said = error.get("code"), text(error.get("type")), text(error.get("message"))
        is_status = isinstance(code, int) and 400 <= code <= 599
        told.status = code if is_status else None
        told.outcome, told.error_kind = "error", failing.kind_of(told.status, name, said)
        told.error = failing.shown(f"{name}: {said}" if name and not is_status else said)
        if told.end_ns == told.sent_ns:
            told.end_ns = None  # it keeps no end of what was refused, and writes the start in its place
    else:
        told.outcome = "ok"


class _Numbers:
    """Workers and conversations, which AIPerf names by long words, as numbers in order of appearance."""

    def __init__(self, found: list[Line]) -> None:
        metadata = [one["metadata"] for one in found]
        self.workers = {
            name: min(n, MOST_WORKERS)
            for n, name in enumerate(dict.fromkeys(text(one.get("worker_id")) for one in metadata))
        }
        several = any((count(one.get("turn_index")) or 0) > 0 for one in metadata)
        names = dict.fromkeys(text(one.get("x_correlation_id")) for one in metadata) if several else {}
        self.conversations = {name: n for n, name in enumerate(names)}

    def place(self, told: Record, metadata: Line) -> None:
        """Say whose it is, and its conversation where there are such of several turns."""
        told.worker = self.workers[text(metadata.get("worker_id"))]
        if self.conversations:
            told.conversation = self.conversations[text(metadata.get("x_correlation_id"))]
            told.turn = count(metadata.get("turn_index"))


# Values.


def _since(stamp: Any, zero: int) -> int | None:
    found = count(stamp, EPOCH_NS)
    return found - zero if found and abs(found - zero) <= LONG_NS else None


def _ns(metrics: Line, name: str) -> int | None:
    """A duration; None where it is not told, or in a unit that nobody knows."""
    metric = table(metrics.get(name))
    unit = NS.get(text(metric.get("unit")))
    return None if unit is None else nanoseconds(metric.get("value"), unit)


def _bytes(metrics: Line, name: str) -> int | None:
    metric = table(metrics.get(name))
    value, unit = number(metric.get("value")), BYTES.get(text(metric.get("unit")))
    return None if value is None or unit is None or value * unit > LONG_NS else round(value * unit)


def _tokens(metrics: Line, name: str) -> int | None:
    return count(table(metrics.get(name)).get("value"))


def _first(metrics: Line, *names: str) -> int | None:
    """The first of these counts that is told."""
    return next((found for name in names if (found := _tokens(metrics, name)) is not None), None)
