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
from loadtests.plan import Plan
from loadtests.profiles.tables import Prices
from loadtests.record import Record
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
