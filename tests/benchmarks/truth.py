"""What the server says it sent, held against what the client says it received. Pure but for the reading of files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from loadtests.calibrate.play import gap_errors_us, joined
from loadtests.mock import log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.calibrate.play import Play

    Array = NDArray[np.float64]

HEAD: Final = struct.Struct("<IIq")


class Sent(NamedTuple):
    """One request as the server saw it: when it was read and when each token was written, CLOCK_REALTIME ns."""

    read_ns: int
    chunk_ns: NDArray[np.int64]


class Row(NamedTuple):
    """
    One good answer as the client saw it: the server's number of it, stamps from the run's start, and its gaps.

    `is_reused` is whether its connection had served before: at the start all connections are made at once.
    """

    number: int
    first_ns: int
    end_ns: int
    gaps_us: NDArray[np.int64]
    is_reused: bool = True


@dataclass(frozen=True, slots=True)
class Errors:
    """
    How far the client's stamps are from the server's, in ms, and what is missing.

    `first` has one value per answer, `reused` one per answer on a connection that had served before, `each` one per
    token, `gaps` one per gap between two tokens: sizes, without sign. `lost_rows` are requests that the server read
    while the run was on and of which there is no good row; `lost_events` tokens of good rows that one side has and the
    other has not.
    """

    first: Array
    reused: Array
    each: Array
    gaps: Array
    lost_rows: int
    lost_events: int


def read_compiled(data: bytes) -> dict[int, Sent]:
    """
    The log of a compiled server, by the requests' numbers; a cut tail is left out.

    Little endian, per request: u32 number, u32 n, i64 when it was read, i64[n] when each chunk was written.
    """
    found, at = {}, 0
    while at + HEAD.size <= len(data):
        number, count, read_ns = HEAD.unpack_from(data, at)
        at += HEAD.size + 8 * count
        if at > len(data):
            break
        found[number] = Sent(read_ns, np.frombuffer(data, "<i8", count, at - 8 * count))
    return found


def read_embedded(path: Path) -> dict[int, Sent]:
    """The log of the embedded provider, by the requests' numbers."""
    return {number: Sent(one.read_ns, np.array(one.chunk_ns)) for number, one in log.read(path).items()}


def errors(rows: Sequence[Row], sent: Mapping[int, Sent], zero_ns: int) -> Errors:
    """
    Hold the good rows of a run against the server's log.

    Args:
        rows: The good rows.
        sent: The log; other clients' requests may be in it, before and after the run.
        zero_ns: The run's start, CLOCK_REALTIME.
    """
    each, gaps, reused, lost_events = [], [], [], 0
    for row in rows:
        true_ns = sent[row.number].chunk_ns - zero_ns if row.number in sent else np.empty(0, dtype=np.int64)
        n = min(len(true_ns), len(row.gaps_us) + 1)
        lost_events += abs(len(true_ns) - len(row.gaps_us) - 1)
        if n:
            mine_ns = row.first_ns + np.concatenate(([0], 1000 * np.cumsum(row.gaps_us[: n - 1])))
            each.append(np.abs(mine_ns - true_ns[:n]) / 1e6)
            reused.append(row.is_reused)
            gaps.append(gap_errors_us(row.gaps_us, true_ns) / 1e3)
    first = np.array([one[0] for one in each])
    again = first[np.array(reused, dtype=bool)]
    return Errors(first, again, joined(each), joined(gaps), len(_unmatched(rows, sent, zero_ns)), lost_events)


def _unmatched(rows: Sequence[Row], sent: Mapping[int, Sent], zero_ns: int) -> set[int]:
    """Numbers of the requests that the server read during the run and that have no row."""
    until_ns = zero_ns + max((row.end_ns for row in rows), default=0)
    during = {number for number, one in sent.items() if zero_ns <= one.read_ns <= until_ns}
    return during - {row.number for row in rows}


def lateness(rows: Sequence[Row], sent: Mapping[int, Sent], play: Play) -> Array:
    """How late the server itself wrote each token of these rows, in ms: what it does to the load, not to the errors."""
    known = (sent[row.number] for row in rows if row.number in sent)
    return joined([play.late_ns(one.read_ns, one.chunk_ns) / 1e6 for one in known])
