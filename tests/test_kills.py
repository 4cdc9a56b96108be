"""
Runs over several machines in which somebody is killed at a random moment: what is on disk, and what repair makes of it.

Five kills here, one of each victim and each shape; FIRSTTOKEN_KILLS=50 asks for as many as that.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import about, in_turn
from machines import COMMAND, Process, Site, sleep_until, until

from loadtests import clock, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

KILLS: Final = int(os.environ.get("FIRSTTOKEN_KILLS", "5"))
AT_ONCE: Final = 2
WORKERS: Final = 3
ANSWERS: Final = ("--ttft", "0.1", "--gap", "0.01", "--output-tokens", "4")
ARMS: Final = ("--arm", "name=a", "--arm", "name=b", "--blocks", "3")
SHAPES: Final = {
    "open": ("--rate", "40", "--duration", "6s"),
    "closed": ("--concurrency", "6", "--requests", "240", "--duration", "60s"),
    "long": ("--rate", "15", "--duration", "14s"),
    "turns": ("--rate", "40", "--duration", "3s", *ARMS),
    "users": ("--concurrency", "6", "--duration", "6s"),
}
LATE_S: Final = 2.0
"""By so much others' work may hold this machine up, and with it what is flushed and who hears of a kill."""
VICTIMS: Final = ("load", "agent", "master", "all", "two")


@dataclass(frozen=True, slots=True)
class Kill:
    """Who is killed in which run, at which moment from its start."""

    number: int
    victim: str
    shape: str
    at_s: float


def drawn(n: int) -> list[Kill]:
    """
    Victims in turn, and shapes in turn, so that each meets each; but of the long one the load is over at 5 to 7 s.

    Without their master workers go on for 7 s: only in the long one is something left of the schedule then.
    """
    rng = random.Random(2026)
    shapes = list(SHAPES)
    return [
        Kill(i, VICTIMS[i % 5], shapes[(i + i // 5) % len(shapes)], rng.uniform(-0.2, 7.0))
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Kill], Future[None]]]:
    """All kills that are asked for, some at a time."""
    pool = ThreadPoolExecutor(AT_ONCE)
    asked = (getattr(item, "callspec", None) for item in request.session.items)
    futures = {
        kill: pool.submit(killed, tmp_path_factory.mktemp(f"{kill.number}-{kill.victim}-{kill.shape}"), kill)
        for kill in (spec.params["kill"] for spec in asked if spec and "kill" in spec.params)
    }
    yield futures.__getitem__
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("kill", drawn(KILLS), ids=lambda kill: f"{kill.number}-{kill.victim}-{kill.shape}")
def test_who_was_killed_takes_no_row_along(done: Callable[[Kill], Future[None]], kill: Kill) -> None:
    done(kill).result()


def killed(folder: Path, kill: Kill) -> None:
    """Do a run, kill, wait until all who live have ended, and look at all of it."""
    with Site(folder) as site:
        url = site.provider(*ANSWERS)
        master, workers = site.run(url, WORKERS, *SHAPES[kill.shape], "--seed", str(kill.number))
        run, started_ns = site.begun()
        sleep_until(started_ns + int(kill.at_s * 1e9))
        strike(site, kill, master, workers)
        kill = replace(kill, at_s=(clock.realtime_ns() - started_ns) / 1e9)  # where this machine was held up, later
        for process in (master, *workers):
            process.code()
            assert "Traceback" not in process.words, process.words
        until(lambda: len(list(site.alive())) == 1)  # the provider
        examine(run, site.kept(), kill)


def strike(site: Site, kill: Kill, master: Process, workers: list[Process]) -> None:
    """Kill the victims, all in an instant."""
    loads = [load for worker in workers for load in site.load_of(worker)]
    first = kill.number % WORKERS
    if kill.victim == "load":
        victims: list[Any] = site.load_of(workers[first])
    elif kill.victim == "agent":
        victims = [workers[first]]
    elif kill.victim == "master":
        victims = [master]
    elif kill.victim == "all":
        victims = [master, *workers, *loads]
    else:
        victims = [workers[first], *site.load_of(workers[first]), *site.load_of(workers[first - 1])]
    for one in victims:
        one.kill()


def examine(run: Path, kept: list[Path], kill: Kill) -> None:
    """What is there is readable before, and after repair it has all that was on any disk, and all that was planned."""
    survivors = on_disk([run, *kept])
    was_finished = not (run / record.PARTS).exists()
    judged(run)
    said = firsttoken("repair", str(run), *map(str, kept))
    assert said.returncode == 0, said.stderr
    found = pq.read_table(run / record.REQUESTS)
    keys = list(zip(found["arm"].to_pylist(), found["seq"].to_pylist(), strict=True))
    assert len(keys) == len(set(keys))
    assert set(keys) >= planned(run, kill)
    if kill.shape != "users":
        assert set(keys) == planned(run, kill)
    compare(found, survivors)
    account(found, run, kill)
    if not was_finished:
        figures(judged(run), survivors)
    files = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    again = firsttoken("repair", str(run), *map(str, kept))
    assert again.returncode == 0, again.stderr
    assert again.stdout == said.stdout
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == files


def account(found: pa.Table, run: Path, kill: Kill) -> None:
    """What is missing is said; lost is only what the last second before the kill had, which was not flushed yet."""
    outcomes = found["outcome"].to_pylist()
    if {"unsent", "lost"} & set(outcomes):
        assert about(run.parent, run)["stop"] is not None
    if kill.shape in ("open", "long"):
        pairs = zip(found["scheduled_ns"].to_pylist(), outcomes, strict=True)
        lost_s = [at_ns / 1e9 for at_ns, outcome in pairs if outcome == "lost"]
        assert all(kill.at_s - 2.5 - LATE_S < at_s < kill.at_s + 1 + LATE_S for at_s in lost_s), lost_s


def planned(run: Path, kill: Kill) -> set[tuple[str, int]]:
    """What the schedule has, or was counted out; of users with a time nobody knows."""
    told = about(run.parent, run)
    if kill.shape == "users":
        return set()
    n = told["planned"] or told["plan"]["requests"]
    return {(arm["name"], seq) for arm in told["arms"] for seq in range(n)}


def on_disk(folders: list[Path]) -> dict[tuple[str, int], dict[str, Any]]:
    """All rows of all parts, by arm and seq, as pyarrow reads them; copies of a part agree as far as they go."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for path in (path for folder in folders for path in folder.glob(f"{record.PARTS}/requests-*.arrows")):
        for row in rows_of(path):
            key = (row["arm"], row["seq"])
            assert found.setdefault(key, row) == row
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a stream, up to where it ends, or is torn."""
    rows: list[dict[str, Any]] = []
    try:
        for batch in pa.ipc.open_stream(path):
            rows += batch.to_pylist()
    except (pa.ArrowInvalid, EOFError, OSError):
        pass
    return rows


def compare(found: pa.Table, survivors: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Each row that was on a disk is there with the same values; others are `unsent`, `lost`, or were at home."""
    columns = [name for name in record.part_schema().names if name in found.column_names]
    there = {(row["arm"], row["seq"]): row for row in found.select(columns).to_pylist()}
    for key, row in survivors.items():
        assert there[key] == {name: row[name] for name in columns}


def figures(judgements: list[dict[str, Any]], survivors: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Counts, mean and maximum of the latency are those of the rows on the disks; no run here is long enough to cut."""
    for told in judgements:
        mine = [row for (arm, _), row in survivors.items() if arm == told["run"]["arm"]]
        if not mine:
            continue
        ok = [row for row in mine if row["outcome"] == "ok"]
        assert told["counts"]["ok"] == len(ok)
        waited_s = [(row["last_token_ns"] - row["scheduled_ns"]) / 1e9 for row in ok]
        for metric in told["metrics"]:
            if metric["metric"] == "latency_s" and metric["group"] != "all":
                assert metric["n"] == len(ok)
                assert metric["mean"] == pytest.approx(sum(waited_s) / len(ok))
                assert metric["worst"] == pytest.approx(max(waited_s))


def judged(run: Path) -> list[dict[str, Any]]:
    """What `summary` says of a run, finished or not: of each arm."""
    said = firsttoken("summary", "--json", str(run))
    assert said.returncode in (0, 3), said.stderr
    told = orjson.loads(said.stdout)
    return told if isinstance(told, list) else [told]


def firsttoken(*words: str) -> subprocess.CompletedProcess[str]:
    """A verb that sends nothing; it has no traceback, whatever it meets."""
    said = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in said.stderr + said.stdout, said.stderr
    return said


# Files that were cut short.


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of which everything was killed (`results`, `w0` to `w2`), and the same repaired (`done`)."""
    folder = tmp_path_factory.mktemp("dead")
    with Site(folder) as site:
        master, workers = site.run(site.provider(*ANSWERS), WORKERS, *SHAPES["open"], "--keep-bodies", "1")
        run, started_ns = site.begun()
        sleep_until(started_ns + 3_500_000_000)
        strike(site, Kill(0, "all", "open", 3.5), master, workers)
    run = run.resolve().rename(folder / "run")
    shutil.copytree(run, folder / "done" / "run")
    assert firsttoken("repair", str(folder / "done" / "run"), *map(str, site.kept())).returncode == 0
    assert firsttoken("report", str(folder / "done" / "run")).returncode == 0
    return folder


def test_a_file_that_was_cut_short_costs_no_more_than_what_it_held(dead: Path, tmp_path: Path) -> None:
    """
    Each file of a killed run, of a worker's and of a finished run, cut to a random length: a result, or one line.

    Of files that each worker has, those of one are enough. A run without its run.json is none, and says so; its rows
    stay where they are.
    """
    rng = random.Random(6)
    lines: list[list[str]] = []
    cuts: list[tuple[Path, list[str]]] = []
    for path in sorted(path for path in dead.rglob("*") if path.is_file() and path.stat().st_size):
        name = path.relative_to(dead)
        at_master = name.parts[0] in ("run", "done")
        of_another = name.stem.endswith(("-1", "-2")) if at_master else name.parts[0] != "w0"
        if of_another or path.suffix == ".txt" or name.name.startswith("reserve-"):
            continue
        place = tmp_path / str(len(cuts))
        shutil.copytree(dead, place, symlinks=True, ignore=shutil.ignore_patterns("reserve-*", "results"))
        os.truncate(place / name, rng.choice([0, rng.randrange(path.stat().st_size)]))
        run = place / "done" / "run" if name.parts[0] == "done" else place / "run"
        kept = [] if name.parts[0] == "done" else map(str, place.glob("w*/*-worker-*"))
        verbs = [["summary", str(run)], ["repair", str(run), *kept], ["summary", "--json", str(run)]]
        lines += verbs
        cuts += [(name, verb) for verb in verbs]
    ends = in_turn(lines, tmp_path)
    rows = about(dead, dead / "run")["planned"]
    assert len(cuts) > 40
    for (name, verb), end in zip(cuts, ends, strict=True):
        told = (name, verb, end.stdout, end.stderr)
        assert "Traceback" not in end.stderr, told
        assert end.returncode in (0, 2, 3), told
        if end.returncode == 2:
            assert end.stderr.count("\n") == 1, told
            assert name.name in end.stderr, told
        elif verb[0] == "repair":
            assert f": {rows} rows: " in end.stdout, told
        if name.name == record.MANIFEST:
            assert (end.returncode == 2) == (verb[0] == "repair" or name.parts[0] in ("run", "done")), told


def test_a_repair_that_was_killed_is_done_again(dead: Path, tmp_path: Path) -> None:
    """However far it came: what it leaves has all the rows that one which nobody killed has made."""
    rng = random.Random(7)
    whole = pq.read_table(dead / "done" / "run" / record.REQUESTS)
    cut_short = 0
    for n in range(4):
        place = tmp_path / str(n)
        shutil.copytree(dead, place, symlinks=True, ignore=shutil.ignore_patterns("done", "results"))
        words = ["repair", str(place / "run"), *map(str, place.glob("w*/*-worker-*"))]
        with subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as popen:
            time.sleep(rng.uniform(0.3, 1.5))
            popen.kill()
        cut_short += popen.returncode != 0
        judged(place / "run")
        assert firsttoken(*words).returncode == 0
        assert pq.read_table(place / "run" / record.REQUESTS).equals(whole)
    assert cut_short
