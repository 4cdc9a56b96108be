"""What a plan may take at most, before anything is sent: requests, tokens, money; as lines for people and as data."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from loadtests.budget import BudgetError, Need, price, worst_case
from loadtests.dialect import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.plan import Plan
    from loadtests.profiles import Profile

LOOKED_AT: Final = 2000
"""Prompts that are made to count their tokens; each further one counts as the largest of these."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    The worst case of a plan.

    Attributes:
        requests: At most so many; None where only time bounds them.
        input_tokens, output_tokens: Of all requests, or of one (the longest) where their number is unbounded. Input is
            estimated by bytes and rather too much; output is the cap, or what the profile calls the worst case. Budgets
            in tokens and money are not in them: they cut this short.
        capped: The provider keeps a cap.
        cost: At list price, in `currency`; None without prices.
        seconds: When the run is over at the latest, answers under way included; None: when the last patience is.
    """

    requests: int | None
    input_tokens: int
    output_tokens: int
    capped: bool
    cost: float | None
    currency: str | None
    seconds: float | None

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> dict[str, Any]:
        """As `--dry-run --json` prints it."""
        return {**asdict(self), "tokens": self.tokens}

    def line(self) -> str:
        """For people."""
        cap = "" if self.capped else " (this provider keeps no cap: the profile's worst case)"
        tokens = f"{self.input_tokens:,} input + {self.output_tokens:,} output tokens{cap}"
        if self.requests is None:
            text = f"as many requests as the time allows, each at most {tokens}"
        else:
            text = f"at most {self.requests:,} request{'s' if self.requests != 1 else ''}, {tokens}"
        if self.cost is not None:
            text += f", {self.cost:,.4g} {self.currency}"
        return text


def forecast(profile: Profile, plan: Plan) -> Forecast:
    """The worst case of this plan with this provider; of the budgets, that on requests bounds it."""
    number = _requests(plan)
    needs = list(_needs(profile, plan, LOOKED_AT if number is None else min(number, LOOKED_AT)))
    most = Need(*(max(column) for column in zip(*needs, strict=True))) if needs else Need(0, 0, 0.0)
    further = 0 if number is None else number - len(needs)
    known = [most] if number is None else needs
    fresh = sum(need.input_tokens for need in known) + further * most.input_tokens
    made = sum(need.output_tokens for need in known) + further * most.output_tokens
    priced = profile.prices is not None
    return Forecast(
        requests=number,
        input_tokens=fresh,
        output_tokens=made,
        capped=profile.output_cap_param != "none",
        cost=price(profile.prices, fresh, made) if priced else None,
        currency=profile.prices.currency if profile.prices is not None else None,
        seconds=plan.budget_time_s,
    )


def check_budget(profile: Profile, plan: Plan) -> None:
    """
    See whether the budget has room for the first request.

    Raises:
        BudgetError: It has not: that is a mistake, and not a run of unsent rows.
    """
    (need,) = _needs(profile, plan, 1)
    for option, value, cap in (
        ("--budget-tokens", need.spend.tokens, plan.budget_tokens),
        ("--budget-cost", need.cost, plan.budget_cost),
    ):
        if cap is not None and value > cap:
            raise BudgetError(f"{option} {cap:.6g} has no room for one request: the first may take {value:.6g}")


def _needs(profile: Profile, plan: Plan, number: int) -> Iterator[Need]:
    """The worst cases of the first so many requests."""
    source = plan.source()
    for seq in range(number):
        request = source.request(seq)
        yield worst_case(profile, plan.params, request, len(body_of(profile, plan.model, plan.params, request)))


def _requests(plan: Plan) -> int | None:
    bounds = [plan.budget_requests, plan.requests]
    if plan.mode == "open":
        bounds.append(len(plan.open_schedule()))
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known else None


def outline(profile: Profile, plan: Plan) -> list[str]:
    """What is going to happen, in lines for people."""
    where = "an embedded provider on this machine" if profile.embedded else profile.url
    load_of = (
        f"closed loop, {plan.concurrency:,} user{'s' if plan.concurrency != 1 else ''}"
        if plan.mode == "closed"
        else f"open loop, {plan.arrivals} {plan.rate:g}/s"
    )
    spans = [f"for {plan.duration_s:g} s" if plan.duration_s is not None else "until its requests are done"]
    if plan.budget_time_s is not None:
        spans.append(f"over after {plan.budget_time_s:g} s")
    caps = {"requests": plan.budget_requests, "tokens": plan.budget_tokens, "cost": plan.budget_cost}
    budget = ", ".join(f"{value:,.6g} {name}" for name, value in caps.items() if value is not None)
    key = profile.auth.env
    lines = [
        f"target   {where}",
        *([f"key      ${key}{'' if os.environ.get(key) else ', which is not set'}"] if key else []),
        f"model    {plan.model}",
        f"load     {load_of} {', '.join(spans)}, {plan.stream_share:.0%} streamed, workload {plan.workload}",
        f"tokens   {forecast(profile, plan).line()}",
    ]
    return [*lines, f"budget   {budget}"] if budget else lines
