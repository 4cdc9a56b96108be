"""What a capacity is a capacity of: requests of which size, how many tokens in and out, how many at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analysis.capacity.carried import Carried
    from analysis.capacity.point import Point

ALIKE: Final = 0.1
"""Tokens per request that differ by more are other work."""


@dataclass(frozen=True, slots=True)
class Mix:
    """
    The work of the steady run nearest to a capacity, and what flows at the capacity itself.

    Attributes:
        load: Of that run: arrivals per second, or users.
        input_tokens_per_s, output_tokens_per_s: At the capacity: what a request has on average, times its requests.
        input_tokens, output_tokens: Of one request, means.
        cached_share: Of the input tokens, those that the server had already.
        in_flight: On the server at any moment, mean, at the run's load: it grows faster than the load.
        response_s: How long a request is in the system, mean, at the run's load.
        good: Share of the run's arrivals that kept every promise.
    """

    run: str
    load: float
    requests_per_s: float
    input_tokens_per_s: float | None
    output_tokens_per_s: float | None
    input_tokens: float | None
    output_tokens: float | None
    cached_share: float | None
    in_flight: float | None
    response_s: float | None
    user_tokens_per_s: float | None
    good: float | None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def mix(point: Point | None, carried: Carried) -> Mix | None:
    """The mix of a steady run, scaled to what is carried; None without a run that says its rate."""
    if point is None or point.state != "steady" or not point.achieved_per_s:
        return None
    return Mix(
        run=point.run,
        load=point.load,
        requests_per_s=carried.per_s.value,
        input_tokens_per_s=_times(point.input_tokens, carried.per_s.value),
        output_tokens_per_s=_times(point.output_tokens, carried.per_s.value),
        input_tokens=point.input_tokens,
        output_tokens=point.output_tokens,
        cached_share=point.cached_share,
        in_flight=point.in_flight,
        response_s=point.stay_s,
        user_tokens_per_s=point.user_tokens_per_s,
        good=point.attainment,
    )


def differ(a: Mix, b: Mix) -> str:
    """How the work of two differs, as a clause; empty where it is alike or nobody knows."""
    sides = ((a.input_tokens, b.input_tokens, "in"), (a.output_tokens, b.output_tokens, "out"))
    parts = [
        f"{x:.0f} against {y:.0f} tokens {way}" for x, y, way in sides if x and y and abs(x - y) > ALIKE * max(x, y)
    ]
    return " and ".join(parts)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
