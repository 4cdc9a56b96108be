"""`firsttoken repair` beside a run or a campaign that is still on: refused, and nothing of it is touched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from commands import start
from test_found import invoke, write
from test_unfinished import Playing, on_disk

from loadtests import clock, record
from loadtests.campaign.file import hold, let_go
from loadtests.cli.repair import repair
from loadtests.parts import RunIsOnError
from loadtests.rundir import RunError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def beginning(tmp_path: Path) -> Path:
    """A campaign whose last run has its manifest and its parts, and no worker yet."""
    path = write(tmp_path / "one", "capacity", ["firsttoken", "capacity"])
    Playing(path / "04").kill()
    (path / "04" / record.PARTS / "lock").unlink()
    return path


@pytest.mark.parametrize("name", [".", "01", "04"])
def test_while_somebody_plays_a_campaign_neither_it_nor_a_run_of_it_is_repaired(beginning: Path, name: str) -> None:
    before, held = on_disk(beginning), hold(beginning)
    with pytest.raises(RunError, match=r"one: the campaign is on in another process; wait for its end, or stop it"):
        invoke(repair, str(beginning / name))
    let_go(held)

    assert on_disk(beginning) == before


def test_when_nobody_does_it_is(beginning: Path) -> None:
    said = invoke(repair, str(beginning)).stdout

    assert said.splitlines()[-1] == f"{beginning / '04'}: 80 rows: 0 recorded, 80 unsent, 0 lost"
    assert not (beginning / "04" / record.PARTS).exists()
    let_go(hold(beginning))


def test_a_run_is_on_from_the_moment_that_it_can_be_found(tmp_path: Path) -> None:
    """Its workers come up for a while; nobody may finish it meanwhile."""
    process = start("run", "--rate", "8", "--duration", "2s", "--out", "runs", "--no-report", cwd=tmp_path)
    run = _found(tmp_path / "runs")
    refused: list[Any] = []
    while process.poll() is None and len(refused) < 8:
        with pytest.raises(RunIsOnError, match="the run is on"):
            invoke(repair, str(run))
        refused.append(run)
    said = process.communicate(timeout=120)

    assert len(refused) == 8
    assert process.returncode in (0, 3), said  # a busy machine is no flaw of the run
    assert not (run / record.PARTS).exists()


def _found(out: Path) -> Path:
    """The run that begins there, as soon as its manifest is."""
    end_ns = clock.monotonic_ns() + 120 * 10**9
    while clock.monotonic_ns() < end_ns:
        for manifest in out.glob(f"2*/{record.MANIFEST}"):
            return manifest.parent
        time.sleep(0.001)
    raise AssertionError("no run has begun")
