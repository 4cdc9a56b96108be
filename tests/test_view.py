"""What a person sees while a run is on: rates and percentiles, on terminals of any size, and in plain lines."""

from __future__ import annotations

import io
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtests import histogram
from loadtests.cli import view
from loadtests.cli.view.figures import Figures
from loadtests.cli.view.layout import drawn
from loadtests.cli.view.panel import Panel
from loadtests.cli.view.plain import Lines, line_of
from loadtests.cli.view.words import clocked, figure, spark
from loadtests.fleet import Member
from loadtests.live import Side
from loadtests.plan import Arm, Plan
from loadtests.standing import Following

CONSTANT: dict[str, Any] = {"arrivals": "constant", "rate": 10.0, "duration_s": 60.0}
ONE = Plan.single("m", **CONSTANT)
TWO = Plan((Arm("fast", "m"), Arm("a-slow-one-with-a-long-name", "m")), **CONSTANT)
HEALTH = {"cpu": 0.1, "hub_lag_us": 200, "wake_lag_p99_us": 50.0, "send_lag_p99_us": 300.0}


def side(n: int, ttft_s: float = 0.2, errors: int = 0) -> Side:
    """So many good answers of 50 tokens, 20 ms each."""
    ttft, tpot = histogram.bin_of(round(ttft_s * 1e9)), histogram.bin_of(20_000_000)
    return Side(
        n, errors, 0, 0, 50 * n, {"reset": errors} if errors else {}, {ttft: n}, {tpot: n}, ttft_s * n, 0.02 * n
    )


def told(t_s: float, *sides: Side, lag: int = 3, health: Any = HEALTH, **more: Any) -> Member:
    """A worker of an open loop at 10/s which is so many answers behind."""
    done = sum(one.done for one in sides)
    arms = {arm.name: one.to_json() for arm, one in zip((ONE if len(sides) == 1 else TWO).arms, sides, strict=True)}
    status = {"t_s": t_s, "issued": done + lag, "in_flight": lag, "waiting": 0, "arms": arms, "health": health}
    return Member(0, status=status | {"slot": 0, "slot_ns": 0} | more, started=True)


def figures_of(*members: Member, plan: Plan = ONE) -> Figures:
    """After these have been heard one after the other."""
    following = Following(plan)
    found = Figures(plan, following)
    for one in members:
        found.take(following.of([one]), one.status["t_s"])
    return found


def steady(seconds: int = 30, per_s: float = 10.0, **more: Any) -> Figures:
    """10/s are offered, and so many a second are answered."""
    return figures_of(*(told(float(t), side(round(per_s * t)), **more) for t in range(1, seconds + 1)))


def fleet(*members: Member) -> Any:
    """What a view wants to know of one."""
    return SimpleNamespace(members=members)


def text(figures: Figures, width: int = 80, height: int = 24) -> str:
    return "\n".join(line.plain for line in drawn(figures, width, height))


# Figures.


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    """9 a second for 20 s, then 5: of the last ten seconds it is 5, and 5 x 50 tokens."""
    early = [told(float(t), side(9 * t)) for t in range(1, 21)]
    late = [told(20.0 + t, side(180 + 5 * t)) for t in range(1, 11)]
    last = figures_of(*early, *late).over()

    assert last.length_s == 10
    assert (last.offered_per_s, last.achieved_per_s, last.tokens_per_s) == pytest.approx((10, 5, 250))


def test_percentiles_lately_are_of_what_came_lately() -> None:
    """100 answers after 0.2 s each, then 30 after 0.8 s within ten seconds."""
    slow = Side.from_json(side(100).to_json())
    histogram.add(slow.ttft, {histogram.bin_of(800_000_000): 30})
    slow.ok = 130
    found = figures_of(told(10.0, side(100)), told(20.0, slow))

    assert found.over().ttft_s(0.5) == pytest.approx(0.8, rel=0.0125)
    assert histogram.quantile_s(found.whole.ttft, 0.5) == pytest.approx(0.2, rel=0.0125)


def test_who_answers_less_than_is_offered_falls_behind() -> None:
    """Of 100 that were due 60 were answered: 40 are more than 3 x sqrt(100). Of 90, 10 may be chance."""
    assert steady(per_s=6.0).over().falls_behind
    assert not steady(per_s=9.0).over().falls_behind
    assert "6/s behind" in text(steady(per_s=6.0))


def test_a_client_is_busy_where_most_seconds_say_so() -> None:
    full = HEALTH | {"cpu": 0.97}
    some = [told(float(t), side(10 * t - 3), health=full if t % 4 == 0 else HEALTH) for t in range(1, 31)]

    assert figures_of(*some).busy() == ""
    assert "client fine · cpu 10% · late: sends 0.3, reads 0.05 ms" in text(figures_of(*some[:-3]))
    assert steady(health=full).busy() == "its core is full"
    assert steady(health=HEALTH | {"hub_lag_us": 9000}).busy() == "its loop is held up"


def test_sends_that_are_due_and_not_made_are_the_clients_fault() -> None:
    """At 30 s 301 were due, and 290 were picked up: 11 are more than those of a tenth of a second, 1."""
    late = figures_of(told(30.0, side(287)))

    assert late.busy() == "11 sends are late"
    assert figures_of(told(30.0, side(287), waiting=11)).busy() == ""


# Words.


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0"), (0.01234, "0.0123"), (20.14, "20.1"), (99.96, "100"), (1234.5, "1,234")],
)
def test_figures_have_three_digits(value: float | None, shown: str) -> None:
    assert figure(value) == shown


def test_time_is_counted_in_what_it_is_read_in() -> None:
    assert [clocked(s) for s in (0.4, 59.6, 100, 754, 5025)] == ["0 s", "60 s", "1:40", "12:34", "1:23:45"]


def test_a_sparkline_goes_from_nothing_to_its_greatest() -> None:
    """Eighths of 8, the newest at the right; what is missing is blank."""
    assert spark([0, 1, 4, 7.9, None, 8], 8) == "  ▁▂▅█ █"
    assert spark([9, 1, 4, 8], 3) == "▂▅█"
    assert spark([0, 0], 2) == "▁▁"


# The panel.


def test_a_usual_terminal_shows_all_of_it() -> None:
    found = text(steady(per_s=9.9)).splitlines()

    assert found[0].startswith("running ━━━")
    assert found[0].endswith(" 50%  30 s, 30 s left")
    assert [word for line in found[1:3] for word in line.split()] == [
        "offered", "10/s", "achieved", "9.9/s", "tokens/s", "495", "in", "flight", "3", "ok", "297", "errors", "0",
    ]  # fmt: skip
    assert [line.split() for line in found if line.startswith(("TTFT  ", "TPOT"))] == [
        ["TTFT", "199", "199", "-", "199", "199", "199"],
        ["TPOT", "19.9", "19.9", "-", "19.9", "19.9", "19.9"],
    ]
    assert [line[:9].strip() for line in found[-3:]] == ["TTFT p50", "tokens/s", "in flight"]


def test_a_sparkline_shows_what_its_name_says() -> None:
    """Of 19 requests there is no p95, of 20 there is; most took 0.2 s, and that is the p50 of both."""
    for slow in (7, 8):
        counts = {histogram.bin_of(200_000_000): 12, histogram.bin_of(1_600_000_000): slow}
        figures = figures_of(told(1.0, Side()), told(2.0, Side(ok=12 + slow, ttft=counts)))
        assert figures.sparks["TTFT p50"][-1] == pytest.approx(0.2, rel=0.025)


def test_errors_are_told_by_their_kind() -> None:
    found = figures_of(told(1.0, Side(ok=5, errors=3, kinds={"reset": 1, "throttled": 2})))

    assert "errors throttled 2, reset 1" in text(found).splitlines()


def test_what_arms_do_is_told_by_arm() -> None:
    """The slot at hand is the second arm's where the seed says that it goes first."""
    following = Following(TWO)
    playing = TWO.arms[following.slots[0].arms[0]].name
    lines = text(figures_of(told(2.0, side(10), side(9, 0.4, 1)), plan=TWO), 60).splitlines()
    arms = [line for line in lines if line[2:].startswith(("fast", "a-slow"))]

    assert [line.split()[-5:] for line in arms] == [["10", "0", "199", "-", "19.9"], ["9", "1", "398", "-", "19.9"]]
    assert next(line for line in arms if line.startswith("▸")).split()[1][:6] == playing[:6]
    assert lines[0].startswith(f"{playing}, block 1 of 8")


@given(st.integers(20, 200), st.integers(2, 60), st.sampled_from([ONE, TWO]), st.integers(0, 10**7))
def test_it_fits_every_terminal(width: int, height: int, plan: Plan, many: int) -> None:
    """No line wraps, and none more than there is room for; how far the run has come is there in any case."""
    sides = [side(many, errors=many)] * len(plan.arms)
    found = drawn(figures_of(told(1.0, *sides), told(3.0, *sides), plan=plan), width, height)

    assert 1 <= len(found) <= height - 1
    assert all(line.cell_len <= width for line in found)
    assert not found[0].plain.startswith(" ")


def test_the_less_room_the_less_is_told_and_nothing_else() -> None:
    heights = [{*text(steady(), 80, height).splitlines()} for height in range(3, 30)]

    assert all(fewer - {""} <= more for fewer, more in pairwise(heights))


def test_a_panel_is_gone_when_the_run_is_over() -> None:
    """The cursor is shown again, and what was said stays."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None)
    with Panel(ONE, "[who] asks", Following(ONE), console) as panel:
        panel.update(fleet(told(1.0, side(5))), 1.0)
        panel.say("[note] said")
    shown = out.getvalue()

    assert "offered" in shown
    assert "[who] asks" in shown
    assert "[note] said" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("offered")
    assert shown.rstrip().endswith("\x1b[2K")


# Where there is nothing to draw on.


@pytest.mark.parametrize(
    ("environ", "drawn_on"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, True),
        ({"CI": "true"}, False),
        ({"CI": "false"}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_panel_is_for_terminals_that_people_watch(environ: dict[str, str], *, drawn_on: bool) -> None:
    console = Console(file=io.TextIOWrapper(io.BytesIO(), "utf-8"), force_terminal=True, _environ=environ)

    assert view.draws(console, environ) == drawn_on
    assert not view.draws(Console(file=io.StringIO(), _environ=environ), environ)


def test_elsewhere_a_line_each_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(ONE, "who asks what", Following(ONE)) as lines:
        for t in range(1, 26):
            lines.update(fleet(told(float(t), side(10 * t - 3, errors=t // 20))), float(t))

    times = "TTFT p50 199 p95 199 ms · TPOT p50 19.9 p95 19.9 ms · tokens/s 500 · client fine"
    assert capsys.readouterr().err.splitlines() == [
        "who asks what",
        f"10 s · offered 10/s · achieved 10/s · in flight 3 · ok 97 · errors 0 · {times}",
        f"20 s · offered 10/s · achieved 10.1/s · in flight 3 · ok 197 · errors 1 (reset 1) · {times}",
    ]


def test_a_closed_loop_has_users_instead_of_a_rate() -> None:
    plan = Plan.single("m", mode="closed", concurrency=7, duration_s=60.0)
    found = figures_of(told(12.0, side(50)), plan=plan)

    assert "users 7 · achieved" in line_of(found)
    assert "users" in text(found)
    assert "offered" not in text(found)
