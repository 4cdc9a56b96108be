"""
What the chunk lists say: gaps and tokens of a whole run, stalls and smoothness of each answer, tokens over time.

One pass over the file, a piece at a time, with no loop over requests. A chunk's tokens are its share of the answer's
characters x its output tokens, the rule of `first_chunk_tokens`: chunk and token are not the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import lists
from analysis.distribution import Distribution, Tally, rounded
from analysis.runs import numbers, seconds, truths, where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.lists import Piece
    from analysis.runs import Run
    from analysis.window import Window

    Array = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Chunks", "Distribution", "read"]

STALL_US: Final = 500_000
STALL_MEDIANS: Final = 5
"""A stall is a gap above half a second and above this many medians of the answer's own gaps."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """
    A run seen from inside its streams.

    Attributes:
        gaps: Between token events of the window's streams that were answered in full; the first event has none, that
            is TTFT. Each gap weighs 1.
        itl: The same gaps over the tokens they brought, weighted by these tokens (ITL, time between tokens).
        columns: Of each of `run.requests`, NaN where it is no stream of the window or has too few events: `stalls`
            (gaps above 500 ms and above 5 medians of the answer's gaps), `stall_s` (their sum), `itl_p99_s` (within the
            answer, by tokens) and, where deadlines were given, `fluidity`.
        tokens: Output tokens received per bin of the edges, of all requests that were on, answered in full or not.
    """

    gaps: Distribution
    itl: Distribution
    columns: dict[str, Array]
    tokens: Array


def read(run: Run, window: Window, edges: Array, deadlines: tuple[float, float] | None = None) -> Chunks | None:
    """
    Read the chunk lists of a run.

    Args:
        run: Of one arm; its file must still be there.
        window: Which streams are judged.
        edges: Of equal bins, seconds on the axis of the run's stamps, shape (b + 1,).
        deadlines: For the fluidity index, seconds: of the first token, from the schedule, and of each further one.

    Returns:
        None where the file has no chunk lists.

    Raises:
        RunError: The file is not what it was when the run was loaded.
    """
    if not lists.are_there(run):
        return None
    seen = _Reading(run, window, edges, deadlines)
    for piece in lists.pieces(run, seen.wanted, (lists.GAPS, lists.CHARS)):
        seen.take(piece)
    return seen.chunks()


class _Reading:
    """The pass over the file: what is known of each row beforehand, and what was counted so far."""

    def __init__(self, run: Run, window: Window, edges: Array, deadlines: tuple[float, float] | None) -> None:
        frame = run.requests
        self._edges, self._deadlines = edges, deadlines
        sent, end = seconds(frame, "sent_ns"), seconds(frame, "end_ns")
        has_events = numbers(frame, "chunks") > 0
        on = (sent < window.end_s) & ~(end < window.start_s)
        self._judged = window.holds(frame) & truths(frame, "stream") & has_events
        self._pooled = self._judged & where(frame, "outcome", "ok")
        self.wanted = has_events & (on | self._judged)
        self._sent, self._lag = sent, sent - seconds(frame, "scheduled_ns")
        self._output = numbers(frame, "output_tokens")
        self._gaps, self._itl = Tally(), Tally()
        names = ("stalls", "stall_s", "itl_p99_s") + (("fluidity",) if deadlines else ())
        self._columns = {name: np.full(len(frame), np.nan) for name in names}
        self._tokens = np.zeros(max(edges.size - 1, 0))
        at_once = ~has_events & (self._output > 0)
        self._received(end[at_once], self._output[at_once])

    def take(self, piece: Piece) -> None:
        """Count a piece in."""
        owner, starts = piece.owner, piece.starts
        gap_us, chars = piece.lists[lists.GAPS], piece.lists[lists.CHARS]
        total = np.add.reduceat(chars, starts)
        output = self._output[piece.place]
        tokens = chars * np.divide(output, total, out=np.full(total.size, np.nan), where=total > 0)[owner]
        known = tokens > 0
        at = self._sent[piece.place][owner] + piece.since_sent_us(owner, starts) / 1e6
        self._received(at[known], tokens[known])
        inner = np.ones(gap_us.size, dtype=bool)
        inner[starts] = False
        pooled = inner & self._pooled[piece.place][owner]
        self._gaps.add(gap_us[pooled])
        pooled &= known
        self._itl.add(*rounded(gap_us[pooled] / tokens[pooled], tokens[pooled]))
        self._judge(piece, owner, inner, tokens)

    def _judge(self, piece: Piece, owner: Whole, inner: Mask, tokens: Array) -> None:
        """The columns of a piece's answers."""
        gap_us = piece.lists[lists.GAPS]
        found = dict(zip(("stalls", "stall_s"), stalls(gap_us, owner, inner, piece.counts), strict=True))
        known = inner & (tokens > 0)
        itl_us = np.rint(gap_us[known] / tokens[known]).astype(np.int64)
        weight = piece.lists[lists.CHARS][known]
        found["itl_p99_s"] = quantile_within(itl_us, weight, owner[known], piece.counts.size, 0.99) / 1e6
        if self._deadlines:
            waited = gap_us / 1e6
            waited[piece.starts] += self._lag[piece.place]
            found["fluidity"] = fluidity(waited, tokens, piece.counts, self._deadlines)
        judged = self._judged[piece.place]
        for name, values in found.items():
            self._columns[name][piece.place[judged]] = values[judged]

    def _received(self, at: Array, tokens: Array) -> None:
        """Tokens into the bins that their moments fall in."""
        if not self._tokens.size:
            return
        first, width = self._edges[0], (self._edges[-1] - self._edges[0]) / self._tokens.size
        place = np.floor((at - first) / width)
        inside = (place >= 0) & (at <= self._edges[-1])
        bins = np.minimum(place[inside].astype(np.int64), self._tokens.size - 1)
        self._tokens += np.bincount(bins, tokens[inside], minlength=self._tokens.size)

    def chunks(self) -> Chunks:
        """What was counted."""
        return Chunks(self._gaps.done(), self._itl.done(), self._columns, self._tokens)


# Of each answer. Events are flat, in order of answer and time, as in a `Piece`.


def stalls(gap_us: Whole, owner: Whole, inner: Mask, counts: Whole) -> tuple[Array, Array]:
    """
    How often each answer stood still, and how long in all.

    Args:
        gap_us: Before each event, shape (m,).
        owner: Its answer, 0 .. k - 1, shape (m,).
        inner: False for first events, whose gap is none between tokens, shape (m,).
        counts: Events of each answer, shape (k,).

    Returns:
        Number and seconds, shape (k,) each; NaN for an answer of one event.
    """
    long = inner & (gap_us > STALL_US)
    medians = np.zeros(counts.size)
    # Few answers have a gap that long, and only for these does the median decide.
    asked = np.zeros(counts.size, dtype=bool)
    asked[owner[long]] = True
    some = inner & asked[owner]
    medians[asked] = _medians(gap_us[some], owner[some], counts[asked] - 1)
    long &= gap_us > STALL_MEDIANS * medians[owner]
    number = np.bincount(owner[long], minlength=counts.size)
    length = np.bincount(owner[long], gap_us[long] / 1e6, minlength=counts.size)
    return np.where(counts < 2, np.nan, number), np.where(counts < 2, np.nan, length)


def _medians(values: Whole, owner: Whole, counts: Whole) -> Array:
    """Of each owner's values; counts says how many those are, none 0."""
    ordered = values[np.lexsort((values, owner))]
    starts = np.cumsum(counts) - counts
    return np.asarray((ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2, dtype=np.float64)


def quantile_within(us: Whole, weight: Whole, owner: Whole, owners: int, p: float) -> Array:
    """
    The weighted p-quantile of each answer's own values: the least that p of its weight does not lie above.

    Args:
        us: Whole microseconds, shape (m,).
        weight: Whole numbers above 0, shape (m,).
        owner: 0 .. owners - 1, shape (m,).
        owners: At most 2**17.
        p: Above 0, at most 1.

    Returns:
        Shape (owners,), microseconds; NaN for an answer without values.
    """
    assert owners <= 1 << 17, "the key below has 17 bits for the answer"
    # One number per event that sorts by answer, then time, and carries the weight: ten times faster than an argsort.
    clipped, light = np.minimum(us, (1 << 30) - 1), np.minimum(weight, (1 << 16) - 1)
    key = np.sort((owner << 46) | (clipped << 16) | light)
    total = np.bincount(owner, light, minlength=owners).astype(np.int64)
    below = np.cumsum(key & 0xFFFF)
    has = total > 0
    least = np.maximum(np.ceil(p * total - 1e-9), 1).astype(np.int64)
    reach = (np.cumsum(total) - total + least)[has]
    found = np.full(owners, np.nan)
    found[has] = (key[np.searchsorted(below, reach)] >> 16) & ((1 << 30) - 1)
    return found


def fluidity(waited_s: Array, tokens: Array, counts: Whole, deadlines: tuple[float, float]) -> Array:
    """
    The share of an answer's tokens that came in time (fluidity index).

    The first token is due D_1 after the schedule, each further one D_2 after the one before; time in hand is kept:
    slack_i = slack_(i-1) + D - s_i, and a token for which that is negative is late, and sets the slack to 0. Tokens of
    one chunk come at once, so of these only the first can be late.

    Args:
        waited_s: Before each event, the first from the schedule, shape (m,).
        tokens: That each event brought, shape (m,); one each where an answer's count is not known.
        counts: Events of each answer, none 0, shape (k,).
        deadlines: D_1 and D_2, seconds.

    Returns:
        Shape (k,), 0 to 1.

    Source: Agrawal et al., Etalon (arXiv 2407.07000).
    """
    starts = np.cumsum(counts) - counts
    owner = np.repeat(np.arange(counts.size), counts)
    brought = np.where(np.isnan(tokens), 1.0, tokens)
    credit = np.empty_like(waited_s)
    credit[1:] = deadlines[1] * brought[:-1]
    credit[starts] = deadlines[0]
    # slack_i = x_i - min(0, x_1 .. x_i) with x the running sum of D - s, so a late token is a new minimum of x below 0.
    step = np.rint(1e6 * (credit - waited_s)).astype(np.int64)
    total = np.cumsum(step)
    x = total - (total[starts] - step[starts])[owner]
    # Each answer a storey below the one before: then one running minimum serves them all.
    storey = -(2 * int(np.abs(x).max(initial=0)) + 1) * owner
    x += storey
    least = np.minimum(np.concatenate([storey[:1], np.minimum.accumulate(x)[:-1]]), storey)
    late = np.bincount(owner[x < least], minlength=counts.size)
    return np.asarray(np.maximum(1 - late / np.add.reduceat(brought, starts), 0.0), dtype=np.float64)
