"""
What the chunk lists say: gaps and tokens of a whole run, stalls and smoothness of each answer, tokens over time.

One pass over the file, a piece at a time, with no loop over requests. A chunk's tokens are its share of the answer's
characters x its output tokens, the rule of `first_chunk_tokens`: chunk and token are not the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.inside import lists
from analysis.inside.distribution import SECTIONS, Distribution, Tally
from analysis.rundir import numbers, seconds, truths, where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.inside.lists import Piece
    from analysis.rundir import Run
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
        went = ~np.isnan(sent)
        # Imported without moments, streams still have their gaps.
        has_events = (numbers(frame, "chunks") > 0) & (went if went.any() else ~went)
        on = (sent < window.end_s) & ~(end < window.start_s)
        self._judged = window.holds(frame) & truths(frame, "stream") & has_events
        self._pooled = self._judged & where(frame, "outcome", "ok")
        self.wanted = has_events & (on | self._judged)
        self._sent, self._lag = sent, sent - seconds(frame, "scheduled_ns")
        self._output = np.nan_to_num(numbers(frame, "output_tokens"))
        self._gaps, self._itl = Tally(), Tally()
        ranks = np.maximum(np.cumsum(self._pooled) - 1, 0)
        self._section = ranks * SECTIONS // max(int(self._pooled.sum()), 1)
        names = ("stalls", "stall_s", "itl_p99_s") + (("fluidity",) if deadlines else ())
        self._columns = {name: np.full(len(frame), np.nan) for name in names}
        self._is_weighed = not run.manifest.get("imported")  # else nobody knows how many tokens a chunk brought
        self._tokens = np.zeros(max(edges.size - 1, 0))
        at_once = ~has_events & (self._output > 0) & ~np.isnan(end)
        self._received(end[at_once], self._output[at_once])

    def take(self, piece: Piece) -> None:
        """Count a piece in."""
        gap_us, chars, counts = piece.lists[lists.GAPS], piece.lists[lists.CHARS], piece.counts
        # 0 where nobody counted: it weighs nothing below.
        per_char: Array = self._output[piece.place] / np.maximum(np.add.reduceat(chars, piece.starts), 1)
        tokens = np.repeat(per_char, counts) * chars
        self._received(np.repeat(self._sent[piece.place], counts) + piece.since_sent_us() / 1e6, tokens)
        inner = np.ones(gap_us.size, dtype=bool)
        inner[piece.starts] = False
        between = Gaps(gap_us[inner], chars[inner], np.repeat(per_char > 0, counts - 1), counts - 1)
        itl_us = np.zeros(between.us.size)
        np.divide(between.us, tokens[inner], out=itl_us, where=between.counted & (between.chars > 0))
        self._pool(piece, between, itl_us, tokens[inner])
        found = _of_answers(between, np.rint(itl_us).astype(np.int64))
        if self._deadlines:
            waited = gap_us / 1e6
            waited[piece.starts] += self._lag[piece.place]
            brought = np.where(np.repeat(per_char > 0, counts), tokens, 1.0)
            found["fluidity"] = fluidity(waited, brought, counts, self._deadlines)
        if not self._is_weighed:
            del found["itl_p99_s"]
        judged = self._judged[piece.place]
        for name, values in found.items():
            self._columns[name][piece.place[judged]] = values[judged]

    def _pool(self, piece: Piece, between: Gaps, itl_us: Array, tokens: Array) -> None:
        """The distributions of a piece's gaps."""
        us, section = between.us, np.repeat(self._section[piece.place], between.counts)
        pooled = self._pooled[piece.place]
        if not pooled.all():
            kept = np.repeat(pooled, between.counts)
            us, tokens = us[kept], tokens * kept
        sum_us = float(np.sum(itl_us * tokens))
        if self._is_weighed:
            self._itl.add(np.rint(itl_us).astype(np.int64), tokens, sum_us, section)
        self._gaps.add(us, section=section if pooled.all() else section[kept])

    def _received(self, at: Array, tokens: Array) -> None:
        """Tokens into the bins that their moments fall in."""
        bins = self._tokens.size
        if not bins:
            return
        place = (at - self._edges[0]) * (bins / (self._edges[-1] - self._edges[0]))
        place[place == bins] = bins - 0.5  # the last bin's edge is its own
        # One place below for all that came before, and one above.
        where_to = np.clip(np.floor(place), -1, bins).astype(np.int64) + 1
        self._tokens += np.bincount(where_to, tokens, minlength=bins + 2)[1:-1]

    def chunks(self) -> Chunks:
        """What was counted."""
        return Chunks(self._gaps.done(), self._itl.done(), self._columns, self._tokens)


# Of each answer.


@dataclass(frozen=True, slots=True)
class Gaps:
    """
    The gaps between events of some answers, flat, in order of answer and time; shape (m,) but where said.

    Attributes:
        us: Whole microseconds.
        chars: Of the event at the gap's end.
        counted: Whether the answer's tokens were counted.
        counts: Gaps of each answer, shape (k,); 0 for one of a single event.
    """

    us: Whole
    chars: Whole
    counted: Mask
    counts: Whole

    @property
    def owner(self) -> Whole:
        """Of each gap the answer, 0 .. k - 1."""
        return np.repeat(np.arange(self.counts.size), self.counts)


def _of_answers(between: Gaps, itl_us: Whole) -> dict[str, Array]:
    """The columns that follow from gaps alone, shape (k,) each."""
    number, length = stalls(between)
    chars = np.where(between.counted, between.chars, 0)
    return {
        "stalls": number,
        "stall_s": length,
        "itl_p99_s": quantile_within(itl_us, chars, between.counts, 0.99) / 1e6,
    }


def stalls(between: Gaps) -> tuple[Array, Array]:
    """How often each answer stood still, and how many seconds in all, shape (k,); NaN for one of a single event."""
    k, counts = between.counts.size, between.counts
    number, length = np.zeros(k), np.zeros(k)
    # Few answers have a gap that long, and only for these does the median decide.
    long = np.flatnonzero(between.us > STALL_US)
    if long.size:
        owner = between.owner
        asked = np.zeros(k, dtype=bool)
        asked[owner[long]] = True
        some = np.repeat(asked, counts)
        medians = np.zeros(k)
        medians[asked] = _medians(between.us[some], owner[some], counts[asked])
        long = long[between.us[long] > STALL_MEDIANS * medians[owner[long]]]
        np.add.at(number, owner[long], 1.0)
        np.add.at(length, owner[long], between.us[long] / 1e6)
    return np.where(counts > 0, number, np.nan), np.where(counts > 0, length, np.nan)


def _medians(values: Whole, owner: Whole, counts: Whole) -> Array:
    """Of each owner's values; counts says how many those are, none 0."""
    ordered = values[np.lexsort((values, owner))]
    starts = np.cumsum(counts) - counts
    return np.asarray((ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2, dtype=np.float64)


def quantile_within(us: Whole, weight: Whole, counts: Whole, p: float) -> Array:
    """
    The weighted p-quantile of each answer's own values: the least that p of its weight does not lie above.

    Args:
        us: Whole microseconds, in order of answer, shape (m,).
        weight: Whole numbers, shape (m,).
        counts: Values of each answer, shape (k,), k at most 2**17.
        p: Above 0, at most 1.

    Returns:
        Shape (k,), microseconds; NaN for an answer without weight.
    """
    k = counts.size
    assert k <= 1 << 17, "the key below has 17 bits for the answer"
    # One number per event that sorts by answer, then time, and carries the weight: ten times faster than an argsort.
    clipped, light = np.minimum(us, (1 << 30) - 1), np.minimum(weight, (1 << 16) - 1)
    key = np.repeat(np.arange(k) << 46, counts) | (clipped << 16) | light
    key.sort()
    below = np.cumsum(key & 0xFFFF)
    ends = np.concatenate([[0], below])[np.concatenate([[0], np.cumsum(counts)])]
    total = np.diff(ends)
    reach = ends[:-1] + np.maximum(np.ceil(p * total - 1e-9), 1).astype(np.int64)
    found = (
        (key[np.minimum(np.searchsorted(below, reach), max(key.size - 1, 0))] >> 16) & ((1 << 30) - 1)
        if key.size
        else 0
    )
    return np.where(total > 0, found, np.nan)


def fluidity(waited_s: Array, tokens: Array, counts: Whole, deadlines: tuple[float, float]) -> Array:
    """
    The share of an answer's tokens that came in time (fluidity index).

    The first token is due D_1 after the schedule, each further one D_2 after the one before; time in hand is kept:
    slack_i = slack_(i-1) + D - s_i, and a token for which that is negative is late, and sets the slack to 0. Tokens of
    one chunk come at once, so of these only the first can be late.

    Args:
        waited_s: Before each event, the first from the schedule, shape (m,).
        tokens: That each event brought, shape (m,); 1 each where nobody counted an answer's.
        counts: Events of each answer, none 0, shape (k,).
        deadlines: D_1 and D_2, seconds.

    Returns:
        Shape (k,), 0 to 1.

    Source: Agrawal et al., Etalon (arXiv 2407.07000).
    """
    starts = np.cumsum(counts) - counts
    credit = np.empty_like(waited_s)
    credit[1:] = deadlines[1] * tokens[:-1]
    credit[starts] = deadlines[0]
    # slack_i = x_i - min(0, x_1 .. x_i) with x the running sum of D - s, so a late token is a new minimum of x below 0.
    step = np.rint(1e6 * (credit - waited_s)).astype(np.int64)
    total = np.cumsum(step)
    x = total - np.repeat(total[starts] - step[starts], counts)
    # Each answer a storey below the one before: then one running minimum serves them all.
    height = 2 * int(np.abs(x).max(initial=0)) + 1
    storey = np.repeat(-height * np.arange(counts.size), counts)
    x += storey
    least = np.minimum(np.concatenate([storey[:1], np.minimum.accumulate(x)[:-1]]), storey)
    late = np.add.reduceat((x < least).astype(np.int64), starts)
    return np.asarray(np.maximum(1 - late / np.add.reduceat(tokens, starts), 0.0), dtype=np.float64)
