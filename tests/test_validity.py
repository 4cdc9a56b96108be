"""Each check fires on its own fault and on nothing else; a healthy short run on a noisy machine is valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import files, rundir, summary, validity, window
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    Change = Callable[[record.Record, np.random.Generator], None]

MS = 1_000_000


def examine(path: Path) -> validity.Validity:
    run = rundir.load(path)
    return validity.examine(run, window.find(run))


def statuses(found: validity.Validity) -> dict[int, str]:
    return {check.number: check.status for check in found.checks}


def late_by(ms: int, of: Callable[[int], bool]) -> Change:
    def change(row: record.Record, _: np.random.Generator) -> None:
        if of(row.seq):
            assert row.sent_ns is not None
            assert row.started_ns is not None
            row.scheduled_ns = row.sent_ns - ms * MS
            row.started_ns = row.sent_ns - 20_000

    return change


def unsent(row: record.Record) -> None:
    for name in (
        "started_ns", "sent_ns", "headers_ns", "first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns",
        "end_ns", "chunks", "chunk_ns", "chunk_kind", "chunk_chars", "output_tokens", "tokens_from", "status", "clock",
        "conn_reused", "connect_s", "model_answered", "shared_reads", "wake_lag_max_us",
    ):  # fmt: skip
        setattr(row, name, None)
    row.outcome = "unsent"


def change_of(share: float, **values: Any) -> Change:
    """Set these on the given share of rows, evenly spread."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        if int((row.seq + 1) * share) > int(row.seq * share):
            if values.get("outcome") == "unsent":
                unsent(row)
            for name, value in values.items():
                setattr(row, name, value)

    return change


@pytest.mark.parametrize(
    ("n", "factor", "tokenizer", "status"),
    [
        (20, 0.75, "/models/tiny-1", "ok"),
        (20, 1.25, "/models/tiny-1", "ok"),
        (20, 0.5, "/models/tiny-1", "doubtful"),
        (20, 1.5, "/models/tiny-1", "doubtful"),
        (9, 0.5, "/models/tiny-1", "not_judged"),
        (20, 0.5, None, "not_judged"),
    ],
)
def test_the_tokenizers_counts_are_held_against_usage(
    tmp_path: Path, n: int, factor: float, tokenizer: str | None, status: str
) -> None:
    """Of answers of 100 tokens by usage, so many by the tokenizer."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        row.output_tokens, row.counted_tokens = 100, round(100 * factor)

    recipe = synthetic.Recipe(n=n, change=change)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, n)["plan"] | {"tokenizer": tokenizer}}
    found = next(c for c in examine(synthetic.write(tmp_path / "r", recipe)).checks if c.number == 31)

    assert found.status == status
    assert ("another model's tokenizer" in found.why) == (status == "doubtful")


@pytest.mark.parametrize(
    ("flags", "status", "value"),
    [(["turn_failed"], "ok", "0 % (0 of 120)"), (["paused"], "invalid", "25.0 % (40 of 160)")],
)
def test_turns_behind_one_that_was_given_up_are_not_missing(
    tmp_path: Path, flags: list[str], status: str, value: str
) -> None:
    """40 conversations of 4 turns: of every second one the second turn is given up, and two never come."""

    def change(row: record.Record, rng: np.random.Generator) -> None:
        synthetic.talk(4)(row, rng)
        if (row.conversation or 0) % 2 and row.turn == 1:
            row.outcome, row.flags = "cancelled", ["gave_up"]
        elif (row.conversation or 0) % 2 and row.turn in (2, 3):
            unsent(row)
            row.flags = flags

    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(poisson=False, change=change)))
    check = next(c for c in found.checks if c.number == 3)

    assert (check.status, check.value) == (status, value)
    assert ("Left out: 40 turns after one that failed or was given up." in check.why) == (status == "ok")


def test_answers_that_a_tokenizer_counts_are_no_fault(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(change=change_of(1, tokens_from="tokenizer")))

    assert statuses(examine(path))[19] == "ok"


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_default_run_is_valid(tmp_path: Path, seed: int) -> None:
    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(seed=seed)))

    assert found.verdict == "valid", found.faults


def test_reads_that_merged_before_a_user_clock_are_nobodys_fault(tmp_path: Path) -> None:
    """A proxy may have sent them in one piece; nothing says that the reader was late."""
    change = change_of(1.0, clock="user", wake_lag_max_us=None, shared_reads=5)
    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(change=change)))

    assert found.verdict == "valid", found.faults
    assert statuses(found)[9] == "not_judged"


def test_a_few_late_wakeups_of_a_busy_machine_are_no_fault(tmp_path: Path) -> None:
    """3 of 160 sends 8 ms late, 5 of 20 seconds with a hub lag of 40 ms and wake lags of 9 ms: still valid."""
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(change=late_by(8, lambda seq: seq % 60 == 0)))
    rows = synthetic.client(20).to_pylist()
    for row in rows[:5]:
        row.update(hub_lag_us=40_000, wake_lag_p99_us=9000.0, cpu=0.99)
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)

    assert examine(path).verdict == "valid"


@pytest.mark.parametrize(
    ("number", "status", "change"),
    [
        (1, "doubtful", late_by(4, lambda seq: seq % 8 == 0)),
        (1, "invalid", late_by(30, lambda seq: seq % 8 == 0)),
        (2, "doubtful", late_by(60, lambda seq: seq in {40, 80})),
        (2, "invalid", late_by(60, lambda seq: seq % 30 == 0)),
        (3, "invalid", change_of(0.02, outcome="unsent", flags=["paused"])),
        (4, "invalid", change_of(0.1, outcome="unsent")),
        (14, "doubtful", change_of(0.01, outcome="error", error_kind="reset")),
        (14, "invalid", change_of(0.1, outcome="error", error_kind="reset")),
        (16, "doubtful", change_of(1, model_answered="other-9")),
        (16, "invalid", change_of(0.5, model_answered="other-9")),
        (17, "doubtful", change_of(1, cached_tokens=5, input_tokens=100)),
        (17, "invalid", change_of(1, cached_tokens=50, input_tokens=100)),
        (19, "doubtful", change_of(1, tokens_from="estimate")),
        (19, "invalid", change_of(0.1, tokens_from="estimate")),
        (21, "doubtful", change_of(0.18, conn_reused=False, connect_s=0.04)),
        (21, "invalid", change_of(1, conn_reused=False, connect_s=0.04)),
        (23, "invalid", change_of(0.02, outcome="error", error_kind="throttled", status=429)),
        (25, "invalid", change_of(0.02, outcome="unsent", flags=["budget"])),
        (25, "doubtful", change_of(0.01, flags=["in_flight_cap"])),
        (25, "doubtful", change_of(0.5, flags=["in_flight_cap"])),
        (28, "doubtful", change_of(0.01, outcome="lost")),
        (29, "doubtful", change_of(0.2, flags=["buffered"])),
        (29, "invalid", change_of(1, flags=["buffered"])),
        (9, "doubtful", change_of(0.2, shared_reads=3, wake_lag_max_us=5000)),
    ],
)
def test_each_fault_is_found(tmp_path: Path, number: int, status: str, change: Change) -> None:
    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(change=change)))

    assert statuses(found)[number] == status, next(c for c in found.checks if c.number == number)
    assert next(c for c in found.faults if c.number == number).why


@pytest.mark.parametrize(
    ("number", "status", "values"),
    [
        (5, "doubtful", {"wake_lag_p99_us": 7000.0}),
        (6, "doubtful", {"hub_lag_us": 8000}),
        (6, "invalid", {"hub_lag_us": 30_000}),
        (7, "doubtful", {"cpu": 0.9}),
        (7, "invalid", {"cpu": 0.99}),
    ],
)
def test_a_client_at_its_limit_is_found(tmp_path: Path, number: int, status: str, values: dict[str, Any]) -> None:
    path = synthetic.write(tmp_path / "r")
    pq.write_table(synthetic.client(20, **values), path / record.CLIENT)

    assert statuses(examine(path))[number] == status


@pytest.mark.parametrize(("step_us", "status"), [(50, "ok"), (300, "doubtful"), (6000, "invalid")])
def test_a_step_of_the_wall_clock_is_found(tmp_path: Path, step_us: int, status: str) -> None:
    path = synthetic.write(tmp_path / "r")
    rows = synthetic.client(20).to_pylist()
    for row in rows[10:20]:
        row["clock_offset_ns"] += step_us * 1000
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)

    assert statuses(examine(path))[10] == status


def test_a_handshake_is_not_the_client_s_lateness(tmp_path: Path) -> None:
    """Every request on a new connection, sent 40 ms after its pick-up: check 1 is content, 21 is not."""

    def handshake(row: record.Record, _: np.random.Generator) -> None:
        row.conn_reused, row.started_ns = False, row.scheduled_ns + 50_000
        assert row.sent_ns is not None
        row.sent_ns += 40 * MS
        row.connect_s = 0.04

    found = statuses(examine(synthetic.write(tmp_path / "r", synthetic.Recipe(change=handshake))))

    assert (found[1], found[2]) == ("ok", "ok")
    assert found[21] == "invalid"


def test_new_connections_that_cost_next_to_nothing_are_no_fault(tmp_path: Path) -> None:
    """0.2 ms of handshake before a first token at 200 ms: the server may close as often as it likes."""
    found = statuses(
        examine(
            synthetic.write(tmp_path / "r", synthetic.Recipe(change=change_of(1, conn_reused=False, connect_s=0.0002)))
        )
    )

    assert found[21] == "ok"


def test_waiting_for_a_cap_is_not_the_clients_lateness(tmp_path: Path) -> None:
    """Every second arrival waits half a second for --max-in-flight: that is check 25's to say, and nobody else's."""

    def wait(row: record.Record, rng: np.random.Generator) -> None:
        if row.seq % 2:
            late_by(500, lambda _: True)(row, rng)
            row.flags = ["in_flight_cap"]

    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(change=wait)))

    assert [check.number for check in found.faults] == [25]
    assert "--max-in-flight was reached" in found.faults[0].why
    assert statuses(found)[4] == "not_judged"


@pytest.mark.parametrize(
    ("plan", "status"),
    [
        ({"definitions": [{"name": "chat", "cache": "cold"}]}, "invalid"),
        ({"definitions": [{"name": "chat", "cache": "warm"}]}, "not_judged"),
        ({"definitions": [{"name": "chat", "prefix": {"share": 0.5, "tokens": 100}}]}, "not_judged"),
        ({"definitions": [{"name": "chat"}, {"name": "rag", "cache": "warm"}]}, "invalid"),
        ({"arrivals": "trace:a.jsonl"}, "not_judged"),
    ],
)
def test_cached_prompts_are_a_fault_only_where_they_were_meant_to_be_new(
    tmp_path: Path, plan: dict[str, Any], status: str
) -> None:
    recipe = synthetic.Recipe(change=change_of(1, cached_tokens=50, input_tokens=100))
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 160)["plan"] | plan}

    assert statuses(examine(synthetic.write(tmp_path / "r", recipe)))[17] == status


def test_the_history_of_a_conversation_may_be_cached(tmp_path: Path) -> None:
    def talk(row: record.Record, _: np.random.Generator) -> None:
        row.conversation, row.turn = divmod(row.seq, 4)
        row.input_tokens, row.cached_tokens = 100, 90 if row.turn else 0

    assert statuses(examine(synthetic.write(tmp_path / "r", synthetic.Recipe(change=talk))))[17] == "ok"


def test_a_conversations_later_turns_are_not_the_schedules(tmp_path: Path) -> None:
    """Their rate follows the answers; those that never came since one failed are no load that was missing."""

    def fail(row: record.Record, rng: np.random.Generator) -> None:
        synthetic.talk(4)(row, rng)
        if row.conversation == 5 and row.turn:
            unsent(row)
            row.flags = ["turn_failed"]

    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(poisson=False, change=fail)))

    assert statuses(found)[3] == statuses(found)[4] == "ok"
    assert "Left out: 3 turns" in next(check.why for check in found.checks if check.number == 3)


def test_a_burst_and_a_changing_load_are_not_held_against_a_steady_rate(tmp_path: Path) -> None:
    def at_once(row: record.Record, _: np.random.Generator) -> None:
        row.scheduled_ns = 0
        synthetic.move(row, -(row.started_ns or 0))
        synthetic.move(row, 20_000 * row.seq)
        row.scheduled_ns = 0

    for name, plan, change in (
        ("burst", {"arrivals": "burst:160", "rate": None}, at_once),
        ("stages", {"stages": [{"kind": "rate", "start": 1, "end": 20, "duration_s": 20}]}, None),
    ):
        recipe = synthetic.Recipe(change=change)
        recipe.manifest = {"plan": synthetic.manifest_of(recipe, 160)["plan"] | plan}
        found = examine(synthetic.write(tmp_path / name, recipe))

        assert not [check for check in found.faults if check.number in {2, 4, 11, 12}]
        assert "planned to change" in next(check.why for check in found.checks if check.number == 12)


def test_missing_rows_without_a_reason_are_invalid(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(manifest={"planned": 161}))

    assert statuses(examine(path))[28] == "invalid"


@pytest.mark.parametrize(("n", "status"), [(0, "ok"), (3, "invalid")])
def test_requests_that_were_recorded_twice_are_invalid(tmp_path: Path, n: int, status: str) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(manifest={"duplicates": n}))

    assert statuses(examine(path))[28] == status
    assert ("3 requests were recorded more than once" in why(path, 28)) == (n > 0)


@pytest.mark.parametrize("values", [{"ended": False}, {"stop": {"reason": "Ctrl-C"}}])
def test_a_run_that_did_not_end_is_doubtful(tmp_path: Path, values: dict[str, Any]) -> None:
    assert examine(synthetic.write(tmp_path / "r", synthetic.Recipe(manifest=values))).verdict == "doubtful"


@pytest.mark.parametrize("flags", [["run_end"], None])
def test_arrivals_after_a_stop_are_not_the_load_s_fault(tmp_path: Path, flags: list[str] | None) -> None:
    """Flagged, or added afterwards without a flag: both lie behind the last that went out."""

    def stop(row: record.Record, _: np.random.Generator) -> None:
        if row.seq >= 100:
            unsent(row)
            row.flags = flags

    path = synthetic.write(tmp_path / "r", synthetic.Recipe(change=stop, manifest={"stop": {"reason": "Ctrl-C"}}))
    found = statuses(examine(path))

    assert [found[n] for n in (3, 4, 25)] == ["ok", "ok", "ok"]
    assert found[28] == "doubtful"


def test_little_s_law_holds_in_a_long_steady_run(tmp_path: Path) -> None:
    recipe = synthetic.Recipe(n=2400, rate=20, tokens=6)
    found = examine(synthetic.write(tmp_path / "r", recipe))

    assert statuses(found)[12] == "ok"
    assert found.verdict == "valid", found.faults


def test_lost_ends_break_little_s_law(tmp_path: Path) -> None:
    """A tenth of the requests never come back: in flight grows, rate x stay does not."""

    def lose(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 10 == 0 and row.seq < 1000:
            row.end_ns, row.outcome = None, "lost"

    found = statuses(examine(synthetic.write(tmp_path / "r", synthetic.Recipe(n=2400, rate=20, tokens=6, change=lose))))

    assert found[12] in {"invalid", "not_judged"}
    assert found[28] == "doubtful"


def test_nothing_recorded_is_invalid_and_nothing_breaks(tmp_path: Path) -> None:
    found = examine(synthetic.write(tmp_path / "r", synthetic.Recipe(manifest={"planned": 10}), rows=[]))

    assert found.verdict == "invalid"


@pytest.mark.parametrize("asked", ["org/Tiny-1", "tiny-1-2026-01-01", "tiny"])
def test_a_dated_or_shortened_name_is_the_model_asked_for(tmp_path: Path, asked: str) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(manifest={"model": asked}))

    assert statuses(examine(path))[16] == "ok"


def test_validity_json_holds_every_check(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r"))
    files.write_judgement([summary.judge(run)])
    stored = json.loads((tmp_path / "r" / record.VALIDITY).read_text())

    assert stored["verdict"] == "valid"
    numbers = [check["number"] for check in stored["checks"]]
    assert numbers == sorted(numbers)
    assert set(numbers) >= {1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 29}


# Several workers.

HOSTS: list[dict[str, Any]] = [
    {
        "number": n,
        "host": f"host-{'abcde'[n]}",
        "lost_ns": None,
        "why": None,
        "clock": {"offset_ns": 0, "error_ns": 9000},
    }
    for n in range(5)
]


def fleet(folder: Path, n: int, change: Change | None = None, told: list[dict[str, Any]] | None = None) -> Path:
    """A run of n workers that take the arrivals in turn; `told` is what the manifest tells of them."""

    def turn(row: record.Record, rng: np.random.Generator) -> None:
        row.worker = row.seq % n
        if change is not None:
            change(row, rng)

    recipe = synthetic.Recipe(n=400, rate=20, change=turn)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 400)["plan"] | {"workers": n}}
    recipe.manifest |= {} if told is None else {"workers": told}
    path = synthetic.write(folder, recipe)
    rows = [{**row, "worker": w} for w in range(n) for row in synthetic.client(20).to_pylist()[:20]]
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)
    return path


def sampled(path: Path, workers: set[int], of_second: Callable[[int], dict[str, Any]]) -> None:
    """Change the seconds of some workers."""
    rows = pq.read_table(path / record.CLIENT).to_pylist()
    for place, row in enumerate(rows):
        if row["worker"] in workers:
            row.update(of_second(place % 20))
    pq.write_table(pa.Table.from_pylist(rows, schema=record.client_schema()), path / record.CLIENT)


def why(path: Path, number: int) -> str:
    return next(check.why for check in examine(path).checks if check.number == number)


@pytest.mark.parametrize(
    ("number", "of_second"),
    [
        (5, lambda _: {"wake_lag_p99_us": 9000.0}),
        (6, lambda _: {"hub_lag_us": 30_000}),
        (7, lambda _: {"cpu": 0.99}),
        (10, lambda second: {"clock_offset_ns": 10**18 + 10**7 * (second > 9)}),
    ],
)
def test_the_worker_at_its_limit_is_named(
    tmp_path: Path, number: int, of_second: Callable[[int], dict[str, Any]]
) -> None:
    """One of three: a third of all the seconds, so that p95 of them is one of its own."""
    path = fleet(tmp_path / "r", 3, told=HOSTS[:3])
    sampled(path, {2}, of_second)
    alone = fleet(tmp_path / "s", 1)
    sampled(alone, {0}, of_second)

    assert why(path, number).startswith("In worker 2 (host-c). ")
    assert statuses(examine(alone))[number] in {"doubtful", "invalid"}
    assert "worker 0" not in why(alone, number)


@pytest.mark.parametrize(
    ("late", "named"),
    [
        ({1}, "In worker 1. "),
        ({0, 1}, "In worker 0 and worker 1. "),
        ({0, 1, 2, 3}, "In worker 0, worker 1, worker 2 and 1 more. "),
        ({0, 1, 2, 3, 4}, "In all 5 workers. "),
    ],
)
def test_the_workers_that_send_late_are_named(tmp_path: Path, late: set[int], named: str) -> None:
    found = examine(fleet(tmp_path / "r", 5, late_by(60, lambda seq: seq % 5 in late)))
    told = {check.number: check.why for check in found.checks if check.status == "invalid"}

    assert told[1].startswith(named)
    assert told[2].startswith(named)


def test_more_workers_of_this_machine_are_no_relief_for_another_one(tmp_path: Path) -> None:
    path = fleet(tmp_path / "r", 2, late_by(60, lambda seq: seq % 2 == 0), HOSTS[:2])

    assert why(path, 1).startswith("In worker 0 (host-a). The client sends late: use more machines (--expect-workers)")


def test_clocks_that_are_far_apart_are_said_and_no_fault(tmp_path: Path) -> None:
    """9 us are as good as one clock; 2.5 ms are told with whose it is."""
    apart = [HOSTS[0], HOSTS[1] | {"clock": {"offset_ns": 5, "error_ns": 2_500_000}}]
    near, far = (examine(fleet(tmp_path / str(place), 2, told=told)) for place, told in enumerate((HOSTS[:2], apart)))
    told = next(check for check in far.checks if check.number == 32)

    assert (near.verdict, far.verdict) == ("valid", "valid")
    assert next(check for check in near.checks if check.number == 32).why == ""
    assert (told.value, told.status) == ("± 2.5 ms", "ok")
    assert told.why.startswith("Times of different workers agree to ± 2.5 ms, by worker 1 (host-b); latencies")
    assert statuses(examine(synthetic.write(tmp_path / "one")))[32] == "not_judged"


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "doubtful"), (0.02, "doubtful"), (0.2, "invalid")])
def test_a_run_that_lost_a_worker_is_doubtful_at_best(tmp_path: Path, share: float, verdict: str) -> None:
    """And invalid where it took so many requests with it that the others are no sample: check 14."""
    gone = [HOSTS[0], HOSTS[1] | {"lost_ns": 9 * 10**9, "why": "silent for 12 s"}]

    def lose(row: record.Record, _: np.random.Generator) -> None:
        if row.worker == 1 and row.seq % 200 < 200 * share * 2:
            unsent(row)
            row.outcome = "lost"

    path = fleet(tmp_path / "r", 2, lose, gone)

    assert examine(path).verdict == verdict
    assert "Lost on the way: worker 1 (host-b), silent for 12 s." in why(path, 28)
    assert ("Worker 1 (host-b) was lost with" in why(path, 28)) == (share > 0)
