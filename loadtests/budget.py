"""
What a run may spend at most: requests, tokens, money; over all worker processes of this machine.

The counts are one small file in the run's parts directory (see `tally`). Every request reserves its worst case before
it is sent and settles what it really took, so that no burst overshoots. Over many machines each has a file of its own
and spends only what the master has leased to it (see `lease` and `ledger`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow.compute as pc

from loadtests.dialect import asked_choices
from loadtests.tally import Caps, Spend, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.profiles.tables import Prices
    from loadtests.record import Record
    from loadtests.tally import Counts
    from loadtests.workload import Request

FILE: Final = "budget"
WAIT: Final = "wait"
BYTES_PER_TOKEN: Final = 3
"""Of a request's whole body: more tokens than most tokenizers make of it, so rather too much than too little."""


class BudgetError(ValueError):
    """A budget without room for a single request: one line."""


class Need(NamedTuple):
    """The worst case of one request, in tokens and in the currency of the profile's prices."""

    input_tokens: int
    output_tokens: int
    cost: float

    @property
    def spend(self) -> Spend:
        """What is reserved for it."""
        return Spend(1, self.input_tokens + self.output_tokens, self.cost)


class Budget:
    """
    The caps of a plan and what has been spent of them.

    Args:
        profiles: Of the plan's arms, in their order.
        path: The file that all processes of this machine share; made where it is not there.
        leased: The caps are those of a run over many machines; here only what was granted may be spent.
    """

    def __init__(self, plan: Plan, profiles: Sequence[Profile], path: Path, *, leased: bool = False) -> None:
        self.leased = leased
        self._caps = Caps.of(plan)
        self._all = self._caps.all()
        self._sides = {arm.name: (arm, profile) for arm, profile in zip(plan.arms, profiles, strict=True)}
        self._needs: dict[tuple[str, int], Need] = {}
        self._tally = Tally(path)

    def close(self) -> None:
        """Give the file back."""
        self._tally.close()

    def reserve(self, name: str, request: Request, body_bytes: int) -> str:
        """
        Ask for the room that a request with so long a body to the arm of this name needs.

        Returns:
            "": It has it. `WAIT`: it would, if what is under way took less than it may, or with a larger lease. Else:
            which cap is reached, for people.
        """
        arm, profile = self._sides[name]
        need = worst_case(profile, arm.params, request, body_bytes)
        with self._tally.held() as counts:
            said = self._lacking(counts, need.spend) if self.leased else self._reached(counts, need.spend)
            if not said:
                reserved, asked = counts.reserved.plus(need.spend), counts.asked.plus(need.spend)
                self._tally.write(counts._replace(reserved=reserved, asked=asked, wanted=Spend()))
                self._needs[name, request.seq] = need
            elif self.leased and counts.wanted != need.spend:
                self._tally.write(counts._replace(wanted=need.spend))
        return said

    def _reached(self, counts: Counts, need: Spend) -> str:
        after = counts.settled.plus(need)
        for option, value, cap in self._caps.beyond(after, self._all):
            return f"{option} {cap:g} is spent: the next request may take it to {value:,.6g}"
        return WAIT if self._caps.beyond(after.plus(counts.reserved), self._all) else ""

    def _lacking(self, counts: Counts, need: Spend) -> str:
        for option, value, cap in self._caps.beyond(need, counts.room):
            why = f"what is left does not cover the next request, which may take {value:,.6g}"
            return f"{option} {cap:g} is spent: {why}" if counts.final else WAIT
        return ""

    def settle(self, name: str, seq: int, record: Record | None) -> None:
        """
        A request is over: what it took, instead of what it might have; once, and harmless where nothing is reserved.

        Args:
            name: Of the arm.
            seq: Of the request.
            record: None where nobody knows what became of it.
        """
        need = self._needs.pop((name, seq), None)
        if need is None:
            return
        used = need.spend if record is None else self._used(self._sides[name][1], need, record)
        self._over(need.spend, used)

    def release(self, name: str, seq: int) -> None:
        """A request was not sent, and its room is free again; harmless where it was."""
        need = self._needs.pop((name, seq), None)
        if need is not None:
            self._over(need.spend, Spend())

    def _over(self, need: Spend, used: Spend) -> None:
        with self._tally.held() as counts:
            left = counts.reserved.plus(need, -1)
            reserved = left if left.requests else Spend()  # no dust of money where nothing is under way
            self._tally.write(counts._replace(settled=counts.settled.plus(used), reserved=reserved))

    @staticmethod
    def _used(profile: Profile, need: Need, record: Record) -> Spend:
        """By the provider's counts; where it broke off or was cut, its making may go on: the worst case stands."""
        if record.sent_ns is None:
            return Spend()
        if record.status is not None and not 200 <= record.status < 300:
            return Spend(1)
        fresh = need.input_tokens if record.input_tokens is None else record.input_tokens
        told = record.outcome == "ok" or record.tokens_from == "usage"
        known = record.output_tokens is not None and told and "cut_at_cap" not in (record.flags or ())
        made = record.output_tokens if known and record.output_tokens is not None else need.output_tokens
        return Spend(1, fresh + made, price(profile.prices, fresh, made))


def spent(rows: pa.Table) -> Spend:
    """
    What the rows of a run took, by the provider's counts; where it gave none, the cap stands.

    Args:
        rows: With sent_ns, input_tokens, output_tokens, output_cap and cost_usd.
    """
    sent = rows.filter(pc.is_valid(rows.column("sent_ns")))
    made = pc.coalesce(sent.column("output_tokens"), sent.column("output_cap"), 0)
    tokens, fresh, cost = (
        pc.sum(part).as_py() or 0 for part in (made, sent.column("input_tokens"), sent.column("cost_usd"))
    )
    return Spend(sent.num_rows, tokens + fresh, cost)


def worst_case(profile: Profile, params: Mapping[str, Any], request: Request, body_bytes: int) -> Need:
    """
    What a request may take at most.

    Its body counts as a token for each `BYTES_PER_TOKEN` bytes. The cap counts where the provider keeps it, for each of
    the n answers asked for; a stream that the client cuts may go on being made, so there the profile's worst case does.
    """
    cap = request.output_cap if profile.output_cap_param != "none" else None
    output = (asked_choices(profile, params, request.extra) or 1) * (
        profile.worst_case_output_tokens if cap is None else cap
    )
    fresh = -(-body_bytes // BYTES_PER_TOKEN)
    return Need(fresh, output, price(profile.prices, fresh, output))


def price(prices: Prices | None, input_tokens: int, output_tokens: int) -> float:
    """What these tokens cost at list price, nothing cached; 0 without prices."""
    if prices is None:
        return 0.0
    return (input_tokens * prices.input_per_million + output_tokens * prices.output_per_million) / 1e6
