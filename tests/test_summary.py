"""What one run says, as values and as text."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import synthetic
from rich.console import Console

from analysis import load, rundir, summary, table, units

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests import record


def judge(path: Path) -> summary.Summary:
    return summary.judge(rundir.load(path)).summary


def text_of(found: summary.Summary, width: int = 100) -> str:
    out = io.StringIO()
    table.render(found, Console(file=out, width=width))
    return out.getvalue()


def break_all(row: record.Record, _: np.random.Generator) -> None:
    row.outcome, row.error_kind, row.first_token_ns, row.chunks = "error", "connect", None, None


def test_percentiles_are_those_of_the_rows(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r")
    run, found = rundir.load(path), judge(path)
    ttft = rundir.numbers(run.requests, "ttft_s")
    ttft = ttft[~np.isnan(ttft)]
    row = found.row("ttft_s")

    assert row is not None
    assert row.n == ttft.size
    assert row.cell(0.5).value == pytest.approx(float(np.median(ttft)))
    assert row.cell(0.95).value == pytest.approx(float(np.quantile(ttft, 0.95)))


def test_a_percentile_that_few_requests_cannot_carry_says_how_many_can(tmp_path: Path) -> None:
    found = judge(synthetic.write(tmp_path / "r", synthetic.Recipe(stream_share=1.0)))
    row = found.row("ttft_s")

    assert row is not None
    assert row.cell(0.99).value is None
    assert row.cell(0.99).reason == "160 requests, need ≥ 299"


def test_streams_and_whole_answers_are_apart_and_one_kind_alone_needs_no_name(tmp_path: Path) -> None:
    both = judge(synthetic.write(tmp_path / "a"))
    one = judge(synthetic.write(tmp_path / "b", synthetic.Recipe(n=40, stream_share=1.0)))

    assert [row.label for row in both.rows if row.metric == "latency_s"] == ["latency, stream", "latency, whole"]
    assert [row.label for row in one.rows if row.metric == "latency_s"] == ["latency"]
    assert sum(row.n for row in both.rows if row.metric == "latency_s") == 160


def test_failed_requests_are_counted_and_not_timed(tmp_path: Path) -> None:
    found = judge(synthetic.write(tmp_path / "r", synthetic.Recipe(n=30, change=break_all)))
    lag = found.row("send_lag_s")

    assert found.counts.errors == {"connect": 30}
    assert (found.counts.ok, found.counts.error) == (0, 30)
    assert found.rate("error_rate") == 1.0
    assert all(row.n == 0 for row in found.rows if row.metric != "send_lag_s")
    assert lag is not None
    assert lag.n == 30


def test_of_more_is_better_the_slow_end_is_shown(tmp_path: Path) -> None:
    """The p95 of tokens/s is what 95 % reach: its 5 % quantile; its interval is mirrored with it."""
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=400, stream_share=1.0))
    speeds = rundir.numbers(rundir.load(path).requests, "output_tokens_per_s")
    row = judge(path).row("output_tokens_per_s")

    assert row is not None
    cell = row.cell(0.95)
    assert cell.value == pytest.approx(float(np.quantile(speeds, 0.05)))
    assert cell.lo is not None
    assert cell.hi is not None
    assert cell.lo <= cell.value <= cell.hi  # type: ignore[operator]


def test_json_is_plain_and_its_keys_stand(tmp_path: Path) -> None:
    plain = json.loads(json.dumps(judge(synthetic.write(tmp_path / "r")).to_json(), allow_nan=False))

    assert plain["schema_version"] == 2
    assert list(plain) == [
        "schema_version", "verdict", "run", "counts", "window", "rates", "metrics", "objectives", "failures", "spent",
        "validity", "server",
    ]  # fmt: skip
    assert list(plain["metrics"][0]) == [
        "metric", "label", "unit", "group", "by", "tokens", "partial", "n", "cells", "mean", "worst", "aside",
    ]  # fmt: skip
    assert list(plain["metrics"][0]["cells"][0]) == [
        "p", "value", "lo", "hi", "mark", "reason", "n_eff", "certified", "loose",
    ]  # fmt: skip
    assert list(plain["rates"]["requests_per_s"]) == ["value", "unit", "reason", "lo", "hi", "n"]
    assert list(plain["rates"]["tokens_per_s"]["by_source"]) == ["usage"]
    assert {row["metric"] for row in plain["metrics"] if row["tokens"]} == {
        "tpot_s", "output_speed", "output_tokens_per_s", "itl_s",
    }  # fmt: skip


def sourced(row: record.Record, _: np.random.Generator) -> None:
    """Of ten answers six with usage, three estimated (one of them cut at the cap), one broken off."""
    place = row.seq % 10
    if place >= 6:
        row.tokens_from = "estimate"
    if place == 8:
        row.flags = ["cut_at_cap"]
    if place == 9:
        row.outcome, row.error_kind = "error", "truncated"


def test_tokens_of_different_sources_are_not_pooled(tmp_path: Path) -> None:
    """Of 100 streams 60 have usage, 30 are estimated, 10 of them of a cut answer; no number adds them up."""
    recipe = synthetic.Recipe(n=100, stream_share=1.0, change=sourced)
    found = judge(synthetic.write(tmp_path / "r", recipe))
    rates = [(rate.tokens, rate.partial) for rate in found.rates if rate.metric == "tokens_per_s"]
    text = text_of(found)

    for metric in ("tpot_s", "output_tokens_per_s"):
        rows = [(row.tokens, row.partial, row.n) for row in found.rows if row.metric == metric]
        assert rows == [("estimate", 10, 30), ("usage", 0, 60)]
    assert [row.n for row in found.rows if row.metric == "ttft_s"] == [90]
    assert rates == [("estimate", 20), ("usage", 0)]
    assert found.rate("tokens_per_s") is None
    assert found.to_json()["rates"]["tokens_per_s"]["value"] is None
    assert "tokens by estimate, 10 answers cut short" in text
    assert "tokens by usage" in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(
    ("source", "path", "named"),
    [
        ("estimate", None, "estimate"),
        ("usage_alt", None, "usage_alt"),
        ("tokenizer", "/models/tiny-1/tokenizer.json", "tokenizer tiny-1"),
        ("tokenizer", "/models/tiny-1", "tokenizer tiny-1"),
        ("tokenizer", "/models/tiny-1.json", "tokenizer tiny-1"),
    ],
)
def test_tokens_that_are_not_the_providers_usage_are_labelled(
    tmp_path: Path, source: str, path: str | None, named: str
) -> None:
    def change(row: record.Record, _: np.random.Generator) -> None:
        row.tokens_from = source

    recipe = synthetic.Recipe(n=30, stream_share=1.0, change=change)
    recipe.manifest = {"plan": synthetic.manifest_of(recipe, 30)["plan"] | {"tokenizer": path}}
    found = judge(synthetic.write(tmp_path / "r", recipe))
    tpot = found.row("tpot_s")

    assert tpot is not None
    assert (tpot.tokens, tpot.n) == (named, 30)
    assert f"tokens by {named}" in text_of(found)
    assert found.rate("tokens_per_s") is not None


def test_usage_alone_needs_no_label(tmp_path: Path) -> None:
    found = judge(synthetic.write(tmp_path / "r", synthetic.Recipe(n=30)))

    assert {found.source_of(row) for row in found.rows} == {""}
    assert {found.source_of(rate) for rate in found.rates} == {""}
    assert "tokens by" not in text_of(found)


@pytest.mark.parametrize("n", [0, 1, 5, 160, 700])
def test_the_table_fits_100_columns_and_begins_with_the_verdict(tmp_path: Path, n: int) -> None:
    path = synthetic.write(tmp_path / "r", rows=None if n else [], recipe=synthetic.Recipe(n=n, ttft_s=3.0, gap_s=0.2))
    lines = text_of(judge(path)).splitlines()

    assert re.match("VALID|DOUBTFUL|INVALID", lines[0])
    assert all(len(line) <= 100 for line in lines)
    assert "…" not in "".join(lines)
    assert "\x1b" not in "".join(lines)


def test_the_table_says_why_a_number_is_missing_or_rough(tmp_path: Path) -> None:
    text = text_of(judge(synthetic.write(tmp_path / "r")))

    assert "¹ p99 needs 299 requests" in text
    assert "~ rests on a few extreme values; requests needed: 64 for p90" in text
    assert "under 60 s nothing is cut" in text


def test_ten_seconds_are_shown_as_seconds(tmp_path: Path) -> None:
    text = text_of(judge(synthetic.write(tmp_path / "r", synthetic.Recipe(n=40, ttft_s=12.0, stream_share=1.0))))

    assert re.search(r"^TTFT \(s\) +40 +1\d\.\d", text, re.MULTILINE)


def test_faults_stand_right_under_the_verdict(tmp_path: Path) -> None:
    text = text_of(judge(synthetic.write(tmp_path / "r", synthetic.Recipe(n=30, change=break_all))))

    assert "failed requests 100 % (30 of 30): Latencies are those of the survivors" in " ".join(text.split())


def test_a_manifest_with_nothing_in_it_is_enough(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    (path / "run.json").write_text("{}")
    found = judge(path)

    assert found.facts.profile == "unknown"
    assert "VALID" in text_of(found)


STAGES = [
    {"kind": "rate", "start": 0, "end": 20, "duration_s": 60, "n": None},
    {"kind": "rate", "start": 20, "end": 20, "duration_s": 60, "n": None},
    {"kind": "burst", "start": None, "end": None, "duration_s": 0, "n": 50},
    {"kind": "rate", "start": 20, "end": 0, "duration_s": 60, "n": None},
]
USERS = [{"kind": "concurrency", "start": 1, "end": 10, "duration_s": 60, "n": None}]
THINK = {"law": "lognormal", "median": 2, "sigma": 0.8}


@pytest.mark.parametrize(
    ("plan", "phrase"),
    [
        ({"mode": "open", "arrivals": "poisson", "rate": 8, "duration_s": 20}, "open loop, poisson 8/s for 20 s"),
        ({"mode": "closed", "concurrency": 4, "requests": 1000}, "closed loop, 4 at once, 1,000 requests"),
        ({}, "open loop, schedule"),
        ({"arrivals": "gamma:2", "rate": 8, "duration_s": 20}, "open loop, gamma (CV 2) 8/s for 20 s"),
        ({"arrivals": "burst:100"}, "open loop, burst of 100"),
        ({"arrivals": "burst:10", "rate": 5, "duration_s": 7200}, "open loop, bursts of 10 5/s for 2 h"),
        ({"arrivals": "trace:/data/azure.csv", "trace_speed": 2.0}, "open loop, trace azure.csv x2"),
        (
            {"arrivals": "trace:a.jsonl", "trace_start_s": 60, "duration_s": 90},
            "open loop, trace a.jsonl from 60 s for 90 s",
        ),
        ({"arrivals": "poisson", "stages": STAGES}, "open loop, stages (4, 0-20/s, burst of 50) for 3 min"),
        ({"arrivals": "constant", "stages": STAGES[:1]}, "open loop, constant, stages (1, 0-20/s) for 60 s"),
        ({"mode": "closed", "stages": USERS, "concurrency": 10}, "closed loop, 1-10 users over 60 s"),
        (
            {"mode": "closed", "concurrency": 4, "duration_s": 20, "think": THINK, "ramp_s": 10},
            "closed loop, 4 at once for 20 s, think time lognormal (median 2 s), ramp 10 s",
        ),
        ({"mode": "closed", "concurrency": 1, "think_s": 1.5}, "closed loop, 1 at once, think time 1.5 s"),
        (
            {"rate": 10, "arrivals": "constant", "requests": 8, "max_in_flight": 1, "hold": True},
            "open loop, constant 10/s, 8 requests, at most 1 in flight, held to the end",
        ),
    ],
)
def test_the_load_is_a_phrase(plan: dict[str, object], phrase: str) -> None:
    assert load.phrase(plan) == phrase


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.00002, "2e-05"), (0.0123, "0.012"), (0.5, "0.500"), (1.234, "1.23"), (9.996, "10.0"),
        (12.34, "12.3"), (99.96, "100"), (123.4, "123"), (1234.5, "1,234"), (float("inf"), "∞"), (-1.5, "-1.50"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert units.digits(value) == text


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, ""),
        ({"workload": "rag"}, "rag"),
        ({"workload": "my.toml", "definitions": [{"name": "mine", "weight": 1}]}, "mine"),
        ({"definitions": [{"name": "chat", "weight": 7}, {"name": "rag", "weight": 3}]}, "chat 70 %, rag 30 %"),
    ],
)
def test_what_was_asked_is_a_phrase(plan: dict[str, object], words: str) -> None:
    assert load.workload(plan) == words


# What some runs have: a mix of workloads, conversations, clients who give up.


def test_workloads_of_a_mix_stand_apart_too(tmp_path: Path) -> None:
    """Of 160 requests every fourth is `rag`; only TTFT and latency are told apart."""

    def mix(row: record.Record, _: np.random.Generator) -> None:
        row.workload = "rag" if row.seq % 4 == 0 else "chat"

    found = judge(synthetic.write(tmp_path / "r", synthetic.Recipe(change=mix)))
    apart = [row for row in found.rows if row.by]
    text = text_of(found)

    assert [(row.metric, row.label, row.by) for row in apart] == [
        ("ttft_s", "TTFT, chat", "workload"), ("ttft_s", "TTFT, rag", "workload"),
        ("latency_s", "latency, chat", "workload"), ("latency_s", "latency, rag", "workload"),
    ]  # fmt: skip
    assert [row.n for row in apart[2:]] == [120, 40]
    assert sum(row.n for row in apart[:2]) == 131
    assert re.search(r"^latency, rag +40 ", text, re.MULTILINE)
    assert all(row.by is None for row in judge(synthetic.write(tmp_path / "s")).rows)


def test_turns_stand_apart_up_to_the_eighth(tmp_path: Path) -> None:
    """16 conversations of 10 turns within the window: 16 each, and the last two are one group; TTFT grows by turn."""

    def talk(row: record.Record, _: np.random.Generator) -> None:
        row.conversation, row.turn = divmod(row.seq, 10)
        assert row.first_token_ns is not None
        row.first_token_ns += row.turn * synthetic.MS

    recipe = synthetic.Recipe(stream_share=1.0, spread=1e-9, poisson=False, change=talk)
    rows = [row for row in judge(synthetic.write(tmp_path / "r", recipe)).rows if row.metric == "ttft_s" and row.by]

    assert [row.group for row in rows] == [*(f"turn {n}" for n in range(1, 9)), "turn 9+"]
    assert [row.n for row in rows][1:7] == [16] * 6
    medians = [row.cell(0.5).value or 0 for row in rows]
    assert medians[:8] == pytest.approx([0.2 + 0.001 * turn for turn in range(8)], abs=0.0005)
    assert medians[8] == pytest.approx(0.2 + 0.0085, abs=0.001)


def test_who_gave_up_is_counted_and_no_failure(tmp_path: Path) -> None:
    """Every tenth client goes after 0.1 s, before the first token, and breaks its connection."""

    def give_up(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 10 == 3:
            row.outcome, row.flags, row.first_token_ns, row.chunks = "cancelled", ["gave_up"], None, None
            row.end_ns = row.scheduled_ns + 100 * synthetic.MS
        row.conn_reused = row.conn_reused and row.seq % 10 != 4

    found = judge(synthetic.write(tmp_path / "r", synthetic.Recipe(change=give_up)))

    assert (found.counts.gave_up, found.counts.cancelled, found.counts.error) == (16, 16, 0)
    assert found.rate("error_rate") == 0.0
    assert "144 ok · 0 failed · 16 gave up" in text_of(found)
    assert "cancelled" not in text_of(found)
    assert found.validity.verdict == "valid", found.validity.faults


def test_rows_that_held_the_load_are_told_from_the_planned(tmp_path: Path) -> None:
    def hold(row: record.Record, _: np.random.Generator) -> None:
        row.phase = "drain" if row.seq >= 140 else "measure"

    recipe = synthetic.Recipe(change=hold, manifest={"planned": 140})
    found = judge(synthetic.write(tmp_path / "r", recipe))

    assert "140 planned · 160 recorded (20 to hold the load) · 160 ok" in text_of(found)
    assert next(check.value for check in found.validity.checks if check.number == 28) == "140 of 140"


def test_the_summary_needs_no_matplotlib() -> None:
    """A verdict in CI should not wait for a plotting library, nor analysis for the load's."""
    imports = "import sys, analysis.campaign, analysis.table, analysis.compare.table"
    code = f"{imports}; print(*sorted(name.split('.')[0] for name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())

    assert not loaded & {"matplotlib", "locust", "gevent", "httpx", "jinja2"}


def test_a_large_run_is_judged_in_two_threads_to_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r"), columns=rundir.JUDGED)
    alone = summary.judge(run).summary.to_json()
    monkeypatch.setattr(summary, "LARGE", 10)

    assert summary.judge(run).summary.to_json() == alone
