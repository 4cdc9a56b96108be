"""Kept bodies: the share that was asked for, redacted, cut, readable by their owner alone, whole lines only."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import orjson

from loadtests.bodies import MOST_CHARS, Bodies, gather
from loadtests.record import Record

if TYPE_CHECKING:
    from pathlib import Path

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


def test_workers_files_become_one_in_order_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    for worker, seqs in ((0, (4, 0)), (1, (3, 1))):
        kept = Bodies(tmp_path, worker, 1.0, [])
        for seq in seqs:
            kept.keep(record(seq), b"", {}, b"")
        kept.close()
    with (tmp_path / "bodies-1.jsonl").open("ab") as file:
        file.write(b'{"seq":9,"arm"')
    gather(tmp_path, tmp_path / "bodies.jsonl")

    lines = (tmp_path / "bodies.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [0, 1, 3, 4]
    assert stat.S_IMODE((tmp_path / "bodies.jsonl").stat().st_mode) == 0o600


def test_nothing_kept_makes_no_file(tmp_path: Path) -> None:
    gather(tmp_path, tmp_path / "bodies.jsonl")

    assert not list(tmp_path.iterdir())
