"""Rows on their way home: whole messages only, each byte once, whatever the link does and however full the disk is."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.parts import RunIsOnError, claim, read_part
from loadtests.record import Record
from loadtests.shipping import Inbox, Outbox
from loadtests.shipping.outbox import AGAIN_NS, WINDOW_BYTES, Piece
from loadtests.shipping.whole import PIECE_BYTES, whole, whole_messages, whole_of
from loadtests.sink import DiskFullError, Part, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

S = 1_000_000_000
ARROWS, LINES = Path("requests-0.arrows"), Path("bodies-0.jsonl")


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A part as a worker writes it, in five batches, and where its messages end."""
    folder = tmp_path_factory.mktemp("part")
    sink, ends = Sink(folder, 0, lambda: None), []
    ends.append((folder / ARROWS).stat().st_size)
    for count in (1, 3, 200, 2, 50):
        for seq in range(count):
            sink.keep(Record("default", "chat", 0, seq, "measure", True, seq * 10**8, outcome="ok", error="e" * seq))
        sink.flush()
        ends.append((folder / ARROWS).stat().st_size)
    sink.close()
    return (folder / ARROWS).read_bytes(), ends


# What is whole.


def test_of_a_part_that_is_cut_anywhere_its_whole_messages_are_whole(
    part: tuple[bytes, list[int]], tmp_path: Path
) -> None:
    """At every byte around the end of a message, and at many between."""
    data, ends = part
    cuts = {end + by for end in ends for by in range(-70, 70)} | set(range(0, len(data), 97)) | set(range(1200))
    for cut in sorted(cut for cut in cuts if 0 <= cut <= len(data)):
        expected = max((end for end in ends if end <= cut), default=0)
        assert whole(ARROWS, data[:cut]) == expected
    for cut in (0, 1, ends[0] - 1, *ends, len(data) - 1):
        (tmp_path / ARROWS).write_bytes(data[:cut])
        assert whole_of(tmp_path / ARROWS) == max((end for end in ends if end <= cut), default=0)


def test_from_the_end_of_any_message_on_the_rest_is_whole(part: tuple[bytes, list[int]]) -> None:
    data, ends = part
    assert [whole_messages(data[end:]) for end in ends] == [len(data) - end for end in ends]
    assert whole_messages(data[ends[0] : ends[3] - 1]) == ends[2] - ends[0]


def test_a_file_larger_than_a_piece_is_whole_as_far_as_its_messages_are(tmp_path: Path) -> None:
    """Messages of 1.6 MB, longer than what is read at once."""
    path = tmp_path / ARROWS
    batch = pa.record_batch({"x": pa.array(range(200_000), pa.int64())})
    made = Part(path, batch.schema)
    ends = [path.stat().st_size]
    for _ in range(3):
        made.append(batch)
        ends.append(path.stat().st_size)
    made.close()
    assert ends[1] - ends[0] > PIECE_BYTES

    assert whole_of(path) == ends[3]
    os.truncate(path, ends[3] - 1)
    assert whole_of(path) == ends[2]


@given(st.binary(max_size=300))
def test_of_noise_nothing_is_whole_but_lines(junk: bytes) -> None:
    assert whole(LINES, junk) == junk.rfind(b"\n") + 1
    assert whole(ARROWS, junk) <= len(junk)
    assert whole(ARROWS, b"\xff\xff\xff\xff" + junk) <= len(junk) + 4


@given(at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_damaged_part_is_whole_up_to_there_or_as_before(part: tuple[bytes, list[int]], at: int, bit: int) -> None:
    """What is whole never goes beyond the bytes, and what is in front of the damage stays whole."""
    data, ends = part
    damaged = bytearray(data)
    damaged[at % len(data)] ^= 1 << bit
    before = max((end for end in ends if end <= at % len(data)), default=0)

    assert before <= whole(ARROWS, bytes(damaged)) <= len(data)


# On the way.


class Worker:
    """Files that grow as a worker's do, some of their bytes not whole yet."""

    def __init__(self, folder: Path, data: bytes) -> None:
        self.folder, self._data = folder, data
        self._part_bytes = self._line_bytes = 0
        folder.mkdir()
        self.lines = b"".join(b'{"seq": %d, "body": "%b"}\n' % (n, b"z" * (n % 90)) for n in range(400))
        (folder / ARROWS).touch()

    def grow(self, part: int, lines: int) -> None:
        """By so many bytes of each."""
        self._part_bytes, self._line_bytes = self._part_bytes + part, self._line_bytes + lines
        (self.folder / ARROWS).write_bytes(self._data[: self._part_bytes])
        (self.folder / LINES).write_bytes(self.lines[: self._line_bytes])

    def done(self) -> None:
        """All that there is to be."""
        self.grow(len(self._data), len(self.lines))


@given(
    seed=st.integers(0, 1 << 32), odds=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)), slow=st.integers(0, 30),
    stall=st.integers(0, 40),
)  # fmt: skip
@settings(max_examples=15)
def test_a_bad_link_brings_home_all_of_it_and_never_a_byte_that_is_not_the_workers(
    part: tuple[bytes, list[int]], tmp_path_factory: pytest.TempPathFactory,
    seed: int, odds: tuple[float, float], slow: int, stall: int,
) -> None:  # fmt: skip
    """
    Files grow, and the link drops, repeats and delays pieces and acknowledgements, and stalls once.

    A step is 0.2 s. At every moment what the master has are the first bytes of what the worker has, whole, and what it
    acknowledges is on its disk.
    """
    (data, _), (drop, repeat) = part, odds
    dice, home = random.Random(seed), tmp_path_factory.mktemp("home")
    worker = Worker(home / "worker", data)
    (home / "master").mkdir()
    inbox, outbox = Inbox(home / "master"), Outbox(home / "worker")
    under_way: list[tuple[int, Piece | tuple[str, int]]] = []

    def send(what: Piece | tuple[str, int], step: int) -> None:
        late = stall if 20 <= step < 20 + stall else 0
        for _ in range(1 + (dice.random() < repeat)):
            if dice.random() >= (drop if step < 200 else 0):
                under_way.append((step + late + dice.randint(0, slow), what))

    for step in range(1200):
        now_ns = step * S // 5
        if step < 60:
            worker.grow(dice.randint(0, len(data) // 30), dice.randint(0, len(worker.lines) // 30))
        elif step == 60:
            worker.done()
        for piece in outbox.pieces(now_ns):
            send(piece, step)
        assert outbox.on_the_way < 2 * (WINDOW_BYTES + PIECE_BYTES)
        come = [what for at, what in under_way if at <= step]
        under_way = [one for one in under_way if one[0] > step]
        dice.shuffle(come)
        for what in come:
            if isinstance(what, Piece):
                size = inbox.take(0, what.name, what.offset, what.data)
                assert (home / "master" / what.name).stat().st_size == size
                send((what.name, size), step)
            else:
                outbox.acknowledged(*what, now_ns)
        for name, of in ((ARROWS, data), (LINES, worker.lines)):
            if (home / "master" / name).exists():
                here = (home / "master" / name).read_bytes()
                assert of.startswith(here)
                assert len(here) == 0 or len(here) == whole(name, here)
        if step > 60 and outbox.all_home():
            break
    inbox.close()

    assert outbox.left() == 0
    assert (home / "master" / ARROWS).read_bytes() == data
    assert (home / "master" / LINES).read_bytes() == worker.lines
    assert step < 60 + 140 + 400
    shutil.rmtree(home)


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[tuple[Path, Path, Inbox, Outbox]]:
    """A worker's parts, the master's, and who brings the ones to the others."""
    for name in ("worker", "master"):
        (tmp_path / name).mkdir()
    inbox = Inbox(tmp_path / "master")
    yield tmp_path / "worker", tmp_path / "master", inbox, Outbox(tmp_path / "worker")
    inbox.close()


def test_a_slow_link_is_not_filled_with_what_is_under_way(ways: Any) -> None:
    """
    A link of 0.2 MB/s takes 30 s for 6 MB; what is sent again because no word of it comes must not pile up before it.

    Pieces of 1 MB queue one behind the other, so that word of one comes every 5 s. The first few go out again, until
    the worker has learnt how slow the link is.
    """
    theirs, ours, inbox, outbox = ways
    (theirs / LINES).write_bytes((b"x" * 999 + b"\n") * 6_000)
    queue: list[Piece] = []
    sent, room = 0, 0
    for step in range(1000):
        now_ns = step * S // 5
        for piece in outbox.pieces(now_ns):
            queue.append(piece)
            sent += len(piece.data)
        room = min(room + 40_000, 2_000_000)
        while queue and len(queue[0].data) <= room:
            piece = queue.pop(0)
            room -= len(piece.data)
            outbox.acknowledged(piece.name, inbox.take(0, piece.name, piece.offset, piece.data), now_ns)
        if outbox.all_home():
            break

    assert (ours / LINES).read_bytes() == (theirs / LINES).read_bytes()
    assert sent <= 20_000_000


def piece(outbox: Outbox, now_ns: int = 0) -> Piece:
    """The only one that may go now."""
    (only,) = outbox.pieces(now_ns)
    return only


def test_what_is_not_acknowledged_goes_again_and_not_before_its_time(ways: Any) -> None:
    theirs, _, _, outbox = ways
    (theirs / LINES).write_bytes(b"one\ntwo\nthr")
    first = piece(outbox)
    assert first == (LINES.name, 0, b"one\ntwo\n")
    assert list(outbox.pieces(AGAIN_NS)) == []
    assert piece(outbox, AGAIN_NS + 1) == first
    assert list(outbox.pieces(2 * AGAIN_NS + 2)) == []  # twice the time, the second time
    assert piece(outbox, 3 * AGAIN_NS + 2) == first
    assert (outbox.on_the_way, outbox.left(), outbox.all_home()) == (8, 11, False)
    outbox.acknowledged(LINES.name, 8, 4 * AGAIN_NS)
    outbox.acknowledged(LINES.name, 4, 4 * AGAIN_NS)  # late word of earlier
    outbox.acknowledged("client-7.arrows", 4, 4 * AGAIN_NS)
    assert (outbox.on_the_way, outbox.left(), outbox.all_home()) == (0, 3, True)
    assert list(outbox.pieces(9 * AGAIN_NS)) == []

    (theirs / LINES).write_bytes(b"one\ntwo\nthree\n")
    assert not outbox.all_home()
    assert piece(outbox, 9 * AGAIN_NS) == (LINES.name, 8, b"three\n")
    assert piece(outbox, 10 * AGAIN_NS + 1).offset == 8  # quick to ask again: the link had brought all


def test_however_much_there_is_a_few_megabytes_are_under_way(ways: Any) -> None:
    theirs, ours, inbox, outbox = ways
    (theirs / LINES).write_bytes((b"x" * 999 + b"\n") * 20_000)
    most = 0
    for now_ns in range(100):
        found = list(outbox.pieces(now_ns))
        assert all(len(one.data) <= PIECE_BYTES for one in found)
        most = max(most, outbox.on_the_way)
        for one in found:
            outbox.acknowledged(one.name, inbox.take(0, one.name, one.offset, one.data), now_ns)
    assert WINDOW_BYTES <= most < WINDOW_BYTES + PIECE_BYTES
    assert outbox.left() == 0
    assert (ours / LINES).read_bytes() == (theirs / LINES).read_bytes()


def test_a_message_longer_than_a_piece_comes_home_once_it_is_whole(ways: Any) -> None:
    """A batch of 4 MB between two short ones, and at first only a part of it on disk."""
    theirs, ours, inbox, outbox = ways
    made = Part(theirs / ARROWS, pa.schema({"x": pa.int64()}))
    for count in (10, 500_000, 10):
        made.append(pa.record_batch({"x": pa.array(range(count), pa.int64())}))
    made.close()
    data = (theirs / ARROWS).read_bytes()
    (theirs / ARROWS).write_bytes(data[:3_000_000])

    for now_ns in range(4):
        if now_ns == 2:
            assert len(read_part(ours / ARROWS)) == 10
            (theirs / ARROWS).write_bytes(data)
        for one in outbox.pieces(now_ns):
            outbox.acknowledged(one.name, inbox.take(0, one.name, one.offset, one.data), now_ns)
    assert (ours / ARROWS).read_bytes() == data
    assert len(read_part(ours / ARROWS)) == 500_020


# At home.


@pytest.mark.parametrize(
    "name",
    ["requests-1.arrows", "client-2.arrows", "requests-00.arrows", "requests-0.arrows.tmp", "../requests-0.arrows",
     "lock", "/etc/requests-0.arrows", "ended-0", "requests-0.arrows\n", "bodies-0.arrows",
     "requests-\u0660.arrows", ""],
)  # fmt: skip
def test_a_worker_has_no_files_but_its_own(ways: Any, name: str) -> None:
    _, ours, inbox, _ = ways
    with pytest.raises(ValueError, match="worker 0 sent a piece of"):
        inbox.take(0, name, 0, b"x\n")
    assert [path.name for path in ours.iterdir()] == ["lock"]


def test_a_piece_that_is_not_whole_is_refused(ways: Any, part: tuple[bytes, list[int]]) -> None:
    _, ours, inbox, _ = ways
    data, ends = part
    for torn in (data[: ends[0] + 1], data[1 : ends[0]], b"\0" * 64):
        with pytest.raises(ValueError, match="not whole"):
            inbox.take(0, ARROWS.name, 0, torn)
    assert (ours / ARROWS).stat().st_size == 0
    assert inbox.take(0, ARROWS.name, 0, b"") == 0


def test_a_master_that_opens_its_files_again_goes_on_where_they_end(
    tmp_path: Path, part: tuple[bytes, list[int]]
) -> None:
    data, ends = part
    inbox = Inbox(tmp_path)
    assert inbox.take(0, ARROWS.name, 0, data[: ends[1]]) == ends[1]
    inbox.close()
    again = Inbox(tmp_path)
    assert again.take(0, ARROWS.name, 0, data[: ends[1]]) == ends[1]
    assert again.take(0, ARROWS.name, ends[2], data[ends[2] :]) == ends[1]
    assert again.take(0, ARROWS.name, ends[1], data[ends[1] :]) == len(data)
    with pytest.raises(RunIsOnError):
        claim(tmp_path)
    again.close()
    claim(tmp_path).close()
    assert (tmp_path / ARROWS).read_bytes() == data


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder, mount = tmp_path / "small", shutil.which("mount")
    folder.mkdir()
    words = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *words], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be made here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_a_file_as_it_was(small: Path) -> None:
    inbox, line = Inbox(small), b"x" * 99 + b"\n"
    assert inbox.take(0, LINES.name, 0, line * 300) == 30_000
    with pytest.raises(DiskFullError, match="No space left"):
        inbox.take(0, LINES.name, 30_000, line * 900)
    assert (small / LINES).read_bytes() == line * 300
    assert inbox.take(0, LINES.name, 30_000, line * 100) == 40_000  # what has room has
    inbox.close()


def test_a_write_that_is_cut_short_leaves_a_file_as_it_was(ways: Any) -> None:
    """By whatever: here a limit on the size of files, which lets the first 10 kB of it through."""
    _, ours, inbox, _ = ways
    line, was = b"x" * 99 + b"\n", resource.getrlimit(resource.RLIMIT_FSIZE)
    inbox.take(0, LINES.name, 0, line * 300)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, was[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            inbox.take(0, LINES.name, 30_000, line * 900)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
    assert (ours / LINES).read_bytes() == line * 300
    assert inbox.take(0, LINES.name, 30_000, line * 900) == 120_000
