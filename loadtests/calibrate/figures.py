"""What a rung's run recorded, held against the provider's own log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests import manifest
from loadtests.calibrate.ladder import Seen
from loadtests.calibrate.play import gap_errors_us, joined
from loadtests.mock import log
from loadtests.record import CLIENT, REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.calibrate.ladder import Rung
    from loadtests.mock.log import Truth

    Array = NDArray[np.float64]

COLUMNS: Final = (
    "outcome", "scheduled_ns", "headers_ns", "first_token_ns", "last_token_ns", "end_ns", "send_lag_s", "chunks",
    "shared_reads", "request_id", "chunk_gap_us",
)  # fmt: skip
PS: Final = (0.5, 0.99, 1.0)


class FiguresError(RuntimeError):
    """A rung that left nothing to compare."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a rung's run that counts, in seconds from the run's start."""

    from_s: float
    until_s: float

    @property
    def length_s(self) -> float:
        """In seconds."""
        return self.until_s - self.from_s

    def holds(self, at_ns: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of these stamps are inside."""
        return np.asarray((at_ns >= self.from_s * 1e9) & (at_ns < self.until_s * 1e9), dtype=np.bool_)


def compare(rung: Rung, run: Path, truth: Path, span: Span, provider_cpu: float) -> Seen:
    """
    What was seen on a rung.

    Args:
        rung: What was done.
        run: Its run directory.
        truth: The provider's log.
        span: What counts of it.
        provider_cpu: The provider's share of a core in that time.

    Raises:
        FiguresError: Nothing was answered, or the client has no sample, in that time.
    """
    zero_ns = int(manifest.read(run)["started_unix_ns"])
    sent = log.read(truth)
    table = pq.read_table(run / REQUESTS, columns=list(COLUMNS))
    ok = pc.equal(table.column("outcome").cast(pa.string()), "ok")
    lost = table.num_rows - int(pc.sum(ok).as_py() or 0)
    rows = _Rows(table.filter(ok), sent, zero_ns, rung.kind == "stream")
    answered = sum(one.finish in {"stop", "length"} for one in sent.values())
    stamps, gaps = rows.stamp_errors_us(span), rows.gap_errors_us(span)
    if not len(stamps):
        raise FiguresError(f"{rung.users} users: nothing was answered; is the machine out of memory or descriptors?")
    client = _client(run / CLIENT, span)
    stamp = _quantiles(stamps)
    wake = (np.median(client["wake_lag_p50_us"]), max(client["wake_lag_p99_us"]), max(client["wake_lag_max_us"]))
    events_per_s, cpu = (float(np.average(client[name], weights=client["weight"])) for name in ("events_per_s", "cpu"))
    return Seen(
        tokens_per_s=rows.tokens(span) / span.length_s,
        events_per_s=events_per_s,
        requests_per_s=float(np.count_nonzero(span.holds(rows.end_ns))) / span.length_s,
        stamp=stamp,
        gap_p99=float(np.quantile(gaps, 0.99)) if len(gaps) else None,
        user=(stamp[0] + float(wake[0]), stamp[1] + float(wake[1]), stamp[2] + float(wake[2])),
        merged=rows.merged(span),
        lost=lost + max(0, answered - rows.n),
        send_lag_p99=rows.send_lag_p99_us(span),
        cpu=cpu,
        cpu_per_event_us=1e6 * cpu / max(events_per_s, 1e-9),
        wake_lag_p99=float(wake[1]),
        provider_late_p99=_late_p99_us(rung, sent, zero_ns, span),
        provider_cpu=provider_cpu,
    )


class _Rows:
    """The good rows beside what the provider says of the same requests, in nanoseconds from the run's start."""

    def __init__(self, table: pa.Table, sent: dict[int, Truth], zero_ns: int, streams: bool) -> None:
        numbers = [int(name.removeprefix("req-")) for name in table.column("request_id").to_pylist()]
        known = np.array([number in sent and len(sent[number].chunk_ns) > 0 for number in numbers], dtype=bool)
        table = table.filter(pa.array(known))
        self._table, self._streams = table, streams
        self._sent = [
            np.array(sent[n].chunk_ns) - zero_ns for n, is_known in zip(numbers, known, strict=True) if is_known
        ]
        self.n = table.num_rows
        self.end_ns = self._ints("end_ns")
        self._began = self._ints("scheduled_ns")

    def _ints(self, name: str) -> NDArray[np.int64]:
        return np.asarray(self._table.column(name).to_numpy(), dtype=np.int64)

    def stamp_errors_us(self, span: Span) -> Array:
        """Of first and last token, or of the whole answer."""
        if not self._streams:
            seen, true = self._ints("headers_ns"), np.array([moments[0] for moments in self._sent], dtype=np.int64)
        else:
            seen = np.concatenate([self._ints("first_token_ns"), self._ints("last_token_ns")])
            true = np.array([m[0] for m in self._sent] + [m[-1] for m in self._sent], dtype=np.int64)
        return np.asarray((seen - true)[span.holds(seen)] / 1000.0, dtype=np.float64)

    def gap_errors_us(self, span: Span) -> Array:
        """Sizes of the errors of the gaps between tokens."""
        if not self._streams or not self.n:
            return np.empty(0)
        found = []
        for gaps_us, moments in zip(self._gaps_us(), self._sent, strict=True):
            errors = gap_errors_us(gaps_us, moments)
            found.append(errors[span.holds(moments[1 : len(errors) + 1])])
        return np.concatenate(found)

    def _gaps_us(self) -> list[NDArray[np.int64]]:
        """Of each row the gaps between its tokens; the one before the first is left out."""
        lists = self._table.column("chunk_gap_us").combine_chunks()
        flat = np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.int64)
        ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))
        return [part[1:] for part in np.split(flat, ends[:-1])]

    def tokens(self, span: Span) -> int:
        """Token events, or whole answers, that came in that time."""
        if not self._streams:
            return int(np.count_nonzero(span.holds(self.end_ns)))
        first = self._ints("first_token_ns")
        return sum(
            int(np.count_nonzero(span.holds(at + 1000 * np.concatenate([[0], np.cumsum(gaps)]))))
            for at, gaps in zip(first, self._gaps_us(), strict=True)
        )

    def merged(self, span: Span) -> float:
        """Share of token events that shared a read with a later one."""
        inside = span.holds(self.end_ns)
        chunks, shared = (np.nan_to_num(self._table.column(name).to_numpy()) for name in ("chunks", "shared_reads"))
        return float(shared[inside].sum() / max(chunks[inside].sum(), 1)) if self._streams else 0.0

    def send_lag_p99_us(self, span: Span) -> float:
        """Of the requests that were ready to go out in that time."""
        lag = np.asarray(self._table.column("send_lag_s").to_numpy(), dtype=np.float64)[span.holds(self._began)]
        return 1e6 * float(np.quantile(lag, 0.99)) if len(lag) else 0.0


def _client(path: Path, span: Span) -> dict[str, Array]:
    """The client's samples that lie in the span for the most part, and as `weight` their share of it."""
    table = pq.read_table(path)
    end_s = np.asarray(table.column("t_ns").to_numpy(), dtype=np.float64) / 1e9
    weight = np.minimum(end_s, span.until_s) - np.maximum(end_s - 1.0, span.from_s)
    inside = weight >= min(0.5, float(weight.max(initial=0.01)))
    if not inside.any():
        raise FiguresError("the client was not sampled in time: its process hung")
    names = ("cpu", "events_per_s", "wake_lag_p50_us", "wake_lag_p99_us", "wake_lag_max_us")
    samples = {name: np.nan_to_num(table.column(name).cast(pa.float64()).to_numpy()[inside]) for name in names}
    return samples | {"weight": weight[inside]}


def _late_p99_us(rung: Rung, sent: dict[int, Truth], zero_ns: int, span: Span) -> float:
    """How late the provider wrote, measured from its own reading of the request."""
    late = []
    for one in sent.values():
        at = np.array(one.chunk_ns)
        if len(at) <= rung.play.tokens:
            late.append(rung.play.late_ns(one.read_ns, at)[span.holds(at - zero_ns)])
    whole = joined(late)
    return float(np.quantile(whole, 0.99)) / 1000.0 if len(whole) else 0.0


def _quantiles(values: Array) -> tuple[float, float, float]:
    p50, p99, top = np.quantile(values, PS)
    return float(p50), float(p99), float(top)
