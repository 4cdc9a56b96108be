"""
The requests that another tool would have counted, and their times as its client would have taken them.

Stamps are ours, so the numbers are those of a client without delays of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis.rundir import flagged, numbers, seconds, truths, where
from analysis.units import digits
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run
    from analysis.summary import Judged

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """
    What a tool would have counted of a run.

    Attributes:
        offered: Rows it would have sent and seen the end of: those of the measuring phase, answered or failed.
        frame: Of these, the rows it takes for answered.
        notes: What was left out or is counted otherwise than by us.
    """

    offered: pd.DataFrame
    frame: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def failed(self) -> int:
        """Requests it takes for failed."""
        return len(self.offered) - len(self.frame)

    def at(self, column: str) -> Array:
        """A stamp of each answer, seconds, shape (n,), NaN for none."""
        return seconds(self.frame, f"{column}_ns")

    def since_start(self, column: str) -> Array:
        """From the pick-up to a stamp, shape (n,)."""
        return self.at(column) - self.at("started")

    def number(self, column: str) -> Array:
        """A numeric column of the answers, shape (n,), NaN for none."""
        return numbers(self.frame, column)

    @property
    def whole_s(self) -> float | None:
        """From the first pick-up to the end of the last of all it sent; None with none."""
        if not len(self.offered):
            return None
        return float(np.nanmax(seconds(self.offered, "end_ns")) - np.nanmin(seconds(self.offered, "started_ns")))


def of(run: Run, taken: Mapping[str, str], *, streamed: bool) -> Answers:
    """
    Sort the requests of a run of one arm as a tool would.

    `taken` has, by a kind of error that the tool does not notice, the stamp that its client needs to take the request
    for answered all the same. A `streamed` tool asks for streams only, and takes nothing else for an answer.
    """
    frame = run.requests
    measured = where(frame, "phase", "measure")
    wanted = truths(frame, "stream") if streamed else np.ones(len(frame), dtype=bool)
    ended = where(frame, "outcome", "ok", "error") & ~np.isnan(seconds(frame, "started_ns"))
    offered = measured & wanted & ended
    ok = where(frame, "outcome", "ok") & ((not streamed) | ~np.isnan(seconds(frame, "first_event_ns")))
    unnoticed = _unnoticed(frame, taken)
    notes = _left_out(frame, measured, wanted, streamed=streamed)
    notes += _counted_otherwise(frame[offered], unnoticed[offered], ok[offered])
    return Answers(frame[offered], frame[offered & (ok | unnoticed)], tuple(notes))


def pace(judged: Judged, told: Answers, duration_s: float | None) -> list[str]:
    """What its throughputs over so long say, beside ours of the window; empty where either cannot be told."""
    ours = judged.summary.rate("tokens_per_s")
    if ours is None or not duration_s:
        return []
    theirs = float(np.nansum(told.number("output_tokens"))) / duration_s
    whole = (where(judged.run.requests, "outcome", "ok") & ~truths(judged.run.requests, "stream")).any()
    of_streams = " (of the streams alone)" if whole and truths(told.frame, "stream").all() else ""
    told_by = f"{digits(theirs)} output tokens/s{of_streams}, in our window {digits(ours)}"
    return [f"throughputs are over the whole run, ramp and drain included: {told_by}"]


def _unnoticed(frame: pd.DataFrame, taken: Mapping[str, str]) -> NDArray[np.bool_]:
    found = np.zeros(len(frame), dtype=bool)
    for kind, stamp in taken.items():
        found |= where(frame, "error_kind", kind) & ~np.isnan(seconds(frame, stamp))
    return found


def _left_out(
    frame: pd.DataFrame, measured: NDArray[np.bool_], wanted: NDArray[np.bool_], *, streamed: bool
) -> list[str]:
    counts = {word: int((measured & where(frame, "outcome", word)).sum()) for word in ("cancelled", "unsent", "lost")}
    counts["of warm-up or drain"] = int((~measured).sum())
    if streamed:
        counts["whole answers, as it asks for streams only"] = int((measured & ~wanted).sum())
    told = [f"{count:,} {word}" for word, count in counts.items() if count]
    return [f"left out: {', '.join(told)}"] if told else []


def _counted_otherwise(frame: pd.DataFrame, unnoticed: NDArray[np.bool_], ok: NDArray[np.bool_]) -> list[str]:
    """Whatever of the requests it sent would have ended otherwise in its hands."""
    kinds = frame["error_kind"][unnoticed].value_counts()
    told = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items() if count)
    notes = [f"counted as answered, though we count them as failed: {told}"] if told else []
    whole = int((where(frame, "outcome", "ok") & ~ok).sum())
    if whole:
        notes.append(f"counted as failed, though we count them as answered: {whole:,} not streamed as asked")
    timeouts = ("timeout_connect", "timeout_first_byte", "timeout_silence", "timeout_total")
    unsure = {
        "cut short, which it notices only where the connection broke": where(frame, "error_kind", "truncated"),
        "given up after our time limits, where its own are longer": where(frame, "error_kind", *timeouts),
        "ended by us at the cap on output": flagged(frame, "cut_at_cap"),
    }
    counts = [f"{int(mask.sum()):,} {why}" for why, mask in unsure.items() if mask.any()]
    notes += [f"the rows cannot tell how it would have counted these: {'; '.join(counts)}"] if counts else []
    estimated = int((~unnoticed & ok & ~where(frame, "tokens_from", "usage", "usage_alt")).sum())
    if estimated:
        notes.append(f"{estimated:,} answers without the server's count of tokens; it would use the model's tokenizer")
    return notes


@dataclass(frozen=True, slots=True)
class Events:
    """
    The token-bearing events of some answers, one entry each, in order of answer and time; shape (m,) all.

    Attributes:
        row: Place of the event's answer.
        at_s: On the run's axis.
        gap_s: Since the answer's event before; since sent for the first.
        place: Which event of its answer, from 0.
        kind: Bits of `record.CONTENT` and the like.
    """

    row: NDArray[np.int64]
    at_s: Array
    gap_s: Array
    place: NDArray[np.int64]
    kind: NDArray[np.int64]

    @property
    def later_gaps_s(self) -> Array:
        """The gaps between two events of an answer, shape (k,)."""
        return self.gap_s[self.place > 0]


def events_of(answers: Answers) -> Events:
    """The per-chunk lists of these answers, laid flat."""
    gaps, kinds = (_lists(answers.frame, name) for name in ("chunk_gap_us", "chunk_kind"))
    counts = np.asarray(gaps.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
    gap_s = np.asarray(gaps.flatten().to_numpy(zero_copy_only=False), dtype=np.float64) / 1e6
    kind = np.asarray(kinds.flatten().fill_null(record.CONTENT).to_numpy(zero_copy_only=False), dtype=np.int64)
    row = np.repeat(np.arange(counts.size), counts)
    place = np.arange(gap_s.size) - np.repeat(np.cumsum(counts) - counts, counts)
    total = np.cumsum(gap_s)
    first = np.repeat((np.cumsum(counts) - counts)[counts > 0], counts[counts > 0])
    at_s = answers.at("first_token")[row] + total - total[first]
    return Events(row, at_s, gap_s, place, kind)


def _lists(frame: pd.DataFrame, name: str) -> pa.ListArray:
    found = pa.chunked_array(pa.array(frame[name].array)).combine_chunks()
    assert isinstance(found, pa.ListArray)
    return found


def first_of_kind(answers: Answers, events: Events, kinds: int) -> Array:
    """When each answer's first event of these kinds came, on the run's axis, shape (n,); NaN without one."""
    found = np.full(len(answers.frame), np.nan)
    mine = (events.kind & kinds) != 0
    # The last assignment to a place stays, so the first event of each answer is assigned last.
    found[events.row[mine][::-1]] = events.at_s[mine][::-1]
    return found


TEXT = record.CONTENT | record.REASONING
