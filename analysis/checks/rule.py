"""
What a check of a run is: what it looks at, how it compares, what it says.

The checks themselves are in `client`, `host`, `load`, `answers` and `completeness`; `validity` puts them together.

A percentile is judged only as far up as the count of values supports it, and a share only from a few cases on, so that
one late wake-up in a short run on a busy machine decides nothing. A check that needs more data than the run has is
`not_judged`, which is no fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from analysis import stats
from analysis.checks import workers
from analysis.rundir import flagged, numbers, seconds, some, where
from analysis.units import NONE, digits
from loadtests import record

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run
    from analysis.window import Window

Status = Literal["ok", "doubtful", "invalid", "not_judged"]
NO_CLIENT: Final = "the run has no client.parquet"
CAPPED: Final = "in_flight_cap"
"""The flag of a request that had to wait since as many as allowed were in flight."""

LOOPBACK: Final = re.compile(r"https?://(localhost|127\.|\[::1\])")
"""Base URLs of a provider that takes a core of this machine."""


@dataclass(frozen=True, slots=True)
class Check:
    """
    One check of a run.

    Attributes:
        number: From 1 to 32; those of two sides against each other are in `compare.checks`.
        value: What was seen, with its unit.
        limit: What it may be.
        why: What it means and what to do about it; for `not_judged`, what is missing.
    """

    number: int
    name: str
    value: str
    limit: str
    status: Status
    why: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What the checks look at.

    Attributes:
        all: Every row of phase `measure`.
        rows: Those of the window.
        client: The load-making processes' seconds; None where none were sampled.
    """

    run: Run
    window: Window
    all: pd.DataFrame
    rows: pd.DataFrame
    client: pd.DataFrame | None


def evidence(run: Run, window: Window) -> Evidence:
    """What the checks look at, cut out once."""
    measured = some(run.requests, where(run.requests, "phase", "measure"), *run.requests.columns)
    client = run.client
    if client is not None:
        client = client[numbers(client, "worker") >= 0]
        client = None if client.empty else client.assign(**_later_columns(client))
    return Evidence(run, window, measured, window.rows(run.requests), client)


def _later_columns(client: pd.DataFrame) -> dict[str, float]:
    """Columns that runs of an earlier version do not have, without a value."""
    return {one.name: np.nan for one in record.CLIENT_COLUMNS if one.name not in client.columns}


def imported_from(run: Run) -> str:
    """The tool that made an imported run, with its version: `AIPerf 0.13.0`; empty for a run of ours."""
    told = run.manifest.get("imported")
    return f"{told.get('tool')} {told.get('version') or ''}".strip() if isinstance(told, dict) else ""


def unscheduled(run: Run) -> str:
    """Why nobody can say how late a request was sent; empty where its meant moment is known."""
    told = run.manifest.get("imported")
    if not isinstance(told, dict) or told.get("latency_counts_from") != "send":
        return ""
    return f"imported from {imported_from(run)}, whose file keeps no schedule: latency counts from the send"


def relief(run: Run) -> str:
    """What gives the load-making processes room: more of them where a core is left for one, else more cores."""
    if imported_from(run):
        return "more processes of its client"
    if workers.are_elsewhere(run):
        return "more machines (--expect-workers)"
    host, profile = run.manifest.get("host") or {}, run.manifest.get("profile") or {}
    cores = host.get("usable_cpus") or host.get("cpus")
    served_here = profile.get("embedded") or LOOPBACK.match(str(profile.get("base_url", "")))
    taken = int(run.plan.get("workers") or 1) + bool(served_here)
    if isinstance(cores, int) and cores <= taken:
        return f"a machine with more than {cores} cores"
    return "more --workers"


def is_new_connection(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where the request had to open its connection."""
    return np.asarray(numbers(frame, "conn_reused") == 0)


BURST: Final = 16


def send_lag(frame: pd.DataFrame) -> NDArray[np.float64]:
    """
    The client's own lateness per request, seconds; NaN where nothing was sent, a cap had it wait, or of a burst.

    A request that had to open its connection is judged by when it was picked up: the handshake before it could be sent
    is the network's and the server's time. Of more than `BURST` arrivals at one instant most wait for each other.
    """
    picked_up = seconds(frame, "started_ns") - seconds(frame, "scheduled_ns")
    fresh = is_new_connection(frame)
    own = np.where(fresh, picked_up, numbers(frame, "send_lag_s"))
    return np.where(flagged(frame, CAPPED) | (_crowd(numbers(frame, "scheduled_ns")) > BURST), np.nan, own)


def _crowd(moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many share each one's moment, shape (n,)."""
    if np.any(np.diff(moments) < 0):
        _, at, crowd = np.unique(moments, return_inverse=True, return_counts=True)
        return np.asarray(crowd[at])
    ends = np.concatenate([np.flatnonzero(np.diff(moments)) + 1, [moments.size]])
    sizes = np.diff(ends, prepend=0)
    return np.repeat(sizes, sizes)


# How a check is put together.


@dataclass(frozen=True, slots=True)
class Rule:
    """A check's number, name and advice, and the limits above which it warns and fails; None: it never fails."""

    number: int
    name: str
    advice: str
    warn: float
    fail: float | None
    unit: str = ""
    limit: str = ""

    def judge(self, value: float, note: str = "") -> Check:
        """Compare a value with the limits."""
        status: Status = "ok"
        if value > self.warn:
            status = "doubtful" if self.fail is None or value <= self.fail else "invalid"
        why = "" if status == "ok" else self.advice
        return self._check(f"{digits(value)}{self.unit}", status, " ".join(part for part in (why, note) if part))

    def judge_share(self, count: int, n: int, slack: int = 1, note: str = "") -> Check:
        """
        Compare count / n in % with the limits, and the count with what chance may do in a short run.

        A count up to the slack is `ok`, and one up to three times the slack never fails, whatever the share.
        """
        if n == 0:
            return self.skip("no request to judge it by")
        share = 100 * count / n
        value = f"{digits(share)} % ({count} of {n})"
        status: Status = "ok"
        if count > slack and share > self.warn:
            fails = self.fail is not None and share > self.fail and count > 3 * slack
            status = "invalid" if fails else "doubtful"
        why = "" if status == "ok" else self.advice
        return self._check(value, status, " ".join(part for part in (why, note) if part))

    def skip(self, missing: str) -> Check:
        """Not judged, and why."""
        return self._check(NONE, "not_judged", missing)

    def state(self, value: str, status: Status, why: str = "") -> Check:
        """A check decided by something other than one number."""
        return self._check(value, status, why)

    def _check(self, value: str, status: Status, why: str) -> Check:
        if self.limit:
            return Check(self.number, self.name, value, self.limit, status, why)
        limit = f"≤ {digits(self.warn)}{self.unit}"
        if self.fail is not None and self.fail != self.warn:
            limit += f", fails above {digits(self.fail)}{self.unit}"
        return Check(self.number, self.name, value, limit, status, why)


class Told(NamedTuple):
    """A quantile of some values: which one, what it is, and its name: `p95 of 160`."""

    p: float
    value: float
    name: str


def supported_quantile(values: NDArray[np.float64], up_to: float = 0.99) -> Told:
    """The highest quantile these values say something about; NaN is left out."""
    known = values[~np.isnan(values)]
    p = stats.highest_supported(known.size, up_to)
    return Told(p, float(np.quantile(known, p)), f"{percentile(p)} of {known.size}")


def percentile(p: float) -> str:
    """p95, p99.9."""
    return f"p{100 * p:.4g}"
