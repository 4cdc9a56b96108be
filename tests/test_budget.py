"""Budgets: the worst case is reserved, what was really taken is settled, and no number of processes overshoots."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import profiles
from loadtests.budget import WAIT, Budget, Need, worst_case
from loadtests.lease import Lease, hunger
from loadtests.ledger import Told
from loadtests.plan import Plan
from loadtests.profiles.tables import Prices
from loadtests.record import Record
from loadtests.tally import Spend
from loadtests.workload import Request

if TYPE_CHECKING:
    from pathlib import Path

PRICES = Prices(input_per_million=1.0, output_per_million=10.0, date=dt.date(2026, 1, 31))
VLLM = profiles.load("vllm").model_copy(update={"prices": PRICES})


def request(seq: int = 0, cap: int | None = 8, *, stream: bool = True) -> Request:
    messages = ({"role": "user", "content": "x"},)
    return Request(seq, "chat", messages, stream=stream, output_cap=cap, prompt_hash=0, input_chars=1)


def budget(tmp_path: Path, **caps: Any) -> Budget:
    return Budget(Plan.single("m", mode="closed", concurrency=1, **caps), [VLLM], tmp_path / "budget")


def record(tokens: tuple[int, int] | None, **facts: Any) -> Record:
    made = Record("default", "chat", 0, 0, "measure", stream=True, scheduled_ns=0, outcome=facts.pop("outcome", "ok"))
    made.sent_ns, made.status = 1, 200
    if tokens is not None:
        made.input_tokens, made.output_tokens = tokens
        made.tokens_from = "usage"
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def test_the_worst_case_is_a_token_for_three_bytes_and_the_cap() -> None:
    """30 bytes are 10 tokens, 31 are 11; 10 in and 8 out cost 10 * 1 + 8 * 10 = 90 per million."""
    assert worst_case(VLLM, {}, request(), 30) == Need(10, 8, 90e-6)
    assert worst_case(VLLM, {}, request(), 31).input_tokens == 11


@pytest.mark.parametrize(
    ("name", "cap", "stream", "output"),
    [("vllm", 8, True, 8), ("vllm", None, True, 4096), ("meingpt", 8, True, 4096), ("meingpt", 8, False, 4096)],
)
def test_without_a_cap_that_the_provider_keeps_the_profiles_worst_case_is_reserved(
    name: str, cap: int | None, stream: bool, output: int
) -> None:
    """Caps are ignored by meinGPT: a stream is cut by the client, and its making may go on all the same."""
    profile = profiles.load(name)

    assert worst_case(profile, {}, request(cap=cap, stream=stream), 30).output_tokens == output


def test_each_of_n_answers_is_reserved() -> None:
    of_its_own = replace(request(), extra={"n": 2})

    assert worst_case(VLLM, {"n": 3}, request(), 30).output_tokens == 24
    assert worst_case(VLLM, {"n": 3}, of_its_own, 30).output_tokens == 16
    assert worst_case(VLLM, {"n": "3"}, request(), 30).output_tokens == 8


def test_requests_are_counted_before_they_are_sent(tmp_path: Path) -> None:
    made = budget(tmp_path, budget_requests=2)

    assert [made.reserve("default", request(seq=seq), 30) for seq in range(3)] == ["", "", WAIT]
    made.settle("default", 0, record((10, 8)))
    made.settle("default", 1, record((10, 8)))
    reached = made.reserve("default", request(seq=2), 30)
    assert reached == "--budget-requests 2 is spent: the next request may take it to 3"
    made.close()


def test_a_reservation_is_settled_with_what_the_provider_counted_and_once(tmp_path: Path) -> None:
    """40 tokens: two worst cases of 18 fit, a third doesn't; at 4 tokens in truth, 4 + 18 + 18 fit."""
    made = budget(tmp_path, budget_tokens=40)

    assert [made.reserve("default", request(seq=seq), 30) for seq in range(3)] == ["", "", WAIT]
    for _ in range(3):
        made.settle("default", 0, record((3, 1)))
    assert made.reserve("default", request(seq=2), 30) == ""
    assert made.reserve("default", request(seq=3), 30) == WAIT
    made.close()


def test_what_was_not_sent_gives_its_room_back(tmp_path: Path) -> None:
    made = budget(tmp_path, budget_requests=1)

    assert made.reserve("default", request(seq=0), 30) == ""
    made.release("default", 0)
    made.release("default", 0)
    assert made.reserve("default", request(seq=1), 30) == ""
    made.close()


@pytest.mark.parametrize(
    ("seen", "tokens"),
    [
        (record((3, 1)), 4),  # as counted
        (record(None, output_tokens=2, tokens_from="estimate"), 12),  # its prompt as reserved, the answer as it came
        (record(None, output_tokens=8, tokens_from="estimate", flags=["cut_at_cap"]), 18),  # its making may go on
        (record(None, outcome="error", output_tokens=2, tokens_from="estimate"), 18),  # broke off: nobody knows
        (record(None, outcome="error", status=500), 0),  # refused: nothing made
        (record(None, outcome="error", status=None), 18),  # sent, and never answered
        (record(None, outcome="error", sent_ns=None, status=None), 0),  # never sent
        (None, 18),
    ],
)
def test_what_a_request_took(tmp_path: Path, seen: Record | None, tokens: int) -> None:
    made = budget(tmp_path, budget_tokens=18 + tokens)
    assert made.reserve("default", request(seq=0), 30) == ""
    made.settle("default", 0, seen)

    assert made.reserve("default", request(seq=1), 30) == ""  # exactly what is left
    assert made.reserve("default", request(seq=2, cap=1), 1) != ""
    made.close()


def test_money_is_held_to_the_profiles_prices(tmp_path: Path) -> None:
    """90e-6 each: two fit 200e-6."""
    made = budget(tmp_path, budget_cost=200e-6)

    assert [made.reserve("default", request(seq=seq), 30) for seq in range(3)] == ["", "", WAIT]
    made.close()


def test_processes_share_one_budget(tmp_path: Path) -> None:
    """Three processes ask for 400 requests each; 1,000 are let through, whoever asks for them."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom loadtests import profiles\n"
        "from loadtests.budget import Budget\nfrom loadtests.plan import Plan\n"
        "plan = Plan.single('m', mode='closed', concurrency=1, budget_requests=1000)\n"
        "made = Budget(plan, [profiles.load('vllm')], Path(sys.argv[1]))\n"
        "print(sum(not made.reserve('default', plan.source().request(seq), 9) for seq in range(400)))"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "budget")], stdout=subprocess.PIPE)
        for _ in range(3)
    ]

    assert sum(int(worker.communicate()[0]) for worker in workers) == 1000


# One machine of many: only what was granted is spent.


def leased(tmp_path: Path, **caps: Any) -> tuple[Budget, Lease, Plan]:
    plan = Plan.single("m", mode="closed", concurrency=1, **caps)
    return Budget(plan, [VLLM], tmp_path / "budget", leased=True), Lease(tmp_path / "budget"), plan


def test_a_leased_budget_spends_what_was_granted_and_says_what_it_lacks(tmp_path: Path) -> None:
    """The worst case is 10 + 8 tokens. Of 40 granted, two requests leave 4: 14 are short of a third."""
    made, lease, plan = leased(tmp_path, budget_tokens=1000)

    assert made.reserve("default", request(seq=0), 30) == WAIT
    assert lease.counts().wanted == Spend(1, 18, 90e-6 * 2 - 90e-6)
    told = hunger(lease.counts(), plan)
    assert told is not None
    assert told.short == Spend(0, 18, 0.0)  # requests and money have no cap here
    lease.grant(Spend(0, 40, 0.0))
    lease.grant(Spend(0, 20, 0.0))  # overtaken by a later sum: nothing changes
    assert [made.reserve("default", request(seq=seq), 30) for seq in range(3)] == ["", "", WAIT]
    told = hunger(lease.counts(), plan)
    assert told is not None
    assert (told.seen, told.short, told.under_way) == (Spend(0, 40, 0.0), Spend(0, 14, 0.0), 2)
    for seq in range(2):
        made.settle("default", seq, record((3, 1)))
    assert made.reserve("default", request(seq=2), 30) == ""
    assert lease.counts().wanted == Spend()
    made.close()
    lease.close()


def test_a_lease_that_was_the_last_ends_in_a_line_that_names_the_plans_cap(tmp_path: Path) -> None:
    made, lease, plan = leased(tmp_path, budget_requests=1000)
    lease.grant(Spend(1))
    lease.end()

    assert made.reserve("default", request(seq=0), 30) == ""
    assert made.reserve("default", request(seq=1), 30) == (
        "--budget-requests 1000 is spent: what is left does not cover the next request, which may take 1"
    )
    assert hunger(lease.counts(), plan) is None
    made.close()
    lease.close()


def test_giving_back_leaves_what_is_taken_and_reserved(tmp_path: Path) -> None:
    """100 granted, 4 taken, 18 reserved: 78 go back; of the 18 the answer takes 4 in the end, so 14 more do."""
    made, lease, _ = leased(tmp_path, budget_tokens=1000)
    lease.grant(Spend(0, 100, 0.0))
    for seq in range(2):
        assert made.reserve("default", request(seq=seq), 30) == ""
    made.settle("default", 0, record((3, 1)))

    assert lease.give_back() == Told(Spend(0, 100, 0.0), Spend(0, 78, 0.0), 1)
    assert lease.give_back() == Told(Spend(0, 100, 0.0), Spend(0, 78, 0.0), 1)
    made.settle("default", 1, record((3, 1)))
    assert lease.give_back() == Told(Spend(0, 100, 0.0), Spend(0, 92, 0.0), 0)
    made.close()
    lease.close()


def test_room_is_kept_for_eight_requests_or_twice_what_the_last_second_used(tmp_path: Path) -> None:
    """Each reserves 18 tokens. 10 in this second: room for 20, 360 tokens, has to be there, and 720 are asked for."""
    now = [0]
    made, lease, plan = leased(tmp_path, budget_tokens=100_000)
    lease = Lease(tmp_path / "budget", now_ns=lambda: now[0])

    assert hunger(lease.counts(), plan) == Told(Spend(), Spend(), 0)  # nobody knows yet how large requests are
    lease.grant(Spend(0, 10 * 18 + 359, 0.0))
    for seq in range(10):
        assert made.reserve("default", request(seq=seq), 30) == ""
    told = hunger(lease.counts(), plan)
    assert told is not None
    assert (told.want, told.short) == (Spend(0, 720 - 359, 0.0), Spend())
    lease.grant(Spend(0, 10 * 18 + 360, 0.0))
    assert hunger(lease.counts(), plan) is None
    now[0] = 900_000_000
    assert lease.counts().lately == 10
    now[0] = 1_000_000_000
    assert lease.counts().lately == 0  # the last look of a second ago had seen them all
    made.close()
    lease.close()


def test_what_was_granted_for_a_request_that_waits_is_its_own_for_a_second(tmp_path: Path) -> None:
    """It needs 18 of 25 tokens: 7 go back at once, the 18 only when nobody has taken them for a second."""
    now = [0]
    made, _, _ = leased(tmp_path, budget_tokens=1000)
    lease = Lease(tmp_path / "budget", now_ns=lambda: now[0])
    assert made.reserve("default", request(seq=0), 30) == WAIT
    lease.grant(Spend(0, 25, 0.0))

    assert lease.give_back() == Told(Spend(0, 25, 0.0), Spend(0, 7, 0.0), 1)
    now[0] = 1_000_000_000
    lease.grant(Spend(0, 25, 0.0))  # the same again gives no more time
    assert lease.give_back() == Told(Spend(0, 25, 0.0), Spend(0, 25, 0.0), 0)
    made.close()
    lease.close()
