"""A run over machines that share nothing but wires: each arrival once, and the same as on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from commands import about, rows
from machines import Site, can_be_apart

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

LOAD = (
    "--rate", "300", "--requests", "10000", "--duration", "60s", "--no-stream", "--output-tokens", "4", "--seed", "7",
)  # fmt: skip
FAST = ("--prepared", "--ttft", "0.02", "--gap", "0", "--output-tokens", "4")


def asked(found: pd.DataFrame) -> set[tuple[int, ...]]:
    """What tells which request was to be sent when, with what."""
    return set(found[["seq", "scheduled_ns", "prompt_hash"]].itertuples(index=False, name=None))


def played(folder: Path, workers: int) -> None:
    """The load over so many workers, each a machine of its own where that can be; all of it fine."""
    folder.mkdir()
    with Site(folder, apart=can_be_apart()) as site:
        master, others = site.run(site.provider(*FAST), workers, *LOAD)
        code = master.code()
        is_busy = "INVALID" in master.words  # this machine, which is no flaw
        assert code == (3 if is_busy else 0), master.words
        assert [one.code() for one in others] == [0] * workers, [one.words for one in others]
        assert list(folder.glob("w*/*")) == []


@pytest.mark.slow
def test_ten_thousand_requests_over_four_machines_are_those_of_one(tmp_path: Path) -> None:
    """10,000 at 300/s take 33 s; the same seed gives the same seq, moments and prompts, whoever sends them."""
    played(tmp_path / "four", 4)
    played(tmp_path / "one", 1)
    found, alone, told = rows(tmp_path / "four"), rows(tmp_path / "one"), about(tmp_path / "four")
    lag_ms = (found["sent_ns"] - found["scheduled_ns"]).to_numpy(dtype=float) / 1e6

    assert found["seq"].tolist() == list(range(10_000))
    assert set(found["outcome"]) == {"ok"}
    assert found["worker"].value_counts().to_dict() == dict.fromkeys(range(4), 2500)
    assert asked(found) == asked(alone)
    assert told["ended"]
    assert told["stop"] is None
    assert told["shards"] == []
    assert len(told["workers"]) == 4
    assert np.median(lag_ms) < 5
    assert lag_ms.min() >= 0


@pytest.mark.slow
def test_the_masters_clock_is_known_on_every_machine(tmp_path: Path) -> None:
    """They share a clock here: each offset is 0 within its own error, and all requests begin at their moment."""
    with Site(tmp_path, apart=can_be_apart()) as site:
        master, _ = site.run(site.provider(*FAST), 4, "--rate", "40", "--arrivals", "constant", "--duration", "3s")
        assert master.code() in (0, 3), master.words
    clocks = [one["clock"] for one in about(tmp_path)["workers"]]
    found = rows(tmp_path)
    lag_ms = (found["sent_ns"] - found["scheduled_ns"]) / 1e6

    assert len(clocks) == 4
    assert all(abs(one["offset_ns"]) <= one["error_ns"] < 20e6 for one in clocks)
    assert found["scheduled_ns"].tolist() == [i * 25_000_000 for i in range(120)]
    # A clock that is off makes every request late; of three seconds other work may have two.
    assert (lag_ms.groupby(found["worker"]).quantile(0.2) < 5).all()
