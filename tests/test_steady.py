"""A queue that grows is refused, one that holds still is not: simulated queues, drawn with a seed."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import synthetic
from commands import ask, latest

from analysis import rundir, window
from analysis.checks import load, steady
from analysis.checks.rule import evidence
from loadtests.mock import process

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.checks.rule import Check

    Array = NDArray[np.float64]


def served(arrived: Array, took: Array, servers: int) -> Array:
    """When each request begins to be served, first come, first served: M/M/c where both are drawn so."""
    free, began = [0.0] * servers, np.empty_like(arrived)
    for i, (at, long) in enumerate(zip(arrived, took, strict=True)):
        began[i] = max(at, heapq.heappop(free))
        heapq.heappush(free, began[i] + long)
    return began


def queue(seed: int, load_share: float, over_s: float, servers: int = 10, mean_s: float = 1.0) -> rundir.Run:
    """A run against servers that are busy for so much of the time; 0: no queue at all, as many as are needed."""
    rng = np.random.default_rng(seed)
    rate = (load_share or 0.8) * servers / mean_s
    arrived = np.cumsum(rng.exponential(1 / rate, int(rate * over_s)))
    took = rng.exponential(mean_s, arrived.size) if load_share else mean_s * rng.lognormal(0, 0.4, arrived.size)
    began = served(arrived, took, servers) if load_share else arrived
    return run_of(arrived, began - arrived + 0.2 * rng.lognormal(0, 0.25, arrived.size), began + took)


def run_of(arrived: Array, ttft_s: Array, ended: Array, **plan: Any) -> rundir.Run:
    """A run with the columns that the window and check 11 look at."""
    n = len(arrived)
    stamps = {
        name: pd.array(np.rint((at - arrived[0]) * 1e9).astype(np.int64), dtype="Int64")
        for name, at in (
            ("scheduled_ns", arrived), ("sent_ns", arrived), ("first_token_ns", arrived + ttft_s),
            ("last_token_ns", ended), ("end_ns", ended),
        )
    }  # fmt: skip
    words = {name: pd.Categorical([word] * n) for name, word in (("phase", "measure"), ("outcome", "ok"))}
    none = {name: pd.array([pd.NA] * n, dtype="Int64") for name in ("turn", "conversation", "worker")}
    frame = pd.DataFrame({
        **stamps, **words, **none, "ttft_s": ttft_s, "latency_s": ended - arrived, "output_tokens": np.full(n, 30.0),
        "flags": pd.array([None] * n, dtype="string"),
    })  # fmt: skip
    manifest = {"plan": {"mode": "open", "arrivals": "poisson", "rate": 8.0, **plan}, "ended": True}
    return rundir.Run(Path("r"), manifest, frame, None, Path("r"))


def judged(run: rundir.Run) -> Check:
    return load.still(evidence(run, window.find(run)))


def statuses(of: Any, seeds: int) -> Counter[str]:
    return Counter(judged(of(seed)).status for seed in range(seeds))


GROWING = [(1.5, 60, 10, 1.0), (1.2, 120, 10, 0.5), (3.0, 20, 4, 1.5)]
"""Load, seconds, servers, seconds of service: the last is 8/s for 20 s at four servers that do 2.7/s."""

STILL = [(0.0, 60), (0.5, 60), (0.8, 60), (0.8, 300)]
"""Load and seconds: neighbours in time are alike, at a load of 80 % for many seconds; each begins empty."""


@pytest.mark.parametrize(("load_share", "over_s", "servers", "mean_s"), GROWING)
def test_a_queue_that_grows_is_refused(load_share: float, over_s: float, servers: int, mean_s: float) -> None:
    assert statuses(lambda seed: queue(seed, load_share, over_s, servers, mean_s), 5) == {"invalid": 5}


def test_a_queue_that_holds_still_is_not() -> None:
    assert statuses(lambda seed: queue(seed, 0.5, 60), 10) == {"ok": 10}


@pytest.mark.slow
@pytest.mark.parametrize(("load_share", "over_s", "servers", "mean_s"), GROWING)
def test_a_queue_that_grows_is_refused_each_time(load_share: float, over_s: float, servers: int, mean_s: float) -> None:
    assert statuses(lambda seed: queue(seed, load_share, over_s, servers, mean_s), 100) == {"invalid": 100}


@pytest.mark.slow
@pytest.mark.parametrize(("load_share", "over_s"), STILL)
def test_a_queue_that_holds_still_is_hardly_ever_refused(load_share: float, over_s: float) -> None:
    assert statuses(lambda seed: queue(seed, load_share, over_s), 100)["invalid"] <= 5


@pytest.mark.slow
def test_a_run_as_long_as_the_default_is_never_in_doubt() -> None:
    """8/s for 20 s, answers of about 0.9 s, no queue: 100 of 100 seeds."""
    assert statuses(lambda seed: queue(seed, 0.0, 20, servers=9, mean_s=0.9), 100) == {"ok": 100}


def test_the_check_names_what_grew_and_by_how_much() -> None:
    check = judged(queue(1, 2.0, 20, servers=4))

    assert check.number == 11
    assert check.value.startswith("in flight +1")
    assert ", TTFT +1" in check.value
    assert "more was offered than served" in check.why


@pytest.mark.parametrize(
    "plan",
    [
        {"stages": [{"kind": "rate", "start": 1, "end": 40, "duration_s": 20}]},
        {"arrivals": "trace:a.csv"},
        {"shape": "Steps"},
    ],
)
def test_a_load_that_was_planned_to_change_may_drift(plan: dict[str, Any]) -> None:
    arrived = np.arange(0, 20, 0.1)
    run = run_of(arrived, 0.2 + arrived / 10, arrived + 1 + arrived / 5, **plan)

    assert (judged(run).status, judged(run).why) == ("not_judged", "the load was planned to change")


def test_one_series_alone_makes_a_run_doubtful() -> None:
    """TTFT falls from 400 to 200 ms over 40 s, and the answers take a second whatever it is."""
    rng = np.random.default_rng(1)
    arrived = np.arange(0, 40, 0.1)
    check = judged(run_of(arrived, (0.4 - arrived / 200) * rng.lognormal(0, 0.1, arrived.size), arrived + 1))

    assert check.status == "doubtful"
    assert check.why.startswith("No steady state: TTFT kept changing.")
    # The line falls by 0.195 s from the first bin's middle to the last's, of 0.295 on the mean.
    assert ", TTFT -6" in check.value


def test_a_start_up_that_took_much_of_the_run_is_doubtful() -> None:
    """
    TTFT is four times as long for the first 60 of 150 s, and then as it was.

    TTFT settles in the batch that begins at 60 s; in flight, an answer later, in the one at 65 s: 43 %.
    """
    rng = np.random.default_rng(2)
    arrived = np.arange(0, 150, 0.05)
    ttft = np.where(arrived < 60, 0.8, 0.2) * rng.lognormal(0, 0.1, arrived.size)
    run = run_of(arrived, ttft, arrived + ttft + 0.3)

    assert judged(run).status == "doubtful"
    assert "43 % of the run was start-up" in judged(run).why


def test_a_line_is_its_change_over_its_mean() -> None:
    """10 values from 1 to 2: from the first bin's middle to the last's it grows by 1, of 1.5 on the mean."""
    found = steady.drift("x", np.arange(11.0), np.linspace(1, 2, 10))

    assert found is not None
    assert found.change == pytest.approx(1 / 1.5)
    assert found.p == 0.0
    assert found.grows
    assert found.certain


@pytest.mark.parametrize("values", [np.ones(7), np.zeros(20), np.r_[np.ones(7), np.full(13, np.nan)]])
def test_too_little_is_no_line(values: Array) -> None:
    assert steady.drift("x", np.arange(len(values) + 1.0), values) is None


def test_a_series_that_never_moves_holds_still() -> None:
    found = steady.drift("x", np.arange(21.0), np.ones(20))

    assert found is not None
    assert (found.change, found.grows, found.certain) == (0.0, False, False)


def test_filling_the_server_is_no_growth() -> None:
    """
    Arrivals every 0.1 s that stay 5 s: from 0 to 50 in flight within 5 of 20 s, and 50 from then on.

    With what came before in flight already, nothing is left out.
    """
    arrived = np.arange(0, 20, 0.1)
    (found, _) = steady.drifts(run := run_of(arrived, np.full(200, 0.2), arrived + 5), window.find(run))

    assert found.name == "in flight"
    assert found.change == pytest.approx(0.0, abs=1e-3)


def test_a_wait_for_a_cap_is_seen(tmp_path: Path) -> None:
    """Ten a second, each held back longer than the one before: in flight never grows, what waits for it does."""

    def hold(row: Any, _: np.random.Generator) -> None:
        scheduled = row.scheduled_ns
        synthetic.move(row, int(0.8 * scheduled))
        row.scheduled_ns, row.flags = scheduled, ["in_flight_cap"]

    recipe = synthetic.Recipe(n=200, rate=10, poisson=False, change=hold)

    assert judged(rundir.load(synthetic.write(tmp_path / "r", recipe))).status == "invalid"


def test_a_conversation_fills_the_server_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    """Turns 2 s apart: three turns' worth of them come on in the first 6 of 40 s."""
    recipe = synthetic.Recipe(n=320, poisson=False, change=synthetic.talk(4))
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 320)["plan"]}

    assert judged(rundir.load(synthetic.write(tmp_path / "r", recipe))).status == "ok"


def test_whole_answers_are_judged_by_latency(tmp_path: Path) -> None:
    check = judged(rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(stream_share=0.0))))

    assert (check.status, "latency" in check.value) == ("ok", True)


@pytest.mark.slow
def test_an_overloaded_provider_makes_a_real_run_invalid(tmp_path: Path) -> None:
    """Four places of about 0.9 s do 4.5/s; 8/s are offered for 20 s."""
    with process.start(("--slots", "4", "--ttft", "0.2", "--gap", "0.012")) as server:
        ask(server.base_url, "--rate", "8", "--duration", "20s", cwd=tmp_path, allowed=(3,))

    assert judged(rundir.load(latest(tmp_path))).status == "invalid"
