"""`firsttoken export`: every value of a run's parquet comes out as text, and what is absent stays absent."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic
from click.testing import CliRunner

from analysis import rundir
from loadtests import manifest, profiles, record
from loadtests.cli.export import export
from loadtests.plan import Plan
from loadtests.sink import Sink

if TYPE_CHECKING:
    from pathlib import Path

LISTS = ("chunk_gap_us", "chunk_kind", "chunk_chars")


def odd(row: record.Record, _rng: Any) -> None:
    """Every fifth request failed with a text that both formats have to quote; one has flags, one an empty text."""
    if row.seq % 5 == 0:
        row.outcome, row.error_kind, row.error = "error", "bad_body", 'said "no",\n\ttwice; ü \\'
    if row.seq == 1:
        row.flags, row.error = ["no_done", "cut_at_cap"], ""
    if row.seq == 2:
        row.flags = []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("runs") / "one", synthetic.Recipe(n=40, change=odd))


def exported(*words: str, code: int = 0) -> str:
    """What is printed."""
    done = CliRunner().invoke(export, words, catch_exceptions=False, standalone_mode=False)
    assert done.return_value == code
    return str(done.stdout)


def stored(run: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(run / record.REQUESTS).to_pylist())


def test_json_lines_hold_every_value_of_every_row(run: Path) -> None:
    """The parquet file is the known answer, lists and all; floats come back to the last bit."""
    lines = exported(str(run), "--to", "jsonl", "--chunks").splitlines()

    assert [json.loads(line) for line in lines] == stored(run)
    assert list(json.loads(lines[0])) == [column.name for column in record.REQUEST_COLUMNS]


def test_a_long_run_is_written_in_pieces(run: Path, tmp_path: Path) -> None:
    """20,000 rows, more than are read at once: the lists of later pieces begin in the middle of a column."""
    long = synthetic.write(tmp_path / "long", synthetic.Recipe(n=1))
    once = pq.read_table(run / record.REQUESTS)
    pq.write_table(pa.concat_tables([once] * 500).combine_chunks(), long / record.REQUESTS)

    told = exported(str(long), "--to", "jsonl", "--columns", "seq,flags,chunk_gap_us").splitlines()

    assert told == 500 * exported(str(run), "--to", "jsonl", "--columns", "seq,flags,chunk_gap_us").splitlines()


def test_csv_holds_every_value_and_absent_is_empty(run: Path) -> None:
    """Read back by Python's own reader; an empty text and none are both empty there."""
    rows = list(csv.DictReader(io.StringIO(exported(str(run), "--to", "csv", "--chunks"))))

    assert len(rows) == 40
    for told, meant in zip(rows, stored(run), strict=True):
        assert {name: text for name, text in told.items() if text} == {
            name: as_csv(value) for name, value in meant.items() if value not in (None, "", [])
        }


def as_csv(value: Any) -> Any:
    """A value as its column's text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else Number(value)


class Number(float):
    """Equal to every way to write it."""

    def __eq__(self, other: object) -> bool:
        return float(str(other)) == float(self)

    __hash__ = float.__hash__


def test_columns_are_those_that_were_asked_for_in_their_order(run: Path) -> None:
    head, first, *_ = exported(str(run), "--to", "csv", "--columns", "seq, outcome,ttft_s").splitlines()
    lists = json.loads(exported(str(run), "--to", "jsonl", "--columns", "seq,chunk_gap_us").splitlines()[1])

    assert head == "seq,outcome,ttft_s"
    assert first.startswith('0,"error",')
    assert list(lists) == ["seq", "chunk_gap_us"]
    assert not set(LISTS) & set(exported(str(run), "--to", "csv").splitlines()[0].split(","))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "csv", "--columns", "ttft"], 'did you mean "ttft_s"'),
        (["--to", "csv", "--columns", ","], "names no column"),
        (["--to", "csv", "--out", "-", "--json"], "name a file"),
        (["--to", "csv", "--out", "/nowhere/at/all.csv"], "name a file that can be written"),
        (["--to", "csv", "--out", f"/tmp/{'x' * 300}.csv"], "File name too long; name a file that can be written"),
        *((["--to", "csv", "--out", at], "a directory; name a file that can be written") for at in ("", "/", "/tmp/")),
    ],
)
def test_mistakes_are_a_line(run: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(export, [str(run), *words])

    assert done.exit_code == 2
    assert said in done.output


def test_a_file_is_told_with_its_rows_and_lies_in_the_run_unless_named(tmp_path: Path) -> None:
    run = synthetic.write(tmp_path / "one", synthetic.Recipe(n=7))

    told = json.loads(exported(str(run), "--to", "jsonl", "--json"))
    named = exported(str(run), "--to", "csv", "--out", str(tmp_path / "rows.csv"))

    assert told == {"path": str(run / "requests.jsonl"), "rows": 7}
    assert len((run / "requests.jsonl").read_text().splitlines()) == 7
    assert "rows.csv: 7 rows" in named
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 8


def test_a_campaign_gives_its_runs_one_after_another(tmp_path: Path) -> None:
    """Of a run from before a column came, that column is absent."""
    for place in ("01", "02"):
        synthetic.write(tmp_path / place, synthetic.Recipe(n=3))
    old = pq.read_table(tmp_path / "02" / record.REQUESTS).drop_columns(["counted_tokens"])
    pq.write_table(old, tmp_path / "02" / record.REQUESTS)
    runs = [{"folder": place, "arm": "default", "round": 0, "state": "done"} for place in ("01", "02")]
    (tmp_path / "campaign.json").write_text(json.dumps({"schema_version": 1, "runs": runs}))

    rows = [json.loads(line) for line in exported(str(tmp_path), "--to", "jsonl").splitlines()]

    assert [row["seq"] for row in rows] == [0, 1, 2, 0, 1, 2]
    assert {row["counted_tokens"] for row in rows} == {None}


def test_of_a_run_that_is_on_what_is_there_so_far_is_written(tmp_path: Path) -> None:
    run, sink = on(tmp_path / "on", rows=12)

    assert len(exported(str(run), "--to", "csv", "--columns", "seq").splitlines()) == 13
    assert not (run / record.REQUESTS).exists()
    sink.close()


def on(run: Path, rows: int) -> tuple[Path, Sink]:
    """A run that a worker still writes."""
    (run / record.PARTS).mkdir(parents=True)
    profile, plan = profiles.load("mock").model_dump(mode="json"), Plan.single("m", rate=8.0, duration_s=10.0)
    manifest.write(run, {
        "schema_version": 1, "run_id": "on", "model": "m", "stop": None, "ended": False, "profile": profile, "seed": 1,
        "plan": plan.to_json(), "planned": 80, "started_unix_ns": 1,
        "arms": [{"name": "default", "model": "m", "params": {}, "new_connections": False, "profile": profile}],
    })  # fmt: skip
    sink = Sink(run / record.PARTS, 0, lambda: None)
    for row in synthetic.records_of(synthetic.Recipe(n=rows, stream_share=0.0)):
        row.arm = "default"
        sink.keep(row)
    sink.flush()
    return run, sink


def test_a_run_that_is_broken_in_its_middle_is_a_line_and_no_file(tmp_path: Path) -> None:
    """Bytes of the rows are overwritten: the footer is whole, and no column can be read."""
    run = synthetic.write(tmp_path / "one")
    file = run / record.REQUESTS
    data = file.read_bytes()
    file.write_bytes(data[:8] + bytes(len(data) // 2) + data[8 + len(data) // 2 :])

    with pytest.raises(rundir.RunError, match="cut short or not parquet"):
        exported(str(run), "--to", "csv", "--out", str(tmp_path / "rows.csv"))

    assert not list(tmp_path.glob("rows.csv*"))


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    run = synthetic.write(tmp_path / "one", synthetic.Recipe(n=3))
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    exported(str(run), "--to", "csv", "--columns", "seq", "--out", str(tmp_path / "pipe"))

    assert os.read(reader, 1000) == b"seq\n0\n1\n2\n"
    os.close(reader)


def test_a_reader_that_goes_is_no_failure(tmp_path: Path) -> None:
    """Its pipe is closed before the first byte: quiet, and no code that a script would stumble over."""
    run = synthetic.write(tmp_path / "one")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "loadtests.cli", "export", str(run), "--to", "csv"]

    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")


def test_rows_that_nobody_reads_are_no_fault(tmp_path: Path) -> None:
    """`export | head -1`: 5,000 rows are more than the 64 kB that a pipe holds."""
    run = synthetic.write(tmp_path / "r", synthetic.Recipe(n=5_000))
    command = f"{sys.executable} -m loadtests.cli export {run} --to csv --out - | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("run_id,")
