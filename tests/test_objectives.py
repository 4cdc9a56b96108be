"""Objectives: what a text means, where they come from, which requests are good, what is kept, broken or open."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synthetic
from hypothesis import example, given
from hypothesis import strategies as st

from analysis import measured, objectives, rundir
from analysis.metrics import BY_NAME
from analysis.objectives import PRESETS, ObjectiveError, good, judge, parse, read, read_table
from analysis.objectives.words import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.measured import Measured
    from analysis.objectives import Outcome
    from loadtests.record import Record

MS = synthetic.MS


# What a text means.


@pytest.mark.parametrize(
    ("text", "short", "metric", "p", "op", "limit"),
    [
        ("ttft_p95<2s", "ttft_p95<2s", "ttft_s", 0.95, "<", 2.0),
        ("TTFT p95 <= 2000 ms", "ttft_p95<2s", "ttft_s", 0.95, "<", 2.0),
        ("ttft<450ms", "ttft<450ms", "ttft_s", None, "<", 0.45),
        ("latency_p99.9<1min", "latency_p99.9<60s", "latency_s", 0.999, "<", 60.0),
        ("stalls_p99<1", "stalls_p99<1", "stalls", 0.99, "<", 1.0),
        ("request_itl_p95<80ms", "request_itl_p95<80ms", "itl_p99_s", 0.95, "<", 0.08),
        ("fluidity(2s, 50ms)_p90>0.9", "fluidity(2s,50ms)_p90>0.9", "fluidity", 0.9, ">", 0.9),
        ("output_speed_p95>=20/s", "output_speed_p95>20/s", "output_speed", 0.95, ">", 20.0),
        ("error_rate<1%", "error_rate<1%", "error_rate", None, "<", 0.01),
        ("error_rate<.01", "error_rate<1%", "error_rate", None, "<", 0.01),
        ("attainment>99.9%", "attainment>99.9%", "attainment", None, ">", 0.999),
        ("goodput>90/m", "goodput>1.5/s", "goodput_per_s", None, ">", 1.5),
        ("requests_per_s > 20", "requests_per_s>20", "requests_per_s", None, ">", 20.0),
        ("cost_per_1k_good<2.5", "cost_per_1k_good<2.5", "cost_per_1k_good", None, "<", 2.5),
        ("cached_share>10%", "cached_share>10%", "cached_share", None, ">", 0.1),
        ("cached_share<10%", "cached_share<10%", "cached_share", None, "<", 0.1),
    ],
)
def test_a_text_means_one_thing(text: str, short: str, metric: str, p: float, op: str, limit: float) -> None:
    found = parse(text)

    assert (found.text, found.metric, found.p, found.op, found.limit) == (short, metric, p, op, limit)
    assert parse(short) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tftt_p95<2s", 'did you mean "ttft"?'),
        ("e2e_p95<2s", 'did you mean "latency"?'),
        ("ttft_p95<2", "has no unit; write 2s or 2ms"),
        ("ttft_p95<2%", "'2%' isn't a duration like 450ms"),
        ("ttft_p95>2s", "better below a limit than beyond it; write ttft_p95<2s"),
        ("goodput<5", "better above a limit than beyond it; write goodput>5"),
        ("error_rate_p95<1%", "number of the whole run and has no percentile; leave _p95 out"),
        ("ttft_p100<2s", "p100 isn't between p0 and p100"),
        ("ttft_p0<2s", "p0 isn't between"),
        ("ttft_p99.9999999999<2s", "p99.9999999999 isn't between"),
        ("error_rate<0%", "'0%' isn't more than 0"),
        ("attainment>99", "write 99%"),
        ("attainment>100%", "isn't less than the whole"),
        ("fluidity_p90>0.9", "needs two deadlines"),
        ("ttft(1s)<2s", "ttft takes no (1s)"),
        ("ttft_p95<", "'' isn't a duration"),
        ("ttft_p95", "isn't METRIC<LIMIT"),
        ("ttft_p95<2s, tpot_p95<1s", "'2s, tpot_p95<1s' isn't a duration"),
        (f"goodput>{'9' * 400}", "isn't more than 0 and finite"),
    ],
)
def test_a_mistake_is_one_line_with_the_fix(text: str, told: str) -> None:
    with pytest.raises(ObjectiveError) as error:
        parse(text)

    assert told in str(error.value)
    assert str(error.value).startswith("objective ")
    assert "\n" not in str(error.value)


UNITS = {"s": ["ms", "s", "min"], "1/s": ["", "/s", "/m"], "share": ["%"], "index": [""], "count": [""], "money": [""]}


@given(
    st.sampled_from(sorted(WORDS)), st.floats(1e-6, 1e6), st.sampled_from([None, 5, 50, 95, 99.9]), st.integers(0, 2)
)
def test_the_short_form_says_the_same_again(word: str, number: float, p: float | None, unit: int) -> None:
    about = WORDS[word]
    units = UNITS[about.unit]
    number = number % 90 + 0.001 if about.unit == "share" else number / 1e7 + 1e-4 if about.unit == "index" else number
    name = word + ("(1s,40ms)" if word == "fluidity" else "") + (f"_p{p}" if p and about.of != "run" else "")
    found = parse(f"{name} {about.op or '<'} {number!r}{units[unit % len(units)]}")

    assert parse(found.text) == found


@given(st.text("ttfpsm_ 0159.<>=()%/,é\n", max_size=20) | st.text(max_size=12))
@example("ttft_p٩<1s")
@example("ttft<1e999s")
def test_any_text_is_an_objective_or_one_line(text: str) -> None:
    try:
        found = parse(text)
    except ObjectiveError as error:
        lines = str(error).splitlines()
    else:
        lines = [found.text]
        assert parse(found.text) == found
    assert len(lines) == 1


def test_numbers_of_the_run_are_metrics_and_better_in_the_same_direction() -> None:
    for word, about in WORDS.items():
        if about.of == "run":
            better = {"<": "lower", ">": "higher"}.get(about.op or "", "neither")
            assert BY_NAME[about.metric].better in {better, "neither"}, word


# Where they come from.


def test_the_presets_have_the_published_limits() -> None:
    """MLPerf's inference rules of 2026-07-23 and its mlperf.conf of 2026-08-20: TTFT / TPOT in ms, p99."""
    figures = {
        "llama2-70b": (2000, 200), "llama2-70b-interactive": (450, 40),
        "llama3.1-8b": (2000, 100), "llama3.1-8b-interactive": (500, 30),
        "llama3.1-405b": (6000, 175), "llama3.1-405b-interactive": (4500, 80),
        "mixtral-8x7b": (2000, 200), "deepseek-r1": (2000, 80), "deepseek-r1-interactive": (1500, 15),
        "gpt-oss-120b": (3000, 80), "gpt-oss-120b-interactive": (2000, 20),
        "gpt-oss-120b-interactive-loadgen": (2000, 15),
    }  # fmt: skip
    for name, (ttft, tpot) in figures.items():
        assert read([f"mlperf-{name}"]).texts == read([f"ttft_p99<{ttft}ms", f"tpot_p99<{tpot}ms"]).texts
    assert read(["mlperf-qwen3-vl-235b"]).texts == ("latency_p99<12s",)
    assert {name.removeprefix("mlperf-") for name in PRESETS} == {*figures, "qwen3-vl-235b"}
    assert all(preset.source and preset.date.startswith("2026-") for preset in PRESETS.values())


def test_objectives_come_from_texts_presets_and_files(tmp_path: Path) -> None:
    file = tmp_path / "chat.toml"
    file.write_text(
        'preset = "mlperf-mixtral-8x7b"\nobjectives = ["error_rate < 1%", "ttft_p99<2s"]\n'
        'alpha = 0.01\nprimary = ["ttft_p95"]\n[margins]\nttft_p95 = 0.1\n'
    )
    found = read(["attainment>90%", str(file)])

    assert found.texts == ("attainment>90%", "ttft_p99<2s", "tpot_p99<200ms", "error_rate<1%")
    assert found.name == "mlperf-mixtral-8x7b"
    assert read_table(file)["margins"] == {"ttft_p95": 0.1}
    assert read([]) == objectives.Objectives()
    assert read(["fluidity(2s,50ms)_p90>0.9", "ttft_p95<2s"]).deadlines == (2.0, 0.05)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('objective = ["ttft<1s"]', '"objective" isn\'t one of [objectives, preset, name, margins, alpha, primary]'),
        ('objectives = "ttft<1s"', "isn't a list of texts"),
        ('objectives = ["ttft_p95<2"]', "objective 'ttft_p95<2': '2' has no unit"),
        ('preset = "mlperf-llama2"', 'did you mean "mlperf-llama2-70b"?'),
        ("name = 3", "name = 3 isn't a text"),
        ("objectives = [", "isn't TOML"),
        (b"\xff", "isn't UTF-8"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path: Path, content: str | bytes, told: str) -> None:
    file = tmp_path / "o.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ObjectiveError) as error:
        read([str(file)])

    assert str(error.value).startswith(f"{file}: ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("ttft_p95", "has no limit; write it like ttft_p95<2s"),
        ("goodput=3", "has no limit; write it like goodput>20/s"),
        ("mlperf-lama2-70b", 'did you mean "mlperf-llama2-70b"?'),
        ("x" * 300, "is no file, no objective"),
        ("nowhere.toml", "nowhere.toml: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_neither_is_told_what_there_is(value: str, told: str) -> None:
    with pytest.raises(ObjectiveError) as error:
        read([value])
    assert told in str(error.value)


def test_one_pair_of_deadlines_reads_a_run() -> None:
    with pytest.raises(ObjectiveError, match="different deadlines"):
        read(["fluidity(2s,50ms)_p90>0.9", "fluidity(1s,50ms)_p90>0.9"])


def test_a_term_without_a_share_decides_only_through_another() -> None:
    assert [term.text for term in read(["ttft<1s", "tpot_p95<1s"]).idle] == ["ttft<1s"]
    assert not read(["ttft<1s", "attainment>99%"]).idle


# Which requests are good.


def seen(folder: Path, *texts: str, **recipe: Any) -> Measured:
    """A run of the recipe, measured against these objectives; streams with a TTFT of 200 ms and gaps of 20 ms."""
    made = synthetic.Recipe(**({"stream_share": 1.0, "spread": 0.0, "poisson": False, "tokens": 12} | recipe))
    return measured.of(rundir.load(synthetic.write(folder, made)), read(texts))


def fail(row: Record) -> None:
    """Answered with an error before any token came."""
    row.outcome, row.error_kind, row.error, row.status = "error", "upstream", "HTTP 500", 500
    row.first_event_ns = row.first_token_ns = row.first_answer_ns = row.last_token_ns = None
    row.chunks = row.chunk_ns = row.chunk_kind = row.chunk_chars = row.output_tokens = row.tokens_from = None


def slow(row: Record) -> None:
    """The whole answer two seconds later."""
    for name in ("first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "end_ns"):
        setattr(row, name, getattr(row, name) + 2000 * MS)
    row.chunk_ns = [stamp + 2000 * MS for stamp in row.chunk_ns or ()]


def one_chunk(row: Record) -> None:
    """The whole answer in one chunk: nothing is between its tokens."""
    row.last_token_ns, row.chunks = row.first_token_ns, 1
    row.chunk_ns, row.chunk_kind, row.chunk_chars = (row.chunk_ns or [])[:1], [1], [4]


def plain(row: Record) -> None:
    """Not streamed."""
    row.stream = False
    row.first_event_ns = row.first_token_ns = row.first_answer_ns = row.last_token_ns = None
    row.chunks = row.chunk_ns = row.chunk_kind = row.chunk_chars = None


def these(**kinds: tuple[int, ...]) -> Any:
    """A change of a recipe: the rows of these seqs become what a function of this module makes of them."""

    def change(row: Record, _: np.random.Generator) -> None:
        for kind, seqs in kinds.items():
            if row.seq in seqs:
                globals()[kind](row)

    return change


MIXED = these(fail=(1,), slow=(2,), one_chunk=(3,), plain=(4,))


@pytest.mark.parametrize(
    ("texts", "bad"),
    [
        ([], {1}),
        (["ttft<1s"], {1, 2}),
        (["ttft_p50<1s", "ttft_p95<5s"], {1}),
        (["ttft_p50<1s", "ttft<5s"], {1, 2}),
        (["latency_p99<200ms"], {0, 1, 2, 3, 4, 5}),
        (["tpot_p95<1ms"], {0, 1, 2, 5}),
        (["ttfa<1s", "error_rate<1%"], {1, 2}),
        (["output_speed_p95>1000"], {0, 1, 2, 5}),
        (["max_gap<1s", "stalls<1", "request_itl<1s", "fluidity(1s,500ms)>0.5"], {1}),
    ],
)
def test_a_request_is_good_that_meets_every_term_that_applies_to_it(
    tmp_path: Path, texts: list[str], bad: set[int]
) -> None:
    """
    Of six requests 1 fails, 2 is slow by 2 s, 3 has one chunk and so no TPOT, 4 is no stream; 0 and 5 are as usual.

    The one chunk comes 200 ms after the request was sent, which is not less than 200 ms after it was scheduled.
    """
    run = seen(tmp_path / "r", *texts, n=6, change=MIXED)

    assert set(np.flatnonzero(~good(run.rows, run.objectives))) == bad


# What became of them.


def only(run: Measured, rates: Any = None) -> Outcome:
    (found,) = judge(run, rates or {})
    json.dumps(asdict(found), allow_nan=False)
    return found


@pytest.mark.parametrize(("n", "verdict"), [(299, "met"), (298, "undecided")])
def test_a_percentile_needs_the_arrivals_to_show_it(tmp_path: Path, n: int, verdict: str) -> None:
    """With no miss, 0.99^299 = 0.0495 is below 1 - 0.95; 0.99^298 = 0.0500 + 0.00003 is not."""
    found = only(seen(tmp_path / "r", "ttft_p99<1s", n=n, rate=40.0))

    assert (found.verdict, found.n, found.share, found.needed) == (verdict, n, 1.0, 0.99)
    assert found.reason == ("" if verdict == "met" else "100 % of 298 met it; about 299 requests would decide")
    assert found.lo is not None
    assert 0.98 < found.lo < 0.99


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (range(50, 300, 50), "undecided"),  # 5 of 300: P(Binomial(300, 0.01) >= 5) = 0.18
        (range(0, 300, 25), "missed"),  # 12 of 300 are seen 1 time in 10,000 where 1 in 100 fails
        (range(100, 112), "undecided"),  # the same 12 in one piece are one event, not twelve
    ],
)
def test_failed_requests_are_misses_and_a_burst_of_them_is_one_event(
    tmp_path: Path, failed: range, verdict: str
) -> None:
    found = only(seen(tmp_path / "r", "ttft_p99<1s", n=300, rate=40.0, change=these(fail=tuple(failed))))

    assert found.verdict == verdict
    assert found.share == pytest.approx(1 - len(failed) / 300)
    assert found.value is None, "the p99 lies among those that never had a first token"
    if verdict == "missed":
        assert found.reason == "96 % of 300 met it, 99 % are needed; 12 never had an answer"


def test_its_value_is_the_percentile_with_failures_beyond_all(tmp_path: Path) -> None:
    """200 requests, 20 fail: the p50 of all is the 100th of the 180 others, sorted."""
    run = seen(tmp_path / "r", "ttft_p50<1s", n=200, rate=40.0, spread=0.2, change=these(fail=tuple(range(0, 200, 10))))
    answered = np.sort(rundir.numbers(run.rows, "ttft_s"))
    found = only(run)

    assert found.value == pytest.approx((answered[99] + answered[100]) / 2)
    assert found.value_lo is not None
    assert found.value is not None
    assert found.value_hi is not None
    assert found.value_lo < found.value < found.value_hi
    assert found.verdict == "met"


def test_more_is_better_counts_from_the_slow_end(tmp_path: Path) -> None:
    """100 streams of about 50 tokens/s: the median speed is reached by half of them, which is far from 95 %."""
    run = seen(tmp_path / "r", "output_speed_p50>30/s", n=100, rate=40.0)
    speed = 1 / rundir.numbers(run.rows, "tpot_s")
    found = only(run)

    assert (found.verdict, found.share) == ("met", 1.0)
    assert found.value == pytest.approx(float(np.median(speed)))
    missed = only(replace(run, objectives=read([f"output_speed_p95>{np.median(speed):.6f}"])))
    assert missed.verdict == "missed"
    assert missed.value == pytest.approx(float(-np.quantile(-speed, 0.95)))


def test_nothing_is_promised_of_streams_to_whoever_asked_for_none(tmp_path: Path) -> None:
    """Nor anything between tokens to an answer of one chunk."""
    change = these(plain=tuple(range(0, 60, 2)), one_chunk=(1, 3, 5))
    run = seen(tmp_path / "r", "ttft_p95<1s", "tpot_p95<1s", "latency_p95<5s", n=60, rate=40.0, change=change)

    assert [one.n for one in judge(run, {})] == [30, 27, 60]


def test_what_the_end_of_the_run_took_back_is_no_miss(tmp_path: Path) -> None:
    """An unsent arrival is one, unless the run was over."""

    def change(row: Record, _: np.random.Generator) -> None:
        if row.seq in {10, 20}:
            fail(row)
            row.outcome, row.error_kind, row.error, row.sent_ns, row.started_ns = "unsent", None, None, None, None
            row.headers_ns = row.end_ns = row.status = row.conn_reused = None
            row.flags = ["user_cancel"] if row.seq == 10 else ["budget"]

    found = only(seen(tmp_path / "r", "ttft_p95<1s", n=60, rate=40.0, change=change))

    assert found.n == 59
    assert found.share == pytest.approx(58 / 59)


def test_what_no_answer_has_is_not_missed(tmp_path: Path) -> None:
    """A provider that never says how many tokens there were, and one failure."""

    def change(row: Record, rng: np.random.Generator) -> None:
        row.output_tokens = row.tokens_from = None
        these(fail=(3,))(row, rng)

    found = only(seen(tmp_path / "r", "tpot_p95<1s", n=20, change=change))

    assert (found.verdict, found.reason) == ("undecided", "no request has it")


def test_without_chunk_times_nothing_is_said_about_them(tmp_path: Path) -> None:
    run = seen(tmp_path / "r", "stalls_p99<1", n=8)
    run = replace(run, rows=run.rows.drop(columns=["stalls"]))

    assert only(run).reason == "needs the times of the chunks, which this run does not hold"
    with pytest.raises(ObjectiveError, match="needs the times of the chunks"):
        good(run.rows, run.objectives)


@pytest.mark.parametrize(
    ("text", "rate", "verdict"),
    [
        ("error_rate<1%", (0.002, 0.0, 0.009), "met"),
        ("error_rate<1%", (0.002, 0.0, 0.012), "undecided"),
        ("error_rate<1%", (0.05, 0.02, 0.08), "missed"),
        ("goodput>5/s", (6.0, 5.5, 6.5), "met"),
        ("goodput>5/s", (6.0, 4.5, 7.5), "undecided"),
        ("goodput>5/s", (4.0, 3.5, 4.5), "missed"),
        ("goodput>5/s", (6.0, None, None), "undecided"),
        ("attainment>99%", (1.0, 0.995, None), "met"),
        ("cached_share<10%", (0.2, 0.15, 0.25), "missed"),
        ("cost_per_1k_good<2", None, "undecided"),
        ("cost_per_1k_good<2", (None, None, None), "undecided"),
    ],
)
def test_a_number_of_the_run_is_decided_by_its_whole_interval(
    tmp_path: Path, text: str, rate: Any, verdict: str
) -> None:
    run = seen(tmp_path / "r", text, n=4)
    metric = run.objectives.terms[0].metric
    found = only(run, {} if rate is None else {metric: rate})

    assert (found.metric, found.verdict, found.n) == (metric, verdict, 4)
    assert (found.value, found.lo, found.hi) == (rate or (None, None, None))
    assert bool(found.reason) == (verdict != "met")
