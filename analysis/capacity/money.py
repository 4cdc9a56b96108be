"""What a load costs: machines by the hour, or tokens by the price list, and where the two meet."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from analysis.capacity.figures import Figure
from analysis.capacity.sizing import Demand, SizingError, size

if TYPE_CHECKING:
    from analysis.capacity.carried import Carried
    from analysis.capacity.mix import Mix
    from analysis.capacity.point import Point
    from analysis.capacity.sizing import Sizing

MONTH_H: Final = 730.0
HOUR_S: Final = 3600.0
MILLION: Final = 1e6


@dataclass(frozen=True, slots=True)
class Split:
    """
    One bill shared out between input and output tokens: both parts together are the bill, once.

    Attributes:
        weight: What an output token counts, in input tokens.
        input_share: Of the bill.
    """

    weight: float
    input_share: float
    per_m_input: Figure
    per_m_output: Figure


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What work costs on a replica that does so much of it. USD.

    Attributes:
        utilisation: Of what it carries.
        per_s: Requests per second that it does.
        per_1k_good: Per 1,000 requests that kept every promise; None where nobody knows how many did.
        per_m_output: The whole bill over the output tokens, input included; None without token counts.
    """

    utilisation: float
    per_s: Figure
    per_1k_good: Figure | None
    per_m_output: Figure | None
    split: Split | None


def cost(price_per_h: float, per_s: Figure, utilisation: float, mix: Mix, weight: float | None = None) -> Cost:
    """
    What a rented replica's work costs.

    Args:
        price_per_h: Of one replica, USD.
        per_s: Requests per second that it does.
        utilisation: What share of its capacity that is.
        mix: Of the work; the share of good requests is that near the capacity.
        weight: What an output token counts, in input tokens; None: the bill is not shared out.

    Raises:
        SizingError: A price or a weight that isn't finite and more than 0.
    """
    for name, given in (("price", price_per_h), ("weight of an output token", weight)):
        if given is not None and not 0 < given < math.inf:
            raise SizingError(f"{name} {given:g} isn't finite and more than 0")
    hourly = per_s.times(HOUR_S)
    made, fresh = (_each(flow, mix) for flow in (mix.output_tokens_per_s, mix.input_tokens_per_s))
    return Cost(
        utilisation,
        per_s,
        hourly.times(mix.good / 1000).under(price_per_h) if mix.good else None,
        hourly.times(made / MILLION).under(price_per_h) if made else None,
        _split(price_per_h, hourly, fresh, made, weight) if fresh and made and weight else None,
    )


def _each(flow: float | None, mix: Mix) -> float | None:
    return None if flow is None else flow / mix.requests_per_s


def _split(price: float, hourly: Figure, fresh: float, made: float, weight: float) -> Split:
    """Each input token pays price / (input + weight x output), each output token weight times that."""
    units = fresh + weight * made
    one = hourly.times(units / MILLION).under(price)
    return Split(weight, fresh / units, one, one.times(weight))


@dataclass(frozen=True, slots=True)
class Rent:
    """
    Replicas by the hour. USD.

    Attributes:
        at_capacity: Where a replica does all that it carries.
        at_peak: On the replicas that a peak was sized to, at that peak; None without one.
        at_mean: The same at the mean load; None without one.
        month: 730 h of the replicas for the peak, whatever they do meanwhile; its ends are those of the replicas.
        month_mean: The same with as many as the mean would need, if their number followed the load.
    """

    price_per_h: float
    at_capacity: Cost
    at_peak: Cost | None = None
    at_mean: Cost | None = None
    month: Figure | None = None
    month_mean: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def rent(
    price_per_h: float,
    carried: Carried,
    mix: Mix,
    sizing: Sizing | None = None,
    mean_per_s: float | None = None,
    weight: float | None = None,
) -> Rent:
    """What rented replicas cost at their capacity and, with a peak and a mean, as they will really be used."""
    full = cost(price_per_h, carried.per_s, 1.0, mix, weight)
    if sizing is None:
        return Rent(price_per_h, full)
    month = price_per_h * MONTH_H
    n, least, most = sizing.replicas, sizing.least, sizing.most
    ends = (None if end is None else end * month for end in (least, most))

    def used(load_per_s: float) -> Cost:
        each = load_per_s / n
        return cost(price_per_h, Figure(each), each / carried.per_s.value, mix, weight)

    found = Rent(price_per_h, full, used(sizing.demand.grown_per_s), None, Figure(n * month, *ends))
    if mean_per_s is None:
        return found
    demand = Demand(mean_per_s, 0.0, sizing.demand.headroom, sizing.demand.failures)
    return Rent(price_per_h, full, found.at_peak, used(mean_per_s), found.month, size(demand, carried).replicas * month)


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    Requests by a provider's price list. USD.

    Attributes:
        per_request: Mean, failed ones included.
        month_mean, month_peak: 730 h at that rate; None where it is not stated.
        prices_read: The day of the price list.
    """

    per_request: float
    per_1k_good: float | None
    per_m_output: float | None
    prices_read: str | None
    month_mean: float | None = None
    month_peak: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def tokens(point: Point | None, peak_per_s: float | None = None, mean_per_s: float | None = None) -> Tokens | None:
    """What a run cost by the profile's prices, carried over to a month; None without prices."""
    if point is None or (each := _per_request(point)) is None:
        return None
    mean, most = (None if x is None else each * x * HOUR_S * MONTH_H for x in (mean_per_s, peak_per_s))
    return Tokens(each, point.cost_per_1k_good, point.cost_per_m_output, point.prices_read, mean, most)


def _per_request(point: Point) -> float | None:
    """Cost over arrivals: by the good ones and their share, else by the output tokens."""
    if point.cost_per_1k_good is not None and point.attainment:
        return point.cost_per_1k_good / 1000 * point.attainment
    if point.cost_per_m_output is not None and point.output_tokens is not None:
        return point.cost_per_m_output / MILLION * point.output_tokens
    return None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """
    Where rented replicas and a price list cost the same.

    Attributes:
        per_s: Requests per second, day and night; above it the replicas are cheaper.
        replicas: That are rented.
        reachable: They carry that many within their promises.
    """

    per_s: float
    replicas: int
    reachable: bool

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def break_even(price_per_h: float, replicas: int, carried: Carried, per_request: float) -> BreakEven | None:
    """
    The mean rate at which so many rented replicas cost what a price list asks for the same requests.

    Returns:
        None where a request is free.
    """
    if per_request <= 0:
        return None
    per_s = replicas * price_per_h / HOUR_S / per_request
    return BreakEven(per_s, replicas, per_s <= replicas * carried.per_s.value)
