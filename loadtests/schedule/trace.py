"""
Replay of a trace: the arrivals that somebody's service really had, in the layouts in which such traces are published.

A file is read in batches to arrays, put in order of time, then cut and sped up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtests.schedule import cells
from loadtests.schedule.arrivals import Schedule, Sizes, frozen
from loadtests.schedule.bounds import MAX_ARRIVALS, MAX_S, NS, ScheduleError, check_bounds
from loadtests.schedule.layouts import MEANT, Layout, layout_of
from loadtests.schedule.rows import opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.schedule.arrivals import Offsets
    from loadtests.schedule.rows import Batch, Source


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """
    What was kept of a trace, times relative to its first kept row and sped up.

    Attributes:
        label: The file.
        layout: Name of its layout.
        rows: All rows of the file.
        left_out: Failed requests among the planned part's rows, kept out.
        offsets_ns: Shape (n,), ascending: the planned part and what follows it.
        sizes: Of all n.
        planned, length_s: As in a Schedule.
    """

    label: str
    layout: str
    rows: int
    left_out: int
    offsets_ns: Offsets
    sizes: Sizes
    planned: int
    length_s: float

    def __len__(self) -> int:
        return self.planned

    def schedule(self, duration_s: float | None = None, requests: int | None = None, hold_s: float = 0.0) -> Schedule:
        """
        The trace as a schedule, cut further where asked.

        Args:
            duration_s: Seconds that are planned; None: as the trace was read.
            requests: At most so many are planned; None: as the trace was read.
            hold_s: A tail of the rows that follow; behind the last one the first ones again, a mean gap later.

        Raises:
            ScheduleError: A tail for a trace without a length, or of too many arrivals.
        """
        planned, end_s = _planned(self.offsets_ns, duration_s, requests)
        if planned >= self.planned:
            planned, end_s = self.planned, self.length_s
        places, offsets = self._until(end_s + hold_s) if hold_s else (np.arange(planned), self.offsets_ns[:planned])
        if len(offsets) < planned:
            places, offsets = np.arange(planned), self.offsets_ns[:planned]
        return Schedule(frozen(offsets), planned, end_s, self.sizes.take(places))

    def _until(self, end_s: float) -> tuple[Offsets, Offsets]:
        """The rows before this moment, round after round, and their offsets."""
        n, last = len(self.offsets_ns), int(self.offsets_ns[-1])
        if not last:
            raise ScheduleError(f"{self.label}: all rows are of one moment, which gives no rate to hold on to")
        period, end = last + last // (n - 1), round(end_s * NS)
        rounds = -(-end // period)
        if n * rounds > MAX_ARRIVALS:
            raise ScheduleError(f"{self.label}: a tail until {end_s:g} s is more than {MAX_ARRIVALS} arrivals")
        whole = (np.arange(rounds)[:, None] * period + self.offsets_ns).ravel()
        count = int(np.searchsorted(whole, end))
        return np.arange(count) % n, whole[:count]


def read_trace(
    path: str | Path,
    *,
    speed: float = 1.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
    requests: int | None = None,
) -> Trace:
    """
    A trace file of a known layout, told by its columns; rows are put in order of time, equal times as they stand.

    The same file, unchanged, is read once.

    Args:
        path: CSV, a JSON object per line, or parquet.
        speed: How much faster than it was.
        start_s: The trace's own seconds to skip from its first row.
        duration_s: Seconds of the run, at this speed, that are planned; None: to the end.
        requests: At most so many are planned; None: all.

    Raises:
        ScheduleError: The file cannot be read, is of no known layout, or a cell is wrong: one line with the file, the
            line and the column.
    """
    if not 0 < speed < math.inf:
        raise ScheduleError(f"--trace-speed {speed} isn't a finite number above 0")
    if not 0 <= start_s <= MAX_S:
        raise ScheduleError(f"--trace-start {start_s} isn't a number of seconds in [0, {MAX_S:g}]")
    check_bounds(duration_s, requests)
    label = str(path)
    try:
        stat = Path(label).stat()
    except OSError as error:
        raise ScheduleError(f"{label}: cannot be read ({error.strerror})") from None
    return _read(label, (stat.st_ino, stat.st_size, stat.st_mtime_ns)).cut(speed, start_s, duration_s, requests)


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A whole file in order of time; `failed` marks the rows that are kept out."""

    label: str
    layout: Layout
    at_ns: Offsets
    sizes: Sizes
    failed: NDArray[np.bool_]

    def cut(self, speed: float, start_s: float, duration_s: float | None, requests: int | None) -> Trace:
        began = int(np.searchsorted(self.at_ns, int(self.at_ns[0]) + round(start_s * NS)))
        kept = began + np.flatnonzero(~self.failed[began:])
        if not len(kept):
            lasts = (self.at_ns[-1] - self.at_ns[0]) / NS
            raise ScheduleError(f"{self.label}: holds no request at or after {start_s:g} s; it lasts {lasts:g} s")
        past = self.at_ns[kept] - self.at_ns[kept[0]]
        if past[-1] / speed > MAX_S * NS:
            lasts = past[-1] / speed / NS
            raise ScheduleError(f"{self.label}: lasts {lasts:.3g} s at --trace-speed {speed:g}, at most {MAX_S:g} s")
        offsets = past if speed == 1 else np.rint(past / speed).astype(np.int64)
        planned, length_s = _planned(offsets, duration_s, requests)
        until = kept[planned] if planned < len(kept) else len(self.at_ns)
        left_out = int(np.count_nonzero(self.failed[began:until]))
        name, sizes = self.layout.name, self.sizes.take(kept)
        return Trace(self.label, name, len(self.at_ns), left_out, frozen(offsets), sizes, planned, length_s)


def _planned(offsets: Offsets, duration_s: float | None, requests: int | None) -> tuple[int, float]:
    """How many arrivals are planned, and for how long: the duration where it is what cuts, else to the last arrival."""
    whole = len(offsets) if duration_s is None else int(np.searchsorted(offsets, round(duration_s * NS)))
    n = min(max(whole, 1), requests or MAX_ARRIVALS)
    if duration_s is not None and n == whole < len(offsets):
        return n, duration_s
    return n, float(offsets[n - 1] / NS)


# The file.


@lru_cache(maxsize=2)
def _read(label: str, _state: tuple[int, ...]) -> _Whole:
    source = opened(label)
    layout = layout_of(label, source.columns)
    wanted = layout.columns(source.columns)
    parts = [_part(source, layout, batch) for batch in source.batches(wanted)]
    if not parts:
        raise ScheduleError(f"{label}: holds no row")
    at_ns, given, made, ids, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    has_blocks = layout.blocks in wanted
    starts = np.concatenate([[0], np.cumsum(lengths)])
    sizes = Sizes(given, made, ids if has_blocks else None, starts if has_blocks else None)
    failed = made == 0 if layout.zero_failed else np.zeros(len(at_ns), dtype=bool)
    if np.all(at_ns[1:] >= at_ns[:-1]):
        return _Whole(label, layout, at_ns, sizes, failed)
    order = np.argsort(at_ns, kind="stable")
    return _Whole(label, layout, at_ns[order], sizes.take(order), failed[order])


def _part(source: Source, layout: Layout, batch: Batch) -> tuple[NDArray[Any], ...]:
    """
    A batch as arrays: moments, input tokens, output tokens, flat block ids, how many each row has.

    Raises:
        ScheduleError: A cell is wrong: the first row's, and of that row's the first.
    """
    columns, bad = batch.columns, {}
    at_ns, bad[layout.time] = cells.moments(columns[layout.time], layout.unit_ns)
    tokens = [np.full(len(at_ns), -1, dtype=np.int32)] * 2
    for i, name in enumerate((layout.input_tokens, layout.output_tokens)):
        if name in columns:
            tokens[i], bad[name] = cells.tokens(columns[name])
    ids, lengths = np.zeros(0, dtype=np.int64), np.zeros(len(at_ns), dtype=np.int64)
    if layout.blocks in columns:
        ids, lengths, bad[layout.blocks] = cells.blocks(columns[layout.blocks])
    rows = {name: int(np.argmax(marks)) for name, marks in bad.items() if marks.any()}
    if rows:
        name = min(rows, key=rows.__getitem__)
        what = {layout.time: MEANT[layout.unit_ns], layout.blocks: "a list of block ids, whole numbers of 0 or more"}
        meant = what.get(name, f"a whole number of tokens in [0, {cells.MAX_TOKENS}]")
        found = cells.told(columns[name], rows[name])
        raise source.error(batch.line_of(rows[name]), f"column {name}: {found} isn't {meant}")
    return at_ns, *tokens, ids, lengths
