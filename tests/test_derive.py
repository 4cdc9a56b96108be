"""The seam: `derive` from raw rows to whole ones, by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import synthetic

from loadtests import record
from loadtests.derive import derive

S = 1_000_000_000
MS = 1_000_000


def raw(seq: int = 0, **values: Any) -> record.Record:
    whole: dict[str, Any] = {
        "arm": "", "workload": "chat", "worker": 0, "phase": "measure", "stream": True, "scheduled_ns": S,
    } | values  # fmt: skip
    return record.Record(seq=seq, **whole)


def streamed(seq: int = 0, **values: Any) -> record.Record:
    """Scheduled at 1 s, sent 10 ms later; chunks at 1.2, 1.3, 1.3, 1.6 s of 8, 4, 4, 4 characters; 10 tokens."""
    stamps = [1200 * MS, 1300 * MS, 1300 * MS, 1600 * MS]
    own: dict[str, Any] = {
        "outcome": "ok", "started_ns": 1005 * MS, "sent_ns": 1010 * MS, "headers_ns": 1100 * MS,
        "first_event_ns": 1150 * MS, "first_token_ns": stamps[0], "first_answer_ns": stamps[0],
        "last_token_ns": stamps[-1], "end_ns": 1700 * MS, "output_tokens": 10, "chunks": 4, "chunk_ns": stamps,
        "chunk_kind": [1, 1, 1, 1], "chunk_chars": [8, 4, 4, 4], "shared_reads": 1,
    } | values  # fmt: skip
    return raw(seq, **own)


def whole(seq: int = 0, **values: Any) -> record.Record:
    """Not streamed: scheduled at 1 s, sent 10 ms later, over at 2.01 s, 20 tokens."""
    own: dict[str, Any] = {
        "stream": False, "outcome": "ok", "sent_ns": 1010 * MS, "headers_ns": 2000 * MS, "end_ns": 2010 * MS,
        "output_tokens": 20,
    } | values  # fmt: skip
    return raw(seq, **own)


def derived(*rows: record.Record) -> list[dict[str, Any]]:
    table = derive(synthetic.table(list(rows)), dict.fromkeys(("", "a", "b", "default"), synthetic.WIDE))
    assert table.schema.equals(record.requests_schema(), check_metadata=True)
    rows_out: list[dict[str, Any]] = table.to_pylist()
    return rows_out


def test_a_streamed_answer_has_the_formulas_of_its_columns() -> None:
    """
    All from the stamps in `streamed`.

    TTFT 1.2 - 1 and 1.2 - 1.01; latency to the last token, not to the end; first chunk 8 of 20 characters of 10 tokens
    = 4; TPOT (1.6 - 1.2) / (10 - 4); 10 tokens in 0.59 s; gaps from sent: 190, 100, 0, 300 ms.
    """
    (row,) = derived(streamed())

    assert row["ttft_s"] == pytest.approx(0.2)
    assert row["ttft_from_send_s"] == pytest.approx(0.19)
    assert row["latency_s"] == pytest.approx(0.6)
    assert row["latency_from_send_s"] == pytest.approx(0.59)
    assert row["send_lag_s"] == pytest.approx(0.01)
    assert row["first_chunk_tokens"] == 4
    assert row["tpot_s"] == pytest.approx(0.4 / 6)
    assert row["output_tokens_per_s"] == pytest.approx(10 / 0.59)
    assert row["max_gap_s"] == pytest.approx(0.3)
    assert row["chunk_gap_us"] == [190_000, 100_000, 0, 300_000]


def test_an_answer_in_one_piece_has_latency_to_its_end_and_nothing_of_a_stream() -> None:
    """Latency 2.01 - 1; 20 tokens in exactly 1 s."""
    (row,) = derived(whole())

    assert row["latency_s"] == pytest.approx(1.01)
    assert row["output_tokens_per_s"] == pytest.approx(20.0)
    for name in ("ttft_s", "ttft_from_send_s", "tpot_s", "max_gap_s", "first_chunk_tokens", "chunk_gap_us"):
        assert row[name] is None, name


def test_one_chunk_has_no_tpot_and_no_gap() -> None:
    (row,) = derived(
        streamed(last_token_ns=1200 * MS, chunks=1, chunk_ns=[1200 * MS], chunk_kind=[1], chunk_chars=[20])
    )

    assert row["tpot_s"] is None
    assert row["max_gap_s"] is None
    assert row["first_chunk_tokens"] == 10
    assert row["chunk_gap_us"] == [190_000]


def test_a_first_chunk_counts_one_token_at_the_least() -> None:
    """1 of 100 characters of 10 tokens is a tenth of a token; a chunk that bears a token bears one."""
    (row,) = derived(streamed(chunk_chars=[1, 33, 33, 33]))

    assert row["first_chunk_tokens"] == 1
    assert row["tpot_s"] == pytest.approx(0.4 / 9)


def test_a_failed_stream_keeps_what_it_reached() -> None:
    """Cut after the first chunk without any count: TTFT stands, speed is unknown."""
    row, unsent = derived(
        streamed(outcome="error", error_kind="reset", output_tokens=None), raw(1, outcome="unsent", scheduled_ns=2 * S)
    )

    assert row["ttft_s"] == pytest.approx(0.2)
    assert row["tpot_s"] is None
    assert row["output_tokens_per_s"] is None
    assert all(unsent[name] is None for name in record.DERIVED)


def test_a_request_without_an_answer_has_no_latency() -> None:
    """A timeout ends the waiting, not the answer: end - scheduled would be the limit, not a measurement."""
    row = derived(whole(outcome="error", error_kind="timeout_first_byte", headers_ns=None, output_tokens=None))[0]

    assert row["latency_s"] is None
    assert row["send_lag_s"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("asked", "flag", "has_ttft"), [(True, "not_streamed", False), (False, "streamed_unasked", True)]
)
def test_what_the_server_did_decides_whether_it_is_a_stream(asked: bool, flag: str, has_ttft: bool) -> None:
    (row,) = derived(streamed(stream=asked, flags=[flag]))

    assert (row["ttft_s"] is not None) is has_ttft
    assert row["latency_s"] == pytest.approx(0.6 if has_ttft else 0.7)


def test_rows_come_out_in_order_of_the_schedule_whatever_the_parts_were() -> None:
    """Two workers' parts as two chunks, unsorted; each row keeps its own chunks and the nulls between stay nulls."""
    parts = [
        synthetic.table([streamed(3, scheduled_ns=3 * S, sent_ns=None), streamed(1)]),
        synthetic.table([whole(2, scheduled_ns=2 * S), streamed(0, scheduled_ns=0, chunk_chars=[2, 2, 2, 2])]),
    ]
    table = derive(pa.concat_tables(parts), dict.fromkeys(("", "a", "b", "default"), synthetic.WIDE))

    assert table.column("seq").to_pylist() == [0, 1, 2, 3]
    assert [len(gaps or ()) for gaps in table.column("chunk_gap_us").to_pylist()] == [4, 4, 0, 4]
    assert table.column("first_chunk_tokens").to_pylist() == [2, 4, None, 4]
    assert table.column("ttft_from_send_s").to_pylist()[3] is None


def test_rows_at_the_same_moment_are_ordered_by_arm_and_place() -> None:
    rows = derived(streamed(1, arm="b"), streamed(2, arm="a"), streamed(1, arm="a"))

    assert [(row["arm"], row["seq"]) for row in rows] == [("a", 1), ("a", 2), ("b", 1)]


def test_no_rows_are_a_table_all_the_same() -> None:
    assert derived() == []


def test_run_wide_columns_come_from_the_manifest() -> None:
    (row,) = derived(streamed())

    assert {name: row[name] for name in record.ARM_WIDE} == synthetic.WIDE


def test_every_raw_column_is_a_field_of_the_record() -> None:
    """What a part carries is exactly what a Record holds."""
    names = set(record.part_schema().names)

    assert names == set(record.Record.__slots__)
