"""Traces: each published layout, cuts and speeds, and one line for every cell that is wrong."""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from loadtests.schedule import Schedule, ScheduleError, Size, open_loop, read_trace

if TYPE_CHECKING:
    from collections.abc import Callable

MOONCAKE = """\
{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
{"timestamp": 0, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}

{"timestamp": 3052, "input_length": 2290, "output_length": 16, "hash_ids": []}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 23:59:59.9999999,110,27
"""
BURSTGPT = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
118.5,GPT-4,417,276,693,API log
120,GPT-4,0,12,12,API log
"""


@pytest.fixture
def trace(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(content: str | bytes) -> str:
        path = tmp_path / "trace.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_mooncake(trace: Callable[[str], str]) -> None:
    """Milliseconds, equal times as they stand, prompts as blocks."""
    read = read_trace(trace(MOONCAKE))
    schedule = open_loop("trace:x", None, None, 1, trace=read)

    assert (read.layout, read.rows, read.left_out, len(read)) == ("Mooncake", 3, 0, 3)
    assert schedule.offsets_ns.tolist() == [0, 0, 3_052_000_000]
    assert [schedule.size_of(a) for a in range(3)] == [
        Size(6758, 500, (0, 1, 2)), Size(7322, 490, (0, 14)), Size(2290, 16, ()),
    ]  # fmt: skip
    assert schedule.length_s == 3.052


@pytest.mark.parametrize("zone", ["", "+00:00", "Z"])
def test_azure(trace: Callable[[str], str], zone: str) -> None:
    """From 18:17:03.97996 to 23:59:59.9999999 are 20576.0200399 s; the traces of 2024 write their zone."""
    lines = AZURE.splitlines()
    text = "\r\n".join([lines[0], *(line.replace(",", f"{zone},", 1) for line in lines[1:])])
    schedule = open_loop("trace:x", None, None, 1, trace=read_trace(trace(text)))

    assert schedule.offsets_ns.tolist() == [0, 52_000_000, 20_576_020_039_900]
    assert schedule.size_of(0) == Size(4808, 10, ())


@pytest.mark.parametrize("more", [False, True])
def test_burstgpt_without_its_failed_requests(trace: Callable[[str], str], more: bool) -> None:
    """No response tokens: the request failed. Later releases have a session and an elapsed time."""
    lines = BURSTGPT.splitlines()
    text = "\n".join(line + more * (",7,1.5" if i else ",Session ID,Elapsed time") for i, line in enumerate(lines))
    read = read_trace(trace(text))

    assert (read.layout, read.rows, read.left_out, len(read)) == ("BurstGPT", 4, 1, 3)
    assert read.offsets_ns.tolist() == [0, 113_500_000_000, 115_000_000_000]
    assert read.schedule().size_of(2) == Size(0, 12, ())


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_plain_columns_in_every_format(trace: Callable[[str | bytes], str], kind: str) -> None:
    rows = [{"note": 'a,\n"b"', "time": 10.5, "input_tokens": 3}, {"note": "", "time": 12.0, "input_tokens": 1_000_000}]
    if kind == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        content: str | bytes = b"\xef\xbb\xbf" + buffer.getvalue().encode()
    elif kind == "json":
        content = "\n".join(map(json.dumps, rows))
    else:
        sink = pa.BufferOutputStream()
        parquet.write_table(pa.Table.from_pylist(rows), sink)
        content = sink.getvalue().to_pybytes()
    read = read_trace(trace(content))

    assert (read.layout, read.rows) == ("plain", 2)
    assert read.offsets_ns.tolist() == [0, 1_500_000_000]
    assert [read.sizes.of(a) for a in range(2)] == [Size(3, None, ()), Size(1_000_000, None, ())]


def test_a_file_of_times_alone_is_enough(trace: Callable[[str], str]) -> None:
    read = read_trace(trace("timestamp\n1\n\n2\n"))

    assert read.offsets_ns.tolist() == [0, 10**9]
    assert read.sizes.of(0) == Size(None, None, ())


def test_timestamps_of_parquet_are_times(trace: Callable[[bytes], str]) -> None:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"time": pa.array([1_000, 1_250], pa.timestamp("ms"))}), sink)

    assert read_trace(trace(sink.getvalue().to_pybytes())).offsets_ns.tolist() == [0, 250_000_000]


@pytest.mark.parametrize("kind", [pa.decimal128(5, 2), pa.dictionary(pa.int32(), pa.string()), pa.uint8(), pa.string()])
def test_numbers_of_parquet_are_times(trace: Callable[[bytes], str], kind: pa.DataType) -> None:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"time": pa.array(["1", "3"]).cast(kind)}), sink)

    assert read_trace(trace(sink.getvalue().to_pybytes())).offsets_ns.tolist() == [0, 2 * 10**9]


def test_rows_are_put_in_order_of_time_with_their_sizes(trace: Callable[[str], str]) -> None:
    rows = [(30, 3), (10, 1), (20, 2), (10, 4)]
    lines = [json.dumps({"timestamp": t, "input_length": n, "output_length": n, "hash_ids": [n] * n}) for t, n in rows]
    schedule = read_trace(trace("\n".join(lines))).schedule()

    assert schedule.offsets_ns.tolist() == [0, 0, 10_000_000, 20_000_000]
    assert [schedule.size_of(a) for a in range(4)] == [Size(n, n, (n,) * n) for n in (1, 4, 2, 3)]


# Cuts and speed.

SECONDS = "time,input_tokens\n" + "".join(f"{100 + i},{i}\n" for i in range(10))


@pytest.mark.parametrize(
    ("options", "offsets_s", "length_s"),
    [
        ({}, [*range(10)], 9),
        ({"speed": 2}, [i / 2 for i in range(10)], 4.5),
        ({"start_s": 6.5}, [0, 1, 2], 2),
        ({"duration_s": 2.5}, [0, 1, 2], 2.5),
        ({"duration_s": 60}, [*range(10)], 9),
        ({"requests": 4}, [0, 1, 2, 3], 3),
        ({"speed": 0.5, "start_s": 3, "duration_s": 5, "requests": 9}, [0, 2, 4], 5),
    ],
)
def test_a_trace_is_cut_and_sped_up(
    trace: Callable[[str], str], options: dict[str, Any], offsets_s: list[float], length_s: float
) -> None:
    """A row a second from 100 s to 109 s; the start is of the trace's own time, the duration of the run's."""
    schedule = open_loop("trace:x", None, None, 1, trace=read_trace(trace(SECONDS), **options))

    assert schedule.offsets_ns.tolist() == [round(s * 1e9) for s in offsets_s]
    assert (schedule.length_s, schedule.planned) == (length_s, len(offsets_s))
    assert schedule.size_of(0) == Size({6.5: 7, 3: 3}.get(options.get("start_s", 0), 0), None, ())


def test_the_options_of_the_run_cut_a_trace_further(trace: Callable[[str], str]) -> None:
    read = read_trace(trace(SECONDS), duration_s=6)

    assert len(open_loop("trace:x", None, 3, 1, trace=read)) == 3
    assert open_loop("trace:x", None, 3, 1, trace=read).length_s == 3
    assert open_loop("trace:x", None, 60, 1, 99, trace=read).length_s == 6
    assert len(open_loop(f"trace:{read.label}", None, None, 1)) == 10


def test_a_tail_is_the_rows_that_follow_and_then_the_first_ones(trace: Callable[[str], str]) -> None:
    """Ten rows, a second apart: behind the last, at 9 s, the first comes again a mean gap later, at 10 s."""
    read = read_trace(trace(SECONDS), duration_s=8)
    held = open_loop("trace:x", None, None, 1, trace=read, hold_s=5)

    assert (held.planned, held.length_s) == (8, 8)
    assert held.offsets_ns.tolist() == [i * 10**9 for i in range(13)]
    assert [held.size_of(a) for a in (9, 10, 12)] == [Size(9, None, ()), Size(0, None, ()), Size(2, None, ())]
    assert held.digest() == open_loop("trace:x", None, None, 1, trace=read).digest()


def test_failed_requests_are_counted_where_they_are_planned(trace: Callable[[str], str]) -> None:
    """Of rows 0 to 9 the odd ones failed; the first three that did not are 0, 2, 4, before row 6 stand 1, 3, 5."""
    text = "Timestamp,Request tokens,Response tokens\n" + "".join(f"{i},9,{1 - i % 2}\n" for i in range(10))

    assert read_trace(trace(text)).left_out == 5
    assert read_trace(trace(text), requests=3).left_out == 3
    assert read_trace(trace(text), start_s=4).left_out == 3


def test_a_replayed_schedule_needs_no_trace_file(trace: Callable[[str], str], tmp_path: Path) -> None:
    schedule = open_loop(f"trace:{trace(MOONCAKE)}", None, None, 1)
    schedule.save(tmp_path / "schedule.arrow")

    again = Schedule.load(tmp_path / "schedule.arrow")

    assert again.digest() == schedule.digest()
    assert [again.size_of(a) for a in range(3)] == [schedule.size_of(a) for a in range(3)]


def test_a_changed_file_is_read_again(trace: Callable[[str], str]) -> None:
    assert len(read_trace(trace("time\n1\n"))) == 1
    assert len(read_trace(trace("time\n1\n2\n"))) == 2


# Mistakes.

SECOND = "isn't a number of seconds in [0, 4.6e+09]"
TOKENS = "isn't a whole number of tokens in [0, 1000000]"
ROWS = AZURE.splitlines()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("time\n1\n\nabc\n", f':4: column time: "abc" {SECOND}'),
        ('time,x\n1,"a\n\nb"\n\n-2,\n', f':6: column time: "-2" {SECOND}'),
        ("time,input_tokens\n1,5\n2,\n", f':3: column input_tokens: "" {TOKENS}'),
        ("time,input_tokens\n1,5\n2,1.5\n", f':3: column input_tokens: "1.5" {TOKENS}'),
        ("time,input_tokens\nnan,x\n", f':2: column time: "nan" {SECOND}'),
        (b"time\n1\n\xff2\n", f':3: column time: "�2" {SECOND}'),
        (
            "time,input_tokens\n1,5\n2\n3,4\n",
            ":3: column input_tokens: is missing; the row has 1 of the header's 2 cells",
        ),
        ("time\n1\n2,7\n", ":3: column 2: is too many; the row has 2 of the header's 1 cells"),
        ("time,time\n1,2\n", ":1: column time: stands there 2 times"),
        ("time\n", ": holds no row"),
        ("time", ": holds no row"),
        ("time\n1\n1700158623000\n", f':3: column time: "1700158623000" {SECOND}'),
        (f"{ROWS[0]}\n{ROWS[1]}\n16/11/2023,1,2\n", ':3: column TIMESTAMP: "16/11/2023" isn\'t a date and time'),
        ('{"time": 1}\n\n{"time": "2"}', f':3: column time: "2" {SECOND}'),
        ('{"time": 1}\n{"tim": 1}', f":2: column time: null {SECOND}"),
        ('{"time": 1}\n{"time": true}', f":2: column time: true {SECOND}"),
        ('{"time": 1}\n{"time": 1', ":2: column 11: isn't JSON (unexpected end of data)"),
        ('{"time": 1}\n[1]', ":2: column 1: [1] isn't a JSON object"),
        (
            MOONCAKE.replace("[0, 14]", "[0, 1.5]"),
            ":2: column hash_ids: [0, 1.5] isn't a list of block ids, whole numbers of 0 or more",
        ),
        (
            MOONCAKE.replace("3052", "-1"),
            ":4: column timestamp: -1 isn't a number of milliseconds in [0, 4.6e+12]",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    trace: Callable[[str | bytes], str], content: str | bytes, line: str
) -> None:
    path = trace(content)
    with pytest.raises(ScheduleError) as caught:
        read_trace(path)

    assert str(caught.value) == path + line


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a,b\n1,2\n", '["a", "b"]'),
        ("timestamp,input_length\n1,2\n", '["timestamp", "input_length"]'),
        ("", ""),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ""),
        ("[1, 2]", '["[1", "2]"]'),
    ],
)  # fmt: skip
def test_an_unknown_file_lists_the_known_layouts(
    trace: Callable[[str | bytes], str], content: str | bytes, columns: str
) -> None:
    with pytest.raises(ScheduleError) as caught:
        read_trace(trace(content))

    line = str(caught.value)
    assert columns in line
    assert all(name in line for name in ("Mooncake", "TIMESTAMP", "Request tokens", "input_tokens"))
    assert "\n" not in line


@pytest.mark.parametrize("content", [b"PAR1 and no more", b"PAR1"])
def test_a_broken_parquet_file_is_one_line(trace: Callable[[bytes], str], content: bytes) -> None:
    with pytest.raises(ScheduleError, match=r"trace\.csv: cannot be read as parquet \([^\n]+\)$"):
        read_trace(trace(content))


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--trace-speed 0 isn't a finite number above 0", {"speed": 0}),
        ("--trace-speed nan isn't a finite number above 0", {"speed": math.nan}),
        ("--trace-start -1 isn't a number of seconds in [0, 1e+09]", {"start_s": -1}),
        ("--duration 0 isn't a number of seconds in (0, 1e+09]", {"duration_s": 0}),
        ("trace.csv: holds no request at or after 9.5 s; it lasts 9 s", {"start_s": 9.5}),
        ("trace.csv: lasts 9e+09 s at --trace-speed 1e-09, at most 1e+09 s", {"speed": 1e-9}),
    ],
)
def test_a_cut_that_cannot_be_is_one_line(trace: Callable[[str], str], line: str, options: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError) as caught:
        read_trace(trace(SECONDS), **options)

    assert str(caught.value).endswith(line)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--stages and --arrivals trace: exclude each other; the trace says when requests come", {"stages": (1,)}),
        ("all rows are of one moment, which gives no rate to hold on to", {"hold_s": 1}),
        ("No such file or directory)", {"arrivals": "trace:no.csv", "trace": None}),
    ],
)
def test_a_replay_that_cannot_be_is_one_line(trace: Callable[[str], str], line: str, options: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError) as caught:
        open_loop(**{"arrivals": "trace:x", "rate_per_s": None, "duration_s": None, "seed": 1,
                     "trace": read_trace(trace("time\n1\n1\n")), **options})  # fmt: skip

    assert str(caught.value).endswith(line)


def is_wrong(text: str, *, whole: bool) -> bool:
    """ASCII's white space may stand around a number; float() would trim other control characters, U+0085 among them."""
    number = text.strip(" \t\n\r\v\f")
    if "_" in number or not number.isascii() or not number.isprintable():
        return True
    try:
        value = float(number)
    except ValueError:
        return True
    return not 0 <= value < 2e9 or (whole and value % 1 != 0)


@example(row=0, column=0, text="0\x85", as_json=False)
@example(row=0, column=1, text="0\x1c", as_json=False)
@example(row=0, column=2, text="\x0b0\x0c", as_json=False)
@given(st.integers(0, 30), st.sampled_from([0, 1, 2]), st.text(st.characters(codec="utf-8"), max_size=6), st.booleans())
def test_every_bad_cell_is_one_line_with_row_and_column(row: int, column: int, text: str, as_json: bool) -> None:
    """Whatever stands in a cell: read as a number, or exactly its row and column are named."""
    names = ["time", "input_tokens", "output_tokens"]
    rows: list[list[Any]] = [[i, 5, 6] for i in range(31)]
    rows[row][column] = text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        if as_json:
            path.write_text("\n".join(json.dumps(dict(zip(names, cells, strict=True))) for cells in rows))
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([names, *rows])
        try:
            read = read_trace(path)
        except ScheduleError as error:
            assert str(error).splitlines() == [str(error)]  # noqa: PT017 - both ends are right
            place = row + (1 if as_json else 2)
            assert str(error).startswith(f"{path}:{place}: column {names[column]}: ")  # noqa: PT017
            assert as_json or is_wrong(text, whole=column > 0)
            return
    assert not as_json
    assert not is_wrong(text, whole=column > 0)
    assert len(read) == 31
    assert np.all(np.diff(read.offsets_ns) >= 0)


@given(
    st.one_of(
        st.binary(max_size=60).map(b"time,input_tokens\n1,2\n".__add__),
        st.text('time,"\r\n123\x00', max_size=40).map(lambda text: f"time,input_tokens\n{text}".encode()),
        st.text('{}":,[]time\n1e-. ', max_size=40).map(lambda text: f'{{"time": 1}}\n{text}'.encode()),
        st.binary(max_size=40).map(lambda middle: b"PAR1" + middle + b"PAR1"),
        st.binary(max_size=60),
    )
)
def test_no_file_ends_in_anything_but_one_line(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            read = read_trace(file.name)
        except ScheduleError as error:
            assert str(error).splitlines() == [str(error)]  # noqa: PT017 - both ends are right
            return
    assert np.all(np.diff(read.offsets_ns) >= 0)
