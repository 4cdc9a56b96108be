"""Content codings undone at any split, bounded, and refused in words where they are none."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.coding import STEP_BYTES, Inflater, codings, is_known
from loadtests.errors import Failure

TEXT = b"data: {}\n\n" * 50


def raw(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


@pytest.mark.parametrize(
    ("headers", "names", "known"),
    [
        ({}, [], True),
        ({b"content-encoding": b"identity", b"transfer-encoding": b"chunked"}, [], True),
        ({b"content-encoding": b" GZIP "}, ["gzip"], True),
        ({b"transfer-encoding": b"gzip, chunked"}, ["gzip"], True),
        ({b"content-encoding": b"br"}, ["br"], False),
        ({b"content-encoding": b"gzip, gzip"}, ["gzip", "gzip"], False),
    ],
)
def test_codings_are_read_from_both_headers(headers: dict[bytes, bytes], names: list[str], known: bool) -> None:
    assert codings(headers) == names
    assert is_known(names) is known


CODED = [("gzip", gzip.compress(TEXT)), ("x-gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)), ("deflate",
raw(TEXT)),
         ("gzip", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]) + bytes(8)), ("deflate", raw(TEXT)
          + b"\r\n")]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"), CODED, ids=["gzip", "x-gzip", "zlib", "bare", "two members, padded", "padded"]
)
@given(st.data())
def test_every_split_of_the_bytes_gives_the_same_text(name: str, data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    inflater = Inflater(name, 1 << 20)
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    assert b"".join(plain for piece in pieces for plain in inflater.feed(piece)) == TEXT


def test_a_read_is_undone_in_steps_and_never_beyond_the_cap() -> None:
    """8 MiB of blanks from a few KiB: in pieces of a MiB, and not one more than the cap allows."""
    bomb = gzip.compress(b" " * (8 << 20))
    assert max(map(len, Inflater("gzip", 8 << 20).feed(bomb))) <= STEP_BYTES

    seen: list[int] = []
    with pytest.raises(Failure, match="too many bytes"):
        seen.extend(len(plain) for plain in Inflater("gzip", 3 << 20).feed(bomb))
    assert sum(seen) <= 3 << 20


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=40), max_size=4))
def test_no_bytes_raise_anything_but_a_failure(name: str, pieces: list[bytes]) -> None:
    inflater = Inflater(name, 1 << 20)
    with contextlib.suppress(Failure):
        for piece in pieces:
            list(inflater.feed(piece))


@given(st.data())
def test_what_was_well_before_the_damage_is_the_same_at_every_split(draw: st.DataObject) -> None:
    whole = gzip.compress(bytes(range(256)) * 4)
    damaged = whole[:-8] + bytes([whole[-8] ^ 255]) + whole[-7:]  # of its checksum

    def read(pieces: list[bytes]) -> list[int]:
        inflater, plain = Inflater("gzip", 1 << 20), array("B")
        with pytest.raises(Failure, match="isn't the gzip"):
            plain.extend(byte for piece in pieces for part in inflater.feed(piece) for byte in part)
        return plain.tolist()

    cuts = sorted(draw.draw(st.lists(st.integers(0, len(damaged)), max_size=6)))
    pieces = [damaged[a:b] for a, b in zip([0, *cuts], [*cuts, len(damaged)], strict=True)]
    assert read(pieces) == read([damaged])
    assert read([damaged])
