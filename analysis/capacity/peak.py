"""The peak of a trace: what its busiest minutes bring, and how bunched its arrivals are."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE_S: Final = 60.0
P: Final = 0.999
ENOUGH: Final = 1000
"""Minutes from which on one in a thousand says something."""

GAPS: Final = 200
"""Gaps below which nothing is said about how bunched they are."""
BUNCHED: Final = 1.1
"""Coefficient of variation from which on arrivals are burstier than Poisson by more than chance."""
MOST_CV: Final = 100.0


@dataclass(frozen=True, slots=True)
class Peak:
    """
    What a trace asks for at its busiest.

    Attributes:
        per_s: Arrivals per second in the minute that `rule` names.
        rule: Which minute that is, in words.
        mean_per_s: Over the whole trace.
        minutes: Of the trace, begun ones included.
        cv: Standard deviation over mean of all gaps; None with fewer than 200.
        bunching: The same between neighbours only, which a rate that goes up and down over the day does not raise: the
            CV of a gamma process whose gaps vary as much from one to the next. None with fewer than 200, or where the
            stamps are too coarse to say.
    """

    per_s: float
    rule: str
    arrivals: int
    minutes: int
    mean_per_s: float
    cv: float | None
    bunching: float | None

    @property
    def advice(self) -> str:
        """The option that offers arrivals as bunched as these; empty where Poisson ones, the default, are."""
        found = self.bunching if self.bunching is not None else self.cv
        return "" if found is None or found < BUNCHED else f"--arrivals gamma:{min(found, MOST_CV):.2g}"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "advice": self.advice}


def peak(arrivals_s: NDArray[np.float64]) -> Peak | None:
    """
    The p99.9 of the one-minute counts; of fewer than 1,000 minutes the busiest 60 s; of seconds the mean.

    Minutes begin with the first arrival, quiet ones count; the percentile is the ceil(0.999 n)-th count, and the
    busiest 60 s stand in for it where it is 0. These may begin at any arrival.

    Args:
        arrivals_s: Seconds, in any order, shape (n,).

    Returns:
        None where there are fewer than two arrivals, or all come at one instant.
    """
    moments = np.sort(np.asarray(arrivals_s, dtype=np.float64))
    if moments.size < 2 or moments[-1] <= moments[0]:
        return None
    moments = moments - moments[0]
    length_s = float(moments[-1])
    minutes, mean = math.floor(length_s / MINUTE_S) + 1, (moments.size - 1) / length_s
    if length_s < MINUTE_S:
        per_s, rule = mean, f"the mean of all {length_s:.3g} s that it holds"
    elif minutes >= ENOUGH and (most := _percentile(moments, minutes)):
        per_s, rule = most / MINUTE_S, f"the minute that 99.9 % of its {minutes:,} minutes do not exceed"
    else:
        per_s, rule = _busiest(moments) / MINUTE_S, f"the busiest minute of its {minutes:,}"
    return Peak(per_s, rule, moments.size, minutes, mean, *_variation(np.diff(moments)))


def _percentile(moments: NDArray[np.float64], minutes: int) -> int:
    """The p99.9 of the counts; 0 where hardly any minute has an arrival."""
    counts = np.bincount((moments // MINUTE_S).astype(np.int64), minlength=minutes)
    return int(np.sort(counts)[math.ceil(P * minutes) - 1])


def _busiest(moments: NDArray[np.float64]) -> int:
    """The greatest number of arrivals within 60 s."""
    upto = np.searchsorted(moments, moments + MINUTE_S, side="left")
    return int((upto - np.arange(moments.size)).max())


def _variation(gaps: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """
    CV of all gaps, and that of a gamma process with the same local variation.

    Lv = 3 mean(((a - b) / (a + b))^2) over neighbouring gaps is 3 / (2 k + 1) for gamma gaps of shape k = CV^-2,
    whatever their rate does meanwhile.

    Source: Shinomoto, Shima & Tanji 2003, Neural Computation 15, 2823.
    """
    if gaps.size < GAPS:
        return None, None
    cv = float(gaps.std() / gaps.mean())
    # Stamps of whole seconds, or arrivals in batches: most gaps are 0 and neighbours say nothing.
    if np.count_nonzero(gaps) < gaps.size / 2:
        return cv, None
    total = gaps[1:] + gaps[:-1]
    known = total > 0
    lv = 3 * float(np.mean(((gaps[1:] - gaps[:-1])[known] / total[known]) ** 2))
    shape = (3 / lv - 1) / 2 if lv > 0 else math.inf
    return cv, min(1 / math.sqrt(shape), MOST_CV) if shape > 0 else MOST_CV
