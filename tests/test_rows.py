"""The numbers of a run with what is known about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from analysis import accounting, measured, objectives, rows, rundir, stats
from analysis.groups import Group
from analysis.metrics import BY_NAME
from analysis.places import RUN, Place
from analysis.sums import Sums

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.measured import Measured
    from loadtests import record


PRICES = {"input_per_million": 1.0, "date": "2026-11-01"}


def seen(path: Path, recipe: synthetic.Recipe | None = None) -> Measured:
    return measured.of(rundir.load(synthetic.write(path / "r", recipe)), objectives.read(()))


def row(values: list[float], metric: str = "ttft_s", p: float = 0.95) -> rows.Cell:
    group = Group(BY_NAME[metric], "", "stream", np.array(values))
    return rows.row_of(group, (p,)).cells[0]


def test_a_share_has_wilsons_interval() -> None:
    """Each fifth of 100 in turn: they tell of each other, but never so that they were worth more than 100."""
    hits = np.tile([1.0, 0, 0, 0, 0], 20)
    shuffled = np.random.default_rng(1).permutation(hits)

    assert rows.interval(Sums(hits, np.ones(100), 100, is_share=True)) == pytest.approx(stats.wilson(20, 100))
    n = stats.effective_count(shuffled)
    assert rows.interval(Sums(shuffled, np.ones(100), 100, is_share=True)) == pytest.approx(stats.wilson(n / 5, n))


def test_failures_that_come_together_say_less() -> None:
    """20 failures of 100, all in a row: one outage, which may as well not have been."""
    together = np.repeat([0.0, 1.0, 0.0], [40, 20, 40])
    found = rows.interval(Sums(together, np.ones(100), 100, is_share=True))
    alone = stats.wilson(20, 100)

    assert found is not None
    assert found[1] - found[0] > 1.5 * (alone[1] - alone[0])
    assert found[0] < 0.2 < found[1]


def test_a_few_failures_that_crowd_loosely_say_less_too() -> None:
    """20 of 2,000, each some way from the next, in two stretches of 100: a correlogram sees next to nothing of that."""
    failed = np.zeros(2000)
    failed[[*range(0, 100, 10), *range(1000, 1100, 10)]] = 1.0
    found = rows.interval(Sums(failed, np.ones(2000), 2000, is_share=True))
    alone = stats.wilson(20, 2000)

    assert found is not None
    assert found[1] - found[0] > 2 * (alone[1] - alone[0])


def test_a_rate_has_the_interval_of_a_block_bootstrap() -> None:
    """
    60 s of Poisson arrivals at 100/s: the standard error of their rate is sqrt(100 / 60) = 1.29, so +-2.5.

    The bootstrap's is as wide within a third; less than 10 s have none.
    """
    counts = np.random.default_rng(2).poisson(100, 60).astype(float)
    found = rows.interval(Sums(counts, np.ones(60), 6000))

    assert found is not None
    assert found == stats.ratio_interval(counts, np.ones(60))
    assert found[1] - found[0] == pytest.approx(5.06, rel=0.34)
    assert found[0] < counts.mean() < found[1]
    assert rows.interval(Sums(counts[:9], np.ones(9), 900)) is None


def test_too_few_requests_have_a_loose_value_for_the_mean_over_runs() -> None:
    """p95 is printed from 59 on, and taken from 20 on, where one lies beyond it."""
    mixed = np.random.default_rng(1)
    few, some, enough = (row(mixed.permutation(np.arange(float(n))).tolist()) for n in (19, 20, 130))

    assert (few.value, few.loose, few.reason) == (None, None, "19 requests, need ≥ 59")
    assert some.value is None
    assert some.loose == pytest.approx(18.05)
    assert enough.value == pytest.approx(122.55)
    assert enough.loose is None


def test_requests_that_depend_on_each_other_count_for_fewer() -> None:
    """A slow half after a fast one: 400 requests, but no 299 that say anything of their own: open above, and rough."""
    drifting = np.sort(np.random.default_rng(3).lognormal(0, 0.5, 400))
    cell = row(drifting.tolist(), p=0.99)

    assert cell.value is not None
    assert (cell.hi, cell.certified, cell.mark) == (None, None, "~")
    assert cell.n_eff is not None
    assert cell.n_eff < 299


@given(st.lists(st.floats(0.001, 1000), min_size=200, max_size=300))
def test_where_more_is_better_everything_is_mirrored(values: list[float]) -> None:
    """The p95 of a speed is its 5 % quantile, the interval and what is certified lie the other way round."""
    speed, time = row(values, "output_speed"), row([-one for one in values])

    assert speed.value == (None if time.value is None else -time.value)
    assert (speed.lo, speed.hi) == tuple(None if end is None else -end for end in (time.hi, time.lo))
    assert speed.certified == (None if time.certified is None else -time.certified)
    if speed.certified is not None and speed.value is not None:
        assert speed.certified <= speed.value


def test_what_is_certified_is_beyond_the_percentile() -> None:
    """
    Of 100 independent values the 5 % largest: early stopping allows one of 130 above p95, none of 100 (from 90 on).

    So the largest is what p95 is at most.
    """
    values = np.random.default_rng(4).permutation(np.arange(100.0))
    cell = row(values.tolist())

    assert cell.certified == 99.0
    assert cell.n_eff == pytest.approx(100)


def test_the_gaps_of_all_answers_are_one_row(tmp_path: Path) -> None:
    every = rows.rows_of(seen(tmp_path, synthetic.Recipe(n=80, stream_share=1.0)), (0.5, 0.99))
    gap, itl = (next(one for one in every if one.metric == name) for name in ("chunk_gap_s", "itl_s"))

    assert gap.n > 2000
    assert gap.cells[0].value == pytest.approx(0.02, rel=0.05)
    ends = gap.cells[0].lo, gap.cells[0].value, gap.cells[0].hi
    assert None not in ends
    assert sorted(end for end in ends if end is not None) == list(ends)
    assert (gap.tokens, itl.tokens) == (None, "usage")
    assert itl.cells[0].value == pytest.approx(0.02, rel=0.05)
    assert gap.place(gap.cells[1]) == Place("chunk_gap_s", None, "stream", None, "p99")


def test_from_send_stands_right_behind_from_the_schedule(tmp_path: Path) -> None:
    every = [(one.metric, one.group) for one in rows.rows_of(seen(tmp_path), (0.5,))]

    for metric in ("ttft", "latency"):
        for group in {name for word, name in every if word == f"{metric}_s"}:
            place = every.index((f"{metric}_s", group))
            assert every[place + 1] == (f"{metric}_from_send_s", group)


def test_every_figure_of_the_run_has_an_interval_or_says_why_not(tmp_path: Path) -> None:
    told = {one.metric: one for one in rows.rates_of(seen(tmp_path))}
    bare = {one.metric: one for one in rows.rates_of(seen(tmp_path), intervals=False)}

    assert all((one.lo is not None) == (one.reason is None) for one in told.values())
    for name in ("requests_per_s", "tokens_per_s", "goodput_per_s", "error_rate", "attainment"):
        one = told[name]
        assert one.lo is not None
        assert one.hi is not None
        assert one.value is not None
        assert one.lo <= one.value <= one.hi
        assert (bare[name].value, bare[name].lo) == (one.value, None)
        assert one.place == Place(name, None, RUN, "usage" if name == "tokens_per_s" else None, "")
    assert told["cost_per_1k_good"].reason == "nothing to count it by"


def test_tokens_of_two_sources_are_two_figures(tmp_path: Path) -> None:
    """Every fifth answer's tokens are estimated: a fifth of the tokens/s, and two lengths of answers."""

    def estimate(row: record.Record, _: np.random.Generator) -> None:
        row.output_tokens = 30
        row.tokens_from = "estimate" if row.seq % 5 == 0 else "usage"

    every = rows.rates_of(seen(tmp_path, synthetic.Recipe(n=400, rate=20, change=estimate, spread=0.01)))
    found = {one.tokens: one.value for one in every if one.metric == "tokens_per_s"}

    assert list(found) == ["estimate", "usage"]
    assert (found["usage"] or 0) / (found["estimate"] or 1) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("prices", "counted", "told"),
    [
        ({"currency": "EUR"}, True, "the prices are in EUR, and costs are told in USD only"),
        ({"currency": "USD"}, False, "the provider reports no usage"),
        ({}, False, "the provider reports no usage"),
        ({}, True, "nothing to count it by"),
    ],
)
def test_a_run_with_prices_says_why_it_has_no_cost(
    tmp_path: Path, prices: dict[str, str], *, counted: bool, told: str
) -> None:
    def count(row: record.Record, _: np.random.Generator) -> None:
        row.input_tokens = 100 if counted else None

    manifest = {"profile": {"name": "mock", "prices": PRICES | prices}}
    found = rows.rates_of(seen(tmp_path, synthetic.Recipe(n=20, change=count, manifest=manifest)))
    why = {one.metric: one.reason for one in found if one.unit == "USD"}

    assert why == {"cost_per_1k_good": told, "cost_per_m_output": told}


def test_a_cost_that_is_known_has_no_reason_for_none(tmp_path: Path) -> None:
    def pay(row: record.Record, _: np.random.Generator) -> None:
        row.input_tokens, row.cost_usd = 100, 0.002

    manifest = {"profile": {"name": "mock", "prices": PRICES}}
    one = seen(tmp_path, synthetic.Recipe(n=20, change=pay, manifest=manifest))
    assert accounting.why_no_cost(one.run) is None
