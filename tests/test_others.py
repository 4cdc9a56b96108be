"""What other tools would have reported: a small run worked out by hand, and what they count otherwise than we do."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import orjson
import pytest
import synthetic
from click.testing import CliRunner
from commands import firsttoken
from rich.console import Console
from synthetic import MS

from analysis import rundir
from analysis.campaign import runs_of
from analysis.others import TOOLS
from analysis.others.table import render
from analysis.summary import judge
from loadtests import record
from loadtests.cli.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.others.retold import Retold
    from analysis.summary import Judged

# Milliseconds. Two streams, one that failed, one whole answer:
#   seq  scheduled  started  sent  role chunk  tokens         end   output  input
#   0            0       10    20         100  200 220 260    265        5     10
#   1         1000     1000  1000           -  1100 1130     1140        2     30
#   2         1500     1500  1501           -  -             1600        (upstream)
#   3         1700     1700  1701           -  -             1900        8      6


def stream(seq: int, times: tuple[int, ...], tokens: tuple[int, ...], output: int, given: int = 10) -> record.Record:
    """An answer: scheduled, started, sent, first event and end, then its token events, all ms."""
    scheduled, started, sent, first, end = (time * MS for time in times)
    row = synthetic.answer(seq, scheduled / 1e9, synthetic.Recipe(stream_share=0.0), np.random.default_rng(1))
    row = replace(
        row, stream=True, scheduled_ns=scheduled, started_ns=started, sent_ns=sent, headers_ns=first, end_ns=end,
        output_tokens=output, input_tokens=given, conn_reused=False,
    )  # fmt: skip
    synthetic.give_stream(row, np.array(tokens, dtype=np.int64) * MS)
    row.first_event_ns = first
    return row


def whole(seq: int, started: int, end: int, output: int, given: int) -> record.Record:
    """An answer that was not streamed."""
    row = stream(seq, (started, started, started + 1, end, end), (end,), output, given)
    gone = dict.fromkeys(
        ("first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "chunks", "chunk_ns", "chunk_kind",
         "chunk_chars")
    )  # fmt: skip
    return replace(row, stream=False, **gone)  # type: ignore[arg-type]


def failed(row: record.Record, kind: str) -> record.Record:
    return replace(row, outcome="error", error_kind=kind, error=kind)


def refused(seq: int, started: int, end: int) -> record.Record:
    """A request for a stream that got an error instead."""
    return replace(failed(whole(seq, started, end, 0, 0), "upstream"), stream=True, output_tokens=None, status=503)


def four() -> list[record.Record]:
    return [
        stream(0, (0, 10, 20, 100, 265), (200, 220, 260), 5, 10),
        stream(1, (1000, 1000, 1000, 1100, 1140), (1100, 1130), 2, 30),
        refused(2, 1500, 1600),
        whole(3, 1700, 1900, 8, 6),
    ]


def judged(folder: Path, rows: list[record.Record]) -> Judged:
    path = synthetic.write(folder / "run", synthetic.Recipe(n=len(rows), rate=2.0), rows)
    return judge(rundir.load(path, chunks=True))


def told(tool: str, folder: Path, rows: list[record.Record]) -> Retold:
    return TOOLS[tool](judged(folder, rows))


def numbers(retold: Retold, key: str, *names: str) -> list[float | None]:
    return [retold.line(key).values[name] for name in names]


def test_vllm_by_hand(tmp_path: Path) -> None:
    """
    TTFT to the role chunk: 100 - 10 = 90 and 1100 - 1000 = 100; E2EL 260 - 10 = 250 and 130.

    TPOT (250 - 90) / 4 = 40 and (130 - 100) / 1 = 30. ITL 100 (role chunk to token), 20, 40 and 30: the p99 is at rank
    0.99 * 3 = 2.97 of 20 30 40 100, 40 + 0.97 * 60 = 98.2.
    """
    found = told("vllm", tmp_path, four())

    assert numbers(found, "ttft", "mean", "median", "std", "p99") == pytest.approx([95, 95, 5, 99.9])
    assert numbers(found, "e2el", "mean", "median", "std", "p99") == pytest.approx([190, 190, 60, 248.8])
    assert numbers(found, "tpot", "mean", "median", "p99") == pytest.approx([35, 35, 39.9])
    assert numbers(found, "itl", "mean", "median", "p99") == pytest.approx([47.5, 35, 98.2])


def test_vllm_s_totals_by_hand(tmp_path: Path) -> None:
    """From the first start, 10, to the end of the last stream, the failed one, 1600; four chunks in a second."""
    found = told("vllm", tmp_path, four())
    values = {line.key: line.values["value"] for line in found.lines if line.is_single}

    assert values == pytest.approx(
        {
            "completed": 2, "failed": 1, "duration": 1.59, "total_input_tokens": 40, "total_output_tokens": 7,
            "request_throughput": 2 / 1.59, "output_throughput": 7 / 1.59, "max_output_tokens_per_s": 4,
            "max_concurrent_requests": 1, "total_token_throughput": 47 / 1.59,
        }
    )  # fmt: skip
    assert "left out: 1 whole answers, as it asks for streams only" in found.notes


@pytest.mark.parametrize(("second", "most"), [(260, 1), (259, 2)])
def test_vllm_s_peak_ends_an_answer_before_it_begins_the_next(second: int, most: int, tmp_path: Path) -> None:
    """The first one's last token is at 260; one that starts then is not beside it."""
    rows = [four()[0], stream(1, (second, second, second, 300, 330), (300, 320), 2)]

    assert told("vllm", tmp_path, rows).line("max_concurrent_requests").values["value"] == most


def test_aiperf_by_hand(tmp_path: Path) -> None:
    """
    TTFT to the first content: 200 - 10 = 190 and 100; request latency 250, 130 and, of the whole answer, 200.

    ITL (250 - 190) / 4 = 15 and (130 - 100) / 1 = 30, so 66.7 and 33.3 tokens/s per user.
    """
    found = told("aiperf", tmp_path, four())

    assert numbers(found, "time_to_first_token", "avg", "min", "max", "std", "count") == pytest.approx(
        [145, 100, 190, 45, 2]
    )
    assert numbers(found, "time_to_second_token", "min", "max") == pytest.approx([20, 30])
    assert numbers(found, "request_latency", "min", "p50", "max") == pytest.approx([130, 200, 250])
    assert numbers(found, "decode_duration", "min", "max") == pytest.approx([30, 60])
    assert numbers(found, "inter_token_latency", "min", "max", "p90") == pytest.approx([15, 30, 28.5])
    assert numbers(found, "inter_chunk_latency", "min", "p50", "max") == pytest.approx([20, 30, 40])
    assert numbers(found, "output_token_throughput_per_user", "max", "min") == pytest.approx([1000 / 15, 1000 / 30])
    assert numbers(found, "e2e_output_token_throughput", "max", "min") == pytest.approx([8 / 0.2, 2 / 0.13])


def test_aiperf_s_totals_by_hand(tmp_path: Path) -> None:
    """From the first start, 10, to the last content of a valid answer, 1900; one of four failed."""
    found = told("aiperf", tmp_path, four())
    values = {line.key: line.values["value"] for line in found.lines if line.is_single}

    assert values == pytest.approx(
        {
            "output_token_throughput": 15 / 1.89, "input_token_throughput": 46 / 1.89,
            "total_token_throughput": 61 / 1.89, "request_throughput": 3 / 1.89, "completed_request_count": 4,
            "request_error_rate": 25, "request_count": 3, "benchmark_duration": 1.89,
        }
    )  # fmt: skip


def test_aiperf_adjusts_latencies_for_failures(tmp_path: Path) -> None:
    """130 200 250 and one endless: p75 is nearest to rank 2.25, the 250; p90, rank 2.7, is the failure."""
    found = told("aiperf", tmp_path, four())

    assert numbers(found, "adj_request_latency", "min", "p75", "p90") == pytest.approx([130, 250, np.inf])
    assert found.line("adj_request_latency").values["std"] is None
    assert found.to_json()["metrics"]["adj_request_latency"]["p90"] == "inf"
    rows = [row for row in four() if row.outcome == "ok"]
    assert not [line for line in told("aiperf", tmp_path / "fine", rows).lines if line.key.startswith("adj_")]


def test_genai_bench_by_hand(tmp_path: Path) -> None:
    """
    From the start to the first token 190 and 100; to the end 265 - 10 = 255 and 140, so output_latency 65 and 40.

    tpot 65 / 4 = 16.25 and 40 / 1 = 40; speed 61.5 and 25. One of three failed, and its error_rate says 0.
    """
    found = told("genai-bench", tmp_path, four())
    values = {line.key: line.values["value"] for line in found.lines if line.is_single}

    assert numbers(found, "ttft", "min", "max", "mean") == pytest.approx([100, 190, 145])
    assert numbers(found, "e2e_latency", "min", "max", "sum") == pytest.approx([140, 255, 395])
    assert numbers(found, "output_latency", "min", "max", "p25") == pytest.approx([40, 65, 46.25])
    assert numbers(found, "tpot", "min", "max") == pytest.approx([16.25, 40])
    assert numbers(found, "output_inference_speed", "min", "max") == pytest.approx([25, 1000 / 16.25])
    assert numbers(found, "input_throughput", "min", "max") == pytest.approx([10 / 0.19, 30 / 0.1])
    assert numbers(found, "total_tokens", "min", "max") == [15, 32]
    assert values["requests_per_second"] == pytest.approx(2 / 1.59)
    assert [values[key] for key in ("num_error_requests", "num_completed_requests", "error_rate")] == [1, 2, 0]
    assert any("33.3 % of these did" in note for note in found.notes)


def test_genai_bench_drops_the_speed_of_an_answer_at_once(tmp_path: Path) -> None:
    """0.9 ms of output is less than its 1 ms: no tpot, but the latency and the throughput stay."""
    rows = four()[:2]
    rows[1] = replace(rows[1], end_ns=1_100_900_000)
    synthetic.give_stream(rows[1], np.array([1_100_000_000, 1_100_500_000]))
    found = told("genai-bench", tmp_path, rows)

    assert numbers(found, "tpot", "min", "max") == pytest.approx([16.25, 16.25])
    assert numbers(found, "output_throughput", "max") == pytest.approx([1 / 0.0009])


def test_genai_bench_takes_no_tool_call_for_a_token(tmp_path: Path) -> None:
    """Of an answer of tool calls alone the first token is the usage's; with text behind them, the text at 220."""
    tool, mixed = four()[0], four()[0]
    tool.chunk_kind = [record.TOOL] * 3
    mixed = replace(mixed, seq=1, chunk_kind=[record.TOOL, record.CONTENT, record.CONTENT])
    found = told("genai-bench", tmp_path, [tool, mixed])

    assert numbers(found, "ttft", "min", "max") == pytest.approx([210, 255])


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("no_finish", {"vllm": (3, 1), "aiperf": (4, 1), "genai-bench": (3, 1)}),
        ("stream_error", {"vllm": (3, 1), "aiperf": (3, 2), "genai-bench": (2, 2)}),
        ("empty", {"vllm": (3, 1), "aiperf": (3, 2), "genai-bench": (2, 1)}),
        ("reset", {"vllm": (2, 2), "aiperf": (3, 2), "genai-bench": (2, 2)}),
    ],
)
def test_what_they_do_not_notice_counts_as_answered(
    kind: str, counts: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    """An answer that broke in one way beside the four: how many each tool takes for answered, and for failed."""
    keys = {
        "vllm": ("completed", "failed"), "aiperf": ("request_count", "completed_request_count"),
        "genai-bench": ("num_completed_requests", "num_error_requests"),
    }  # fmt: skip
    broken = failed(stream(4, (1950, 1950, 1950, 1960, 1990), (1960, 1980), 3), kind)
    run = judged(tmp_path, [*four(), broken])
    for tool, (done, bad) in counts.items():
        found = TOOLS[tool](run)
        values = [found.line(key).values["value"] for key in keys[tool]]
        assert values == [done, done + bad if tool == "aiperf" else bad], tool
        unnoticed = (tool == "vllm" or kind == "no_finish") and kind != "reset"
        assert (f"counted as answered, though we count them as failed: {kind} 1" in found.notes) == unnoticed, tool


def test_what_was_not_asked_or_did_not_end_is_left_out_by_name(tmp_path: Path) -> None:
    rows = [
        *four(),
        replace(whole(4, 1750, 1800, 1, 1), outcome="unsent", started_ns=None, sent_ns=None, end_ns=None),
        replace(stream(5, (1800, 1800, 1800, 1850, 1860), (1850,), 1), outcome="cancelled"),
        replace(stream(6, (1800, 1800, 1800, 1850, 1860), (1850,), 1), phase="warmup"),
    ]
    found = told("vllm", tmp_path, rows)

    assert found.line("completed").values["value"] == 2
    left = next(note for note in found.notes if note.startswith("left out"))
    assert left == (
        "left out: 1 cancelled, 1 unsent, 1 of warm-up or drain, 2 whole answers, as it asks for streams only"
    )


def test_a_run_without_a_stream_has_no_numbers_but_counts(tmp_path: Path) -> None:
    run = judged(tmp_path, [whole(seq, 100 * seq, 100 * seq + 50, 8, 6) for seq in range(4)])
    for tool, first in (("vllm", "ttft"), ("aiperf", "time_to_first_token"), ("genai-bench", "ttft")):
        found, text = TOOLS[tool](run), StringIO()
        render(found, Console(width=100, file=text))

        assert {found.line(first).values[name] for name in found.shown} == {None}
        assert "nan" not in text.getvalue()


def test_the_rows_of_each_arm_are_told_apart(tmp_path: Path) -> None:
    slow = synthetic.Recipe(n=40, stream_share=1.0, ttft_s=0.4, spread=0.0)
    path = synthetic.write_arms(tmp_path / "run", {"fast": replace(slow, ttft_s=0.1), "slow": slow})
    found = [TOOLS["aiperf"](judge(run)) for run in runs_of(path, chunks=True)]

    medians = [one.line("time_to_first_token").values["p50"] for one in found]
    assert medians == pytest.approx([100, 400], abs=1)
    assert [one.run.split(" · ")[-1] for one in found] == ["fast", "slow"]


def test_the_command_says_it(tmp_path: Path) -> None:
    """As text in the tool's names, and as JSON with the same numbers."""
    path = synthetic.write(tmp_path / "run")
    text = firsttoken("summary", str(path), "--as", "vllm", cwd=tmp_path)
    done = firsttoken("summary", str(path), "--as", "vllm", "--json", cwd=tmp_path)
    value: dict[str, Any] = orjson.loads(done.stdout)

    assert (text.returncode, done.returncode) == (0, 0), text.stderr + done.stderr
    assert value["as"] == "vllm"
    assert "009e6d4" in value["source"]
    median = value["metrics"]["ttft"]["median"]
    row = next(line for line in text.stdout.splitlines() if line.startswith("TTFT (ms)"))
    assert f"{median:,.2f}" in row
    assert max(map(len, text.stdout.splitlines())) <= 100


def test_the_option_names_every_tool_and_goes_with_no_other_table(tmp_path: Path) -> None:
    option = next(option for option in summary.params if option.name == "tool")
    path = synthetic.write(tmp_path / "run")
    done = CliRunner().invoke(summary, [str(path), "--as", "vllm", "--by", "time"])

    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(TOOLS)
    assert (done.exit_code, "--by" in done.output) == (2, True)
