"""The steady part: known start-ups are found, steady runs are left alone, growing ones refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from analysis import digest, rundir, series, window
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path


def test_under_a_minute_nothing_is_cut_and_that_is_said(tmp_path: Path) -> None:
    found = window.find(rundir.load(synthetic.write(tmp_path / "r")))

    assert not found.cut
    assert found.steady is None
    assert "under 60 s nothing is cut" in found.reason


def test_a_slow_start_is_cut_off(tmp_path: Path) -> None:
    """
    TTFT is 4 times as long at first, falling to normal over 30 of 150 s.

    No more than the tail of the ramp is left, and no more than half the run is cut (in-flight, a noisy series, has the
    last word here).
    """
    recipe = synthetic.Recipe(n=3000, rate=20, tokens=6, spread=0.05, warm=lambda t: 1 + 3 * max(0.0, 1 - t / 30))
    found = window.find(rundir.load(synthetic.write(tmp_path / "r", recipe)))

    assert found.cut
    assert 20 <= found.start_s <= 75


def test_a_queue_that_grows_has_no_steady_part(tmp_path: Path) -> None:
    recipe = synthetic.Recipe(n=1600, rate=20, tokens=6, warm=lambda t: 1 + t / 5)
    found = window.find(rundir.load(synthetic.write(tmp_path / "r", recipe)))

    assert found.steady is False
    assert "no steady state" in found.reason


def test_a_known_step_is_cut_where_it_is() -> None:
    """20 values of 10, then 100 of 1 with little noise: 4 batches of 5."""
    values = np.concatenate([np.full(20, 10.0), 1 + 0.01 * np.random.default_rng(1).normal(size=100)])

    assert window.mser5(values) is not None
    assert 20 <= (window.mser5(values) or 0) <= 60


def test_a_stall_is_no_start_up() -> None:
    """In flight 1 for 60 s, but 25 and 75 in a freeze from 20 to 22 s: the first 20 s are like the last 38."""
    values = 1 + 0.01 * np.random.default_rng(4).normal(size=60)
    values[20:22] = 25, 75

    assert window.mser5(values) == 0


def test_mser_is_its_formula() -> None:
    """The prefix-sum form against the definition, term by term."""
    values = np.concatenate([np.linspace(5, 1, 30), 1 + 0.1 * np.random.default_rng(2).normal(size=120)])
    batches = values.reshape(-1, 5).mean(axis=1)
    n = batches.size
    by_hand = [np.sum((batches[d:] - batches[d:].mean()) ** 2) / (n - d) ** 2 for d in range(n - 5 + 1)]

    assert window.mser5(values) == 5 * int(np.argmin(by_hand))


@given(st.floats(0, 1e6), st.integers(30, 200))
def test_a_constant_series_is_steady_from_the_start(value: float, n: int) -> None:
    assert window.mser5(np.full(n, value)) == 0


def test_steady_noise_is_hardly_ever_refused() -> None:
    """500 series of 60 s with autocorrelation 0.8: 5 % may be, 1 % are."""
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(500):
        noise = rng.normal(size=60)
        for i in range(1, 60):
            noise[i] += 0.8 * noise[i - 1]
        refused += window.mser5(50 + noise) is None

    assert refused <= 25


def test_bins_without_a_value_do_not_count() -> None:
    values = np.ones(100)
    values[10:20] = np.nan

    assert window.mser5(values) == 0


def test_only_measured_arrivals_of_the_window_are_its_rows(tmp_path: Path) -> None:
    def phases(row: record.Record, _: np.random.Generator) -> None:
        row.phase = "warmup" if row.seq < 40 else "drain" if row.seq >= 150 else "measure"

    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(change=phases)))
    found = window.find(run)

    assert found.rows(run.requests)["seq"].tolist() == list(range(40, 150))


def test_an_open_loop_window_ends_a_mean_gap_after_its_last_arrival(tmp_path: Path) -> None:
    """8/s constant, 160 arrivals from 0.125 s on: 159 gaps make 19.875 s, one more makes 20."""
    found = window.find(rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(poisson=False))))

    assert found.length_s == pytest.approx(20.0)


@pytest.mark.parametrize(
    "length",
    [{"duration_s": 10}, {"stages": [{"kind": "concurrency", "start": 1, "end": 4, "duration_s": 5}] * 2}],
)
def test_a_closed_loop_window_is_the_planned_duration(tmp_path: Path, length: dict[str, object]) -> None:
    plan = {"plan": {"mode": "closed", "concurrency": 4, **length}}
    found = window.find(rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(manifest=plan, poisson=False))))

    assert found.length_s == pytest.approx(10.0)


def arrivals_per_s(run: rundir.Run) -> float | None:
    """What its digest says."""
    found = digest.of(judge(run)).numbers
    return next((one.value for place, one in found.items() if place.metric == "arrivals_per_s"), None)


def write_plan(path: Path, recipe: synthetic.Recipe, **plan: object) -> rundir.Run:
    """A run of the recipe with these keys in its plan."""
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, recipe.n)["plan"] | plan}
    return rundir.load(synthetic.write(path, recipe))


def test_later_turns_do_not_stretch_the_window(tmp_path: Path) -> None:
    """
    40 conversations of 4 turns, one every half second from 0.125 s on: 20 s.

    The turns come 2.1, 4.2 and 6.3 s after the first, so those of the last 4, 8 and 12 conversations come behind
    20.125 s: 24.
    """
    run = write_plan(tmp_path / "r", synthetic.Recipe(poisson=False, change=synthetic.talk(4, step_s=2.1)))
    found = window.find(run)

    assert (found.start_s, found.end_s) == pytest.approx((0.125, 20.125))
    assert len(found.rows(run.requests)) == 160 - 24
    assert found.reason.endswith("; 24 later turns behind its end are not judged")
    assert arrivals_per_s(run) == pytest.approx(2.0)


def test_a_burst_is_judged_to_its_last_end_and_has_no_arrival_rate(tmp_path: Path) -> None:
    def at_once(row: record.Record, _: np.random.Generator) -> None:
        row.scheduled_ns = 0

    run = write_plan(tmp_path / "r", synthetic.Recipe(n=20, change=at_once), arrivals="burst:20", rate=None)
    found = window.find(run)

    assert (found.start_s, found.end_s) == (0.0, rundir.seconds(run.requests, "end_ns").max())
    assert "no rate of arrivals" in found.reason
    assert arrivals_per_s(run) is None
    assert len(found.rows(run.requests)) == 20


def test_groups_at_one_instant_are_one_moment_of_the_window(tmp_path: Path) -> None:
    """Groups of 8 every second from 0 to 19 s: one more second makes 20, and 8/s."""

    def grouped(row: record.Record, _: np.random.Generator) -> None:
        synthetic.move(row, (row.seq // 8) * 10**9 - row.scheduled_ns)

    run = write_plan(tmp_path / "r", synthetic.Recipe(change=grouped), arrivals="burst:8")
    found = window.find(run)

    assert found.length_s == pytest.approx(20.0)
    assert arrivals_per_s(run) == pytest.approx(8.0)


@pytest.mark.parametrize("plan", [{"stages": [{"kind": "rate", "start": 1, "end": 40}]}, {"arrivals": "trace:a.csv"}])
def test_a_load_that_was_planned_to_change_is_not_searched_for_a_steady_part(
    tmp_path: Path, plan: dict[str, object]
) -> None:
    """The same rows are refused where the load was to hold still."""
    slower = synthetic.Recipe(n=1600, rate=20, tokens=6, warm=lambda t: 1 + t / 5)
    meant = window.find(write_plan(tmp_path / "r", slower, **plan))
    not_meant = window.find(write_plan(tmp_path / "s", slower))

    assert (meant.steady, meant.cut, not_meant.steady) == (None, False, False)
    assert "the load was planned to change" in meant.reason


def test_what_holds_the_load_is_load_and_never_judged(tmp_path: Path) -> None:
    """The last 40 of 1,600 arrivals at 20/s are `drain`: no row of the window, but in flight beside its last ones."""

    def hold(row: record.Record, _: np.random.Generator) -> None:
        row.phase = "drain" if row.seq >= 1560 else "measure"

    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=1600, rate=20, poisson=False, change=hold)))
    found = window.find(run)
    behind = np.array([found.end_s, found.end_s + 1])

    assert found.end_s == pytest.approx(78.05)
    assert found.rows(run.requests)["seq"].max() == 1559
    assert series.in_flight(run.requests, behind)[0] > series.in_flight(found.rows(run.requests), behind)[0] + 2
    assert arrivals_per_s(run) == pytest.approx(20.0, rel=0.01)


def test_turns_that_a_stop_kept_from_coming_are_its_own(tmp_path: Path) -> None:
    """
    40 conversations of 4 turns; of every second one nobody recorded the last two.

    Whoever finished the run laid them at their conversation's start; the one a pause withheld had a moment of its own.
    """

    def cut(row: record.Record, rng: np.random.Generator) -> None:
        synthetic.talk(4)(row, rng)
        if (row.conversation or 0) % 2 and (row.turn or 0) > 1:
            row.outcome, row.flags = "unsent", ["paused"] if row.seq == 7 else None

    recipe = synthetic.Recipe(poisson=False, change=cut)
    whole = rundir.load(synthetic.write(tmp_path / "r", recipe))
    recipe.manifest = {"stop": {"reason": "run_time", "text": "by Locust"}}
    stopped = rundir.load(synthetic.write(tmp_path / "s", recipe))

    assert window.held_back_by_stop(whole, whole.requests).sum() == 0
    assert window.held_back_by_stop(stopped, stopped.requests).sum() == 40 - 1


def test_an_empty_run_has_an_empty_window(tmp_path: Path) -> None:
    found = window.find(rundir.load(synthetic.write(tmp_path / "r", rows=[])))

    assert found.length_s == 0
    assert found.reason == "no request was measured"


# The series under it.


def test_in_flight_is_the_time_mean(tmp_path: Path) -> None:
    """One from 0.5 to 2.0 s, one from 1.0 to 1.25 s: 0.5, then 1 + 0.25, then 0."""
    spans = [(0.5, 2.0), (1.0, 1.25)]
    rows = [
        record.Record(
            arm="", workload="w", worker=0, seq=i, phase="measure", stream=False, scheduled_ns=int(a * 1e9),
            outcome="ok", sent_ns=int(a * 1e9), headers_ns=int(b * 1e9), end_ns=int(b * 1e9), output_tokens=10,
        )
        for i, (a, b) in enumerate(spans)
    ]  # fmt: skip
    frame = rundir.load(synthetic.write(tmp_path / "r", rows=rows)).requests

    assert series.in_flight(frame, np.arange(4.0)).tolist() == pytest.approx([0.5, 1.25, 0.0])
    assert series.output_tokens(frame, np.arange(4.0)).tolist() == pytest.approx([0, 10, 10])


def test_tokens_of_a_stream_are_spread_over_it_and_none_is_lost(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r"))
    edges = np.arange(0.0, 40.0)

    total = series.output_tokens(run.requests, edges).sum()
    assert total == pytest.approx(rundir.numbers(run.requests, "output_tokens").sum())


def test_a_request_that_ends_as_another_begins_is_not_beside_it() -> None:
    assert series.peak_in_flight(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == 1
    assert series.peak_in_flight(np.array([0.0, 0.5]), np.array([1.0, np.inf])) == 2
    assert series.peak_in_flight(np.array([]), np.array([])) == 0
