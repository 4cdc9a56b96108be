"""
Run directories too large to be measured in a benchmark's time, made by the hundred thousand rows.

Seeded: lognormal waits and gaps, a stall in a thousand, failures, a mix of streams and whole answers. Every column has
values, so that reading is as dear as it is for a real run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import synthetic

from analysis.rundir import CHUNK_LISTS
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Whole = NDArray[np.int64]

ROWS: Final = 100_000
"""Rows of a row group, as finished runs have them."""
LENGTH_S: Final = 1200.0
WORKERS: Final = 8
STREAMED: Final = 0.8
FAILED: Final = 0.002
STALLED: Final = 0.001


@dataclass(frozen=True, slots=True)
class Large:
    """
    What to make.

    Attributes:
        chunks: Token events of each streamed answer; 0: answers of 50 tokens, and a file without chunk lists.
        slower: A factor on all waits, for a second run that differs.
    """

    requests: int
    chunks: int = 0
    seed: int = 1
    slower: float = 1.0


def write(folder: Path, large: Large) -> Path:
    """Write a run directory."""
    folder.mkdir(parents=True)
    rate = large.requests / LENGTH_S
    recipe = synthetic.Recipe(n=large.requests, rate=rate, seed=large.seed)
    manifest = synthetic.manifest_of(recipe, large.requests)
    (folder / record.MANIFEST).write_text(json.dumps(manifest))
    pq.write_table(synthetic.client(int(LENGTH_S)), folder / record.CLIENT)
    rng = np.random.default_rng(large.seed)
    fields = [f for f in record.requests_schema() if large.chunks or f.name not in CHUNK_LISTS]
    schema = pa.schema(fields, metadata=record.requests_schema().metadata)
    with pq.ParquetWriter(folder / record.REQUESTS, schema, compression="zstd", **_encodings(schema)) as file:
        at = 0.0
        for first in range(0, large.requests, ROWS):
            n = min(ROWS, large.requests - first)
            scheduled = at + np.cumsum(rng.exponential(1 / rate, n))
            at = float(scheduled[-1])
            columns = _columns(large, rng, first + np.arange(n), scheduled)
            arrays = [_array(columns.get(field.name), field.type, n) for field in schema]
            file.write_table(pa.table(arrays, schema=schema))
    return folder


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    lists = {f"{name}.list.element": "DELTA_BINARY_PACKED" for name in ("chunk_gap_us", "chunk_chars")}
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return {"use_dictionary": words, "column_encoding": lists if CHUNK_LISTS[0] in schema.names else None}


def _array(values: Any, kind: pa.DataType, n: int) -> pa.Array:
    """Values as a column: an array with NaN for null, one word for all, or none at all."""
    if values is None:
        return pa.nulls(n, kind)
    if isinstance(values, str):
        return pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [values]).cast(kind)
    if isinstance(values, pa.Array):
        return values.cast(kind)
    missing = np.isnan(values) if values.dtype.kind == "f" else None
    if missing is not None and pa.types.is_integer(kind):
        values = np.nan_to_num(values).astype(np.int64)
    return pa.array(values, mask=missing).cast(kind)


def _columns(large: Large, rng: np.random.Generator, seq: Whole, scheduled_s: Array) -> dict[str, Any]:
    """By name, what is not null."""
    n = seq.size
    stream, failed = rng.random(n) < STREAMED, rng.random(n) < FAILED
    events = large.chunks or 50
    sent = np.rint(1e9 * (scheduled_s + rng.exponential(60e-6, n)))
    waits = np.rint(1e9 * large.slower * 0.2 * rng.lognormal(0, 0.4, n))
    gaps = _gaps(large, rng, n, events)
    took = gaps.sum(axis=1) * 1000 if large.chunks else np.rint(1e9 * large.slower * rng.lognormal(0, 0.2, n))
    chars = rng.integers(1, 9, (n, events) if large.chunks else (n, 1))
    tokens = events + rng.integers(0, events, n)
    scheduled, first, end = np.rint(1e9 * scheduled_s), sent + waits, sent + waits + took
    first_chunk = np.maximum(1, np.rint(tokens * chars[:, 0] / chars.sum(axis=1))) if large.chunks else np.ones(n)

    def streamed(values: Any) -> Array:
        return np.where(stream, values, np.nan)

    columns: dict[str, Any] = {
        "run_id": synthetic.WIDE["run_id"], "profile": "mock", "model": "tiny-1", "arm": "", "workload": "chat",
        "worker": seq % WORKERS, "seq": seq, "phase": "measure", "stream": stream, "scheduled_ns": scheduled,
        "started_ns": sent - 20_000, "sent_ns": sent, "headers_ns": np.where(stream, first - 1e6, end),
        "first_event_ns": streamed(first), "first_token_ns": streamed(first), "first_answer_ns": streamed(first),
        "last_token_ns": streamed(end), "end_ns": end + 1e6, "conn_reused": seq >= n // 100, "http_version": "1.1",
        "ttft_s": streamed(first - scheduled) / 1e9, "ttft_from_send_s": streamed(first - sent) / 1e9,
        "latency_s": (end - scheduled) / 1e9, "latency_from_send_s": (end - sent) / 1e9,
        "send_lag_s": (sent - scheduled) / 1e9, "tpot_s": streamed(took / (tokens - first_chunk)) / 1e9,
        "output_tokens_per_s": tokens / ((end - sent) / 1e9), "max_gap_s": streamed(gaps.max(axis=1) / 1e6),
        "prompt_hash": rng.integers(-(2**62), 2**62, n), "output_cap": np.full(n, 4 * events),
        "input_tokens": rng.lognormal(5, 0.8, n).astype(np.int64) + 5, "output_tokens": tokens, "tokens_from": "usage",
        "first_chunk_tokens": streamed(first_chunk), "input_chars": np.full(n, 600), "output_chars": 4 * tokens,
        "chunks": streamed(events), "outcome": _words(failed, "ok", "error"),
        "error_kind": _words(failed, None, "timeout_total"), "error": _words(failed, None, "no end within 120 s"),
        "status": np.full(n, 200), "finish_reason": "stop", "flags": _flags(rng.random(n) < 0.01), "clock": "kernel",
        "shared_reads": streamed(0), "wake_lag_max_us": rng.integers(10, 90, n), "bytes_sent": np.full(n, 700),
        "bytes_received": 9000 + seq % 1000, "model_answered": _words(failed, "tiny-1", None),
        "response_id": _named("chatcmpl-", seq), "request_id": _named("req-", seq),
    }  # fmt: skip
    return columns | (_lists(stream, waits, gaps, chars) if large.chunks else {})


def _gaps(large: Large, rng: np.random.Generator, n: int, events: int) -> Array:
    """Whole microseconds before each event but the first, of a stall now and then; of a file without lists, one."""
    if not large.chunks:
        return np.rint(1e6 * large.slower * 0.05 * rng.lognormal(0, 0.3, (n, 1)))
    gaps = 0.02 * large.slower * rng.lognormal(0, 0.3, (n, events - 1))
    gaps[rng.random(gaps.shape) < STALLED / events] += 1.5
    return np.rint(1e6 * gaps)


def _lists(stream: NDArray[np.bool_], waits: Array, gaps: Array, chars: Whole) -> dict[str, Any]:
    """The chunk lists, null where nothing was streamed."""
    first = np.rint(waits / 1000)[:, None]
    each = {"chunk_gap_us": np.hstack([first, gaps]), "chunk_kind": np.ones_like(chars), "chunk_chars": chars}
    types = {column.name: column.type for column in record.REQUEST_COLUMNS}
    offsets = np.concatenate([[0], np.cumsum(np.where(stream, chars.shape[1], 0))]).astype(np.int32)
    return {
        name: pa.ListArray.from_arrays(
            offsets, pa.array(values[stream].reshape(-1).astype(np.int32)).cast(types[name].value_type),
            mask=pa.array(~stream),
        )
        for name, values in each.items()
    }  # fmt: skip


def _words(which: NDArray[np.bool_], usual: str | None, other: str | None) -> pa.Array:
    return pc.if_else(pa.array(which), pa.scalar(other, pa.string()), pa.scalar(usual, pa.string()))


def _flags(which: NDArray[np.bool_]) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(which)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(["cut_at_cap"] * int(which.sum()), pa.string()))


def _named(prefix: str, seq: Whole) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(seq).cast(pa.string()), "")
