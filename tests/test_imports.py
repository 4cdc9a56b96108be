"""Result files of AIPerf and vLLM become runs: their values out of ours, what they do not tell null."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import synthetic
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import campaign, charts, digest
from analysis.compare import sides
from analysis.compare.rules import Rules
from analysis.others import TOOLS
from analysis.summary import judge
from analysis.verify import run as verified
from loadtests import imports, record
from loadtests.cli.importing import import_
from loadtests.imports import aiperf, rows, vllm

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.summary import Judged

START = 1_759_813_207_000_000_000
"""CLOCK_REALTIME of the first request of AIPerf, ns."""

STAMPS = [column.name for column in record.REQUEST_COLUMNS if column.name.endswith("_ns")]


def of_vllm(**changed: Any) -> dict[str, Any]:
    """
    Three requests of `vllm bench serve`, as its present version writes them.

    The first is three chunks at 0.2, 0.25 and 0.28 s, the second is refused, the third one chunk at 0.1 s and waited a
    quarter of a second for --max-concurrency.
    """
    told = {
        "date": "20251101-101010", "endpoint_type": "openai-chat", "backend": "openai-chat", "label": None,
        "model_id": "org/model", "tokenizer_id": "org/model", "num_prompts": 3, "request_rate": 2.0, "burstiness": 1.0,
        "max_concurrency": 2, "duration": 1.4, "completed": 2, "failed": 1, "request_throughput": 1.4,
        "request_goodput": None, "input_lens": [10, 11, 12], "output_lens": [3, 0, 1], "ttfts": [0.2, 0.0, 0.1],
        "itls": [[0.05, 0.03], [], []], "latencies": [0.28, 0.0, 0.1], "start_times": [100.0, 100.5, 101.0],
        "queue_times": [0.0, 0.0, 0.25], "generated_texts": ["a", "", "b"], "errors": ["", "Too Many Requests", ""],
        "mean_ttft_ms": 150.0, "p99_itl_ms": float("nan"),
    }  # fmt: skip
    return {name: value for name, value in (told | changed).items() if value is not ...}


def line(number: int, at_ms: float, ttft_ms: float = 200.0, **changed: Any) -> dict[str, Any]:
    """A request of AIPerf: four chunks, 10 ms apart, let go 1 ms before it is sent, over 5 ms after its last chunk."""
    sent = START + round(at_ms * 1e6)
    return {
        "metadata": {
            "session_num": number, "x_request_id": f"r{number}", "x_correlation_id": f"c{number}", "turn_index": 0,
            "credit_issued_ns": sent - 1_000_000, "request_start_ns": sent, "request_ack_ns": sent + 50_000_000,
            "request_end_ns": sent + round((ttft_ms + 35) * 1e6), "worker_id": f"worker_{number % 2}",
            "record_processor_id": "p", "benchmark_phase": "profiling", "was_cancelled": False,
        } | changed.pop("metadata", {}),
        "metrics": {
            "time_to_first_token": {"value": ttft_ms, "unit": "ms"},
            "request_latency": {"value": ttft_ms + 30, "unit": "ms"},
            "inter_chunk_latency": {"value": [10.0, 10.0, 10.0], "unit": "ms"},
            "input_sequence_length": {"value": 50, "unit": "tokens"},
            "output_sequence_length": {"value": 9, "unit": "tokens"},
            "usage_prompt_tokens": {"value": 13, "unit": "tokens"},
            "usage_completion_tokens": {"value": 4, "unit": "tokens"},
        } if "metrics" not in changed else changed.pop("metrics"),
        **changed,
    }  # fmt: skip


ABOUT: dict[str, Any] = {
    "schema_version": "1.4", "aiperf_version": "0.13.0", "request_latency": {"unit": "ms", "avg": 230.0},
    "input_config": {
        "models": {"items": [{"name": "tiny-1"}]}, "tokenizer": {"name": "org/tok"},
        "endpoint": {"urls": ["https://u:secret1234@host:8000/v1"], "type": "chat", "streaming": True},
        "phases": [
            {"name": "warmup", "kind": "warmup", "type": "poisson", "requests": 5, "rate": 20.0},
            {"name": "main", "kind": "profiling", "type": "gamma", "smoothness": 4.0, "requests": 200, "rate": 20.0},
        ],
    },
    "run_info": {"random_seed": 7, "cli_command": "aiperf profile --api-key sk-abcdefgh12345678"},
}  # fmt: skip


def lines(*values: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in values) + b"\n"


def write(path: Path, data: bytes | dict[str, Any]) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def imported(tmp_path: Path, *words: str) -> list[Path]:
    """What `firsttoken import` made."""
    done = CliRunner().invoke(
        import_, [*words, "--out", str(tmp_path / "results"), "--json"], standalone_mode=False, catch_exceptions=False
    )
    assert done.return_value == 0
    return [tmp_path / "results" / one["path"] for one in json.loads(done.stdout)]


def stored(run: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(run / record.REQUESTS).to_pylist())


def about(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / record.MANIFEST).read_bytes()))


def judged(run: Path) -> Judged:
    (only,) = campaign.runs_of(run)
    return judge(only)


# vLLM.


def test_every_value_of_a_vllm_file_is_in_its_column(tmp_path: Path) -> None:
    """By hand from the file; the third was let go at 0.75 s, so its TTFT from the schedule is 0.25 + 0.1 s."""
    (run,) = imported(tmp_path, str(write(tmp_path / "v.json", of_vllm())))
    first, second, third = stored(run)

    assert [first[name] for name in ("scheduled_ns", "sent_ns", "first_token_ns", "last_token_ns", "end_ns")] == [
        0, 0, 200_000_000, 280_000_000, 280_000_000,
    ]  # fmt: skip
    assert first["ttft_s"] == first["ttft_from_send_s"] == pytest.approx(0.2)
    assert first["latency_s"] == pytest.approx(0.28)
    assert first["tpot_s"] == pytest.approx(0.08 / 2)
    assert first["max_gap_s"] == pytest.approx(0.05)
    assert (first["chunk_gap_us"], first["chunks"]) == ([200_000, 50_000, 30_000], 3)
    assert (first["chunk_kind"], first["chunk_chars"], first["first_chunk_tokens"]) == ([None] * 3, [None] * 3, None)
    assert (first["input_tokens"], first["output_tokens"], first["tokens_from"]) == (10, 3, None)
    assert (second["outcome"], second["error_kind"], second["status"]) == ("error", "throttled", 429)
    assert [second[name] for name in ("ttft_s", "first_token_ns", "end_ns", "latency_s")] == [None] * 4
    assert (third["scheduled_ns"], third["sent_ns"]) == (750_000_000, 1_000_000_000)
    assert third["ttft_s"] == pytest.approx(0.35)
    assert third["ttft_from_send_s"] == pytest.approx(0.1)
    assert third["send_lag_s"] == pytest.approx(0.25)
    assert third["tpot_s"] is None
    assert {row["clock"] for row in (first, second, third)} == {"user"}
    assert {row["flags"] and row["flags"][0] for row in (first, second, third)} == {None}


@pytest.mark.parametrize(
    ("changed", "plan"),
    [
        ({}, {"mode": "open", "arrivals": "poisson", "rate": 2.0, "max_in_flight": 2}),
        ({"burstiness": 4.0}, {"mode": "open", "arrivals": "gamma:0.5"}),
        ({"request_rate": "inf"}, {"mode": "closed", "concurrency": 2}),
        ({"request_rate": "inf", "max_concurrency": None}, {"mode": "open", "arrivals": "burst:3"}),
        ({"ramp_up_strategy": "linear", "ramp_up_start_rps": 1, "ramp_up_end_rps": 9}, {"mode": "open"}),
    ],
)
def test_the_load_is_told_in_our_words(changed: dict[str, Any], plan: dict[str, Any]) -> None:
    """Gaps of shape 4 have a coefficient of variation of 1 / sqrt(4)."""
    told = vllm.read(of_vllm(**changed), "v.json").plan

    assert {name: told[name] for name in plan} == plan


@pytest.mark.parametrize("changed", [{"queue_times": ...}, {"request_rate": "inf"}])
def test_without_a_moment_before_the_send_latency_counts_from_it_and_says_so(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    """No wait is told, or there is no rate that a request could wait behind."""
    (run,) = imported(tmp_path, str(write(tmp_path / "v.json", of_vllm(**changed))))

    assert [row["scheduled_ns"] for row in stored(run)] == [0, 500_000_000, 1_000_000_000]
    assert [row["flags"] for row in stored(run)] == [["from_send"]] * 3
    assert [row["send_lag_s"] for row in stored(run)] == [None] * 3
    assert about(run)["imported"]["latency_counts_from"] == "send"


def test_a_file_without_start_times_has_durations_and_no_moment(tmp_path: Path) -> None:
    """As older versions write it: percentiles are told, rates are not, and that is said; its charts are drawn."""
    old = of_vllm(start_times=..., queue_times=..., latencies=...)
    many = old | {name: old[name] * 20 for name in ("input_lens", "output_lens", "ttfts", "itls", "errors")}
    (run,) = imported(tmp_path, str(write(tmp_path / "v.json", many)))
    found = judged(run)

    assert {row[name] for row in stored(run) for name in STAMPS} == {None}
    assert [row["ttft_s"] for row in stored(run)[:3]] == pytest.approx([0.2, None, 0.1])
    ttft = found.summary.row("ttft_s", "stream")
    assert [found.summary.rate(name) for name in ("requests_per_s", "tokens_per_s")] == [None, None]
    assert found.summary.rate("error_rate") == pytest.approx(1 / 3)
    gaps = found.summary.row("chunk_gap_s")
    assert ttft is not None
    assert gaps is not None
    assert (ttft.n, gaps.n) == (40, 40)
    assert "does not tell when they went out" in found.summary.window.reason
    drawn = {chart.name: chart for chart in charts.draw(found.run, found.summary)}
    assert "does not say when" in drawn["timeline"].alt


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        ("Service Unavailable", "overloaded", 503),
        ("Traceback (most recent call last):\n  File x\nasyncio.exceptions.TimeoutError\n", "timeout_total", None),
        (
            "Traceback\naiohttp.client_exceptions.ClientPayloadError: Response payload is not completed",
            "truncated",
            None,
        ),
        ("Never received a valid chunk to calculate TTFT.This response will be marked as failed!", "empty", None),
        ("Traceback\nKeyError: 'delta'", None, None),
        ("Unauthorized", "auth", 401),
    ],
)
def test_what_vllm_says_of_a_failure_is_one_of_our_kinds_or_none(
    said: str, kind: str | None, status: int | None
) -> None:
    told = vllm.read(of_vllm(errors=["", said, ""]), "v.json")

    assert (told.records[1].error_kind, told.records[1].status) == (kind, status)


# AIPerf.


def test_every_value_of_an_aiperf_line_is_in_its_column(tmp_path: Path) -> None:
    """By hand: let go at 0, sent at 1 ms, chunks at 201 to 231 ms, over at 236; 4 tokens by usage, 9 by tokenizer."""
    refused = {"code": 429, "type": "Too Many Requests", "message": '{"error":{"message":"slow down"}}'}
    failed = line(1, 300, metrics={}, error=refused, metadata={"request_end_ns": START + 300_000_000})
    gone = {"code": 499, "type": "RequestCancellationError", "message": "Request cancelled"}
    cancelled = line(2, 400, metrics={}, error=gone, metadata={"was_cancelled": True, "benchmark_phase": "warmup"})
    write(tmp_path / "profile_export_aiperf.json", ABOUT)
    (run,) = imported(tmp_path, str(write(tmp_path / "profile_export.jsonl", lines(line(0, 0), failed, cancelled))))
    first, second, third = stored(run)

    assert [first[name] for name in STAMPS] == [
        0, 1_000_000, 1_000_000, 51_000_000, None, 201_000_000, None, 231_000_000, 236_000_000,
    ]  # fmt: skip
    assert first["ttft_s"] == pytest.approx(0.201)
    assert first["ttft_from_send_s"] == pytest.approx(0.2)
    assert first["latency_from_send_s"] == pytest.approx(0.23)
    assert first["send_lag_s"] == pytest.approx(0.001)
    assert first["tpot_s"] == pytest.approx(0.03 / 3)
    assert first["chunk_gap_us"] == [200_000, 10_000, 10_000, 10_000]
    assert [first[name] for name in ("input_tokens", "output_tokens", "counted_tokens", "tokens_from")] == [
        13, 4, 9, "usage",
    ]  # fmt: skip
    assert (first["request_id"], first["worker"], first["conversation"], first["outcome"]) == ("r0", 0, None, "ok")
    assert (second["error_kind"], second["status"], second["end_ns"], second["worker"]) == ("throttled", 429, None, 1)
    assert (third["outcome"], third["error_kind"], third["phase"]) == ("cancelled", None, "warmup")


def test_the_file_beside_it_says_whom_with_what_load_and_no_secret(tmp_path: Path) -> None:
    write(tmp_path / "profile_export_aiperf.json", ABOUT)
    file = write(tmp_path / "profile_export.jsonl", lines(line(0, 0)))
    (run,) = imported(tmp_path, str(file), "--label", "build=41", "--name", "old one")
    told = about(run)

    assert run.name.endswith("-old-one")
    assert (told["model"], told["seed"], told["labels"]) == ("tiny-1", 7, {"build": "41"})
    assert told["started_unix_ns"] == START - 1_000_000
    assert told["plan"] == {
        "workers": 1, "stream_share": 1.0, "tokenizer": "org/tok", "requests": 200, "mode": "open",
        "arrivals": "gamma:0.5", "rate": 20.0,
    }  # fmt: skip
    assert {name: told["imported"][name] for name in ("tool", "version", "file")} == {
        "tool": "AIPerf", "version": "0.13.0", "file": "profile_export.jsonl",
    }  # fmt: skip
    assert len(told["imported"]["sha256"]) == 64
    assert "secret1234" not in json.dumps(told)
    assert "sk-abcdefgh" not in json.dumps(told)


def test_turns_of_a_conversation_are_told_apart_and_no_load_is_made_up() -> None:
    """Nothing lies beside the file: the load is unknown, not a guess; without usage the tokenizer has counted."""
    turn = {"turn_index": 1, "x_correlation_id": "c0", "credit_issued_ns": None}
    counted = {"output_sequence_length": {"value": 9, "unit": "tokens"}}
    told = aiperf.read(lines(line(1, 500, metrics=counted, metadata=turn), line(0, 0)).splitlines(), {}, "p.jsonl")

    assert [(one.conversation, one.turn, one.flags) for one in told.records] == [
        (0, 0, ["from_send"]), (0, 1, ["from_send"]),
    ]  # fmt: skip
    assert (told.plan["mode"], told.model, told.since) == ("unknown", "", "send")
    assert (told.records[1].output_tokens, told.records[1].tokens_from) == (9, "tokenizer")


def test_whole_answers_have_a_latency_and_no_first_token(tmp_path: Path) -> None:
    """Not streamed: over after 320 ms; its first byte is not told."""
    whole = {"request_latency": {"value": 320.0, "unit": "ms"}}
    end = {"request_ack_ns": None, "request_end_ns": START + 320_000_000}
    (run,) = imported(tmp_path, str(write(tmp_path / "p.jsonl", lines(line(0, 0, metrics=whole, metadata=end)))))
    (row,) = stored(run)

    assert (row["stream"], row["ttft_s"], row["headers_ns"]) == (False, None, None)
    assert row["latency_from_send_s"] == pytest.approx(0.32)


def test_a_broken_line_is_counted_and_the_others_count(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", lines(b'{"metadata": {"reque', line(0, 0), {"metadata": {}, "metrics": {}}))

    done = CliRunner().invoke(import_, [str(file), "--out", str(tmp_path / "r")])

    assert "1 requests of AIPerf, 2 lines that could not be read are left out" in done.output


# What stands beside ours.


def many(n: int = 120, ttft_ms: float = 200.0) -> bytes:
    """Requests of AIPerf, 100 ms apart; TTFT goes up and down by 10 %."""
    return lines(*(line(i, 100 * i, ttft_ms * (0.9 + 0.2 * (i % 11) / 10)) for i in range(n)))


def test_an_imported_run_is_doubtful_at_best_and_says_whose_client_it_was(tmp_path: Path) -> None:
    write(tmp_path / "profile_export_aiperf.json", ABOUT)
    (run,) = imported(tmp_path, str(write(tmp_path / "profile_export.jsonl", many())))
    found = judged(run)
    cpu = next(check for check in found.summary.validity.checks if check.number == 7)

    assert found.summary.validity.verdict == "doubtful"
    assert cpu.why.startswith("Imported from AIPerf 0.13.0: its client's error is not known")
    assert "imported from AIPerf 0.13.0" in found.summary.facts.client
    ttft = found.summary.row("ttft_s", "stream")
    assert ttft is not None
    assert ttft.cell(0.5).value == pytest.approx(0.201, abs=0.002)
    assert found.summary.row("itl_s") is None
    assert found.summary.rate("tokens_per_s") == pytest.approx(4 * 10, rel=0.05)


def test_a_run_without_a_schedule_is_not_judged_by_it(tmp_path: Path) -> None:
    (run,) = imported(tmp_path, str(write(tmp_path / "v.json", of_vllm(queue_times=..., max_concurrency=None))))
    status = {check.number: check for check in judged(run).summary.validity.checks}

    assert {status[number].status for number in (1, 2, 4)} == {"not_judged"}
    assert "keeps no schedule" in status[1].why


def test_old_results_stand_beside_new_ones(tmp_path: Path) -> None:
    """The same TTFT by both tools, and 1.5 times as long by the older: the ratios say so."""
    write(tmp_path / "profile_export_aiperf.json", ABOUT)
    (old,) = imported(tmp_path, str(write(tmp_path / "profile_export.jsonl", many(ttft_ms=300.0))))
    ours = synthetic.write(tmp_path / "ours", synthetic.Recipe(n=200, rate=10.0, stream_share=1.0, ttft_s=0.2))
    a, b = ([digest.of(judged(run))] for run in (ours, old))

    (comparison,) = sides.between(a, b, Rules(across=frozenset({"load", "seed", "workload", "host"})), ("A", "B"))
    line = next(x for x in comparison.lines if x.place.metric == "ttft_s" and x.place.what == "p50")

    assert line.effect == pytest.approx(1.5, abs=0.1)


def test_told_back_in_its_own_words_its_figures_are_those_it_had(tmp_path: Path) -> None:
    """Mean of 200 ms times 0.90, 0.92 .. 1.10 over whole cycles of 11: 200 ms; AIPerf counts from the send."""
    (run,) = imported(tmp_path, str(write(tmp_path / "profile_export.jsonl", many(n=110))))
    (only,) = campaign.runs_of(run, chunks=True)
    told = TOOLS["aiperf"](judge(only))

    assert told.line("time_to_first_token").values["avg"] == pytest.approx(200.0)
    assert told.line("request_latency").values["avg"] == pytest.approx(230.0)
    assert told.line("inter_chunk_latency").values["count"] == 330


# Files that no run can be made of.

AVERAGES = {name: value for name, value in of_vllm().items() if not isinstance(value, list)}


@pytest.mark.parametrize(
    ("data", "words", "said"),
    [
        (b"", [], "empty"),
        (b"{", [], "not JSON"),
        (b"[1, 2]", [], "neither of AIPerf nor of vLLM"),
        ({"a": 1}, ["--from", "vllm"], "not of vLLM"),
        (lines(line(0, 0)), ["--from", "vllm"], "not of vLLM"),
        (of_vllm(), ["--from", "aiperf"], "no request of AIPerf"),
        (AVERAGES, [], "--save-detailed"),
        (ABOUT, [], "--export-level records"),
        (of_vllm(itls=[[]]), [], "not of one length"),
    ],
)
def test_a_file_of_no_requests_is_a_line_that_names_the_fix(
    tmp_path: Path, data: Any, words: list[str], said: str
) -> None:
    file = write(tmp_path / "file.json", data)

    with pytest.raises(imports.ImportsError, match=said):
        CliRunner().invoke(import_, [str(file), *words], standalone_mode=False, catch_exceptions=False)


def test_a_directory_of_aiperf_is_its_requests_and_a_cancelled_run_says_so(tmp_path: Path) -> None:
    write(tmp_path / "profile_export_aiperf.json", ABOUT | {"was_cancelled": True})
    write(tmp_path / "profile_export.jsonl", many(n=12))
    (run,) = imported(tmp_path, str(tmp_path))
    complete = next(check for check in judged(run).summary.validity.checks if check.number == 28)

    assert complete.why == "The run was stopped early: AIPerf says that it was cancelled."


@pytest.mark.parametrize("changed", [{}, {"start_times": ..., "queue_times": ...}])
def test_verify_finds_nothing_wrong_until_a_cell_is_changed(tmp_path: Path, changed: dict[str, Any]) -> None:
    (run,) = imported(tmp_path, str(write(tmp_path / "v.json", of_vllm(**changed))))
    before = [one for looked in verified.check(run, about(run)) for one in looked.differences]
    table = pq.read_table(run / record.REQUESTS)
    pq.write_table(table.set_column(0, table.schema.field(0), table.column(0).take([0, 0, 0])), run / record.REQUESTS)
    after = [one for looked in verified.check(run, about(run)) for one in looked.differences]

    assert not before
    assert after


def test_averages_beside_their_requests_name_these(tmp_path: Path) -> None:
    write(tmp_path / "profile_export.jsonl", lines(line(0, 0)))
    file = write(tmp_path / "profile_export_aiperf.json", ABOUT)

    with pytest.raises(imports.ImportsError, match=r"name .*profile_export\.jsonl, which has them"):
        imports.read(file)


def test_several_results_are_several_runs(tmp_path: Path) -> None:
    """--append-result writes one a line; nothing is written where one of the files is no good."""
    both = write(tmp_path / "v.json", lines(of_vllm(), of_vllm(model_id="b")))
    bad = write(tmp_path / "bad.json", b"{")
    out = tmp_path / "none"

    with pytest.raises(imports.ImportsError):
        CliRunner().invoke(
            import_, [str(both), str(bad), "--out", str(out)], standalone_mode=False, catch_exceptions=False
        )

    assert not out.exists()
    assert [about(run)["model"] for run in imported(tmp_path, str(both))] == ["org/model", "b"]


# Files that anybody may have edited.

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted(of_vllm())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), ANY, max_size=4), st.sampled_from(NAMES), st.integers(0, 2), ANY)
def test_any_edited_vllm_file_is_rows_or_a_line(changed: dict[str, Any], name: str, place: int, value: Any) -> None:
    told = of_vllm()
    if isinstance(told[name], list):
        told[name] = [*told[name][:place], value, *told[name][place + 1 :]]
    with suppress(imports.ImportsError):
        assert rows.table(vllm.read(told | changed, "v.json"), "r").schema == record.requests_schema()


VALUES = ANY | st.fixed_dictionaries({"value": ANY, "unit": st.just("ms")})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(line(0, 0)["metadata"])), ANY, max_size=3),
    st.dictionaries(st.sampled_from(sorted(line(0, 0)["metrics"])), VALUES, max_size=3),
    ANY,
    st.dictionaries(st.sampled_from(sorted(ABOUT["input_config"])), ANY, max_size=3),
)
def test_any_edited_aiperf_line_is_a_row_or_left_out(
    metadata: dict[str, Any], metrics: dict[str, Any], error: Any, config: dict[str, Any]
) -> None:
    told = line(0, 0, metadata=metadata, error=error)
    told["metrics"] = told["metrics"] | metrics
    edited = ABOUT | {"input_config": ABOUT["input_config"] | config}

    run = aiperf.read([json.dumps(told).encode(), json.dumps(line(1, 5)).encode()], edited, "p.jsonl")

    assert rows.table(run, "r").num_rows + run.broken == 2
