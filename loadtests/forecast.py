"""What a plan may take at most, before anything is sent: requests, tokens, money; as lines for people and as data."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests.arrival import Conversation
from loadtests.budget import BYTES_PER_TOKEN, BudgetError, Need, price, worst_case
from loadtests.dialect import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.plan import Arm, Plan
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


def forecast(profiles: Sequence[Profile], plan: Plan) -> Forecast:
    """The worst case of this plan with its arms' providers; of the budgets, that on requests bounds it."""
    number = _requests(plan)
    looked_at = LOOKED_AT // len(plan.arms)
    sides = [
        _worst(_needs(profile, arm, plan, looked_at if number is None else min(number, looked_at)), number)
        for arm, profile in zip(plan.arms, profiles, strict=True)
    ]
    currencies = {profile.prices.currency for profile in profiles if profile.prices is not None}
    priced = len(currencies) == 1 and all(profile.prices is not None for profile in profiles)
    costs = [price(profile.prices, *side) for profile, side in zip(profiles, sides, strict=True)]
    asked = None if number is None else number * len(sides)
    return Forecast(
        requests=asked if plan.budget_requests is None else min(asked or plan.budget_requests, plan.budget_requests),
        input_tokens=sum(fresh for fresh, _ in sides),
        output_tokens=sum(made for _, made in sides),
        capped=all(profile.output_cap_param != "none" for profile in profiles),
        cost=sum(costs) if priced else None,
        currency=currencies.pop() if priced else None,
        seconds=plan.budget_time_s,
    )


def _worst(needs: Iterator[Need], number: int | None) -> tuple[int, int]:
    """Input and output tokens of so many requests of one arm, those looked at first; of one where nobody knows."""
    known = list(needs)
    if not known:
        return 0, 0
    most = Need(*(max(column) for column in zip(*known, strict=True)))
    further = 0 if number is None else number - len(known)
    counted = [most] if number is None else known
    fresh = sum(need.input_tokens for need in counted) + further * most.input_tokens
    return fresh, sum(need.output_tokens for need in counted) + further * most.output_tokens


def check_budget(profiles: Sequence[Profile], plan: Plan) -> None:
    """
    See whether the budget has room for the first request of each arm.

    Raises:
        BudgetError: It has not: that is a mistake, and not a run of unsent rows.
    """
    for arm, profile in zip(plan.arms, profiles, strict=True):
        (need,) = _needs(profile, arm, plan, 1)
        for option, value, cap in (
            ("--budget-tokens", need.spend.tokens, plan.budget_tokens),
            ("--budget-cost", need.cost, plan.budget_cost),
        ):
            if cap is not None and value > cap:
                raise BudgetError(f"{option} {cap:.6g} has no room for one request: the first may take {value:.6g}")


def _needs(profile: Profile, arm: Arm, plan: Plan, number: int) -> Iterator[Need]:
    """The worst cases of an arm's first so many requests; a turn brings the longest answers to those before it."""
    source, seq = plan.source(), 0
    schedule = plan.open_schedule(source=source) if plan.mode == "open" else None
    for a in count():
        talk = Conversation(a, source.turns(a), size=None if schedule is None else schedule.size_of(a))
        for _ in range(min(talk.turns, number - seq)):
            request = talk.ask(source, seq)
            need = worst_case(profile, arm.params, request, len(body_of(profile, arm.model, arm.params, request)))
            yield need
            talk.answered(request, "x" * (need.output_tokens * BYTES_PER_TOKEN))
            seq += 1
        if seq >= number:
            return


def _requests(plan: Plan) -> int | None:
    """Of one arm, at most."""
    planned = plan.open_schedule().requests if plan.mode == "open" else plan.requests
    known = [bound for bound in (plan.budget_requests, planned) if bound is not None]
    return min(known) if known else None


def total(each: Sequence[Forecast], most: int | None) -> Forecast:
    """
    The worst case of several runs, one after another.

    Args:
        each: Of every run, at least one.
        most: What the budget on requests leaves for all of them together; None: no cap.
    """
    known = [one.requests for one in each if one.requests is not None]
    counted = len(known) == len(each)
    asked = sum(known) if counted else None
    add = sum if counted else max
    costs = [one.cost for one in each if one.cost is not None]
    return replace(
        each[0],
        requests=asked if most is None else min(asked or most, most),
        input_tokens=add([one.input_tokens for one in each]),
        output_tokens=add([one.output_tokens for one in each]),
        cost=add(costs) if len(costs) == len(each) else None,
        seconds=None,
    )


def outline(
    profiles: Sequence[Profile], plan: Plan, rounds: int = 0, *, load: str = "", worst: Forecast | None = None
) -> list[str]:
    """
    What is going to happen, in lines for people; in a campaign so many rounds of it.

    Args:
        profiles: Of the plan's arms.
        plan: Of one run.
        rounds: Of a campaign of such runs.
        load: In words, and
        worst: what it may take, where the runs of the campaign are not all of this plan.
    """
    caps = {"requests": plan.budget_requests, "tokens": plan.budget_tokens, "cost": plan.budget_cost}
    budget = ", ".join(f"{value:,.6g} {name}" for name, value in caps.items() if value is not None)
    lines = [line for arm, profile in zip(plan.arms, profiles, strict=True) for line in _whom(plan, arm, profile)]
    each = (" each round" if rounds and worst is None else "") + (", and the tail of --hold" if plan.hold else "")
    lines += [
        f"load     {load or load_phrase(plan, rounds)}, {plan.streamed:.0%} streamed",
        *[f"workload {line}" for line in _asked(plan)],
        f"tokens   {(worst or forecast(profiles, plan)).line()}{each}",
    ]
    lines += [f"budget   {budget}"] if budget else []
    return [*lines, f"to meet  {', '.join(plan.objectives)}"] if plan.objectives else lines


def _asked(plan: Plan) -> list[str]:
    """What is asked, in words; a trace's lengths win over the workload's."""
    made = plan.open_schedule() if plan.mode == "open" else None
    return plan.source().words(None if made is None or made.sizes is None else made.sizes.medians(made.planned))


def _whom(plan: Plan, arm: Arm, profile: Profile) -> list[str]:
    where = "an embedded provider on this machine" if profile.embedded else profile.url
    key = profile.auth.env
    return [
        *([f"arm      {arm.name}"] if len(plan.arms) > 1 else []),
        f"target   {where}",
        *([f"key      ${key}{'' if os.environ.get(key) else ', which is not set'}"] if key else []),
        f"model    {arm.model}",
    ]


def load_phrase(plan: Plan, rounds: int = 0) -> str:
    """The load in words; in a campaign so many rounds of it."""
    words = [_closed_phrase(plan) if plan.mode == "closed" else _open_phrase(plan)]
    if plan.max_in_flight is not None:
        words.append(f"at most {plan.max_in_flight} in flight")
    if plan.hold:
        words.append("held until all is done")
    if rounds:
        runs = rounds if plan.together else rounds * len(plan.arms)
        words.append(f"{rounds} round{'s' if rounds > 1 else ''}, {runs} run{'s' if runs > 1 else ''} in all")
    elif plan.interleaved:
        words.append(f"{len(plan.arms)} arms in turn, {plan.blocks} blocks each")
    elif len(plan.arms) > 1:
        words.append(f"{len(plan.arms)} arms together")
    if plan.budget_time_s is not None:
        words.append(f"cut off after {plan.budget_time_s:g} s")
    return ", ".join(words)


def _open_phrase(plan: Plan) -> str:
    made = plan.open_schedule()
    rate = f" {plan.rate:g}/s" if plan.rate is not None else ""
    stages = f" along {len(plan.stages)} stage{'s' * (len(plan.stages) != 1)}" if plan.stages else ""
    speed = f" at {plan.trace_speed:g} times its speed" if plan.trace_speed != 1 else ""
    what = f"{plan.arrivals}{rate}{stages}" if plan.trace is None else f"trace {Path(plan.trace).name}{speed}"
    length = f" in {made.length_s:.4g} s" if made.length_s else " at once"
    talks = f"{made.planned:,} conversation{'s' * (made.planned != 1)}, " if plan.has_conversations else ""
    return f"open loop, {what}: {talks}{made.requests:,} request{'s' * (made.requests != 1)}{length}"


def _closed_phrase(plan: Plan) -> str:
    users = plan.closed_schedule().users
    words = f"closed loop, {'up to ' if plan.stages else ''}{users:,} user{'s' if users != 1 else ''}"
    if plan.stages:
        words += f" along {len(plan.stages)} stages"
    if plan.ramp_s:
        words += f" started within {plan.ramp_s:g} s"
    thinking = plan.thinking()
    if thinking is not None:
        words += f" thinking {thinking.words()}"
    if plan.duration_s is not None:
        return f"{words} for {plan.duration_s:g} s"
    return words + (" until its requests are done" if plan.requests is not None else "")
