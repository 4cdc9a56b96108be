"""Which values belong together; workloads, turns and sources of tokens are looked at in the summary's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synthetic

from analysis import groups, measured, objectives, rundir
from analysis.metrics import BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests import record


def found(path: Path, metric: str, by: tuple[str, ...] = (), **recipe: Any) -> list[groups.Group]:
    run = rundir.load(synthetic.write(path / "r", synthetic.Recipe(**recipe)))
    return groups.of(BY_NAME[metric], measured.of(run, objectives.read(())), by)


def parts(every: list[groups.Group], by: str) -> dict[str, int]:
    return {group.name: group.known.size for group in every if group.by == by}


def test_lengths_of_prompts_are_told_in_steps_of_four(tmp_path: Path) -> None:
    """Prompts of 1, 2, 4, 5, 16, 17, 64 and 65 tokens; one that nobody counted is in no step."""
    lengths = [1, 2, 4, 5, 16, 17, 64, 65, None]

    def ask(row: record.Record, _: np.random.Generator) -> None:
        row.input_tokens = lengths[row.seq]

    every = found(tmp_path, "latency_s", ("prompt",), n=9, change=ask)

    assert parts(every, "prompt") == {
        "prompt 1-1 tokens": 1, "prompt 2-4 tokens": 2, "prompt 5-16 tokens": 2, "prompt 17-64 tokens": 2,
        "prompt 65-256 tokens": 1,
    }  # fmt: skip


def test_slices_of_time_are_tenths_of_the_window(tmp_path: Path) -> None:
    """160 arrivals at 8/s constant, from 0.125 s on: a window of 20 s, 16 arrivals to a slice."""
    every = found(tmp_path, "latency_s", ("time",), poisson=False)
    told = parts(every, "time")

    assert next(iter(told)) == "0.125-2.12 s"
    assert len(told) == groups.SLICES
    assert sum(told.values()) == 160
    assert set(told.values()) <= {15, 16, 17}  # an arrival on an edge may fall on either side


def test_a_slice_that_was_empty_is_left_out(tmp_path: Path) -> None:
    """Ten arrivals in the first second, one in the tenth."""

    def wait(row: record.Record, _: np.random.Generator) -> None:
        synthetic.move(row, row.seq * -synthetic.MS * 25 if row.seq < 10 else 9 * 10**9)

    told = parts(found(tmp_path, "latency_s", ("time",), n=11, poisson=False, change=wait), "time")

    assert sum(told.values()) == 11
    assert 2 <= len(told) < groups.SLICES


@pytest.mark.parametrize("by", [(), ("workload", "turn"), groups.BY])
def test_only_ttft_and_latency_are_told_apart(tmp_path: Path, by: tuple[str, ...]) -> None:
    every = found(tmp_path, "tpot_s", by, n=20, stream_share=1.0)

    assert [(group.name, group.by, group.tokens) for group in every] == [("stream", None, "usage")]


def test_streams_and_whole_answers_are_parted_and_failures_are_in_neither(tmp_path: Path) -> None:
    def fail(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 5 == 0:
            row.outcome, row.error_kind = "error", "reset"

    latency, lag = (found(tmp_path / metric, metric, n=50, change=fail) for metric in ("latency_s", "send_lag_s"))

    assert [group.name for group in latency] == ["stream", "whole"]
    assert sum(group.known.size for group in latency) == 40
    assert [(group.name, group.known.size) for group in lag] == [("all", 50)]
    assert all(not np.isnan(group.known).any() for group in (*latency, *lag))


def test_a_metric_of_the_run_has_no_groups(tmp_path: Path) -> None:
    assert found(tmp_path, "goodput_per_s", n=5) == []
    assert found(tmp_path, "itl_s", n=5) == []
