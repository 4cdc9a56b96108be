"""Statistics: knows arrays, not language models."""

from __future__ import annotations

from analysis.stats.bootstrap import ratio_interval
from analysis.stats.changes import Change, change_points
from analysis.stats.dependence import effective_count
from analysis.stats.many import benjamini_hochberg, holm
from analysis.stats.permutation import permutation_p, sign_flip_p
from analysis.stats.power import (
    detectable,
    power,
    quantile_factor,
    requests_needed,
    runs_needed,
    sd_interval,
    sd_of_quantile,
)
from analysis.stats.proportion import Attainment, attains, attains_needs, wilson
from analysis.stats.quantile import (
    CONFIDENCE,
    FIRM,
    LADDER,
    Quantile,
    allowed_above,
    dkw_halfwidth,
    enough,
    firm_count,
    highest_supported,
    least_count,
    quantile_ranks,
    quantiles,
)
from analysis.stats.trend import Trend, trend, trend_plain
from analysis.stats.two import Effect, hodges_lehmann, hodges_lehmann_paired, paired, pooled, superiority, welch

__all__ = [
    "CONFIDENCE",
    "FIRM",
    "LADDER",
    "Attainment",
    "Change",
    "Effect",
    "Quantile",
    "Trend",
    "allowed_above",
    "attains",
    "attains_needs",
    "benjamini_hochberg",
    "change_points",
    "detectable",
    "dkw_halfwidth",
    "effective_count",
    "enough",
    "firm_count",
    "highest_supported",
    "hodges_lehmann",
    "hodges_lehmann_paired",
    "holm",
    "least_count",
    "paired",
    "permutation_p",
    "pooled",
    "power",
    "quantile_factor",
    "quantile_ranks",
    "quantiles",
    "ratio_interval",
    "requests_needed",
    "runs_needed",
    "sd_interval",
    "sd_of_quantile",
    "sign_flip_p",
    "superiority",
    "trend",
    "trend_plain",
    "welch",
    "wilson",
]
