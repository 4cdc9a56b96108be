"""What the chunk lists say: gaps and tokens of a run, stalls and smoothness of an answer, tokens over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import arms, rundir
from analysis.inside import chunks, lists
from analysis.inside.distribution import BOUND_US, SECTIONS, Tally
from analysis.window import Window
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MS = 1_000_000
S = 1_000_000_000


def stream(seq: int, gaps_ms: Sequence[float], chars: Sequence[int], tokens: int | None, **more: Any) -> record.Record:
    """An answer to the request of second `seq`, sent 10 ms late, with these gaps, the first from the send."""
    sent = seq * S + 10 * MS
    stamps = sent + np.rint(MS * np.cumsum(gaps_ms)).astype(np.int64)
    row = record.Record(
        arm="", workload="chat", worker=0, seq=seq, phase="measure", stream=True, scheduled_ns=seq * S, outcome="ok",
        started_ns=sent, sent_ns=sent, headers_ns=int(stamps[0]), end_ns=int(stamps[-1]) + MS, output_tokens=tokens,
        tokens_from="usage",
    )  # fmt: skip
    synthetic.give_stream(row, stamps)
    row.chunk_chars = list(chars)
    for name, value in more.items():
        setattr(row, name, value)
    return row


def whole(seq: int, end_s: float, tokens: int) -> record.Record:
    row = stream(seq, [1], [1], tokens, stream=False, chunks=None, chunk_ns=None, chunk_kind=None, chunk_chars=None)
    row.first_token_ns = row.last_token_ns = None
    row.end_ns = int(end_s * S)
    return row


def read(
    path: Path, rows: list[record.Record], length_s: float = 10, deadlines: tuple[float, float] | None = None
) -> chunks.Chunks:
    window = Window(0, length_s, cut=False, reason="")
    run = rundir.load(synthetic.write(path / "r", rows=rows))
    found = chunks.read(run, window, window.edges, deadlines)
    assert found is not None
    return found


def test_gaps_are_those_between_events_of_whole_answers_in_the_window(tmp_path: Path) -> None:
    """
    Three answers: the second failed, the third is behind the window.

    Left are the first one's gaps 20, 30 and 40 ms: mean 30, median 30 (rank 2 of 3), p99 and most 40. Its 100 ms from
    the send to the first event are TTFT, no gap.
    """
    rows = [
        stream(0, [100, 20, 30, 40], [4, 4, 4, 4], 4),
        stream(1, [100, 500, 500], [4, 4, 4], 3, outcome="error"),
        stream(20, [100, 700], [4, 4], 2),
    ]

    gaps = read(tmp_path, rows).gaps

    assert (gaps.n, gaps.most) == (3, 0.04)
    assert gaps.mean == pytest.approx(0.03)
    assert [gaps.quantile(p) for p in (0.01, 0.5, 0.99, 1.0)] == [0.02, 0.03, 0.04, 0.04]


def test_a_gap_is_spread_over_the_tokens_that_it_brought(tmp_path: Path) -> None:
    """
    12 tokens in 24 characters, chunks of 8, 4 and 12 of these: 4, 2 and 6 tokens.

    40 ms for 2 tokens are 20 ms each, 60 ms for 6 are 10 ms each: of 8 tokens 6 took 10 ms, so the median is 10 ms, p90
    20 ms, and the mean 100 ms / 8 = 12.5 ms. TPOT says the same: (last - first) / (12 - 4).
    """
    found = read(tmp_path, [stream(0, [100, 40, 60], [8, 4, 12], 12)])

    assert found.itl.n == pytest.approx(8)
    assert [found.itl.quantile(p) for p in (0.5, 0.75, 0.76, 0.9)] == [0.01, 0.01, 0.02, 0.02]
    assert found.itl.mean == pytest.approx(0.0125)
    assert found.columns["itl_p99_s"].tolist() == [0.02]


@pytest.mark.parametrize("sizes", [[1], [4], [1, 8, 3, 5, 2]])
def test_speed_is_true_whatever_the_chunks_hold(tmp_path: Path, sizes: list[int]) -> None:
    """
    100 tokens/s in chunks of so many: each chunk comes when its last token is made. 10 ms a token, all ways.

    The first second lacks the send's 10 ms, a token; each one may lack or gain a chunk at its end.
    """
    held = np.resize(sizes, 400 // int(np.mean(sizes)))
    found = read(tmp_path, [stream(0, (10.0 * held).tolist(), (4 * held).tolist(), int(held.sum()))])

    assert found.itl.mean == pytest.approx(0.01)
    assert found.itl.quantile(0.5) == pytest.approx(0.01)
    assert found.tokens[:4] == pytest.approx([100] * 4, abs=max(sizes) + 1)


def test_tokens_fall_into_the_bins_in_which_they_came(tmp_path: Path) -> None:
    """
    Each request that was on counts, whatever became of it; one whose tokens nobody counted cannot.

    A stream sent at 0.01 s with events at 0.51, 1.11 and 1.61 s of 2, 2 and 4 tokens; a failed one that brought 3 at
    2.51 s; a whole answer of 50 tokens that ended at 3.2 s; a warm-up's stream with 1 token at 0.21 s.
    """
    rows = [
        stream(0, [500, 600, 500], [4, 4, 8], 8),
        stream(2, [500], [9], 3, outcome="error"),
        whole(1, 3.2, 50),
        stream(3, [100, 100], [1, 1], None),
        stream(0, [200], [1], 1, phase="warmup"),
    ]

    assert read(tmp_path, rows, length_s=4).tokens.tolist() == [3, 6, 3, 50]


def test_a_stall_is_long_for_half_a_second_and_for_its_own_answer(tmp_path: Path) -> None:
    """
    A stall is a gap above 500 ms and above 5 medians of its answer's gaps.

    1: gaps of 20 ms and one of 600: a stall, for 5 x 20 ms is less than the half second. 2: 400 ms is none.
    3: gaps of 200 ms: a stall takes more than 1,000 ms, so 900 is none and 1,100 is one. 4: of one event, nothing.
    """
    rows = [
        stream(0, [100, 20, 20, 600, 20], [1] * 5, 5),
        stream(1, [900, 20, 400, 20], [1] * 4, 4),
        stream(2, [100, 200, 900, 200, 1100, 200], [1] * 6, 6),
        stream(3, [100], [1], 1),
    ]
    columns = read(tmp_path, rows).columns

    assert columns["stalls"].tolist()[:3] == [1, 0, 1]
    assert columns["stall_s"][:3] == pytest.approx([0.6, 0, 1.1])
    assert np.isnan([columns[name][3] for name in ("stalls", "stall_s", "itl_p99_s")]).all()


def test_an_early_stall_is_worse_than_a_late_one(tmp_path: Path) -> None:
    """
    20 events of a token each, due 0.2 s after the schedule and then every 50 ms; 19 gaps, all 40 ms but one of 150.

    The first comes at 10 + 100 ms, so 90 ms are in hand. Stall in the first gap: 90 + 50 - 150 = -10: late, and from 0
    on each next one is 10 ms early: 1 of 20 late. In the last gap: 90 + 18 x 10 are in hand, none is late.
    Without time in hand (first at 190 + 10 ms) a stall of 150 at the start is late by 100, and still 1 of 20 only.
    """
    rows = [
        stream(0, [100, 150, *[40] * 18], [1] * 20, 20),
        stream(1, [100, *[40] * 18, 150], [1] * 20, 20),
        stream(2, [190, 150, *[40] * 18], [1] * 20, 20),
        stream(3, [300, *[60] * 3], [1] * 4, 4),
    ]
    columns = read(tmp_path, rows, deadlines=(0.2, 0.05)).columns

    assert columns["fluidity"] == pytest.approx([0.95, 1.0, 0.95, 0.0])
    assert "fluidity" not in read(tmp_path, rows).columns


def test_the_tokens_of_a_chunk_give_time_until_the_next(tmp_path: Path) -> None:
    """Chunks of 4 tokens every 180 ms, a token due each 50: in hand 4 x 50 - 180 = 20 ms more each time; then 300."""
    rows = [stream(0, [100, 180, 180, 300], [4] * 4, 16)]

    # In hand: 200 - 110 = 90, 110, 130, 130 + 200 - 300 = 30: none is late. With 55 ms a token less, 2 are:
    # in hand 90; 90 + 140 - 180 = 50; 50 + 140 - 180 = 10; 10 + 140 - 300 < 0: 1 late of 16.
    assert read(tmp_path, rows, deadlines=(0.2, 0.05)).columns["fluidity"].tolist() == [1.0]
    assert read(tmp_path, rows, deadlines=(0.2, 0.035)).columns["fluidity"].tolist() == [15 / 16]


def test_each_arm_has_its_own_chunks_on_the_schedules_axis(tmp_path: Path) -> None:
    """Two arms in turns, 20 ms and 40 ms between tokens: the rows are folded, the lists stay with their rows."""
    path = synthetic.write_arms(tmp_path / "r", {"a": synthetic.Recipe(n=40), "b": synthetic.Recipe(n=40, gap_s=0.04)})
    window = Window(0, 5, cut=False, reason="")
    found = [chunks.read(run, window, window.edges) for run in arms.arms(rundir.load(path))]

    a, b = (one.gaps.mean for one in found if one is not None)
    assert a == pytest.approx(0.021, rel=0.05)
    assert b == pytest.approx(0.042, rel=0.05)
    for one, run in zip(found, arms.arms(rundir.load(path)), strict=True):
        assert one is not None
        lasting = rundir.numbers(run.requests, "stream") > 0
        assert (~np.isnan(one.columns["stalls"])).sum() == (lasting & window.holds(run.requests)).sum()


def test_a_file_without_chunk_lists_says_nothing(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    run = rundir.load(path)
    pq.write_table(pq.read_table(run.file).drop_columns(list(rundir.CHUNK_LISTS)), run.file)

    assert chunks.read(run, Window(0, 1, cut=False, reason=""), np.array([0.0, 1.0])) is None


def test_a_run_of_whole_answers_has_tokens_and_no_gaps(tmp_path: Path) -> None:
    found = read(tmp_path, [whole(0, 0.5, 7)], length_s=1)

    assert (found.gaps.n, found.gaps.mean, found.gaps.most, found.gaps.quantile(0.5)) == (0, None, None, None)
    assert found.tokens.tolist() == [7]


def test_a_file_written_anew_meanwhile_is_named(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=9)))
    synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))

    with pytest.raises(rundir.RunError, match="has 3 rows"):
        chunks.read(run, Window(0, 1, cut=False, reason=""), np.array([0.0, 1.0]))


# Any run, and any way in which its file is cut.


def some(row: record.Record, rng: np.random.Generator) -> None:
    """An answer of chunks of several tokens, some of them late; or one that failed, or has no count."""
    row.outcome = "error" if rng.random() < 0.2 else "ok"
    row.output_tokens = None if rng.random() < 0.1 else row.output_tokens
    if row.stream:
        n = int(rng.integers(1, 12))
        gaps = rng.lognormal(3, 0.5, n) * np.where(rng.random(n) < 0.1, 100, 1)
        synthetic.give_stream(row, np.asarray((row.sent_ns or 0) + np.rint(MS * np.cumsum(gaps)).astype(np.int64)))
        row.chunk_chars, row.end_ns = rng.integers(1, 40, n).tolist(), row.last_token_ns


def by_hand(
    run: rundir.Run, table: pa.Table, window: Window, due: tuple[float, float]
) -> dict[str, NDArray[np.float64]]:
    """The columns, answer by answer, and the tokens, event by event."""
    names = ("stalls", "stall_s", "itl_p99_s", "fluidity")
    found = {name: np.full(table.num_rows, np.nan) for name in names} | {"tokens": np.zeros(window.edges.size - 1)}
    for place, row in enumerate(table.to_pylist()):
        gaps, n = np.array(row["chunk_gap_us"] or []) / 1e6, row["output_tokens"]
        chars = np.array(row["chunk_chars"] or [])
        at = row["sent_ns"] / 1e9 + np.cumsum(gaps) if gaps.size else np.array([row["end_ns"] / 1e9])
        tokens = np.full(at.size, np.nan) if n is None else n * chars / chars.sum() if gaps.size else np.array([n])
        if n is not None:
            found["tokens"] += np.histogram(at, window.edges, weights=tokens)[0]
        if not gaps.size or not window.holds(run.requests.iloc[[place]])[0]:
            continue
        slack, late = due[0] - (row["ttft_s"] or 0), 0
        for i in range(gaps.size):
            slack = slack if i == 0 else slack + due[1] * (1 if n is None else tokens[i - 1]) - gaps[i]
            late += slack < -1e-6
            slack = max(slack, 0)
        found["fluidity"][place] = max(0, 1 - late / (gaps.size if n is None else n))
        if gaps.size > 1:
            inner = gaps[1:]
            long = inner[(inner > 0.5) & (inner > 5 * np.median(inner))]
            found["stalls"][place], found["stall_s"][place] = long.size, long.sum()
        if gaps.size > 1 and n is not None:
            each = np.repeat(np.rint(1e6 * gaps[1:] / tokens[1:]), chars[1:])
            found["itl_p99_s"][place] = np.quantile(each, 0.99, method="inverted_cdf") / 1e6
    return found


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), group=st.integers(1, 40), events=st.integers(1, 60))
@pytest.mark.slow
def test_however_the_file_is_cut_it_says_what_its_answers_say(
    tmp_path_factory: pytest.TempPathFactory, seed: int, group: int, events: int
) -> None:
    path = synthetic.write(tmp_path_factory.mktemp("run"), synthetic.Recipe(n=40, seed=seed, change=some))
    table = pq.read_table(path / record.REQUESTS)
    pq.write_table(table, path / record.REQUESTS, row_group_size=group)
    run, window, due = rundir.load(path), Window(1, 4.5, cut=False, reason=""), (0.2, 0.004)
    found = chunks.read(run, window, window.edges, due)
    assert found is not None

    expected = by_hand(run, table, window, due)
    assert found.tokens == pytest.approx(expected.pop("tokens"))
    for name, values in expected.items():
        np.testing.assert_allclose(found.columns[name], values, rtol=1e-9, atol=2e-6, err_msg=name)
    everything = list(lists.pieces(run, np.ones(40, dtype=bool), (lists.GAPS, lists.KINDS), events))
    assert all(piece.counts.sum() <= events or piece.counts.size == 1 for piece in everything)
    flat = [gap for row in table["chunk_gap_us"].to_pylist() for gap in row or ()]
    assert [gap for piece in everything for gap in piece.lists[lists.GAPS].tolist()] == flat


@given(
    st.lists(st.tuples(st.integers(0, 3 * BOUND_US), st.floats(0.01, 9)), min_size=1, max_size=50),
    st.integers(1, 7),
    st.floats(0.001, 1),
)
def test_a_distribution_is_that_of_its_values_whatever_their_batches(
    values: list[tuple[int, float]], batch: int, p: float
) -> None:
    """The quantile's definition, taken literally: the least value with p of all weight at or below it."""
    tally = Tally()
    for start in range(0, len(values), batch):
        us, weight = zip(*values[start : start + batch], strict=True)
        tally.add(np.array(us), np.array(weight))
    found = tally.done()

    total = sum(weight for _, weight in values)
    enough = [us for us, _ in values if sum(w for other, w in values if other <= us) >= p * total * (1 - 1e-9)]
    assert found.n == pytest.approx(total)
    assert found.quantile(p) == pytest.approx(min(enough) / 1e6)
    assert found.mean == pytest.approx(sum(us * weight for us, weight in values) / total / 1e6)
    assert found.most == max(us for us, _ in values) / 1e6


def test_the_interval_of_pooled_gaps_knows_that_gaps_of_an_answer_hang_together() -> None:
    """
    300 answers of 40 gaps, each with a level of its own (log-sd 0.3) beside the gaps' own chance (0.1), median 10 ms.

    As 12,000 independent gaps the interval would be 7 times too narrow; by sections 90 of 100 hold the truth, and more.
    """
    rng = np.random.default_rng(2)
    section = np.repeat(np.arange(300) * SECTIONS // 300, 40)
    held = 0
    for _ in range(150):
        level = np.repeat(rng.normal(0, 0.3, 300), 40)
        tally = Tally()
        tally.add(np.rint(10_000 * np.exp(level + rng.normal(0, 0.1, 12_000))).astype(np.int64), section=section)
        lo, hi = tally.done().interval(0.5)
        assert lo is not None
        assert hi is not None
        held += lo <= 0.010 <= hi

    assert held / 150 >= 0.9


def test_a_quantile_of_few_sections_has_no_interval() -> None:
    tally = Tally()
    tally.add(np.array([1000, 2000, 3000]), section=np.array([0, 1, 2]))

    assert tally.done().interval(0.5) == (None, None)
