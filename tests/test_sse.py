"""The event stream decoder against the standard, at every split of the bytes."""

from __future__ import annotations

import time
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import sse
from loadtests.sse import Decoder, Event, EventTooLongError


def decoded(*pieces: bytes) -> list[Event]:
    """Events of pieces that came in one read each; the stamp is the read's number."""
    decoder = Decoder()
    for stamp, piece in enumerate(pieces):
        decoder.feed(piece, stamp)
    return decoder.events


def data(*pieces: bytes) -> list[bytes]:
    return [event[1] for event in decoded(*pieces)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_at_lf_crlf_or_cr(end: bytes) -> None:
    assert data(b"data: a" + end + end + b"data: b" + end + end) == [b"a", b"b"]


def test_one_space_after_the_colon_is_dropped_and_no_more() -> None:
    assert data(b"data:a\n\ndata: b\n\ndata:  c\n\n") == [b"a", b"b", b" c"]


def test_several_data_lines_are_one_payload_joined_by_lf() -> None:
    assert data(b"data: a\ndata: b\ndata\n\n") == [b"a\nb\n"]


def test_comments_are_no_events() -> None:
    assert data(b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n") == [b"a"]


def test_a_name_belongs_to_its_event_only() -> None:
    assert decoded(b"event: chunk\nid: 1\nretry: 5\ndata: a\n\ndata: b\n\n") == [(0, b"a", b"chunk"), (0, b"b", b"")]


def test_a_name_without_data_is_forgotten() -> None:
    assert decoded(b"event: ping\n\ndata: a\n\n") == [(0, b"a", b"")]


def test_the_byte_order_mark_is_dropped_once() -> None:
    assert data(b"\xef\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


def test_unicode_line_separators_are_no_line_ends() -> None:
    """U+2028, U+2029, U+0085 and VT are legal inside JSON strings; str.splitlines would cut there."""
    payload = orjson.dumps({"content": "a\u2028b\u2029c\x85d"})

    assert data(b"data: " + payload + b"\n\n") == [payload]


def test_an_event_has_the_stamp_of_the_read_that_completed_it() -> None:
    """The first blank line comes with read 2, the second event is whole in read 2 already."""
    events = decoded(b"data: a", b"\n", b"\ndata: b\n\ndata: c\n", b"\n")

    assert events == [(2, b"a", b""), (2, b"b", b""), (3, b"c", b"")]


def test_a_cr_ends_its_line_without_waiting_for_an_lf() -> None:
    assert decoded(b"data: a\r\n\r", b"\ndata: b\r\r") == [(0, b"a", b""), (1, b"b", b"")]


def test_an_error_field_is_an_error_event() -> None:
    """llama.cpp before September 2025 wrote `error: {...}`, which the standard would ignore."""
    assert decoded(b'error: {"code":400}\n\n') == [(0, b'{"code":400}', b"error")]
    assert decoded(b"error: nothing\n\n") == []


def test_an_event_that_no_blank_line_ended_is_given_at_the_close() -> None:
    decoder = Decoder()
    decoder.feed(b"data: a\n\ndata: [DONE]", 7)

    assert decoder.close() == (7, b"[DONE]", b"")
    assert decoder.events == [(7, b"a", b"")]
    assert Decoder().close() is None


def feed_all(piece: bytes) -> None:
    """One piece as often as passes the cap."""
    decoder = Decoder()
    for _ in range(sse.MAX_EVENT_BYTES // 65536 + 1):
        decoder.feed(piece, 0)


def test_a_line_without_end_is_refused_at_the_cap() -> None:
    with pytest.raises(EventTooLongError):
        feed_all(b"x" * 65536)


def test_an_event_of_endless_lines_is_refused_at_the_cap() -> None:
    with pytest.raises(EventTooLongError):
        feed_all(b"data: " + b"x" * 65536 + b"\n")


def test_an_event_of_endless_empty_lines_is_refused_at_the_cap_and_soon() -> None:
    """Each takes room in memory, though it holds nothing; 2 M of them are 12 MB, and 8 MiB are allowed."""
    begun = time.process_time()
    with pytest.raises(EventTooLongError):
        decoded(*[b"data:\n" * 1000] * 2000)
    assert time.process_time() - begun < 2  # it would be hours if each looked at those before it


@pytest.mark.parametrize("cuts", [(), (1,), (8 << 20,), (1 << 20, 3 << 20, (8 << 20) + 1)])
def test_a_long_line_is_refused_whatever_the_split(cuts: tuple[int, ...]) -> None:
    """8 MiB are a line, one byte more is none; the end of the line may come in the read that passes the cap."""
    for size, refused in ((sse.MAX_EVENT_BYTES, False), (sse.MAX_EVENT_BYTES + 1, True)):
        line = b":" + b"x" * (size - 1) + b"\ndata: a\n\n"
        pieces = [line[a:b] for a, b in pairwise((0, *cuts, len(line)))]
        if refused:
            with pytest.raises(EventTooLongError):
                data(*pieces)
        else:
            assert data(*pieces) == [b"a"]


def test_the_cap_is_one_events() -> None:
    """Many events of an allowed size, of two lines each, are together far beyond it."""
    line = b"data: " + b"x" * (3 << 20) + b"\n"
    assert len(data(*[line, line, b"\n"] * 4)) == 4


LINES = st.sampled_from(
    [
        b'data: {"a":"\xc3\xa4\xe2\x80\xa8"}',
        b"data:x",
        b"data",
        b"",
        b"",
        b": ping",
        b"event: chunk",
        b"id: 3",
        b"foo",
        b"data: \xf0\x9f\x8e\x89",
        b"\xef\xbb\xbfdata: bom",
    ]
)
STREAM = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(STREAM, st.data())
def test_every_split_of_the_bytes_gives_the_same_events(stream: bytes, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert data(*pieces) == data(stream)


@given(STREAM)
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    assert data(*(stream[i : i + 1] for i in range(len(stream)))) == data(stream)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(stream: bytes) -> None:
    decoder = Decoder()
    decoder.feed(stream, 0)
    decoder.close()
