"""What a server says of itself: series of many names as one role each, what ran out first, and where it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic
from rich.console import Console

from analysis import charts, report, rundir, summary, table
from analysis.arms import arms
from analysis.charts import server as panels
from analysis.server import Gauge, Served, exhausted, read
from analysis.server.roles import NAMES, ROLES, is_likely, server_of
from analysis.window import Window
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

A, B = "http://a:8000/metrics", "http://b:9400/metrics"
WINDOW = Window(0.0, 20.0, cut=False, reason="")
FLAT = synthetic.Recipe(n=80, rate=4.0)
"""Arrivals over 20 s."""

Values = "Sequence[float | None]"


def told(path: Path, series: dict[tuple[str, str, str], Any], down: Sequence[tuple[str, int]] = ()) -> rundir.Run:
    """
    A run whose endpoints said this.

    Args:
        path: Its directory.
        series: By source, name and labels: one value per second from 0.37 s on, None for a sample that is missing.
        down: Sources and seconds at which they did not answer.
    """
    rows = [
        {"t_ns": second * 10**9 + 370_000_000, "source": source, "name": name, "labels": labels, "value": float(value)}
        for (source, name, labels), values in series.items()
        for second, value in enumerate(values)
        if value is not None and (source, second) not in down
    ]
    sources = sorted({source for source, _, _ in series} | {source for source, _ in down})
    length = max(len(values) for values in series.values())
    for source in sources:
        for second in range(length):
            up = (source, second) not in down
            said = {"labels": "" if up else 'error="connect"', "value": float(up)}
            rows.append({"t_ns": second * 10**9 + 370_000_000, "source": source, "name": "up"} | said)
    pq.write_table(pa.Table.from_pylist(rows, schema=record.server_schema()), path / record.SERVER)
    about = json.loads((path / record.MANIFEST).read_text())
    about["server_metrics"] = [{"source": source, "arms": ["", "default"]} for source in sources]
    (path / record.MANIFEST).write_text(json.dumps(about))
    return rundir.load(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound run of 20 s."""
    return synthetic.write(tmp_path / "r", FLAT)


def of(run: rundir.Run) -> Served:
    found = read(run)
    assert found is not None
    return found


def ramp(per_s: float, n: int = 20, start: float = 0.0) -> list[float]:
    """A counter."""
    return [start + per_s * second for second in range(n)]


# Series to roles.


def test_every_known_series_has_a_role_and_a_server() -> None:
    assert {role for role, _ in NAMES.values()} == set(ROLES)
    assert all(server_of({name}) for name in NAMES)
    assert server_of({"vllm:num_requests_running", "DCGM_FI_DEV_GPU_UTIL", "go_threads"}) == "vLLM, DCGM"


def test_engines_add_up_shares_are_averaged_and_counters_become_rates(path: Path) -> None:
    """Two engines and two GPUs; one engine's counter begins anew at second 10, where it grew by its new 6."""
    first, second = 'engine="0"', 'engine="1"'
    served = of(told(path, {
        (A, "vllm:num_requests_running", first): [3] * 20, (A, "vllm:num_requests_running", second): [4] * 20,
        (A, "vllm:kv_cache_usage_perc", first): [0.2] * 20, (A, "vllm:kv_cache_usage_perc", second): [0.6] * 20,
        (A, "vllm:gpu_cache_usage_perc", first): [0.9] * 20,
        (A, "vllm:generation_tokens_total", first): ramp(50.0),
        (A, "vllm:generation_tokens_total", second): [*ramp(2.0, 10, 100.0), *ramp(2.0, 10, 6.0)],
        (B, "DCGM_FI_DEV_GPU_UTIL", 'gpu="0"'): [80] * 20, (B, "DCGM_FI_DEV_GPU_UTIL", 'gpu="1"'): [40] * 20,
        (B, "DCGM_FI_DEV_FB_USED", 'gpu="0"'): [1024] * 20, (B, "DCGM_FI_DEV_FB_USED", 'gpu="1"'): [512] * 20,
        (B, "DCGM_FI_DEV_POWER_USAGE", 'gpu="0"'): [300.5] * 20,
    }))  # fmt: skip
    values = {role: gauge.values for role, gauge in served.gauges.items()}

    assert served.server == "vLLM, DCGM"
    assert {*values["running"]} == {7.0}
    assert values["kv_cache"] == pytest.approx(0.4)
    assert np.isnan(values["generation_tokens"][0])
    assert values["generation_tokens"][1:] == pytest.approx([52.0] * 9 + [56.0] + [52.0] * 9)
    assert values["gpu_util"] == pytest.approx(0.6)
    assert {*values["gpu_memory"]} == {1.5 * 2**30}
    assert {*values["gpu_power"]} == {300.5}
    assert served.gauges["running"].at_s == pytest.approx(np.arange(20) + 0.37)


def test_ranks_that_serve_together_count_once(path: Path) -> None:
    ranks = {(A, "sglang:num_running_reqs", f'dp_rank="{dp}",tp_rank="{tp}"'): [5] * 20 for dp in "01" for tp in "01"}

    assert {*of(told(path, ranks)).gauges["running"].values} == {10.0}


def test_a_second_without_an_answer_is_a_gap_and_no_fall(path: Path) -> None:
    """A did not answer at 5 and 6 s: no sum then, and the counter's growth over three seconds is its rate behind it."""
    served = of(told(path, {
        (A, "vllm:num_requests_running", ""): [2] * 20, (B, "vllm:num_requests_running", ""): [3] * 20,
        (A, "vllm:prompt_tokens_total", ""): ramp(10.0), (A, "vllm:num_requests_waiting", ""): [None] * 10 + [1] * 10,
    }, down=[(A, 5), (A, 6)]))  # fmt: skip
    gauges = {role: gauge.values for role, gauge in served.gauges.items()}

    assert np.flatnonzero(np.isnan(gauges["running"])).tolist() == [5, 6]
    assert np.nanmin(gauges["running"]) == 5.0
    assert gauges["prompt_tokens"][7] == pytest.approx(10.0)
    assert np.nan_to_num(gauges["waiting"], nan=-1).tolist() == [0.0] * 5 + [-1.0] * 2 + [0.0] * 3 + [1.0] * 10
    assert served.notes == (f"{A} did not answer 2 of 20 times (connect), the first time at 5 s",)


def test_a_counter_that_comes_later_was_0_before(path: Path) -> None:
    served = of(told(path, {(A, "vllm:num_preemptions_total", ""): [None] * 8 + [3] * 12}))

    assert np.nansum(served.gauges["preemptions"].values) == pytest.approx(3.0)


def test_of_a_server_that_nobody_knows_likely_series_are_offered(path: Path) -> None:
    assert is_likely("acme_queue_depth")
    assert not any(map(is_likely, ("acme_queue_seconds_sum", "queue_limit", "vllm:num_requests_waiting", "cpu")))
    run = told(path, {
        (A, "acme_queue_depth", ""): [7] * 20, (A, "acme_running", 'pool="a"'): [2] * 20,
        (A, "acme_waiting", ""): [0] * 20,
    })  # fmt: skip
    served = of(run)
    shown = summary.judge(run).summary.server

    assert ([one.role for one in served.others], served.gauges) == (["acme_queue_depth", "acme_running"], {})
    assert shown is not None
    assert shown.figures == ["as acme_queue_depth 7.00, at most 7", "as acme_running 2.00, at most 2"]
    assert shown.findings == ()


def test_a_run_that_asked_nobody_says_nothing(path: Path) -> None:
    run = rundir.load(path)

    assert read(run) is None
    assert summary.judge(run).summary.to_json()["server"] is None


def test_a_broken_file_is_one_line(path: Path) -> None:
    (path / record.SERVER).write_bytes(b"PAR1")
    with pytest.raises(rundir.RunError, match=r"server\.parquet: cut short"):
        read(rundir.load(path))


def test_an_endpoint_that_never_answered_is_a_note(path: Path) -> None:
    served = of(told(path, {(A, "up_since", ""): [None] * 3}, down=[(A, 0), (A, 1), (A, 2)]))

    assert served.gauges == {}
    assert served.notes == (f"{A} never answered (connect), the first time at 0 s",)
    assert exhausted(served, WINDOW) == ()


def test_arms_that_took_turns_have_the_seconds_of_their_own(tmp_path: Path) -> None:
    """Blocks of 10 s, A then B then B then A, with a rest: what ran while A played is A's, on the schedule's axis."""
    recipe = synthetic.Recipe(n=80, rate=4.0)
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b": recipe}, blocks=2)
    slots = json.loads((path / record.MANIFEST).read_text())["slots"]
    whose = [
        next((s["arms"][0] for s in slots if s["start_ns"] <= second * 1e9 + 37e7 < s["start_ns"] + s["length_ns"]), "")
        for second in range(60)
    ]
    told(path, {(A, "vllm:num_requests_running", ""): [{"a": 1.0, "b": 2.0, "": 9.0}[arm] for arm in whose]})
    about = json.loads((path / record.MANIFEST).read_text())
    about["server_metrics"][0]["arms"] = ["a", "b"]
    (path / record.MANIFEST).write_text(json.dumps(about))
    for run, value in zip(arms(rundir.load(path)), (1.0, 2.0), strict=True):
        gauge = of(run).gauges["running"]

        assert {*gauge.values} == {value}
        assert len(gauge.values) == whose.count(run.arm)
        assert np.all((gauge.at_s >= 0) & (gauge.at_s < 20))
        assert np.all(np.diff(gauge.at_s) > 0)


# What ran out.


def served_of(in_flight: Any = None, **gauges: Any) -> Served:
    """Made by hand: one value per second."""
    n = max(len(values) for values in gauges.values())
    at_s = np.arange(n, dtype=np.float64) + 0.5
    made = {
        role: Gauge(role, ROLES[role].label, ROLES[role].unit, at_s, np.asarray(values, dtype=np.float64))
        for role, values in gauges.items()
    }
    present = np.zeros(n) if in_flight is None else np.asarray(in_flight, dtype=np.float64)
    if in_flight is None and "running" in made:
        present = made["running"].values + (made["waiting"].values if "waiting" in made else 0.0)
    return Served("vLLM", (A,), made, (), present)


GROWING = [0.0] * 4 + [float(n) for n in range(1, 17)]


def test_all_slots_busy_while_others_waited() -> None:
    """4 run from second 4 on, and 1, 2, ... 16 wait: 8.5 on average."""
    (found,) = exhausted(served_of(running=[1, 2, 3, 4] + [4] * 16, waiting=GROWING), WINDOW)

    assert (found.role, found.since_s, found.lasted_s) == ("slots", 4.5, 16.0)
    assert found.text == (
        "all 4 slots were busy from 4 s on, 16 of 20 s in all, while 8.50 requests waited on average and 16 at most"
    )


@pytest.mark.parametrize(
    ("running", "waiting"),
    [
        ([4] * 20, [0] * 20),  # nobody waited
        ([1, 2, 3, 4] * 5, [1] * 20),  # it was no ceiling
        ([4, 4, 1] * 7, [1] * 21),  # never for three seconds
    ],
)
def test_a_maximum_alone_is_no_ceiling(running: list[float], waiting: list[float]) -> None:
    (found,) = exhausted(served_of(running=running, waiting=waiting), WINDOW)

    assert found.role == ""
    said = "requests waited, too shortly to say for what" if any(waiting) else "nothing that it reports ran out"
    assert found.text.startswith(f"{said}: at most 4 running, ")


def test_of_hundreds_of_slots_a_few_are_always_changing_hands() -> None:
    running = [256, 255, 254] * 7
    (found,) = exhausted(served_of(running=running, waiting=[9] * 21), WINDOW)

    assert found.text.startswith("all 256 slots were busy from 0 s on")


def test_what_ran_out_first_comes_first() -> None:
    """The cache from second 8 on, a preemption at 10, the GPU from 2 on, after a second that was too short to count."""
    cache = [0.5] * 3 + [1.0] + [0.6] * 4 + [0.96] * 12
    busy = [0.4] * 2 + [1.0] * 18
    thrown = [0.0] * 10 + [2.0] + [0.0] * 9
    found = exhausted(served_of(kv_cache=cache, gpu_util=busy, preemptions=thrown), WINDOW)

    assert [(one.role, one.since_s, one.lasted_s) for one in found] == [
        ("gpu_util", 2.5, 18.0), ("kv_cache", 8.5, 13.0), ("preemptions", 10.5, 1.0),
    ]  # fmt: skip
    assert "preempted 2 times" in found[2].text


def test_only_the_window_counts() -> None:
    cache = [1.0] * 10 + [0.3] * 10
    (found,) = exhausted(served_of(kv_cache=cache, running=[2] * 20, waiting=[0] * 20), replace(WINDOW, start_s=10.0))

    assert found.text == "nothing that it reports ran out: KV cache at most 30 %, at most 2 running, none waiting"


def test_what_the_server_does_not_see_is_on_the_way_or_queued_before_it() -> None:
    """10 of 14 are in the server; at 8/s the 4 others spend half a second each elsewhere (Little's law)."""
    wobble = np.tile([-1.0, 1.0], 10)
    served = served_of(14 + wobble, running=[4] * 20, waiting=6 + wobble)
    found = exhausted(served, WINDOW, 8.0)[-1]

    assert found.role == "in_flight"
    assert found.text == (
        "of 14.0 requests in flight only 10.0 ran or waited in the server: the others were on the way, or queued where"
        " it does not count them, 0.5 s for each request"
    )


def test_more_in_the_server_than_was_sent_are_others_requests() -> None:
    found = exhausted(served_of([5] * 20, running=[9] * 20), WINDOW)[-1]

    assert found.text.startswith("the server had 4.00 requests more than this client's 5.00: it serves others")


@pytest.mark.parametrize("in_flight", [[10.5] * 20, [16.0, 4.0, 13.0, 9.0] * 5, [np.nan] * 20])
def test_a_tenth_chance_and_arms_played_together_are_no_difference(in_flight: list[float]) -> None:
    assert [one.role for one in exhausted(served_of(in_flight, running=[10] * 20), WINDOW)] == [""]


# Where it is told.


def busy(path: Path) -> rundir.Run:
    """A server with 2 slots that never suffice; its cache fills."""
    return told(path, {
        (A, "vllm:num_requests_running", ""): [2] * 21, (A, "vllm:num_requests_waiting", ""): [3] * 21,
        (A, "vllm:kv_cache_usage_perc", ""): [0.05 * second for second in range(21)],
    })  # fmt: skip


def test_the_summary_has_mean_p95_and_most_of_each_role(path: Path) -> None:
    """KV cache 0, 0.05, ... over the seconds of the window; the run's own rows are as they were without."""
    run = busy(path)
    judged = summary.judge(run).summary
    window = judged.window
    seen = [0.05 * s for s in range(21) if window.start_s <= s + 0.37 <= window.end_s]
    found = judged.to_json()["server"]

    assert json.loads(json.dumps(found)) == {**found, "sources": [A], "others": [], "notes": [], "findings": [
        dict(one) for one in found["findings"]
    ]}  # fmt: skip
    assert list(found["roles"]) == ["running", "waiting", "kv_cache"]
    assert found["roles"]["kv_cache"]["mean"] == pytest.approx(np.mean(seen))
    assert found["roles"]["kv_cache"]["p95"] == pytest.approx(np.quantile(seen, 0.95))
    assert found["roles"]["kv_cache"] | {"mean": 0, "p95": 0} == {
        "role": "kv_cache", "label": "KV cache", "unit": "share", "mean": 0, "p95": 0, "max": max(seen), "n": len(seen),
    }  # fmt: skip
    assert found["findings"][0]["role"] == "slots"


def printed(told_: summary.Summary) -> str:
    buffer = StringIO()
    table.render(told_, Console(file=buffer, width=100))
    return buffer.getvalue()


def test_the_table_and_the_report_say_it(path: Path) -> None:
    judged = summary.judge(busy(path))
    text, page = printed(judged.summary), report.write([judged]).read_text(encoding="utf-8")

    assert "the server (vLLM): running 2.00, at most 2 · waiting 3.00, at most 3" in text
    assert "KV cache 50.0 %, at most 100 %" in text
    assert "  all 2 slots were busy from 0 s on" in text
    assert "The server (vLLM): running 2.00" in page
    assert "All 2 slots were busy from 0 s on" in page
    assert max(map(len, text.splitlines())) <= 100


def words(chart: charts.Chart) -> Iterator[str]:
    """What stands in a chart."""
    yield from (piece.split("<")[0] for piece in chart.svg.split(">"))


def test_the_timeline_has_the_server_s_panels(path: Path) -> None:
    drawn = {chart.name: chart for chart in charts.draw(busy(path), summary.judge(rundir.load(path)).summary)}
    found = {*words(drawn["timeline"])}

    assert {"in the server", "running", "waiting", "full (%)", "KV cache"} <= found
    assert not found & {"GPU", "as reported"}
    assert drawn["timeline"].alt.endswith("In the server at most 2 running, 3 waiting, KV cache 100 %.")


def test_a_panel_of_an_unknown_series_says_whose_it_is(path: Path) -> None:
    served = of(told(path, {(A, "acme_queue_depth", ""): [7] * 20}))
    (panel,) = panels.panels(served, np.arange(0.0, 21.0, 2.0))

    assert (panel.unit, panel.title, panel.holes) == ("as reported", "acme_queue_depth", True)
    assert panel.lines[0][1].tolist() == [7.0] * 10


def test_a_bin_is_the_mean_of_what_is_known() -> None:
    """Moments 0.5, 1.5, ...; bins of 2 s; the second value is unknown, and so is all of the third bin."""
    gauge = Gauge("running", "running", "", np.arange(6.0) + 0.5, np.array([1.0, np.nan, 3.0, 5.0, np.nan, np.nan]))

    np.testing.assert_array_equal(panels.binned(gauge, np.arange(0.0, 7.0, 2.0)), [1.0, 4.0, np.nan])
