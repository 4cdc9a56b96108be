"""Statistics: knows arrays, not language models."""

from __future__ import annotations

from analysis.stats.quantile import (
    CONFIDENCE,
    FIRM,
    LADDER,
    Quantile,
    dkw_halfwidth,
    firm_count,
    highest_supported,
    least_count,
    quantile_ranks,
    quantiles,
)

__all__ = [
    "CONFIDENCE",
    "FIRM",
    "LADDER",
    "Quantile",
    "dkw_halfwidth",
    "firm_count",
    "highest_supported",
    "least_count",
    "quantile_ranks",
    "quantiles",
]
