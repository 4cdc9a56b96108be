"""What breaks a limit, counted as analysis counts it; when a run can no longer keep its promise, and what ends then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import synthetic
from commands import exact
from hypothesis import given
from hypothesis import strategies as st

from analysis import measured, objectives, rundir, summary
from loadtests import hopeless, profiles
from loadtests.arrival import Arrival
from loadtests.cli.after import judge
from loadtests.finish import Finished
from loadtests.fleet import Member
from loadtests.hopeless import Misses, broke, decided
from loadtests.plan import Plan
from loadtests.record import Record
from loadtests.run import Result, execute
from loadtests.rundir import Setup
from loadtests.stop import Stop
from loadtests.watch import Interrupts
from loadtests.workload import Request

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import numpy as np

S = 1_000_000_000


# What breaks a limit.


def changed(row: Record, rng: np.random.Generator) -> None:
    """Whatever can become of a request."""
    match row.seq % 9:
        case 1:
            row.outcome, row.error_kind = "error", "upstream"
        case 2:
            row.outcome, row.flags = "cancelled", ["run_end"]
        case 3:
            row.outcome, row.flags = "unsent", ["paused"]
        case 4:
            row.outcome, row.flags = "cancelled", ["gave_up"]
        case 5 if row.stream:
            row.flags = ["not_streamed"]
        case 6 if row.stream:
            row.chunks, row.chunk_ns, row.chunk_kind, row.chunk_chars = 1, row.chunk_ns[:1], [1], [row.output_chars]
        case 7 if row.stream and rng.random() < 0.5:
            row.chunk_chars = [40, *row.chunk_chars[1:]]
        case 8:
            row.outcome, row.flags = "unsent", ["run_end"]


@pytest.mark.parametrize(
    ("column", "limit_s"), [("ttft_s", 0.2), ("latency_s", 0.8), ("tpot_s", 0.0205), ("tpot_s", 0.02)]
)
def test_as_many_break_a_limit_here_as_in_the_analysis(tmp_path: Path, column: str, limit_s: float) -> None:
    """Of 400 requests of every kind: those to which the promise applies and that did not keep it."""
    recipe = synthetic.Recipe(n=400, change=changed)
    limit = hopeless.at_most(9, column, limit_s)
    mine = sum(broke(limit, row) for row in synthetic.records_of(recipe))

    path = synthetic.write(tmp_path / "r", recipe)
    promise = objectives.read([f"{column.removesuffix('_s')}_p50<{limit_s}s"])
    (outcome,) = summary.summarise(measured.of(rundir.load(path), promise)).objectives
    assert outcome.share is not None
    assert mine == round((1 - outcome.share) * outcome.n)
    assert 20 < mine < 400


@pytest.mark.parametrize("phase", ["warmup", "drain"])
def test_what_is_not_measured_breaks_nothing(phase: str) -> None:
    failed = Record("a", "chat", 0, 0, phase, stream=True, scheduled_ns=0, outcome="error")

    assert not broke(hopeless.at_most(0, "ttft_s", 1.0), failed)


def test_a_column_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^column 'ttfb' isn't one of latency_s, tpot_s, ttft_s$"):
        hopeless.at_most(1, "ttfb", 1.0)


# What is under way.


class Answering:
    """An answer of which something has come, or nothing."""

    def __init__(self, headers_ns: int | None = None, *reads: bytes) -> None:
        self.headers_ns, self.reads = headers_ns, reads


def arrival(at_s: float, exchange: Answering | None = None, *, stream: bool = True, phase: str = "measure") -> Arrival:
    request = Request(0, "chat", (), stream=stream, output_cap=None, prompt_hash=0, input_chars=0)
    made = Arrival(request, int(at_s * S), b"", "a", phase=phase)
    made.exchange = exchange  # type: ignore[assignment]
    return made


def test_what_has_had_no_answer_for_too_long_is_late_already() -> None:
    """At 10 s, within 2 s: sent before 8 s, measured, and with not a byte; a whole answer has no first token."""
    under_way = [
        arrival(1, Answering()), arrival(2, Answering(S)), arrival(3, Answering(None, b"HTTP")), arrival(4),
        arrival(5, stream=False), arrival(6, phase="drain"), arrival(9),
    ]  # fmt: skip
    of_streams, of_all = Misses([hopeless.at_most(0, "ttft_s", 2)]), Misses([hopeless.at_most(0, "latency_s", 2)])

    assert of_streams.so_far(under_way, 10 * S) == {"a": [2]}
    assert of_all.so_far(under_way, 10 * S) == {"a": [3]}
    assert Misses([hopeless.at_most(0, "tpot_s", 2)]).so_far(under_way, 10 * S) == {"a": [0]}


def test_what_is_over_and_what_is_under_way_are_told_together_and_by_arm() -> None:
    misses = Misses([hopeless.at_most(0, "latency_s", 2), hopeless.most_in_flight(5)])
    misses.add(Record("b", "chat", 0, 0, "measure", stream=True, scheduled_ns=0, outcome="error"))
    misses.add(Record("a", "chat", 0, 0, "measure", stream=True, scheduled_ns=0, outcome="error"))

    assert misses.so_far([arrival(0)], 3 * S) == {"b": [1], "a": [2]}
    assert misses.so_far([], 3 * S) == {"b": [1], "a": [1]}
    assert Misses().so_far([arrival(0)], 3 * S) == {}


# When it is decided.


def said(**status: Any) -> Member:
    return Member(0, status=status)


LIMITS = [hopeless.at_most(120, "ttft_s", 2.0), hopeless.at_most(10, "tpot_s", 0.05), hopeless.most_in_flight(500)]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([], None),
        ([said(), said(missed={"a": [120, 10]}, in_flight=500)], None),
        (
            [said(missed={"a": [300, 0]}), said(missed={"a": [12, 0]})],
            "ended early: ttft_s < 2 can no longer be met: 312 broke it, 120 may",
        ),
        (
            [said(missed={"a": [0, 11]})],
            "ended early: tpot_s < 0.05 can no longer be met: 11 broke it, 10 may",
        ),
        ([said(missed={"b": [999, 99]})], None),
        ([said(in_flight=400), said(in_flight=101)], "501 in flight, more than 500: the queue is out of control"),
    ],
)
def test_one_more_than_may_be_late_decides(members: list[Member], text: str | None) -> None:
    stop = decided(LIMITS, members, ["a"])

    assert (stop and (stop.word, stop.text)) == (text and ("decided", text))


def test_of_several_arms_all_have_to_be_beyond_hope() -> None:
    late = said(missed={"a": [121, 0], "b": [0, 0]})

    assert decided(LIMITS, [late], ["a", "b"]) is None
    assert decided(LIMITS, [late, said(missed={"b": [0, 11]})], ["a", "b"]) is not None


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 20))
def test_ending_there_decides_what_the_end_would_have_decided(late: list[bool], most: int) -> None:
    """Whatever comes after: it is ended exactly where all of it would have had more than may be late."""
    limit = hopeless.at_most(most, "ttft_s", 1.0)
    misses, ended = Misses([limit]), False
    for seq, is_late in enumerate(late):
        row = Record("a", "chat", 0, seq, "measure", stream=True, scheduled_ns=0, outcome="ok")
        row.first_token_ns = 2 * S if is_late else 1
        misses.add(row)
        ended = ended or decided([limit], [said(missed=misses.so_far([], 0))], ["a"]) is not None

    assert ended == (sum(late) > most)


# A run.


class Silent:
    """Looks on without a word."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, *_: object) -> None:
        """Nothing."""

    def say(self, _text: str) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("limit", "says"),
    [(hopeless.at_most(20, "ttft_s", 0.3), "ttft_s < 0.3 can no longer be met"),
     pytest.param(
         hopeless.most_in_flight(30), "in flight, more than 30: the queue is out of control", marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_run_without_hope_ends_early_and_leaves_nothing_behind(
    tmp_path: Path, limit: dict[str, Any], says: str
) -> None:
    """Two places of 0.2 s do 10/s, 30/s are offered for 60 s: within a few seconds all is said."""
    with exact(0.2, "--slots", "2") as mock:
        plan = Plan.single("mock", rate=30.0, duration_s=60.0, live_limits=(limit,), workers=2)
        setup = Setup(plan, [profiles.load("vllm").with_overrides(base_url=mock.base_url)], tmp_path, "x", ["run"])
        with Interrupts() as interrupts:
            result = execute(setup, Silent(), interrupts)

    assert result.stop is not None
    assert (result.stop.word, says in result.stop.text) == ("decided", True)
    run = rundir.load(result.path)
    assert run.manifest["ended"] is True
    assert run.manifest["stop"] == {"reason": "decided", "text": result.stop.text}
    assert set(run.requests["outcome"]) == {"ok", "cancelled", "unsent"}
    assert set(run.requests["flags"][rundir.where(run.requests, "outcome", "cancelled")]) == {"run_end"}
    assert result.issued < 600  # of 1,800
    # What the end took back is no miss: only what was answered, and late, is.
    (outcome,) = summary.summarise(measured.of(run, objectives.read(["ttft_p95<300ms"]))).objectives
    assert 0 < outcome.n <= result.ok


def test_a_run_that_was_decided_has_done_what_it_was_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=120))
    setup = Setup(Plan.single("m", rate=8.0, duration_s=15.0), [profiles.load("vllm")], tmp_path, "x", ["run"])
    result = Result(path, Finished(120, 120, 0, 0), Stop("decided", "13 of at most 12 late"), 120, 120, 120)

    assert judge(setup, result, report=False, as_json=False, quiet=True) == 0
    assert "firsttoken: 13 of at most 12 late" in capsys.readouterr().err
