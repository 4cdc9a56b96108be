"""The server's view of a run's window as plain values: what the summary keeps, and what table and report print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.derived import is_ok
from analysis.rundir import seconds
from analysis.server.findings import Finding, exhausted
from analysis.server.served import read
from analysis.units import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analysis.rundir import Run
    from analysis.server.served import Gauge
    from analysis.window import Window


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One role over the window.

    Attributes:
        role: Of `roles.ROLES`, or the series' own name where nobody knows its meaning.
        unit: requests, share, bytes, W, 1/s; empty where nobody knows.
        n: Seconds that it is known of.
    """

    role: str
    label: str
    unit: str
    mean: float
    p95: float
    max: float
    n: int

    @property
    def text(self) -> str:
        """`KV cache 43 %, at most 51 %`."""
        most = f"{self.max:g}" if self.unit in {"", "requests"} else _shown(self.max, self.unit)
        return f"{self.label} {_shown(self.mean, self.unit)}, at most {most}"


@dataclass(frozen=True, slots=True)
class Told:
    """What the server said of itself over the window, and what follows."""

    server: str
    sources: tuple[str, ...]
    roles: dict[str, Figure]
    others: tuple[Figure, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def who(self) -> str:
        """`the server (vLLM)`."""
        return f"the server ({self.server})" if self.server else "the server"

    @property
    def figures(self) -> list[str]:
        """Each figure in words."""
        unknown = [f"as {one.text}" for one in self.others]
        return [one.text for one in self.roles.values()] + unknown

    @property
    def says(self) -> list[str]:
        """What ran out, and what is missing, a sentence each."""
        return [one.text for one in self.findings] + list(self.notes)


def of(run: Run, window: Window) -> Told | None:
    """What the server of a run of one arm said over its window; None where nobody was asked."""
    served = read(run)
    if served is None:
        return None
    ends = seconds(run.requests, "end_ns")[is_ok(run.requests)]
    done = np.count_nonzero((ends >= window.start_s) & (ends <= window.end_s))
    achieved = done / window.length_s if window.length_s > 0 and done else None
    return Told(
        served.server, served.sources, {one.role: one for one in _figures(served.gauges.values(), window)},
        tuple(_figures(served.others, window)), exhausted(served, window, achieved), served.notes,
    )  # fmt: skip


def _figures(gauges: Iterable[Gauge], window: Window) -> Iterator[Figure]:
    for gauge in gauges:
        values = gauge.within(window)
        if values.size:
            mean, top = float(values.mean()), float(values.max())
            yield Figure(
                gauge.role, gauge.label, gauge.unit, mean, float(np.quantile(values, 0.95)), top, int(values.size)
            )


def _shown(value: float, unit: str) -> str:
    """A value as people read it, with its unit where it is not a count."""
    if unit == "share":
        return f"{digits(100 * value)} %"
    if unit == "bytes":
        return f"{digits(value / 2**30)} GiB"
    return f"{digits(value)}{'/s' if unit == '1/s' else ' W' if unit == 'W' else ''}"
