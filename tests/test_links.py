"""Runs over several machines whose way to the master is slow, stalls and breaks: complete, each arrival once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from commands import about, code_of, exact, firsttoken, rows
from crew import Crew
from machines import free_port
from tcp_proxy import Proxy

from loadtests import clock
from loadtests.link.frames import GIVE_UP_S, SILENCE_S
from loadtests.schedule import open_loop

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

OPEN = ("--rate", "40", "--arrivals", "constant", "--no-stream", "--output-tokens", "1")


def is_whole(found: pd.DataFrame, duration_s: float) -> None:
    """
    Each arrival of the schedule is a row, once, at its moment; what was sent was sent then, and not much later.

    Most of it: the tail is this machine's, whose cores may have had other work for a second or two.
    """
    planned = open_loop("constant", 40, duration_s, 1).offsets_ns
    sent = found[found["sent_ns"].notna()]
    lag_ms = (sent["sent_ns"] - sent["scheduled_ns"]).to_numpy(dtype=float) / 1e6

    assert found["seq"].tolist() == list(range(len(planned)))
    assert found["scheduled_ns"].tolist() == planned.tolist()
    assert lag_ms.min() >= 0
    assert np.median(lag_ms) < 20


def clocks_hold(told: dict[str, Any]) -> None:
    """All processes here have one clock: how far it is off is 0, to ± what is said."""
    for one in told["workers"]:
        assert abs(one["clock"]["offset_ns"]) <= one["clock"]["error_ns"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["is cut twice", "slow and stalls and is cut"])
def test_a_bad_way_to_the_master_costs_no_row(tmp_path: Path, way: str) -> None:
    """200 ms each way, 5 s in which nothing passes, connections reset: nobody is given up, and all rows come home."""
    port, delay_s = free_port(), 0.2 if "slow" in way else 0.0
    with exact(0.02, "--prepared") as mock, Proxy(port, delay_s) as proxy, Crew(tmp_path, mock, port) as crew:
        crew.lead(3, *OPEN, "--duration", "10s")
        crew.join(port=proxy.port)
        crew.join(port=proxy.port)
        crew.join()
        crew.begun()
        time.sleep(3)
        if "stalls" in way:
            proxy.stall(5)
        if "cut" in way:
            assert proxy.cut() == 2
            time.sleep(3)
            proxy.cut()
        codes, run = crew.codes(), crew.run()
    found, told = rows(tmp_path), about(tmp_path)

    assert codes == [code_of(run), 0, 0, 0]
    is_whole(found, 10)
    assert set(found["outcome"]) == {"ok"}
    assert found["worker"].tolist() == [seq % 3 for seq in range(400)]
    clocks_hold(told)
    assert told["shards"] == []
    assert crew.kept() == []
    if "slow" in way:
        assert sum(one["clock"]["error_ns"] >= 200_000_000 for one in told["workers"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [True, False])
def test_whoever_is_silent_for_too_long_is_given_up(tmp_path: Path, *, comes_back: bool) -> None:
    """
    A worker's way stalls at 3 s: it stops by itself 8.5 s later, and after 10 s the others take over.

    3 s later where this machine is busy: each may be heard, or looked at, so late.

    What it sent until then comes home when the way is free again before the end, and stays with it where it isn't.
    """
    length_s = 26 if comes_back else 18
    port = free_port()
    with exact(0.02, "--prepared") as mock, Proxy(port) as proxy, Crew(tmp_path, mock, port) as crew:
        crew.lead(3, *OPEN, "--duration", f"{length_s}s")
        crew.join(port=proxy.port)
        crew.join()
        crew.join()
        started_ns = crew.begun()
        time.sleep(3)
        stalled_s = (clock.realtime_ns() - started_ns) / 1e9
        proxy.stall(15 if comes_back else 60)
        master, ends = crew.end(), crew.ends()
        kept, run = crew.kept(), crew.run()
    told = about(tmp_path)
    number = next(one["number"] for one in told["workers"] if one["lost_ns"] is not None)

    assert master.code == 3
    assert f"worker {number}" in master.words
    assert sorted(end.code for end in ends) == ([0, 0, 0] if comes_back else [0, 0, 3])
    if not comes_back:
        (place,) = kept
        assert str(place.relative_to(tmp_path)) in ends[0].words
        assert firsttoken("repair", str(run), str(place), cwd=tmp_path).returncode == 0
    found = rows(tmp_path)
    is_whole(found, length_s)
    by = dict(iter(found.groupby("outcome", observed=True)))
    assert set(by) == {"ok", "unsent"}
    at_s = by["unsent"]["scheduled_ns"] / 1e9
    silent_s, over_s = stalled_s + SILENCE_S - 3, stalled_s + GIVE_UP_S + 3
    assert at_s.between(silent_s, over_s).all()
    assert set(by["unsent"]["worker"]) == {number}
    own = found[found["seq"] % 3 == number]
    own_s = own["scheduled_ns"] / 1e9
    before, after = own[own_s < silent_s], own[own_s > over_s]
    assert set(before["worker"]) == {number}
    assert set(after["worker"]) == {0, 1, 2} - {number}
