"""Run directories as people find them: whole, killed, cut, too new."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from analysis import arms, charts, digest, rundir, summary
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_from_before_a_column_was_added_has_none_of_its_values(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    table = pq.read_table(path / record.REQUESTS)
    pq.write_table(table.drop_columns(["counted_tokens"]), path / record.REQUESTS)

    assert np.isnan(rundir.numbers(rundir.load(path).requests, "counted_tokens")).all()


def test_null_stays_null(tmp_path: Path) -> None:
    """A request that is not streamed has no TTFT: missing, not 0, and NaN where arithmetic begins."""
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=10, stream_share=0)))

    assert run.requests["ttft_s"].isna().all()
    assert isinstance(run.requests["output_tokens"].dtype, pd.ArrowDtype)
    assert np.isnan(rundir.numbers(run.requests, "ttft_s")).all()


def test_lists_are_read_only_if_asked_for(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=5))

    assert not set(rundir.CHUNK_LISTS) & set(rundir.load(path).requests.columns)
    assert set(rundir.CHUNK_LISTS) <= set(rundir.load(path, chunks=True).requests.columns)


def test_flags_are_words_to_ask_for(tmp_path: Path) -> None:
    def flag(row: record.Record, _: np.random.Generator) -> None:
        row.flags = ["no_done", "buffered"] if row.seq == 3 else ["unterminated"] if row.seq == 4 else None

    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=6, change=flag)))

    assert np.flatnonzero(rundir.flagged(run.requests, "buffered")).tolist() == [3]
    assert np.flatnonzero(rundir.flagged(run.requests, "no_done", "unterminated")).tolist() == [3, 4]


def test_a_link_to_the_newest_run_has_the_run_s_own_name(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "20261122-134700-mock", synthetic.Recipe(n=3))
    (tmp_path / "latest").symlink_to("20261122-134700-mock")

    assert rundir.load(tmp_path / "latest").name == "20261122-134700-mock"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(rundir.RunError, match="no such run directory"):
        rundir.load(tmp_path / "nowhere")


def test_a_killed_run_is_sent_to_repair(tmp_path: Path) -> None:
    (tmp_path / "r" / "parts").mkdir(parents=True)

    with pytest.raises(rundir.RunError, match="firsttoken repair"):
        rundir.load(tmp_path / "r")


def test_a_folder_of_something_else_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(rundir.RunError, match="not a run directory"):
        rundir.load(tmp_path)


def test_a_campaign_asks_for_one_of_its_runs(tmp_path: Path) -> None:
    (tmp_path / "campaign.json").write_text("{}")

    with pytest.raises(rundir.RunError, match="a campaign, not a run"):
        rundir.load(tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_one_line(tmp_path: Path, kept: float) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=20))
    whole = (path / record.REQUESTS).read_bytes()
    (path / record.REQUESTS).write_bytes(whole[: int(kept * len(whole))])

    with pytest.raises(rundir.RunError, match="cut short or not parquet") as error:
        rundir.load(path)
    assert "\n" not in str(error.value)


def test_a_newer_schema_is_refused_in_either_file(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    manifest = json.loads((path / record.MANIFEST).read_text())
    (path / record.MANIFEST).write_text(json.dumps(manifest | {"schema_version": record.SCHEMA_VERSION + 1}))
    with pytest.raises(rundir.RunError, match="newer"):
        rundir.load(path)

    path = synthetic.write(tmp_path / "s", synthetic.Recipe(n=3))
    table = pq.read_table(path / record.REQUESTS)
    pq.write_table(table.replace_schema_metadata({"schema_version": "99"}), path / record.REQUESTS)
    with pytest.raises(rundir.RunError, match="schema 99"):
        rundir.load(path)


def test_a_manifest_is_needed_and_must_be_an_object(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    (path / record.MANIFEST).write_text("[1]")
    with pytest.raises(rundir.RunError, match="not a JSON object"):
        rundir.load(path)
    (path / record.MANIFEST).write_text("{")
    with pytest.raises(rundir.RunError, match="not JSON"):
        rundir.load(path)
    (path / record.MANIFEST).unlink()
    with pytest.raises(rundir.RunError, match=r"run\.json is missing"):
        rundir.load(path)


def test_a_foreign_parquet_file_is_no_record(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=3))
    pq.write_table(pa.table({"a": [1]}), path / record.REQUESTS)

    with pytest.raises(rundir.RunError, match="column run_id is missing"):
        rundir.load(path)


def test_a_run_without_client_samples_is_read(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=3, with_client=False)))

    assert run.client is None
    assert run.is_open


def change_all(row: record.Record, rng: np.random.Generator) -> None:
    """Rows of many kinds: failed, unsent, flagged, without counts, of several workloads."""
    draw = rng.random()
    row.workload = "rag" if draw < 0.3 else "chat"
    row.flags = ["cut_at_cap", "no_done"] if draw < 0.2 else ["buffered"] if draw < 0.25 else None
    row.output_tokens = None if draw > 0.95 else row.output_tokens
    row.cached_tokens, row.reasoning_tokens = (10, 3) if draw < 0.5 else (None, None)
    if 0.5 < draw < 0.54:
        row.outcome, row.error_kind, row.error, row.status = "error", "upstream", "HTTP 502", 502
    elif draw > 0.97:
        row.outcome, row.sent_ns, row.conn_reused, row.started_ns = "unsent", None, None, None
        row.first_token_ns = row.last_token_ns = row.first_answer_ns = row.headers_ns = row.end_ns = None
        row.chunks = row.chunk_ns = row.chunk_kind = row.chunk_chars = row.clock = None


@pytest.mark.parametrize(
    "recipe", [synthetic.Recipe(n=800, rate=10, change=change_all), synthetic.Recipe(n=30, change=synthetic.talk(3))]
)
@pytest.mark.slow
def test_a_run_says_the_same_of_the_columns_that_judging_reads(tmp_path: Path, recipe: synthetic.Recipe) -> None:
    """Numpy's types or nullable ones, some columns or all: no number, no check and no chart may rest on it."""
    path = synthetic.write(tmp_path / "r", recipe)
    few, every = rundir.load(path, columns=rundir.JUDGED), rundir.load(path, chunks=True)
    told, expected = (summary.judge(run) for run in (few, every))

    assert set(few.requests.columns) == rundir.JUDGED | {"row"}
    assert json.dumps(told.summary.to_json()) == json.dumps(expected.summary.to_json())
    assert digest.of(told) == digest.of(expected)
    assert charts.draw(few, told.summary) == charts.draw(every, expected.summary)


@pytest.mark.slow
def test_arms_say_the_same_of_the_columns_that_judging_reads(tmp_path: Path) -> None:
    path = synthetic.write_arms(tmp_path / "r", {"a": synthetic.Recipe(n=80), "b": synthetic.Recipe(n=80, seed=2)})

    told, expected = (
        [digest.of(summary.judge(run)) for run in arms.arms(rundir.load(path, columns=columns))]
        for columns in (rundir.JUDGED, None)
    )
    assert told == expected


def test_words_are_found_among_many() -> None:
    """More words than are looked for one by one."""
    frame = pd.DataFrame({"word": pd.Categorical([f"w{k % 40}" for k in range(400)] + [None])})
    words = [f"w{k}" for k in range(20)]

    assert np.flatnonzero(rundir.where(frame, "word", *words)).tolist() == [k for k in range(400) if k % 40 < 20]


def test_some_rows_have_only_the_columns_named(tmp_path: Path) -> None:
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=4)))

    found = rundir.some(run.requests, np.array([True, False, True, False]), "seq", "outcome")
    assert (list(found.columns), found["seq"].tolist()) == (["seq", "outcome"], [0, 2])
    assert len(rundir.some(run.requests, np.ones(4, dtype=bool), "seq")) == 4
