"""
How much of its calibrated limit a run's client used: of each load-making process, second by second.

The limits are stamped into run.json when a run begins, on the machine that makes the load; what was used of them
follows when it is finished, from the client's seconds and the rows, wherever that is.

A second's events are its socket reads or, where reads merged because the client was late, the token events that came in
it, if these are more: a client that is swamped reads less often, and must not look idle for it. A process' figure is
the 95th percentile over its seconds without the first one, the warm-up and what comes after the last arrival; the run's
is that of the process and the limit that are worst off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadtests import calibration

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

START_S: Final = 1.0
"""From the run's start on that is left out: all users of a closed loop begin at once."""

SHORT_S: Final = 0.5
"""Samples over less than this say little."""

P: Final = 0.95
KINDS: Final = ("events", "requests")


def stamp() -> dict[str, Any] | None:
    """What a run that begins now is to be held to, for its manifest; None where this machine is not calibrated."""
    found = calibration.find()
    if found is None:
        return None
    limits = {"events": found.events, "requests": found.requests}
    return {
        "of": "calibration",
        "used": None,
        "by": None,
        "at_least": None,
        "below": None,
        **{f"limit_{kind}_per_s": None if limit is None else limit.per_s for kind, limit in limits.items()},
        "at_least_of": {kind: limit is not None and limit.at_least for kind, limit in limits.items()},
        "below_of": {kind: None if limit is None else limit.below for kind, limit in limits.items()},
        "calibrated": found.date,
    }


def fill(about: dict[str, Any], requests: pa.Table, client: pa.Table) -> dict[str, Any] | None:
    """
    The stamp of a manifest with what was used.

    Args:
        about: The manifest.
        requests: The rows: `worker`, `scheduled_ns`, `first_token_ns`, `last_token_ns` and `chunks` are read.
        client: client.parquet.

    Returns:
        The stamp; `used` stays None where nothing was sampled. None where the manifest has none.
    """
    held_to: dict[str, Any] | None = about.get("headroom")
    if not held_to:
        return None
    from_s = max(START_S, float(about["plan"].get("warmup_s") or 0.0))
    shares = [
        (float(np.quantile(values, P)) / held_to[f"limit_{kind}_per_s"], kind)
        for seconds in _processes(requests, client, from_s)
        for kind, values in zip(KINDS, seconds, strict=True)
        if held_to.get(f"limit_{kind}_per_s")
    ]
    if not shares:
        return held_to
    # What is certainly beyond the client's limit outweighs anything that only may be.
    used, by = max(shares, key=lambda share: (share[0] > _certain(held_to, share[1]), share[0]))
    below = (held_to.get("below_of") or {}).get(by)
    return held_to | {"used": round(used, 4), "by": by, "at_least": held_to["at_least_of"][by], "below": below}


def _certain(held_to: dict[str, Any], kind: str) -> float:
    """The share of a limit above which a process is certainly beyond what it can do."""
    if not held_to["at_least_of"][kind]:
        return 1.0
    below = (held_to.get("below_of") or {}).get(kind)
    return float("inf") if below is None else float(below / held_to[f"limit_{kind}_per_s"])


def _processes(requests: pa.Table, client: pa.Table, from_s: float) -> list[tuple[Array, Array]]:
    """Per process: events/s and requests/s of its seconds."""
    rows = {name: _floats(requests, name) for name in ("worker", "scheduled_ns", "first_token_ns", "last_token_ns")}
    rows["chunks"] = _floats(requests, "chunks")
    samples = {name: _floats(client, name) for name in ("worker", "t_ns", "events_per_s", "done")}
    until_s = float(np.nanmax(rows["scheduled_ns"], initial=0.0)) / 1e9
    found = []
    for worker in np.unique(samples["worker"][samples["worker"] >= 0]):
        mine = {name: column[samples["worker"] == worker] for name, column in samples.items()}
        its = {name: column[rows["worker"] == worker] for name, column in rows.items()}
        if len(mine["t_ns"]):
            found.append(_seconds(mine, its, from_s, until_s))
    return [pair for pair in found if len(pair[0])]


def _seconds(samples: dict[str, Array], rows: dict[str, Array], from_s: float, until_s: float) -> tuple[Array, Array]:
    """One process' events/s and requests/s, of the seconds that count."""
    order = np.argsort(samples["t_ns"])
    end_s = samples["t_ns"][order] / 1e9
    edges = np.concatenate([[max(0.0, end_s[0] - 1.0)], end_s])
    length_s = np.maximum(np.diff(edges), 1e-9)
    reads = np.nan_to_num(samples["events_per_s"][order])
    tokens = np.diff(_tokens_until(rows, edges)) / length_s
    done = np.diff(np.nan_to_num(samples["done"][order]), prepend=0.0) / length_s
    counts = (edges[:-1] >= from_s) & (edges[:-1] < until_s) & (length_s >= SHORT_S)
    return np.maximum(reads, tokens)[counts], done[counts]


def _tokens_until(rows: dict[str, Array], edges: Array) -> Array:
    """Token events up to each moment, an answer's spread evenly from its first to its last."""
    first, last = rows["first_token_ns"] / 1e9, rows["last_token_ns"] / 1e9
    spread = last > first  # False where one of them is unknown
    first, last = first[spread], last[spread]
    per_s = np.nan_to_num(rows["chunks"][spread]) / (last - first)
    return _ramps(first, per_s, edges) - _ramps(last, per_s, edges)


def _ramps(start: Array, slope: Array, at: Array) -> Array:
    """The sum of slope * max(0, at - start), for each `at`."""
    order = np.argsort(start)
    begun = np.searchsorted(start[order], at)
    slopes = np.concatenate([[0.0], np.cumsum(slope[order])])
    moments = np.concatenate([[0.0], np.cumsum((slope * start)[order])])
    return np.asarray(at * slopes[begun] - moments[begun], dtype=np.float64)


def _floats(table: pa.Table, name: str) -> Array:
    """A column as floats, NaN for null."""
    return np.asarray(table.column(name).cast("float64").to_numpy(), dtype=np.float64)
