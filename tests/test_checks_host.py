"""The client's machine: CPU time that others had, segments that were lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import rundir, window
from analysis.checks import host
from analysis.checks.rule import evidence
from analysis.units import NONE
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from analysis.checks.rule import Check

LATER = ["steal", "throttled", "tcp_sent", "tcp_again", "tcp_resets"]


def judged(path: Path) -> list[Check]:
    run = rundir.load(path)
    return [check(evidence(run, window.find(run))) for check in host.CHECKS]


@pytest.mark.parametrize(
    ("values", "status", "why"),
    [
        ({"steal": 0.002, "throttled": 0.0}, "ok", "stolen by the host"),
        ({"steal": 0.02}, "doubtful", "stolen by the host"),
        ({"steal": 0.2, "throttled": 0.1}, "invalid", "stolen by the host"),
        ({"steal": 0.0, "throttled": 0.06}, "invalid", "withheld by a quota"),
        ({"throttled": 0.01}, "doubtful", "raise its CPU quota"),
        ({}, "not_judged", "an old run"),
    ],
)
def test_cpu_time_that_was_stolen_or_withheld(tmp_path: Path, values: dict[str, Any], status: str, why: str) -> None:
    path = synthetic.write(tmp_path / "r")
    pq.write_table(synthetic.client(20, **values), path / record.CLIENT)
    check, _ = judged(path)

    assert (check.number, check.status) == (8, status)
    assert why in check.why


@pytest.mark.parametrize(("seconds", "bad", "status"), [(20, 5, "ok"), (20, 11, "invalid"), (80, 5, "doubtful")])
def test_a_bad_second_or_two_of_a_short_run_are_noise(tmp_path: Path, seconds: int, bad: int, status: str) -> None:
    """A quarter of 20 seconds may lose 20 %; of 80 it is the mean that counts, 1.25 %."""
    path = synthetic.write(tmp_path / "r")
    rows = synthetic.client(seconds, steal=0.0).to_pylist()
    for row in rows[:bad]:
        row["steal"] = 0.2
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)

    assert judged(path)[0].status == status


@pytest.mark.parametrize(
    ("values", "status", "value"),
    [
        ({"tcp_sent": 1000, "tcp_again": 0, "tcp_resets": 0}, "ok", "0 % (0 of 20000)"),
        ({"tcp_sent": 100, "tcp_again": 0.25, "tcp_resets": 0}, "ok", "0.249 % (5 of 2005)"),  # 5 are nobody's fault
        ({"tcp_sent": 990, "tcp_again": 10, "tcp_resets": 0}, "doubtful", "1.00 % (200 of 20000)"),
        ({"tcp_sent": 980, "tcp_again": 20, "tcp_resets": 0}, "invalid", "2.00 % (400 of 20000)"),
        ({"tcp_sent": 1000, "tcp_again": 0, "tcp_resets": 5}, "doubtful", "0.500 % (100 of 20000)"),
        ({}, "not_judged", NONE),
    ],
)
def test_segments_that_were_sent_again(tmp_path: Path, values: dict[str, Any], status: str, value: str) -> None:
    """Each of 20 seconds alike; a quarter of a segment a second is one every fourth."""
    path = synthetic.write(tmp_path / "r")
    rows = synthetic.client(20).to_pylist()
    for place, row in enumerate(rows):
        row.update({name: int(number * (place + 1)) - int(number * place) for name, number in values.items()})
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)
    _, check = judged(path)

    assert (check.number, check.status, check.value.replace(",", "")) == (22, status, value)


def test_connections_that_the_client_left_are_its_own_resets(tmp_path: Path) -> None:
    """Ten users gave up: ten connections broken at this end, ten at the server's on the same machine."""

    def leave(row: record.Record, _: np.random.Generator) -> None:
        if row.seq < 10:
            row.outcome, row.flags = "cancelled", ["gave_up"]

    path = synthetic.write(tmp_path / "r", synthetic.Recipe(change=leave))
    pq.write_table(synthetic.client(20, tcp_sent=100, tcp_again=0, tcp_resets=1), path / record.CLIENT)

    assert judged(path)[1].value == "0 % (0 of 2000)"


def test_a_run_from_before_these_columns_is_not_judged_by_them(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r")
    pq.write_table(pq.read_table(path / record.CLIENT).drop_columns(LATER), path / record.CLIENT)

    assert [check.status for check in judged(path)] == ["not_judged", "not_judged"]


def test_a_run_without_samples_is_not_judged(tmp_path: Path) -> None:
    checks = judged(synthetic.write(tmp_path / "r", synthetic.Recipe(with_client=False)))

    assert [(check.status, check.why) for check in checks] == [("not_judged", "the run has no client.parquet")] * 2


def test_the_machine_that_lost_its_time_is_named(tmp_path: Path) -> None:
    """Of two workers the second one's host gave a tenth of its CPU time to others."""

    def turn(row: record.Record, _: np.random.Generator) -> None:
        row.worker = row.seq % 2

    recipe = synthetic.Recipe(change=turn)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 160)["plan"] | {"workers": 2}}
    path = synthetic.write(tmp_path / "r", recipe)
    one = synthetic.client(20, steal=0.0, throttled=0.0).to_pylist()[:20]
    rows = [*one, *({**row, "worker": 1, "steal": 0.1} for row in one)]
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)

    assert judged(path)[0].why.startswith("In worker 1. The load generator did not get the CPU time")
