"""What a load costs, in sentences for a person who pays for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.capacity.figures import money, paid, percent, plain

if TYPE_CHECKING:
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.money import BreakEven, Cost, Split


def machines(count: str) -> str:
    """1 machine, 5 (4 to 6) machines."""
    return f"{count} machine" if count == "1" else f"{count} machines"


def rented(meaning: Meaning) -> list[str]:
    """Machines by the hour."""
    rent, sizing = meaning.rent, meaning.sizing
    if rent is None:
        return []
    said = _cost(rent.at_capacity, f"At {money(rent.price_per_h)} an hour, a machine that does all it can carry")
    if rent.at_capacity.split is not None:
        said.append(_split(rent.at_capacity.split))
    for cost, when in ((rent.at_peak, "At the peak"), (rent.at_mean, "On average")):
        if cost is not None:
            said += _cost(cost, f"{when}, where each does {percent(cost.utilisation)} of that, it")
    if rent.month is not None and sizing is not None:
        ends = _ends(rent.month.lo, rent.month.hi)
        said.append(f"{machines(str(sizing.replicas))} for a month of 730 hours: {money(rent.month.value)}{ends}.")
    if rent.month_mean is not None:
        said.append(f"Were their number to follow the load, a month at the mean would cost {money(rent.month_mean)}.")
    even = meaning.break_even
    return said if even is None else [*said, meets(even, meaning.asked.api)]


def _ends(lo: float | None, hi: float | None) -> str:
    if lo is None or hi is None or lo == hi:
        return ""
    return f" ({money(lo)} to {money(hi)}, by the interval of the capacity)"


def _cost(cost: Cost, what: str) -> list[str]:
    parts = []
    if cost.per_1k_good is not None:
        parts.append(f"{paid(cost.per_1k_good)} for 1,000 requests that meet the objectives")
    if cost.per_m_output is not None:
        parts.append(f"{paid(cost.per_m_output)} for a million tokens out, all else included")
    return [f"{what} costs {' or '.join(parts)}."] if parts else []


def _split(split: Split) -> str:
    fresh, made = f"{paid(split.per_m_input)} for a million in", f"{paid(split.per_m_output)} for a million out"
    shared = f"The same bill shared out, where a token out counts as {plain(split.weight)} in: {fresh} and {made}"
    return f"{shared}; {percent(split.input_share)} of it is for what goes in."


def meets(even: BreakEven, other: str, of: str = "") -> str:
    """Where so many machines and a price list cost the same."""
    fleet, per_s = machines(str(even.replicas)) + of, f"{plain(even.per_s)} requests a second"
    if not even.reachable:
        return f"{other} is cheaper at any load: {fleet} would pay from {per_s} on, more than they carry."
    return f"{fleet} cost as much as {other} at {per_s}, day and night; above that the machines are cheaper."


def by_tokens(meaning: Meaning) -> list[str]:
    """Requests by a price list."""
    tokens = meaning.tokens
    if tokens is None:
        return []
    read = f" (prices of {tokens.prices_read})" if tokens.prices_read else ""
    said = [f"By the provider's token prices{read} a request costs {money(tokens.per_request)}."]
    parts = []
    if tokens.per_1k_good is not None:
        parts.append(f"{money(tokens.per_1k_good)} for 1,000 requests that meet the objectives")
    if tokens.per_m_output is not None:
        parts.append(f"{money(tokens.per_m_output)} for a million tokens out, those in included")
    if parts:
        said.append(f"That is {' or '.join(parts)}.")
    if tokens.month_mean is not None:
        said.append(f"A month of 730 hours at the mean load: {money(tokens.month_mean)}.")
    if tokens.month_peak is not None:
        said.append(f"A month at the peak all the time: {money(tokens.month_peak)}.")
    return said
