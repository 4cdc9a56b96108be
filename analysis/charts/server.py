"""The server's own figures under the client's timeline: who runs and who waits, and how full cache and GPU are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analysis.charts.frame import BLUE, GREEN, ORANGE, PURPLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.server import Gauge, Served

    Array = NDArray[np.float64]

SHARES: Final = (("kv_cache", "KV cache", GREEN), ("gpu_util", "GPU", PURPLE))
COUNTS: Final = (("running", "running", BLUE), ("waiting", "waiting", ORANGE))
LONGEST: Final = 42
"""Characters of a series' own name that a panel has room for."""


class Panel(NamedTuple):
    """
    One of the stacked axes of a timeline.

    Attributes:
        unit: Its axis' label.
        lines: Name, one value per bin (NaN for none) and colour.
        whole: Ticks are whole numbers.
        share: The axis is from 0 to 100 %.
        holes: A bin without a value is one in the line too.
        title: Said inside, where the lines' names are too long to stand beside them.
    """

    unit: str
    lines: list[tuple[str, Array, str]]
    whole: bool = False
    share: bool = False
    holes: bool = False
    title: str = ""


def panels(served: Served, edges: Array) -> list[Panel]:
    """What there is of the server, binned like the client's figures; nothing where it said nothing."""
    shares = [
        (name, 100 * binned(served.gauges[role], edges), colour)
        for role, name, colour in SHARES
        if role in served.gauges
    ]
    counts = [
        (name, binned(served.gauges[role], edges), colour) for role, name, colour in COUNTS if role in served.gauges
    ]
    found = [Panel("in the server", counts, whole=True, holes=True)] if counts else []
    found += [Panel("full (%)", shares, share=True, holes=True)] if shares else []
    likely = served.others[:1]
    return found + [
        Panel("as reported", [("", binned(one, edges), BLUE)], holes=True, title=_short(one.label)) for one in likely
    ]


def binned(gauge: Gauge, edges: Array) -> Array:
    """Mean of what is known in each bin, shape (m,) for edges of shape (m + 1,); NaN for a bin without."""
    known = ~np.isnan(gauge.values) & (gauge.at_s >= edges[0]) & (gauge.at_s < edges[-1])
    place = np.searchsorted(edges, gauge.at_s[known], side="right") - 1
    count = np.bincount(place, minlength=edges.size - 1).astype(np.float64)
    total = np.bincount(place, gauge.values[known], edges.size - 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def alt(served: Served) -> str:
    """What the panels show, in words."""
    gauges = served.gauges
    counts = [f"{gauges[role].most:g} {role}" for role, _, _ in COUNTS if role in gauges]
    shares = [f"{name} {100 * gauges[role].most:.0f} %" for role, name, _ in SHARES if role in gauges]
    return f" In the server at most {', '.join(counts + shares)}." if counts or shares else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
