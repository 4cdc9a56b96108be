"""Kept bodies: the share that was asked for, redacted, cut, readable by their owner alone, whole lines only."""

from __future__ import annotations

import resource
import stat
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from loadtests.bodies import MOST_CHARS, Bodies, gather
from loadtests.record import Record
from loadtests.redact import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

KEY = "q7Zx2LmN9vRt4KpW8sYd1FhJ6cBg3TnE"


def record(seq: int) -> Record:
    made = Record("default", "chat", 0, seq, "measure", stream=True, scheduled_ns=0, outcome="error")
    made.error_kind, made.status = "auth", 401
    return made


def test_a_share_is_kept_and_it_is_the_same_for_every_process(tmp_path: Path) -> None:
    """1,000 draws at 0.1: 100 +- 4 * sqrt(90) = 62 to 138."""
    some, none, every = (Bodies(tmp_path, n, share, []) for n, share in enumerate((0.1, 0.0, 1.0)))
    wanted = [seq for seq in range(1000) if some.wants(seq)]

    assert 62 <= len(wanted) <= 138
    assert not any(none.wants(seq) for seq in range(1000))
    assert all(every.wants(seq) for seq in range(1000))
    again = Bodies(tmp_path, 4, 0.1, [])
    assert wanted == [seq for seq in range(1000) if again.wants(seq)]
    for made in (some, none, every, again):
        made.close()


def test_a_line_says_what_was_sent_and_what_came_without_the_key(tmp_path: Path) -> None:
    kept = Bodies(tmp_path, 0, 1.0, [KEY])
    sent = b'POST / HTTP/1.1\r\nAuthorization: Bearer %b\r\n\r\n{"model":"m"}' % KEY.encode()
    kept.keep(record(7), sent, {b"x-request-id": b"r1"}, b'{"error":{"message":"bad key %b"}}' % KEY.encode())
    kept.close()

    (line,) = (tmp_path / "bodies-0.jsonl").read_text().splitlines()
    found = orjson.loads(line)
    assert found["request"] == '{"model":"m"}'
    assert found["headers"] == {"x-request-id": "r1"}
    assert (found["seq"], found["status"], found["error_kind"]) == (7, 401, "auth")
    assert not any(KEY[i : i + 8] in line for i in range(len(KEY) - 7))
    assert "bad key" in found["answer"]


def test_a_long_body_is_cut_and_its_length_is_told(tmp_path: Path) -> None:
    kept = Bodies(tmp_path, 0, 1.0, [])
    kept.keep(record(0), b"", {}, b"x" * 100_000)
    kept.close()

    found = orjson.loads((tmp_path / "bodies-0.jsonl").read_bytes())
    assert (len(found["answer"]), found["answer_bytes"]) == (MOST_CHARS, 100_000)


def test_headers_that_hold_secrets_keep_their_names_alone(tmp_path: Path) -> None:
    """None of these values has the shape of a key."""
    kept = Bodies(tmp_path, 0, 1.0, [])
    names = (b"Set-Cookie", b"cookie", b"Authorization", b"api-key", b"X-Api-Key", b"date")
    kept.keep(record(0), b"", dict.fromkeys(names, b"sid=1; path=/"), b"")
    kept.close()

    (line,) = (tmp_path / "bodies-0.jsonl").read_bytes().splitlines()
    found = orjson.loads(line)["headers"]
    assert found == {name.decode(): MASK for name in names} | {"date": "sid=1; path=/"}


def test_workers_files_become_one_in_order_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    """Worker by worker by their numbers, in each as its answers ended."""
    for worker, seqs in ((10, (20, 10)), (0, (4, 0)), (1, (3, 1))):
        kept = Bodies(tmp_path, worker, 1.0, [])
        for seq in seqs:
            kept.keep(record(seq), b"", {}, b"")
        kept.close()
    with (tmp_path / "bodies-1.jsonl").open("ab") as file:
        file.write(b'{"seq":9,"arm"')
    gather(tmp_path, tmp_path / "bodies.jsonl")

    lines = (tmp_path / "bodies.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [4, 0, 3, 1, 20, 10]
    assert stat.S_IMODE((tmp_path / "bodies.jsonl").stat().st_mode) == 0o600


def test_gathering_holds_a_line_at_a_time(tmp_path: Path) -> None:
    """16 MiB of lines, 64 KiB each: a few of them in memory."""
    with (tmp_path / "bodies-0.jsonl").open("wb") as file:
        file.writelines(b"%065535d\n" % n for n in range(256))
    tracemalloc.start()
    gather(tmp_path, tmp_path / "bodies.jsonl")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (tmp_path / "bodies.jsonl").stat().st_size == 256 * 65536
    assert most < 1 << 20


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """What a full disk does, by the limit of a file's size: the write that reaches it is cut, the next one fails."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, was[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)


def test_without_room_for_one_file_the_workers_own_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for worker in (0, 1):
        (parts / f"bodies-{worker}.jsonl").write_bytes(b'{"seq":%d}\n' % worker * 5000)
    with no_file_above(80_000):
        gather(parts, tmp_path / "bodies.jsonl")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["bodies-0.jsonl", "bodies-1.jsonl", "parts"]
    assert (tmp_path / "bodies-1.jsonl").stat().st_size == 50_000
    assert "what each worker kept stays in bodies-*.jsonl" in caplog.text


def test_nothing_follows_a_line_that_the_disk_cut(tmp_path: Path) -> None:
    kept = Bodies(tmp_path, 0, 1.0, [])
    with no_file_above(5_000):
        for seq in range(3):
            kept.keep(record(seq), b"", {}, b"x" * 3000)
    kept.keep(record(3), b"", {}, b"")
    kept.close()
    gather(tmp_path, tmp_path / "bodies.jsonl")

    assert (tmp_path / "bodies-0.jsonl").stat().st_size == 5_000
    assert not kept.wants(4)
    assert [orjson.loads(line)["seq"] for line in (tmp_path / "bodies.jsonl").read_bytes().splitlines()] == [0]


def test_nothing_kept_makes_no_file(tmp_path: Path) -> None:
    gather(tmp_path, tmp_path / "bodies.jsonl")

    assert not list(tmp_path.iterdir())
