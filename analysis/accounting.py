"""What a run took of the provider: tokens by kind, and money by the profile's prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.derived import is_ok
from analysis.rundir import numbers

if TYPE_CHECKING:
    from analysis.rundir import Run


@dataclass(frozen=True, slots=True)
class Accounting:
    """
    Totals over all requests of a run, whatever became of them; None where nobody counted.

    Attributes:
        cached_tokens: Part of the input.
        reasoning_tokens: Part of the output.
        answered: Requests answered in full; `counted` of them have a count of output tokens.
        cost_usd: Of the requests that have prices and counts, `priced` of them.
        prices_read: The day the prices were read; None without prices.
    """

    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    output_chars: int | None
    answered: int
    counted: int
    cost_usd: float | None
    priced: int
    prices_read: str | None


def of(run: Run) -> Accounting:
    """Add up a run."""
    rows = run.requests
    names = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "output_chars")
    fresh, cached, made, thought, chars = (_total(numbers(rows, name)) for name in names)
    cost = numbers(rows, "cost_usd")
    ok = is_ok(rows)
    prices = (run.manifest.get("profile") or {}).get("prices") or {}
    return Accounting(
        fresh, cached, made, thought, chars,
        answered=int(ok.sum()), counted=int((ok & ~np.isnan(numbers(rows, "output_tokens"))).sum()),
        cost_usd=float(np.nansum(cost)) if (~np.isnan(cost)).any() else None, priced=int((~np.isnan(cost)).sum()),
        prices_read=str(prices["date"]) if prices.get("date") else None,
    )  # fmt: skip


def why_no_cost(run: Run) -> str | None:
    """Why a run of a profile with prices has no cost; None where it has one, no prices, or no answer to pay for."""
    prices = (run.manifest.get("profile") or {}).get("prices") or {}
    ok = is_ok(run.requests)
    if not prices or not ok.any() or (~np.isnan(numbers(run.requests, "cost_usd"))).any():
        return None
    if (currency := prices.get("currency", "USD")) != "USD":
        return f"the prices are in {currency}, and costs are told in USD only"
    counted = ~np.isnan(numbers(run.requests, "input_tokens"))
    return None if counted.any() else "the provider reports no usage"


def _total(values: np.ndarray) -> int | None:
    return int(np.nansum(values)) if (~np.isnan(values)).any() else None
