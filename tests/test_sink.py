"""Rows on their way to disk: nothing that was flushed is ever lost, however the file ends."""

from __future__ import annotations

import errno
import shutil
import subprocess
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests import record, sink
from loadtests.derive import derive
from loadtests.parts import claim, read_part, write_parquet
from loadtests.record import Record
from loadtests.sink import DiskFullError, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator


def row(seq: int, **more: Any) -> Record:
    return Record("default", "chat", 0, seq, "measure", stream=True, scheduled_ns=seq * 1000, **more)


def streamed(seq: int) -> Record:
    return row(
        seq, outcome="ok", chunk_ns=array("q", [5, 7 + seq]), chunk_kind=array("B", [2, 1]), flags=["no_done"],
        chunk_chars=array("i", [3, 4]), sent_ns=1, status=200,
    )  # fmt: skip


def breathe() -> None:
    """No event loop here."""


def test_rows_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = Sink(tmp_path, 0, breathe)
    for seq in range(3):
        kept.keep(streamed(seq))
    kept.keep(row(3, error="böse", error_kind="reset"))
    kept.close()

    rows = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert [r["seq"] for r in rows] == [0, 1, 2, 3]
    assert [r["chunk_ns"] for r in rows] == [[5, 7], [5, 8], [5, 9], None]
    assert rows[0]["chunk_kind"] == [2, 1]
    assert rows[0]["flags"] == ["no_done"]
    assert rows[3]["error"] == "böse"
    assert rows[3]["sent_ns"] is None


def test_a_flush_is_readable_while_the_sink_is_open(tmp_path: Path) -> None:
    kept = Sink(tmp_path, 0, breathe)
    kept.keep(streamed(0))
    kept.flush()

    assert read_part(tmp_path / "requests-0.arrows").num_rows == 1
    kept.close()


def test_batches_hold_a_thousand_rows_at_most(tmp_path: Path) -> None:
    kept = Sink(tmp_path, 0, breathe)
    for seq in range(2500):
        kept.keep(row(seq))
    kept.close()

    reader = pa.ipc.open_stream((tmp_path / "requests-0.arrows").read_bytes())
    assert [batch.num_rows for batch in reader] == [1000, 1000, 500]


def test_the_loop_may_breathe_while_a_batch_is_built_and_rows_kept_meanwhile_are_not_lost(tmp_path: Path) -> None:
    extra = iter([row(100), row(101)])

    def busy() -> None:
        if (late := next(extra, None)) is not None:
            kept.keep(late)
        kept.flush()  # a second flusher must not write the same rows again

    kept = Sink(tmp_path, 0, breathe)
    kept._breathe = busy
    for seq in range(5):
        kept.keep(row(seq))
    kept.close()

    seqs = read_part(tmp_path / "requests-0.arrows").column("seq").to_pylist()
    assert sorted(seqs) == [0, 1, 2, 3, 4, 100, 101]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("part")
    kept = Sink(folder, 0, breathe)
    for batch in range(4):
        for seq in range(3):
            kept.keep(streamed(batch * 3 + seq))
        kept.flush()
    kept.close()
    return (folder / "requests-0.arrows").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_part_cut_anywhere_keeps_every_whole_batch(whole: bytes, share: float, tmp_path: Path) -> None:
    """Batches are 3 rows; what comes back is a prefix of whole batches, and all of them from the cut at the end."""
    path = tmp_path / "cut.arrows"
    path.write_bytes(whole[: int(share * len(whole))])
    table = read_part(path)

    seqs = table.column("seq").to_pylist() if table.num_columns else []
    assert len(seqs) % 3 == 0
    assert seqs == list(range(len(seqs)))
    if share == 1:
        assert len(seqs) == 12


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_raise(data: bytes) -> None:
    path = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path()
    file = path / f"firsttoken-test-{id(data)}"
    file.write_bytes(data)
    try:
        assert read_part(file).num_rows == 0
    finally:
        file.unlink()


def test_a_value_that_no_column_can_hold_costs_neither_its_row_nor_the_others(tmp_path: Path) -> None:
    kept = Sink(tmp_path, 0, breathe)
    kept.keep(row(0, output_cap=3_000_000_000))
    kept.keep(row(1, output_cap=16))
    kept.close()

    first, second = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert first["output_cap"] is None
    assert "output_cap could not be kept: 3000000000" in first["error"]
    assert second["output_cap"] == 16


def test_the_reserve_is_there_while_running_and_gone_after_a_clean_end(tmp_path: Path) -> None:
    kept = Sink(tmp_path, 0, breathe)
    assert (tmp_path / "reserve-0").stat().st_size == sink.RESERVE_BYTES
    kept.close()
    assert not (tmp_path / "reserve-0").exists()
    assert (tmp_path / "ended-0").exists()


def test_parquet_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    table = derive(read_rows([streamed(0), row(1)], tmp_path), {"default": dict.fromkeys(record.ARM_WIDE, "x")})
    write_parquet(table, tmp_path / "requests.parquet")

    back = pq.read_table(tmp_path / "requests.parquet")
    assert back.schema.equals(record.requests_schema())
    assert back.schema.field("ttft_s").metadata[b"unit"] == b"s"
    assert list(tmp_path.glob("*.tmp")) == []


def read_rows(rows: list[Record], folder: Path) -> pa.Table:
    kept = Sink(folder, 0, breathe)
    for one in rows:
        kept.keep(one)
    kept.close()
    return read_part(folder / "requests-0.arrows")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_takes_the_reserve_and_says_so(small_disk: Path) -> None:
    """2 MiB of reserve and 2 MiB of somebody else's data leave nothing; the last rows go where the reserve was."""
    kept = Sink(small_disk, 0, breathe)
    (small_disk / "other").write_bytes(b"x" * (2 << 20) if _free(small_disk) > (2 << 20) else b"x" * _free(small_disk))
    for seq in range(1000):
        kept.keep(streamed(seq))
    kept.flush()

    assert kept.full
    assert read_part(small_disk / "requests-0.arrows").num_rows == 1000
    kept.close()


def test_a_disk_without_room_even_so_keeps_the_whole_batches_and_the_rows_in_memory(small_disk: Path) -> None:
    kept = Sink(small_disk, 0, breathe)
    for seq in range(10):
        kept.keep(streamed(seq))
    kept.flush()
    (small_disk / "reserve-0").unlink()
    (small_disk / "other").write_bytes(b"x" * _free(small_disk))
    for seq in range(10, 5000):
        kept.keep(streamed(seq))
    with pytest.raises(DiskFullError) as caught:
        kept.flush()

    assert caught.value.errno == errno.ENOSPC
    written = read_part(small_disk / "requests-0.arrows").num_rows
    assert written + len(kept.rows) == 5000
    assert written >= 10
    with pytest.raises(DiskFullError):
        write_parquet(read_part(small_disk / "requests-0.arrows"), small_disk / "requests.parquet")
    assert not (small_disk / "requests.parquet").exists()
    kept.rows.clear()
    kept.close()


def test_a_sink_whose_last_rows_found_no_room_gives_its_parts_back(small_disk: Path) -> None:
    """Plain Locust lives on after its run: `repair` must get at the parts, and must not take the run for complete."""
    kept = Sink(small_disk, 0, breathe)
    (small_disk / "reserve-0").unlink()
    (small_disk / "other").write_bytes(b"x" * _free(small_disk))
    for seq in range(5000):
        kept.keep(streamed(seq))
    with pytest.raises(DiskFullError):
        kept.close()

    claim(small_disk).close()
    assert not (small_disk / "ended-0").exists()


def test_a_disk_that_is_full_at_the_start_is_said_at_once(small_disk: Path) -> None:
    (small_disk / "other").write_bytes(b"x" * (3 << 20))
    with pytest.raises(DiskFullError):
        Sink(small_disk, 0, breathe)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 4096 * 4096
