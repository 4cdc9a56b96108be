"""Many runs in order of time: series, points, change points."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import manyruns
import numpy as np
import pytest
from click.testing import CliRunner
from manyruns import ERRORS, GOODPUT, LATENCY, TTFT, noisy, run, series

from analysis.charts.history import chart
from analysis.replicates.history import Course, History, Step, trace
from analysis.rundir import RunError
from loadtests.cli import group
from loadtests.cli.history import _told, bars, marks

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.digest import Digest

STEP = [*noisy(10, 0.2, 0.005), *noisy(10, 0.22, 0.005, seed=2)]
"""200 ms, from the eleventh run on 220 ms; runs differ by half a per cent."""


def steps(runs: list[Digest], name: str = "ttft_p50", **more: Any) -> tuple[Step, ...]:
    """The change points of the only series' only number."""
    (only,) = trace(runs, [name], **more).series
    (course,) = only.courses
    return course.steps


def told(step: Step) -> tuple[int, str, bool | None]:
    return step.index, step.label, step.worse


# Change points.


def test_a_step_is_found_where_it_is_with_its_size() -> None:
    (step,) = steps(series(STEP))

    assert told(step) == (10, "run-10", True)
    assert (step.before, step.after) == pytest.approx((0.2, 0.22), rel=0.005)
    assert step.size == pytest.approx(step.after / step.before - 1)
    assert step.p < 1e-6


def test_means_are_geometric_like_all_ratios() -> None:
    (step,) = steps(series(STEP))
    assert step.before == pytest.approx(np.exp(np.log(STEP[:10]).mean()))


def test_runs_that_differ_by_chance_have_none_and_a_small_step_is_not_told() -> None:
    assert steps(series(noisy(30))) == ()
    assert steps(series(STEP), least_effect=0.15) == ()


def test_what_is_worse_depends_on_the_metric() -> None:
    better = [run(at, {GOODPUT: 50 * x}) for at, x in enumerate(STEP)]

    assert [told(step) for step in steps(better, "goodput")] == [(10, "run-10", False)]
    assert [step.worse for step in steps(series(STEP[::-1]))] == [False]


def test_shares_change_by_points() -> None:
    """From 1 % to 6 % is 5 points, not 500 %."""
    rng = np.random.default_rng(1)
    values = [*rng.normal(0.01, 0.001, 8), *rng.normal(0.06, 0.001, 8)]
    (step,) = steps(series(values, ERRORS), "error_rate")

    assert step.size == pytest.approx(0.05, abs=0.002)
    assert steps(series(values, ERRORS), "error_rate", least_effect=0.06) == ()


def test_an_outage_is_a_change_though_0_has_no_logarithm() -> None:
    values = [*noisy(8, 5.0, 0.01), *[0.0] * 8]
    (step,) = steps(series(values, GOODPUT), "goodput")

    assert told(step) == (8, "run-8", True)
    assert (step.after, step.size) == pytest.approx((0.0, -step.before))


def test_what_else_changed_at_the_same_run_is_told() -> None:
    runs = [
        run(at, {TTFT: x}, settings={"versions.firsttoken": "0.1.0" if at < 10 else "0.2.0", "labels.x": at})
        for at, x in enumerate(STEP)
    ]
    (step,) = steps(runs)

    assert step.beside == ("versions.firsttoken: 0.1.0 → 0.2.0",)


def test_a_number_that_some_runs_lack_is_followed_over_the_others() -> None:
    runs = [run(at, {TTFT: x} if at % 3 else {LATENCY: x}) for at, x in enumerate(STEP)]
    (only,) = trace(runs, ["ttft_p50"]).series

    assert only.courses[0].values[:4] == (None, STEP[1], STEP[2], None)
    assert [step.index for step in only.courses[0].steps] == [10]


# Points and series.


def test_the_order_is_that_of_time_however_they_are_given() -> None:
    runs = series(STEP)
    assert trace(runs[::-1], ["ttft_p50"]) == trace(runs, ["ttft_p50"])


def test_runs_of_one_label_are_one_point_where_the_first_stands() -> None:
    """Means of 0.1 and 0.4 on logs: 0.2. Commit b began before a's last run."""
    labels = ["a", "b", "a", "b"]
    runs = [run(at, {TTFT: (0.1, 1.0, 0.4, 1.0)[at]}, labels={"commit": labels[at]}) for at in range(4)]
    (only,) = trace(runs, ["ttft_p50"], label="commit").series

    assert [(point.label, point.runs) for point in only.points] == [
        ("a", ("run-0", "run-2")),
        ("b", ("run-1", "run-3")),
    ]
    assert only.courses[0].values == pytest.approx((0.2, 1.0))


def test_a_run_without_the_label_stands_alone() -> None:
    runs = [run(0, {TTFT: 1.0}, labels={"commit": "a"}), run(1, {TTFT: 1.0}), run(2, {TTFT: 1.0}, name="run-1")]
    (only,) = trace(runs, ["ttft_p50"], label="commit").series

    assert [point.label for point in only.points] == ["a", "run-1", "run-1 (2)"]


def test_the_change_falls_on_the_commit_that_made_it() -> None:
    runs = [run(at, {TTFT: x}, labels={"commit": f"c{at // 2}"}) for at, x in enumerate(np.repeat(STEP, 2))]
    assert [told(step) for step in steps(runs, label="commit")] == [(10, "c10", True)]


def test_another_setting_starts_another_series_and_says_which() -> None:
    runs = [run(at, {TTFT: x}, settings={"plan.rate": 8.0 if at < 10 else 16.0}) for at, x in enumerate(STEP)]
    first, second = trace(runs, ["ttft_p50"]).series

    assert (len(first.points), first.why) == (10, ())
    assert (len(second.points), second.why) == (10, ("plan.rate: 8.0 → 16.0",))
    assert not first.courses[0].steps
    assert not second.courses[0].steps


def test_arms_are_series_of_their_own_and_machines_of_one_kind_are_not() -> None:
    arms = [run(at, {TTFT: 1.0}, arm="ab"[at % 2]) for at in range(4)]
    nodes = [run(at, {TTFT: 1.0}, settings={"host.node": f"ci-{at}"}) for at in range(4)]

    assert [len(one.points) for one in trace(arms, ["ttft_p50"]).series] == [2, 2]
    assert trace(arms, ["ttft_p50"]).series[1].why == ("arm: a → b",)
    assert [len(one.points) for one in trace(nodes, ["ttft_p50"]).series] == [4]


def test_runs_that_are_not_valid_are_left_out_and_named() -> None:
    runs = series(STEP)
    runs[3] = replace(runs[3], verdict="invalid")
    (only,) = trace(runs, ["ttft_p50"]).series

    assert (len(only.points), only.invalid) == (19, ("run-3",))
    assert [told(step) for step in only.courses[0].steps] == [(9, "run-10", True)]


# What is shown.


def test_bars_reach_from_the_least_to_the_greatest() -> None:
    assert bars([0.0, 1.0, None, 0.5, 1.0]) == "▁█·▅█"
    assert bars([2.0, 2.0]) == "▁▁"
    assert len(bars([float(x) for x in range(100)])) == 60


def test_marks_stand_below_the_first_bar_of_a_new_level() -> None:
    (only,) = trace(series(STEP), ["ttft_p50"]).series
    assert marks(only.courses[0]) == " " * 10 + "▲"


def test_a_point_of_several_runs_has_an_interval() -> None:
    """Logs -a, 0, a with a = 0.1 about that of 0.2: t(2) = 4.303, half the width 4.303 x 0.1 / sqrt(3) = 0.248."""
    values = [*(0.2 * np.exp([-0.1, 0.0, 0.1])), 0.3]
    runs = [run(at, {TTFT: float(x)}, labels={"commit": "a" if at < 3 else "b"}) for at, x in enumerate(values)]
    found = trace(runs, ["ttft_p50"], label="commit")
    (only,) = found.series[0].courses
    drawn = chart(found)

    assert only.intervals[0] == pytest.approx(0.2 * np.exp([-0.2484, 0.2484]), rel=1e-3)
    assert only.intervals[1] is None
    assert [row[2:6] for row in drawn.table.rows] == [
        ("a", "3", "200 ms", "[156, 256]"), ("b", "1", "300 ms", "\N{EN DASH}"),
    ]  # fmt: skip
    assert drawn.spots[0].text == "a: ttft_p50 200 [156, 256] ms"


def test_the_chart_names_the_change_and_is_the_same_each_time() -> None:
    found = trace(series(STEP), ["ttft_p50"])
    drawn = chart(found)

    assert "run-10 +" in drawn.svg
    assert "ttft_p50 at run-10" in drawn.alt
    assert chart(found) == drawn
    assert "No run has a number to plot" in chart(History((), None, 0.02)).svg


@pytest.mark.parametrize(("last", "change"), [(5.5, "+10"), (0.0, "from or to 0")])
def test_a_change_beside_an_outage_is_told_in_per_cent(last: float, change: str) -> None:
    """Where a run had no good answer there are no logs, but both levels of a change may be above 0."""
    course = Course(GOODPUT, "difference", (), ())
    step = Step(8, "run-8", 5.0, last, last - 5.0, 1e-6, worse=False)

    assert change in _told(course, step).plain


# The verb.


def history(*words: str) -> Any:
    return CliRunner().invoke(group, ["history", *words], standalone_mode=False)


def test_the_verb_on_what_a_repository_keeps(tmp_path: Path) -> None:
    runs = [run(at, {TTFT: x, ERRORS: 0.0}, labels={"commit": f"c{at}"}) for at, x in enumerate(STEP)]
    folder, svg = str(manyruns.keep(tmp_path / "runs", runs)), tmp_path / "history.svg"
    done = history(folder, "--label", "commit", "--svg", str(svg))
    found = json.loads(history(folder, "--metric", "ttft_p50", "--json").output)

    assert done.return_value == 0, done.exception
    assert "20 points, c0 to c19" in done.output
    assert "▲ at c10: 2" in done.output
    assert "c10" in svg.read_text()
    (only,) = found["series"]
    assert [(one["name"], one["unit"], len(one["values"])) for one in only["courses"]] == [("ttft_p50", "s", 20)]
    assert only["courses"][0]["steps"][0]["index"] == 10


def test_the_verb_on_run_directories(tmp_path: Path) -> None:
    """A step of 50 % over four runs cannot be missed even with 100 requests each."""
    folder = manyruns.write(tmp_path, [0.2, 0.2, 0.3, 0.3], commit=["a", "a", "b", "b"])
    done = history(str(folder), "--label", "commit")

    assert done.return_value == 0, done.exception
    assert "2 points of 4 runs, a to b" in done.output
    assert "a change needs 4 points or more to be seen" in done.output
    assert "ttft_p50" in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--metric", "ttft_p59"), 'did you mean "ttft_p50"?'),
        (("--min-effect", "2"), "'2' isn't a share like 5% or 0.05"),
        (("--svg", "nowhere/history.svg"), "--svg nowhere/history.svg: No such file or directory; name a file in"),
    ],
)
def test_a_mistake_is_a_line(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    error = history(str(manyruns.keep(tmp_path, series(STEP[:2]))), *words).exception

    assert isinstance(error, click.ClickException | RunError)
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert told in text
    assert "\n" not in text


def test_no_such_folder_is_a_line(tmp_path: Path) -> None:
    assert "nowhere: no such run, campaign" in str(history(str(tmp_path / "nowhere")).exception)
