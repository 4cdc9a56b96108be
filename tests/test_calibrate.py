"""Calibration: verdicts and limits of known figures, what is kept, what a run used of it, and one real rung."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import synthetic
from click.testing import CliRunner

from analysis import facts, rundir, validity, window
from loadtests import calibration, cli, headroom, record
from loadtests.calibrate import climb, ladder, measure
from loadtests.calibrate.ladder import Done, Rung, Seen
from loadtests.calibration import Calibration, Limit
from loadtests.watch import Interrupts

if TYPE_CHECKING:
    from pathlib import Path

STREAMS = Rung("stream", 100)
WHOLES = Rung("whole", 100)
CLEAN = Seen(
    tokens_per_s=9100.0, events_per_s=9200.0, requests_per_s=91.0, stamp=(5.0, 20.0, 40.0), gap_p99=10.0,
    user=(100.0, 900.0, 2000.0), merged=0.0, lost=0, send_lag_p99=100.0, cpu=0.3, cpu_per_event_us=20.0,
    wake_lag_p99=800.0, provider_late_p99=100.0, provider_cpu=0.4,
)  # fmt: skip
CLEAN_WHOLE = replace(CLEAN, tokens_per_s=1950.0, events_per_s=1950.0, requests_per_s=1950.0, gap_p99=None)


def exact(per_s: float) -> Limit:
    """A limit with a load that was too much a fifth above it."""
    return Limit(per_s, 1.2 * per_s, "client")


def least(per_s: float) -> Limit:
    """A limit with nothing known above it."""
    return Limit(per_s, None, "provider")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "firsttoken" / "calibration.json"


# The ladder.


def test_what_a_rung_offers() -> None:
    """A stream of 100 tokens takes 0.1 + 99 x 0.01 = 1.09 s; a whole answer 50 ms."""
    assert STREAMS.offered_per_s == pytest.approx(100 * 100 / 1.09)
    assert WHOLES.offered_per_s == pytest.approx(100 / 0.05)


def test_a_clean_rung() -> None:
    assert ladder.judge(STREAMS, CLEAN).verdict == "clean"
    assert ladder.judge(WHOLES, CLEAN_WHOLE).verdict == "clean"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"stamp": (5.0, 100.0, 200.0)}, "stamp error p99 100 us"),
        ({"gap_p99": 250.0}, "gap error p99 250 us"),
        ({"merged": 0.001}, "0.1% of events in merged reads"),
        ({"lost": 1}, "1 rows lost"),
        ({"tokens_per_s": 8600.0}, "8,600 of 9,174 tokens/s achieved (94%)"),
    ],
)
def test_what_the_client_does_wrong(change: dict[str, Any], why: str) -> None:
    done = ladder.judge(STREAMS, replace(CLEAN, **change))

    assert (done.verdict, done.why) == ("client-limited", why)


def test_a_late_turn_limits_whole_answers_only() -> None:
    assert ladder.judge(STREAMS, replace(CLEAN, send_lag_p99=2000.0)).verdict == "clean"
    assert ladder.judge(WHOLES, replace(CLEAN_WHOLE, send_lag_p99=2000.0)).why == "send lag p99 2.0 ms"


def test_a_provider_that_is_late_now_and_then_but_offers_all_spoils_nothing() -> None:
    assert ladder.judge(STREAMS, replace(CLEAN, provider_late_p99=1500.0)).verdict == "clean"


@pytest.mark.parametrize("change", [{"provider_late_p99": 1500.0, "provider_cpu": 0.92}, {"provider_cpu": 0.97}])
def test_a_provider_that_gives_out(change: dict[str, Any]) -> None:
    """Too little was achieved, but with the client's core half idle that is not the client's fault."""
    assert ladder.judge(STREAMS, replace(CLEAN, **change)).verdict == "provider-limited"
    short = replace(CLEAN, **change, tokens_per_s=5000.0, cpu=0.5)
    assert ladder.judge(STREAMS, short).verdict == "provider-limited"
    assert ladder.judge(STREAMS, replace(short, cpu=0.99)).verdict == "client-limited"


def ladder_of(*verdicts: str) -> list[Done]:
    """Rungs of 10,000, 20,000, ... events/s and 100, 200, ... requests/s."""
    return [
        Done(STREAMS, replace(CLEAN, events_per_s=1e4 * n, requests_per_s=100.0 * n), verdict, "")  # type: ignore[arg-type]
        for n, verdict in enumerate(verdicts, 1)
    ]


def test_the_limit_is_the_largest_clean_rung() -> None:
    assert ladder.limit(ladder_of("clean", "provider-limited")) == Limit(10_000.0, None, "provider")
    assert ladder.limit(ladder_of("clean", "clean")) == Limit(20_000.0, None, "ladder")
    assert ladder.limit(ladder_of("client-limited")) is None
    assert ladder.limit([]) is None


def test_a_limit_far_below_the_rung_that_was_too_much_is_only_its_lower_end() -> None:
    """Clean at 20,000/s, not at 30,000/s: the limit may be anywhere between; 40,000 and 50,000 are near enough."""
    wide = ladder.limit(ladder_of("clean", "clean", "client-limited"))
    near = ladder.limit(ladder_of(*["clean"] * 4, "client-limited"))

    assert wide == Limit(20_000.0, 30_000.0, "client")
    assert wide.at_least
    assert near == Limit(40_000.0, 50_000.0, "client")
    assert not near.at_least


def test_a_client_that_collapsed_says_no_more_than_that_its_offer_was_too_much() -> None:
    """It came to 5,000/s of 27,523 offered, after 10,000/s clean."""
    swamped = Done(Rung("stream", 300), replace(CLEAN, events_per_s=4e3, tokens_per_s=5e3), "client-limited", "")

    assert ladder.limit([*ladder_of("clean"), swamped]) == Limit(10_000.0, 27_522.9, "client")


def test_a_noisy_rung_has_two_more_tries_and_the_first_bad_one_is_the_last() -> None:
    bad = replace(CLEAN, lost=1)
    shown = iter([CLEAN, bad, bad, CLEAN, bad, bad, bad, CLEAN])
    done = list(climb.climb([STREAMS] * 4, lambda _: next(shown)))

    assert [one.verdict for one in done] == ["clean", "clean", "client-limited"]
    assert next(shown) is CLEAN


def test_a_rung_with_a_full_core_is_not_tried_again() -> None:
    shown = iter([replace(CLEAN, lost=1, cpu=0.99), CLEAN])
    done = list(climb.climb([STREAMS], lambda _: next(shown)))

    assert [one.verdict for one in done] == ["client-limited"]


# What is kept.


def kept(events: Limit | None = None, requests: Limit | None = None, **host: str) -> Calibration:
    """A calibration of this machine, but for what `host` says."""
    about = calibration.fingerprint() | host
    found = Calibration(about, "2026-11-22T18:00:00+00:00", events, requests, [ladder_of("clean")[0].to_json()])
    calibration.keep(found)
    return found


def test_what_is_kept_is_found(cache: Path) -> None:
    assert calibration.find() is None
    found = kept(exact(45_000.0), least(4000.0))

    after = calibration.find()
    assert after is not None
    assert json.dumps(after.to_json()) == json.dumps(found.to_json())
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]  # nothing half-written is left


@pytest.mark.parametrize("key", ["cpu", "cpus", "kernel", "python", "firsttoken"])
def test_a_calibration_of_another_machine_is_none(key: str) -> None:
    kept(exact(45_000.0), None, **{key: "another"})

    assert calibration.find() is None
    assert headroom.stamp() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "{}", '{"version": 99}', '{"version": 2, "limits": 3}'])
def test_a_file_that_cannot_be_read_is_none(cache: Path, text: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(text)

    assert calibration.find() is None


# What a run used of it.


def client_of(*workers: list[tuple[float, int]]) -> pa.Table:
    """Seconds of processes: reads/s and requests done so far."""
    rows = [
        {"worker": worker, "t_ns": (second + 1) * 10**9, "events_per_s": reads, "done": done}
        for worker, seconds in enumerate(workers)
        for second, (reads, done) in enumerate(seconds)
    ]
    return pa.Table.from_pylist(rows, schema=record.client_schema())


def rows_of(chunks: int, from_s: float, until_s: float, n: int = 1) -> pa.Table:
    """Answers of worker 0 that all stream from one moment to another; the last arrival is at 10 s."""
    stamps = {"worker": [0] * n, "scheduled_ns": [10**10] * n, "first_token_ns": [int(from_s * 1e9)] * n}
    return pa.table(stamps | {"last_token_ns": [int(until_s * 1e9)] * n, "chunks": [chunks] * n})


def filled(requests: pa.Table, client: pa.Table, warmup_s: float = 0.0) -> dict[str, Any]:
    about = {"headroom": headroom.stamp(), "plan": {"warmup_s": warmup_s}}
    found = headroom.fill(about, requests, client)
    assert found is not None
    return found


NOTHING = rows_of(0, 1.0, 2.0)


def test_no_calibration_no_headroom() -> None:
    assert headroom.stamp() is None
    assert headroom.fill({"headroom": None, "plan": {}}, NOTHING, client_of([])) is None


def test_headroom_is_the_worse_of_events_and_requests_without_the_first_second() -> None:
    """2,000 of 10,000 reads/s, but 300 of 500 requests/s; the burst of 9,000 is in the second left out."""
    kept(exact(10_000.0), least(500.0))
    found = filled(NOTHING, client_of([(9000.0, 900), *((2000.0, 900 + 300 * n) for n in range(1, 6))]))

    assert (found["used"], found["by"], found["at_least"]) == (0.6, "requests", True)
    assert (found["limit_events_per_s"], found["limit_requests_per_s"]) == (10_000.0, 500.0)
    assert (found["of"], found["calibrated"]) == ("calibration", "2026-11-22T18:00:00+00:00")


def test_each_process_has_the_limit_to_itself_and_the_worst_one_counts() -> None:
    kept(exact(10_000.0))
    found = filled(NOTHING, client_of([(4000.0, 0)] * 5, [(7000.0, 0)] * 5))

    assert found["used"] == 0.7


def test_headroom_is_the_95th_percentile_of_the_seconds() -> None:
    """1, 2, ..., 21 hundred reads/s in the seconds that count: the 20th of 21."""
    kept(exact(10_000.0))
    long = rows_of(0, 1.0, 2.0).set_column(1, "scheduled_ns", pa.array([10**11]))
    found = filled(long, client_of([(9e9, 0), *((100.0 * n, 0) for n in range(1, 22))]))

    assert found["used"] == pytest.approx(0.2)


def test_warm_up_and_what_comes_after_the_last_arrival_do_not_count() -> None:
    kept(exact(10_000.0))
    seconds = [(9000.0, 0)] * 3 + [(1000.0, 0)] * 7 + [(9000.0, 0)] * 5
    found = filled(NOTHING, client_of(seconds), warmup_s=3.0)

    assert found["used"] == 0.1


def test_a_swamped_client_that_reads_less_often_does_not_look_idle() -> None:
    """100 answers of 800 tokens from 1 to 9 s are 10,000 events/s, of which merged reads show only 2,000."""
    kept(exact(10_000.0))
    found = filled(rows_of(800, 1.0, 9.0, n=100), client_of([(2000.0, 0)] * 9))

    assert found["used"] == pytest.approx(1.0, abs=1e-3)


def test_beyond_the_clients_own_limit_outweighs_beyond_a_lower_bound() -> None:
    kept(exact(10_000.0), least(100.0))
    found = filled(NOTHING, client_of([(11_000.0, 500 * n) for n in range(6)]))

    assert (found["by"], found["at_least"], found["used"]) == ("events", False, 1.1)


@pytest.mark.parametrize(("requests", "by"), [(250, "requests"), (190, "events")])
def test_beyond_the_upper_end_of_a_limit_is_certain_too(requests: int, by: str) -> None:
    """110 % of an exact limit is beyond it; 250/s is beyond a limit between 100 and 200/s, of 190/s nobody knows."""
    kept(exact(10_000.0), Limit(100.0, 200.0, "client"))
    found = filled(NOTHING, client_of([(11_000.0, requests * n) for n in range(6)]))

    assert (found["by"], found["below"]) == (by, 200.0 if by == "requests" else 12_000.0)


def test_a_run_without_samples_says_so() -> None:
    kept(exact(10_000.0))

    assert filled(NOTHING, client_of([]))["used"] is None


# What analysis makes of it.


def judged(folder: Path, stamp: dict[str, Any] | None) -> tuple[str, str, str]:
    """Status and reason of check 24, and the line that is printed."""
    run = rundir.load(synthetic.write(folder, synthetic.Recipe(manifest={"headroom": stamp})))
    found = validity.examine(run, window.find(run))
    check = next(check for check in found.checks if check.number == 24)
    return check.status, check.why, facts.of(run).client


@pytest.mark.parametrize(
    ("used", "limit", "status"),
    [
        (0.31, exact(45_000.0), "ok"), (0.61, exact(45_000.0), "doubtful"), (1.01, exact(45_000.0), "invalid"),
        (1.01, least(45_000.0), "doubtful"), (9.0, least(45_000.0), "doubtful"),
        (1.31, Limit(45_000.0, 90_000.0, "client"), "doubtful"), (2.01, Limit(45_000.0, 90_000.0, "client"), "invalid"),
    ],
)  # fmt: skip
def test_the_check(tmp_path: Path, used: float, limit: Limit, status: str) -> None:
    stamp = {"used": used, "by": "events", "limit_events_per_s": limit.per_s}
    found, why, line = judged(tmp_path / "run", stamp | {"at_least": limit.at_least, "below": limit.below})

    assert found == status
    assert ("of ≥ 45,000 events/s" if limit.at_least else "of 45,000 events/s") in why
    said = (
        "≤ {:.0f} % of its calibrated limit (≥ 45,000 events/s)"
        if limit.at_least
        else "{:.0f} % of its calibrated limit"
    )
    assert line == "client at " + said.format(100 * used)


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ({"cpus": 8, "usable_cpus": 8}, "more --workers, or"),
        ({"cpus": 8, "usable_cpus": 2}, "a machine with more than 2 cores, or"),
        ({}, "more --workers, or"),
    ],
)
def test_more_workers_are_advised_where_there_is_a_core_for_them(
    tmp_path: Path, host: dict[str, int], advice: str
) -> None:
    """The provider is on this machine too and takes one, and so does the one worker."""
    stamp = {"used": 0.9, "at_least": False, "by": "events", "limit_events_per_s": 1.0}
    recipe = synthetic.Recipe(manifest={"headroom": stamp, "host": host})
    run = rundir.load(synthetic.write(tmp_path / "run", recipe))
    found = next(check for check in validity.examine(run, window.find(run)).checks if check.number == 24)

    assert advice in found.why


def test_a_run_of_a_machine_that_is_not_calibrated(tmp_path: Path) -> None:
    said = "client not calibrated: `firsttoken calibrate`"

    assert judged(tmp_path / "run", None) == ("not_judged", said, said)


# The real thing.


@pytest.mark.slow
def test_a_real_rung_is_measured() -> None:
    """Ten streams: figures that any machine reaches; how good they are is not for a test on a busy one."""
    for _ in range(3):  # two seconds are counted, of which a burst of others' work may take one
        with Interrupts() as interrupts:
            seen = measure.measure(Rung("stream", 10), interrupts)
        if seen.tokens_per_s == pytest.approx(Rung("stream", 10).offered_per_s, rel=0.2):
            break

    assert seen.lost == 0
    assert seen.tokens_per_s == pytest.approx(Rung("stream", 10).offered_per_s, rel=0.2)
    assert seen.events_per_s >= 0.8 * seen.tokens_per_s
    assert 0 < seen.stamp[0] < 1000
    assert seen.stamp[0] <= seen.stamp[1] <= seen.stamp[2]
    assert seen.gap_p99 is not None
    assert all(user > stamp for user, stamp in zip(seen.user, seen.stamp, strict=True))
    assert 0 < seen.cpu < 1
    assert 0 < seen.provider_cpu < 1


def test_the_verb_prints_its_table_and_keeps_the_limits(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The measuring is replaced: three rungs of streams and one of whole answers, the last of each not clean."""

    def measured(rung: Rung, _interrupts: Interrupts) -> Seen:
        base = CLEAN if rung.kind == "stream" else CLEAN_WHOLE
        rate = rung.offered_per_s if rung.users < 600 else 0.5 * rung.offered_per_s
        return replace(base, tokens_per_s=rate, events_per_s=rate, requests_per_s=rate)

    monkeypatch.setattr(measure, "measure", measured)
    done = CliRunner().invoke(cli.group, ["calibrate", "--quick", "--json"])

    assert done.exit_code == 0, done.output
    assert "client-limited\n      27,523 of 55,046 tokens/s achieved (50%)" in done.stderr
    assert (
        "between 27,523 (clean) and 55,046 (not clean) events/s, ≥ 4,000 requests/s (the ladder ended there)"
        in done.stderr
    )
    assert json.loads(done.stdout) == json.loads(cache.read_text())
    assert np.isclose(json.loads(cache.read_text())["limits"]["events_per_s"]["per_s"], 27_522.9)
    assert not list(tmp_path.glob("results*"))


def test_a_cache_that_cannot_be_written_is_said_before_anything_is_measured(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cache's folder should be there is a file; who asks for JSON gets the limits all the same."""
    cache.parent.parent.mkdir()
    cache.parent.write_text("")
    monkeypatch.setattr(measure, "measure", lambda *_: CLEAN)
    refused = CliRunner().invoke(cli.group, ["calibrate", "--quick"], standalone_mode=False)
    printed = CliRunner().invoke(cli.group, ["calibrate", "--quick", "--json"], standalone_mode=False)

    assert (refused.return_value, refused.stdout) == (2, "")
    assert "XDG_CACHE_HOME" in refused.stderr
    assert printed.return_value == 3
    assert json.loads(printed.stdout)["limits"]["events_per_s"]["per_s"] == 9200.0


def test_nothing_clean_keeps_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "measure", lambda *_: replace(CLEAN, lost=3))
    done = CliRunner().invoke(cli.group, ["calibrate", "--quick"], standalone_mode=False)

    assert done.return_value == 3
    assert not cache.exists()


def test_stopped_by_ctrl_c_keeps_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(rung: Rung, interrupts: Interrupts) -> Seen:
        if rung.users > 100:
            interrupts.count = 1
            interrupts.check()
        return CLEAN

    monkeypatch.setattr(measure, "measure", measured)
    done = CliRunner().invoke(cli.group, ["calibrate", "--quick"], standalone_mode=False)

    assert done.return_value == 130
    assert "clean" in done.stdout  # what there is is printed
    assert not cache.exists()
